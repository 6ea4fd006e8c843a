//! The binary `maestro`.

use std::process::ExitCode;

use clap::Parser;
use maestro::cluster::local::launch;
use maestro::room;

/// The room's options under its verb.
#[derive(Parser)]
#[command(name = "maestro room", about = "The bundled example room")]
struct Room {
    #[command(flatten)]
    args: room::Args,
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    match args.peek().and_then(|verb| verb.to_str()) {
        Some(launch::VERB) => launch::main(args.skip(1)),
        Some("room") => room::main(Room::parse_from(args).args),
        _ => ExitCode::from(2),
    }
}
