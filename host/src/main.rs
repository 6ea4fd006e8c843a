//! The binary `maestro`.

use std::process::ExitCode;

use maestro::cluster::local::launch;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(verb) if verb == launch::VERB => launch::main(args),
        _ => ExitCode::from(2),
    }
}
