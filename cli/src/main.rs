//! `maestro-cli`: talks to a running Maestro. Data goes to stdout, talk to stderr; the exit code tells what happened.

use std::process::ExitCode;

mod args;
mod context;
mod stream;
mod trust;
mod client;
mod terminal;
mod output;
mod screen;
mod plot;
mod svg;
mod commands;

fn main() -> ExitCode {
    commands::main()
}
