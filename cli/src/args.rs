//! What a user types, and nothing of what it means.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// What a room's status can be.
pub(crate) const STATUSES: [&str; 4] = ["creating", "ready", "occupied", "terminating"];

/// Talks to a running Maestro.
#[derive(Debug, Parser)]
#[command(
    name = "maestro-cli",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no such scheduler, room or policy, 4 Maestro can't be reached, or something else answers.\n\nTry: maestro-cli status hello    maestro-cli explain hello"
)]
pub(crate) struct Cli {
    /// Where Maestro listens.
    #[arg(
        long,
        global = true,
        env = "MAESTRO_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub url: String,
    /// How to print what is asked for.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For both.
    Yaml,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Create the schedulers of a file (YAML or JSON; `-` reads stdin).
    Create(Files),
    /// Store a new version of the schedulers of a file.
    Update(Files),
    /// List schedulers, or print one's document as it was given.
    Get(Get),
    /// Show rooms by state, what is wanted, and what the next decision waits for.
    Status(Name),
    /// List a scheduler's rooms.
    Rooms(Rooms),
    /// Show one room.
    Room(Room),
    /// Ask for another number of rooms; policies go on from there.
    Scale(Scale),
    /// Delete schedulers: idle rooms go at once, occupied ones when their match ends.
    Delete(Delete),
    /// Tell why there are as many rooms as there are.
    Explain(Explain),
    /// Deploy a policy: a component, or the module that `cargo build` leaves.
    DeployPolicy(DeployPolicy),
    /// Deploy, list and show policies.
    #[command(subcommand)]
    Policy(Policy),
    /// List policies.
    Policies,
    /// Print what a room wrote to its output.
    Logs(Logs),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Compile a policy; Maestro's tools run themselves with this verb, within limits.
    #[command(hide = true)]
    CompilePolicy {
        /// Passed on to the compiler.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
}

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
    /// Scheduler documents; several documents in one file are taken one after the other.
    #[arg(required_unless_present = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The same, for those used to it.
    #[arg(short, long, value_name = "FILE", hide = true)]
    pub file: Vec<PathBuf>,
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

/// What to delete.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The schedulers.
    #[arg(required = true, value_name = "SCHEDULER", value_parser = NonEmptyStringValueParser::new())]
    pub schedulers: Vec<String>,
    /// End rooms in a match too.
    #[arg(long)]
    pub force: bool,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// What to explain.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The scheduler.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub scheduler: String,
    /// How many decisions, newest last; at most 200.
    #[arg(short = 'n', long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub last: u32,
    /// Only decisions that changed what is wanted.
    #[arg(long)]
    pub changes: bool,
}

/// Which policy to deploy.
#[derive(Debug, Args)]
pub(crate) struct DeployPolicy {
    /// The component, or the core module that `cargo build --target wasm32-unknown-unknown` leaves.
    #[arg(value_name = "FILE.wasm")]
    pub file: PathBuf,
}

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Deploy a policy.
    Deploy(DeployPolicy),
    /// List policies.
    List,
    /// Show one policy: its summary, parameters and inputs.
    Get {
        /// The policy, as in queue-depth or queue-depth@1.2.0.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
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
    /// The output before the last rotation.
    #[arg(long)]
    pub previous: bool,
}
