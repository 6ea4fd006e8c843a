//! What the verbs about schedulers take.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

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
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
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
pub(super) fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
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
    #[arg(long, value_name = "VERSION", requires = "names")]
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
    #[arg(
        short,
        long,
        group = "amount",
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub replicas: Option<u32>,
    /// So many more.
    #[arg(long, group = "amount", value_name = "N", allow_negative_numbers = true)]
    pub up: Option<u32>,
    /// So many fewer.
    #[arg(long, group = "amount", value_name = "N", allow_negative_numbers = true)]
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
    /// How many decisions, newest last; at most 200. One, or with --plot those of the window.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=LAST_LIMIT.into()))]
    pub last: Option<u32>,
    /// Only decisions that changed what is wanted.
    #[arg(long)]
    pub changes: bool,
    /// Draw the window that policies see: occupied, ready and wanted rooms over time, and the decisions.
    #[arg(long)]
    pub plot: bool,
}

/// Most decisions of one answer.
const LAST_LIMIT: u32 = 200;

/// Which events.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// The scheduler; all of them without one.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub scheduler: Option<String>,
    /// Only what happened in this room, or to its players.
    #[arg(long, value_name = "ROOM", value_parser = NonEmptyStringValueParser::new())]
    pub room: Option<String>,
    /// Only what happened since then: 90s, 10m or 2h ago, or a time such as 2030-01-31T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = since, allow_hyphen_values = true)]
    pub since: Option<Since>,
    /// How many, newest last; at most 10000. The last 30, or with --since all since then.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_EVENTS.into()))]
    pub last: Option<u32>,
    /// Go on with what happens from now on, until Ctrl-C or until the scheduler is gone.
    #[arg(short, long)]
    pub follow: bool,
}

/// Most events of one answer.
pub(crate) const MOST_EVENTS: u32 = 10_000;

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long ago.
    Ago(Duration),
    /// Since then.
    Time(SystemTime),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(span) = duration(text) {
        return Ok(Since::Ago(span));
    }
    humantime::parse_rfc3339(text).map(Since::Time).map_err(|_| {
        "expected how long ago, as in 90s, 10m or 2h, or a time such as 2030-01-31T08:00:00Z".to_owned()
    })
}

/// What to export.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The scheduler.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub scheduler: String,
    /// To this file as an SVG picture; `-` is stdout.
    #[arg(long, required = true, value_name = "FILE")]
    pub svg: PathBuf,
    /// As far back as so many decisions go, at most 200; as far as the window goes without it.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=LAST_LIMIT.into()))]
    pub last: Option<u32>,
}
