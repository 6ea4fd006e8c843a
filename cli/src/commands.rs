//! From a verb to its calls; and from what came back to an exit code.

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};

use crate::args::{Cli, Policy, Verb};
use crate::client::{Client, Error};
use crate::output;

mod schedulers;
mod rooms;
mod explain;
mod policies;

/// Refused or failed.
const FAILED: u8 = 1;
/// Wrong usage; what clap ends with too.
const USAGE: u8 = 2;
/// No such scheduler, room or policy.
const NOT_FOUND: u8 = 3;
/// Maestro can't be reached, or it is not Maestro that answers.
const UNREACHABLE: u8 = 4;

/// Arguments that are well formed and make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Reads the arguments, does what they say, and tells how it went.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => complain(&error),
    }
}

/// Tells what went wrong; gives the exit code that says the same.
fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {}", chain(error));
    ExitCode::from(exit_code(error))
}

fn run(cli: &Cli) -> Result<ExitCode> {
    // These two need no server.
    match &cli.verb {
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "maestro-cli", &mut script);
            output::print(&String::from_utf8_lossy(&script))?;
            return Ok(ExitCode::SUCCESS);
        }
        Verb::CompilePolicy { .. } => return Ok(maestro_engine::compile_child_main()),
        _ => {}
    }
    let client = Client::new(&cli.url)?;
    let format = cli.output;
    match &cli.verb {
        Verb::Create(files) => schedulers::create(&client, format, files)?,
        Verb::Update(files) => schedulers::update(&client, format, files)?,
        Verb::Get(get) => schedulers::get(&client, format, get)?,
        Verb::Status(name) => schedulers::status(&client, format, &name.scheduler)?,
        Verb::Scale(scale) => schedulers::scale(&client, format, scale)?,
        Verb::Delete(delete) => return schedulers::delete(&client, format, delete),
        Verb::Rooms(rooms) => rooms::list(&client, format, rooms)?,
        Verb::Room(room) => rooms::show(&client, format, room)?,
        Verb::Logs(logs) => rooms::logs(&client, format, logs)?,
        Verb::Explain(explain) => explain::explain(&client, format, explain)?,
        Verb::DeployPolicy(deploy) | Verb::Policy(Policy::Deploy(deploy)) => {
            policies::deploy(&client, format, &deploy.file)?;
        }
        Verb::Policies | Verb::Policy(Policy::List) => policies::list(&client, format)?,
        Verb::Policy(Policy::Get { name }) => policies::show(&client, format, name)?,
        Verb::Completions { .. } | Verb::CompilePolicy { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The error and its causes, a line each; problems of a document with their places.
fn chain(error: &anyhow::Error) -> String {
    let mut lines = vec![error.to_string()];
    lines.extend(error.chain().skip(1).map(|cause| format!("  because: {cause}")));
    if let Some(Error::Refused { body, .. }) = error.downcast_ref::<Error>() {
        lines.extend(body.problems.iter().map(|problem| format!("  {problem}")));
        lines.extend(
            body.warnings
                .iter()
                .map(|warning| format!("  warning: {warning}")),
        );
    }
    lines.join("\n")
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() {
        return USAGE;
    }
    match error.downcast_ref::<Error>() {
        Some(Error::Refused { status: 404, .. }) => NOT_FOUND,
        Some(Error::Unreachable { .. } | Error::Stranger { .. } | Error::Path { .. }) => UNREACHABLE,
        Some(Error::Url { .. }) => USAGE,
        Some(Error::Refused { .. } | Error::Answer { .. }) | None => FAILED,
    }
}
