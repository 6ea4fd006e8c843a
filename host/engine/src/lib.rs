//! Runs policies: WebAssembly components in, verdicts out.

pub mod package;
