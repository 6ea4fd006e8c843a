//! What a user types, and nothing of what it means.

mod contexts;
mod nodes;
mod policies;
mod rooms;
mod schedulers;

use std::fmt;
use std::str::FromStr;

use clap::{Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

pub(crate) use contexts::ContextVerb;
pub(crate) use nodes::DrainNode;
pub(crate) use policies::{DeployPolicy, Policy};
pub(crate) use rooms::{Logs, Room, Rooms, STATUSES};
pub(crate) use schedulers::{
    Apply, Delete, Events, Explain, Export, Files, Get, Goal, MOST_EVENTS, Name, Scale, ScaleIn, Since, Wait,
};

/// Talks to a running Maestro.
#[derive(Debug, Parser)]
#[command(
    name = "maestro-cli",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no such scheduler, room or policy, 4 Maestro can't be reached, or something else answers. `diff` and `apply --exit-code` have codes of their own.\n\nWhich Maestro: --url or --context, else MAESTRO_URL, else MAESTRO_CONTEXT, else the context in use, else http://127.0.0.1:8080.\n\nIts token: --token, else MAESTRO_TOKEN, else the one that the context was added with. Other users of this machine see what stands on a command line, so that MAESTRO_TOKEN is the better place.\n\nTry: maestro-cli status hello    maestro-cli explain hello"
)]
pub(crate) struct Cli {
    /// Where Maestro listens, as in http://127.0.0.1:8080 [env: MAESTRO_URL].
    #[arg(long, global = true, value_name = "URL", help_heading = "With every verb")]
    pub url: Option<String>,
    /// The context that says where, in place of the one in use [env: MAESTRO_CONTEXT].
    #[arg(long, global = true, value_name = "CONTEXT", help_heading = "With every verb")]
    pub context: Option<String>,
    /// The operator's token that the Maestro asks for, if it asks for one [env: MAESTRO_TOKEN].
    #[arg(long, global = true, value_name = "TOKEN", help_heading = "With every verb")]
    pub token: Option<Token>,
    /// How to print what is asked for.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT", help_heading = "With every verb")]
    pub output: Format,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// An operator's token; never shown.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Token(String);

impl Token {
    /// The header that it is sent in.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl FromStr for Token {
    type Err = &'static str;

    /// Takes what fits into a header; line breaks around it come from files.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let token = text.trim();
        match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Self(token.to_owned())),
            false => Err("expected a token without spaces, as `maestro token` makes it"),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token")
    }
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
    /// Make schedulers as files say: create what is missing, update what differs.
    #[command(
        after_help = "Exit codes: 0 when every scheduler is as its document says, changed or not; each line says `created`, `changed` or `unchanged`. With --exit-code: 10 when something was created or changed."
    )]
    Apply(Apply),
    /// Show what `apply` would change, as a unified diff of the normalised documents.
    #[command(
        after_help = "Exit codes: 0 nothing differs, 2 something differs, 1 any error, wrong usage too."
    )]
    Diff(Files),
    /// Create the schedulers of a file (YAML or JSON; `-` reads stdin).
    Create(Files),
    /// Store a new version of the schedulers of a file.
    Update(Files),
    /// List schedulers, or print one's document as it was given.
    Get(Get),
    /// Show rooms by state, what is wanted, and what the next decision waits for.
    Status(Name),
    /// Follow one scheduler until Ctrl-C: its rooms, what is wanted, the last decision; on a terminal also a picture.
    Watch(Name),
    /// Follow all schedulers, the fullest first; told once if stdout is no terminal.
    Top,
    /// Wait until a scheduler is ready or gone.
    #[command(
        after_help = "Exit codes: 0 it is so, 1 it is not within the time, 3 there is no such scheduler, 4 Maestro can't be reached in that time."
    )]
    Wait(Wait),
    /// List a scheduler's rooms.
    Rooms(Rooms),
    /// Show one room; of one that is gone, how it ended.
    Room(Room),
    /// Ask for another number of rooms; policies go on from there.
    Scale(Scale),
    /// Pause scaling down by policies, and resume it.
    #[command(subcommand)]
    ScaleIn(ScaleIn),
    /// Delete schedulers: idle rooms go at once, occupied ones when their match ends.
    Delete(Delete),
    /// Tell why there are as many rooms as there are.
    Explain(Explain),
    /// Tell what happened: to schedulers, in their rooms, to their players.
    Events(Events),
    /// Write what `explain --plot` draws to a file.
    Export(Export),
    /// Deploy a policy: a component, or the module that `cargo build` leaves.
    DeployPolicy(DeployPolicy),
    /// Deploy, list and show policies.
    #[command(subcommand)]
    Policy(Policy),
    /// List policies.
    Policies,
    /// Print what a room wrote to its output.
    Logs(Logs),
    /// List the nodes that have rooms, or are drained, with the matches on each.
    Nodes,
    /// Empty a node: its rooms get no further match and go, once others are ready elsewhere or their match ends.
    #[command(
        after_help = "It stays so until --undo. With Kubernetes, `kubectl cordon` and whatever marks a node for its end do the same; nothing here changes the node itself.\n\nExit codes with --wait: 0 no room is left on it, 1 there are within the time, or somebody took it back."
    )]
    DrainNode(DrainNode),
    /// Name the Maestros you talk to, and choose one.
    #[command(subcommand)]
    Context(ContextVerb),
    /// Print a completion script for a shell.
    ///
    /// With bash, zsh and fish it offers the schedulers, rooms, policies and contexts that there are.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the names that may come next; completion scripts ask for them.
    #[command(name = "__names", hide = true)]
    Names {
        /// What was typed so far, without the program and without the word at hand.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Compile a policy; Maestro's tools run themselves with this verb, within limits.
    #[command(hide = true)]
    CompilePolicy {
        /// Passed on to the compiler.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
}
