//! What the verbs about nodes take.

use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::schedulers::duration;

/// Which node, and how.
#[derive(Debug, Args)]
pub(crate) struct DrainNode {
    /// The node.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub node: String,
    /// Wait until no room is left on it, and tell how many matches are.
    #[arg(long, conflicts_with = "undo")]
    pub wait: bool,
    /// How long at most, as in 90, 90s or 5m; without it, for as long as the matches last.
    #[arg(long, requires = "wait", value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub timeout: Option<Duration>,
    /// Take it back: rooms may come to it again.
    #[arg(long)]
    pub undo: bool,
}
