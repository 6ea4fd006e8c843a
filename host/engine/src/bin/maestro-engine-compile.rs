//! The compiling process of this crate's own tests; `maestro` and `maestro-cli` do the same by a hidden verb.

use std::process::ExitCode;

fn main() -> ExitCode {
    maestro_engine::compile_child_main()
}
