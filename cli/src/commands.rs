//! From a verb to its calls; and from what came back to an exit code.

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};

use crate::args::{Cli, Policy, Verb};
use crate::client::{Client, Error};
use crate::context;
use crate::output::say;
use crate::terminal::{Paint, Tint};

mod documents;
mod apply;
mod schedulers;
mod scale_in;
mod wait;
mod watch;
mod top;
mod rooms;
mod logs;
mod events;
mod patience;
mod explain;
mod past;
mod plot;
mod policies;
mod nodes;
mod contexts;
mod complete;

/// Refused or failed.
const FAILED: u8 = 1;
/// Wrong usage; what clap ends with too.
const USAGE: u8 = 2;
/// No such scheduler, room or policy.
const NOT_FOUND: u8 = 3;
/// Maestro can't be reached, or it is not Maestro that answers.
const UNREACHABLE: u8 = 4;

/// `diff` found something.
const DIFFERENT: u8 = 2;

/// The content type of documents; JSON is YAML too.
const YAML: &str = "application/yaml";

/// Arguments that are well formed and make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Reads the arguments, does what they say, and tells how it went.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            let code = complain(&error);
            let is_told = exit_code(&error) == NOT_FOUND && !error.is::<schedulers::NoVersion>();
            if let Some(list) = list(&cli.verb).filter(|_| is_told) {
                refer(list);
            }
            // Of `diff`, 2 says that something differs, and nothing else may say that.
            match cli.verb {
                Verb::Diff(_) => ExitCode::from(FAILED),
                _ => code,
            }
        }
    }
}

/// What lists schedulers.
const SCHEDULERS: &str = "maestro-cli get";

/// What lists the things of which a verb takes one.
fn list(verb: &Verb) -> Option<&'static str> {
    match verb {
        Verb::Room(_) | Verb::Logs(_) => Some("maestro-cli get, maestro-cli rooms SCHEDULER"),
        Verb::Policy(_) => Some("maestro-cli policies"),
        Verb::DrainNode(_) => Some("maestro-cli nodes"),
        Verb::Status(_)
        | Verb::Get(_)
        | Verb::Watch(_)
        | Verb::Wait(_)
        | Verb::Rooms(_)
        | Verb::Scale(_)
        | Verb::ScaleIn(_)
        | Verb::Explain(_)
        | Verb::Events(_)
        | Verb::Export(_) => Some(SCHEDULERS),
        _ => None,
    }
}

/// Names the way to what there is in place of what there is not.
fn refer(list: &str) {
    say(&format!("  which there are: {list}"));
}

/// What clap says of arguments that it can't take; help is no misuse.
fn misused(error: &clap::Error) -> ExitCode {
    if error.print().is_err() {
        // Nobody reads it.
    }
    let meant = Cli::command().ignore_errors(true).try_get_matches().ok();
    let is_diff = meant.is_some_and(|meant| meant.subcommand_name() == Some("diff"));
    match u8::try_from(error.exit_code()) {
        Ok(USAGE) if is_diff => ExitCode::from(FAILED),
        Ok(code) => ExitCode::from(code),
        Err(_) => ExitCode::from(USAGE),
    }
}

/// Tells what went wrong; gives the exit code that says the same.
fn complain(error: &anyhow::Error) -> ExitCode {
    let word = Paint::for_stderr().text(Some(Tint::Bad), "error:");
    say(&format!("{word} {}", chain(error)));
    ExitCode::from(exit_code(error))
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let format = cli.output;
    // These need no server, or look for one of their own.
    match &cli.verb {
        Verb::Completions { shell } => return complete::script(*shell).map(|()| ExitCode::SUCCESS),
        Verb::Names { words } => return complete::names(words).map(|()| ExitCode::SUCCESS),
        Verb::CompilePolicy { .. } => return Ok(maestro_engine::compile_child_main()),
        Verb::Context(verb) => {
            return contexts::run(format, verb, cli.url.as_deref(), cli.token.as_ref())
                .map(|()| ExitCode::SUCCESS);
        }
        _ => {}
    }
    let place = context::place(cli.url.as_deref(), cli.context.as_deref(), cli.token.as_ref())?;
    let client = Client::new(&place)?;
    match &cli.verb {
        Verb::Apply(apply) => return apply::apply(&client, format, apply),
        Verb::Diff(files) => return apply::diff(&client, format, files),
        Verb::Create(files) => schedulers::create(&client, format, files)?,
        Verb::Update(files) => schedulers::update(&client, format, files)?,
        Verb::Get(get) => schedulers::get(&client, format, get)?,
        Verb::Status(name) => schedulers::status(&client, format, &name.scheduler)?,
        Verb::Watch(name) => watch::watch(&client, format, &name.scheduler)?,
        Verb::Top => top::top(&client, format)?,
        Verb::Wait(wait) => wait::wait(&client, format, wait)?,
        Verb::Scale(scale) => schedulers::scale(&client, format, scale)?,
        Verb::ScaleIn(change) => scale_in::switch(&client, format, change)?,
        Verb::Delete(delete) => return schedulers::delete(&client, format, delete),
        Verb::Rooms(rooms) => rooms::list(&client, format, rooms)?,
        Verb::Room(room) => rooms::show(&client, format, room)?,
        Verb::Logs(logs) => logs::logs(&client, format, logs)?,
        Verb::Explain(explain) if explain.plot => plot::draw(&client, format, explain)?,
        Verb::Explain(explain) => explain::explain(&client, format, explain)?,
        Verb::Events(which) => events::events(&client, format, which)?,
        Verb::Export(export) => plot::export(&client, format, export)?,
        Verb::DeployPolicy(deploy) | Verb::Policy(Policy::Deploy(deploy)) => {
            policies::deploy(&client, format, &deploy.file)?;
        }
        Verb::Nodes => nodes::list(&client, format)?,
        Verb::DrainNode(drain) => nodes::drain(&client, format, drain)?,
        Verb::Policies | Verb::Policy(Policy::List) => policies::list(&client, format)?,
        Verb::Policy(Policy::Get { name }) => policies::show(&client, format, name)?,
        Verb::Completions { .. } | Verb::Names { .. } | Verb::CompilePolicy { .. } | Verb::Context(_) => {}
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
    if error.is::<Usage>()
        || error
            .downcast_ref::<context::Error>()
            .is_some_and(context::Error::is_usage)
    {
        return USAGE;
    }
    match error.downcast_ref::<Error>() {
        Some(Error::Refused { status: 404, .. }) => NOT_FOUND,
        Some(
            Error::Unreachable { .. }
            | Error::Roots { .. }
            | Error::Tls { .. }
            | Error::Stranger { .. }
            | Error::Path { .. },
        ) => UNREACHABLE,
        Some(Error::Url { .. }) => USAGE,
        Some(Error::Refused { .. } | Error::Answer { .. }) | None => FAILED,
    }
}
