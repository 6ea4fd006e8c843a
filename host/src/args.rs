//! What a user types, and which part of the program it means.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config;
use crate::config::file::{Effective, effective, with_file};
use crate::config::settings::Settings;
use crate::dev::matches::Matches;
use crate::listen::Listen;
use crate::service::{self, Role};

/// Keeps enough game rooms ready.
#[derive(Debug, Parser)]
#[command(
    name = "maestro",
    version,
    arg_required_else_help = true,
    after_help = "Try: maestro dev"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run everything in one process, with rooms as local processes: no cluster, no server, one command.
    Dev(Dev),
    /// Run everything in one process, with rooms on Kubernetes: the API and the loops.
    Serve(Settings),
    /// Run the API; any number of them share a database and a Redis with the workers.
    #[command(visible_alias = "start")]
    Api(Settings),
    /// Run the loops that keep rooms ready; each scheduler is one worker's at a time.
    Worker(Settings),
    /// Tell the settings that a role runs by, and where each comes from; secrets are hidden.
    Config(config::show::Args),
    /// Make a token for an operator, and the hash of it that a service is given.
    Token,
    /// Bring a database's tables up to date, or tell whether they are.
    Migrate(crate::migrate::Args),
    /// Be the bundled example room; `maestro dev` starts these.
    Room(crate::room::Args),
    /// Run any program as a room: report for it whether it is ready, in a match, or ending.
    Wrap(crate::wrap::Args),
    /// Compile a policy; Maestro runs itself with this verb, within limits.
    #[command(hide = true)]
    CompilePolicy {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<OsString>,
    },
    /// Start a room's program; Maestro runs itself with this verb, so that rooms end with it.
    #[command(hide = true)]
    LaunchRoom {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<OsString>,
    },
}

/// What `maestro dev` can do beside running.
#[derive(Clone, Debug, Subcommand)]
pub enum DevVerb {
    /// Write the quick example as a document to begin with; each key is explained in it.
    Init(crate::dev::init::Args),
}

/// How `maestro dev` runs.
#[derive(Clone, Debug, Args)]
// After an option or a file, `init` is a file too.
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Dev {
    /// Something else than to run.
    #[command(subcommand)]
    pub verb: Option<DevVerb>,
    /// Scheduler documents, YAML or JSON; applied again whenever they are saved. Without one, a quick example runs.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where the API listens, as in 127.0.0.1:8080 or localhost:8080; port 0 takes any free one and tells which.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub listen: Listen,
    /// Allow --listen on an address that other machines reach. The API asks nobody who they are.
    #[arg(long)]
    pub insecure: bool,
    /// Keep schedulers, decisions and rooms here. Without it they are gone when Maestro ends.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Most rooms of one scheduler on this machine, whatever its document says.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_rooms: u32,
    /// Matches that the example rooms play: none, a rate and a length (12/min,5m), or a day's curve in a minute.
    #[arg(long, value_name = "none|12/min,5m|curve", default_value = "curve")]
    pub matches: Matches,
    /// Run this program as a room, or the document's own with the word `cmd`; without it, an example room.
    #[arg(long, value_name = "'CMD …'", value_parser = command)]
    pub room: Option<String>,
    /// Plain log lines even on a terminal.
    #[arg(long)]
    pub plain: bool,
}

/// A room's command that names a program.
fn command(text: &str) -> Result<String, String> {
    match shlex::split(text).as_deref() {
        Some([]) => Err(
            "no program is named; expected one with its arguments, or `cmd` for the document's own"
                .to_owned(),
        ),
        Some([_, ..]) => Ok(text.to_owned()),
        None => Err("a quote is open".to_owned()),
    }
}

/// Reads the arguments, and the file of settings that they name.
fn read() -> Result<(Cli, Vec<Effective>), String> {
    let command = Cli::command();
    let matches = command.clone().get_matches();
    let Some((verb, given)) = matches.subcommand() else {
        return Cli::from_arg_matches(&matches)
            .map(|cli| (cli, Vec::new()))
            .map_err(|error| error.to_string());
    };
    // Of the verbs, those with settings have this one.
    let Ok(Some(file)) = given
        .try_get_one::<PathBuf>("config")
        .map(Option::<&PathBuf>::cloned)
    else {
        return understood(&command, &matches, &[], None);
    };
    let role = command
        .find_subcommand(verb)
        .cloned()
        .ok_or("there is no such verb")?;
    let (role, keys) = with_file(role, &file)?;
    let command = command.mut_subcommand(verb, |_| role);
    let matches = command.clone().get_matches();
    // Listed in the order of the help, which the file's keys have lost.
    understood(&Cli::command(), &matches, &keys, Some(&file))
}

fn understood(
    command: &Command,
    matches: &ArgMatches,
    keys: &[String],
    file: Option<&Path>,
) -> Result<(Cli, Vec<Effective>), String> {
    let shown = matches.subcommand().and_then(|(verb, given)| {
        let role = command.find_subcommand(verb)?;
        Some(effective(role, given, keys, file))
    });
    let cli = Cli::from_arg_matches(matches).map_err(|error| error.to_string())?;
    Ok((cli, shown.unwrap_or_default()))
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let (cli, shown) = match read() {
        Ok(read) => read,
        Err(problems) => {
            eprintln!("error: {problems}");
            return ExitCode::from(2);
        }
    };
    match cli.verb {
        Verb::Dev(Dev {
            verb: Some(DevVerb::Init(init)),
            ..
        }) => crate::dev::init::main(&init),
        Verb::Dev(dev) => crate::dev::main(dev),
        Verb::Serve(settings) => service::main(Role::Serve, settings),
        Verb::Api(settings) => service::main(Role::Api, settings),
        Verb::Worker(settings) => service::main(Role::Worker, settings),
        Verb::Config(args) => config::show::main(&args, &shown),
        Verb::Token => crate::token::main(),
        Verb::Migrate(migrate) => crate::migrate::main(&migrate),
        Verb::Room(room) => crate::room::main(room),
        Verb::Wrap(wrap) => crate::wrap::main(wrap),
        Verb::CompilePolicy { .. } => maestro_engine::compile_child_main(),
        Verb::LaunchRoom { rest } => crate::cluster::local::launch::main(rest),
    }
}
