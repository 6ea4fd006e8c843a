//! What the verbs about schedulers take.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};

/// Names a scheduler.
#[derive(Debug, Args)]
pub(crate) struct Name {
    /// The scheduler.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub scheduler: String,
}

/// Names files.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// Scheduler documents, `-` for stdin; several documents in one file are taken one after the other.
    #[arg(required_unless_present = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The same, for those used to it.
    #[arg(short, long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
}

/// What to apply.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// From where.
    #[command(flatten)]
    pub files: Files,
    /// End with 10 instead of 0 when something was created or changed.
    #[arg(long)]
    pub exit_code: bool,
}

/// What to wait for.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// The scheduler.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub scheduler: String,
    /// What has to be true of it.
    #[arg(long = "for", value_enum, value_name = "GOAL")]
    pub goal: Goal,
    /// How long at most, as in 90, 90s or 5m.
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = duration)]
    pub timeout: Duration,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Goal {
    /// As many rooms as are wanted are ready or occupied.
    Ready,
    /// It is deleted and its last room has left.
    Gone,
}

/// Reads `90`, `90s` or `1m 30s`.
fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text),
    }
}

/// What to get.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The scheduler; all of them without one. `get scheduler NAME` and `get schedulers` work too.
    #[arg(num_args = 0..=2, value_name = "SCHEDULER", value_parser = NonEmptyStringValueParser::new())]
    pub names: Vec<String>,
    /// An older version of its document, as in v1.0.
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
}

/// How many rooms.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("amount").required(true))]
pub(crate) struct Scale {
    /// The scheduler.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub scheduler: String,
    /// So many rooms in all.
    #[arg(short, long, group = "amount", value_name = "N")]
    pub replicas: Option<u32>,
    /// So many more.
    #[arg(long, group = "amount", value_name = "N")]
    pub up: Option<u32>,
    /// So many fewer.
    #[arg(long, group = "amount", value_name = "N")]
    pub down: Option<u32>,
}

/// What to do about scaling down.
#[derive(Debug, Subcommand)]
pub(crate) enum ScaleIn {
    /// Let no policy take rooms away until that is resumed; `scale`, and the document's min and max, still do.
    Pause(Name),
    /// Let policies take rooms away again.
    Resume(Name),
}

/// What to delete.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The schedulers.
    #[arg(required = true, value_name = "SCHEDULER", value_parser = NonEmptyStringValueParser::new())]
    pub schedulers: Vec<String>,
    /// End rooms in a match too.
    #[arg(long)]
    pub force: bool,
    /// Do not ask; needed where there is no terminal to ask on.
    #[arg(short, long)]
    pub yes: bool,
}

/// What to explain.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The scheduler.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub scheduler: String,
    /// How many decisions, newest last; at most 200. One, or 200 with --plot.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=LAST_LIMIT.into()))]
    pub last: Option<u32>,
    /// Only decisions that changed what is wanted.
    #[arg(long)]
    pub changes: bool,
    /// Draw occupied, ready and wanted over time.
    #[arg(long)]
    pub plot: bool,
}

/// Most decisions of one answer; what is drawn when nobody says how many.
pub(crate) const LAST_LIMIT: u32 = 200;

/// What to export.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The scheduler.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub scheduler: String,
    /// To this file as an SVG picture; `-` is stdout.
    #[arg(long, required = true, value_name = "FILE")]
    pub svg: PathBuf,
    /// How many decisions; at most 200.
    #[arg(short = 'n', long, default_value_t = LAST_LIMIT, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=LAST_LIMIT.into()))]
    pub last: u32,
}
