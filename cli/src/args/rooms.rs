//! What the verbs about rooms take.

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};

/// What a room's status can be.
pub(crate) const STATUSES: [&str; 4] = ["creating", "ready", "occupied", "terminating"];

/// Which rooms.
#[derive(Debug, Args)]
pub(crate) struct Rooms {
    /// The scheduler.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub scheduler: String,
    /// Only rooms of this status.
    #[arg(value_parser = PossibleValuesParser::new(STATUSES))]
    pub status: Option<String>,
}

/// Which room.
#[derive(Debug, Args)]
pub(crate) struct Room {
    /// The scheduler, or the room alone.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub scheduler: String,
    /// The room.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub room: Option<String>,
}

/// Whose output.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The room, or its scheduler followed by the room.
    #[arg(num_args = 1..=2, required = true, value_name = "ROOM", value_parser = NonEmptyStringValueParser::new())]
    pub room: Vec<String>,
    /// How many lines, newest last; at most 10000.
    #[arg(short = 'n', long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub lines: u32,
    /// The output before the last rotation; with --follow both, that one first.
    #[arg(long)]
    pub previous: bool,
    /// Go on with what is written from now on, until Ctrl-C or until the room is gone.
    #[arg(short, long)]
    pub follow: bool,
}
