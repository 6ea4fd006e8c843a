//! The engine from outside: what it promises to a policy, and what it keeps a hostile one from.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail a test that way"
)]

mod support;
mod sandbox;
mod hostile;
mod static_check;
mod evolution;
mod compilation;
mod cache;
mod evaluators;
