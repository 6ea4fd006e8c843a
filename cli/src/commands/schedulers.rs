//! Verbs about schedulers.

use std::io::{self, BufRead, IsTerminal, Write};
use std::mem;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use maestro_wire::http::{
    ConfigBody, Done, Releases, ScaleAnswer, ScaleRequest, SchedulerStatus, SchedulerSummary,
};
use serde::Serialize;

use super::documents::texts;
use super::{SCHEDULERS, Usage, YAML, complain, refer, scale_in};
use crate::args::{Delete, Files, Format, Get, Scale};
use crate::client::{Client, Error, segment};
use crate::output;

const JSON: &str = "application/json";

/// Versions that are named when another one was asked for.
const NAMED_VERSIONS: usize = 10;

/// A scheduler has no such version.
#[derive(Debug, thiserror::Error)]
#[error("{scheduler} has no version `{version}`; {known}")]
pub(super) struct NoVersion {
    scheduler: String,
    version: String,
    /// Which it has, for people.
    known: String,
}

/// What became of a change, for programs: one entry a file or name, so that the output is one list whatever was given.
#[derive(Debug, Serialize)]
struct Outcome {
    schedulers: Vec<String>,
    #[serde(flatten)]
    done: Done,
}

pub(super) fn create(client: &Client, format: Format, files: &Files) -> Result<()> {
    let mut outcomes = Vec::new();
    for text in texts(files)? {
        let done: Result<Done, Error> = client.post("/scheduler", YAML, text.body.as_bytes());
        let done = keep(format, &outcomes, done)?;
        text.warn(&done);
        let names = text.names();
        if format == Format::Table {
            output::print(&match names.as_slice() {
                [name] => format!("created {name}; see how it comes up: maestro-cli status {name}"),
                names => format!(
                    "created {}; see how they come up: maestro-cli get",
                    names.join(", ")
                ),
            })?;
        }
        outcomes.push(Outcome {
            schedulers: names,
            done,
        });
    }
    finish(format, &outcomes)
}

pub(super) fn update(client: &Client, format: Format, files: &Files) -> Result<()> {
    let texts = texts(files)?;
    if let Some(text) = texts.iter().find(|text| text.documents.len() != 1) {
        let (source, count) = (&text.source, text.documents.len());
        bail!("{source}: update takes one scheduler a file; this one has {count}");
    }
    let mut outcomes = Vec::new();
    for text in texts {
        let name = text.names().join("");
        let path = format!("/scheduler/{}", segment(&name));
        let done = keep(format, &outcomes, client.put(&path, YAML, text.body.as_bytes()))?;
        text.warn(&done);
        if format == Format::Table {
            output::print(&said(&name, &done, "it is up to date"))?;
        }
        outcomes.push(Outcome {
            schedulers: vec![name],
            done,
        });
    }
    finish(format, &outcomes)
}

fn said(name: &str, done: &Done, otherwise: &str) -> String {
    format!("{name}: {}", done.message.as_deref().unwrap_or(otherwise))
}

/// Hands a call's answer on. When it failed, what was done before is printed first: a program has to learn of it.
fn keep(format: Format, outcomes: &[Outcome], done: Result<Done, Error>) -> Result<Done> {
    if done.is_err() && !outcomes.is_empty() {
        finish(format, outcomes)?;
    }
    Ok(done?)
}

/// People were told as it happened; programs get one list.
fn finish(format: Format, outcomes: &[Outcome]) -> Result<()> {
    match format {
        Format::Table => Ok(()),
        Format::Json | Format::Yaml => output::show(format, &outcomes, |_| String::new()),
    }
}

pub(super) fn get(client: &Client, format: Format, get: &Get) -> Result<()> {
    let names: Vec<&str> = get.names.iter().map(String::as_str).collect();
    // The older tools' `get scheduler X`, `get schedulers` and `get schedulers-info` go on working.
    let name = match names.as_slice() {
        [] | ["scheduler" | "schedulers" | "schedulers-info"] => None,
        [name] | ["scheduler" | "schedulers", name] => Some(*name),
        [first, ..] => {
            let what =
                format!("`get {first} …` is not known; try `get`, or `get SCHEDULER` for one's document");
            return Err(Usage(what).into());
        }
    };
    match name {
        Some(name) => config(client, format, name, get.version.as_deref()),
        None if get.version.is_some() => Err(Usage(
            "--version is that of one scheduler's document: get SCHEDULER --version VERSION".to_owned(),
        )
        .into()),
        None => list(client, format),
    }
}

fn list(client: &Client, format: Format) -> Result<()> {
    let schedulers: Vec<SchedulerSummary> = client.get("/scheduler?info")?;
    if schedulers.is_empty() && format == Format::Table {
        output::say("no schedulers yet; create one: maestro-cli create FILE");
        return Ok(());
    }
    output::show(format, &schedulers, |all| {
        let max = |summary: &SchedulerSummary| match summary.autoscaling_max {
            0 => "-".to_owned(),
            max => max.to_string(),
        };
        let rows = all.iter().map(|s| {
            vec![
                s.name.clone(),
                s.game.clone(),
                s.version.clone(),
                s.state.clone(),
                s.rooms_ready.to_string(),
                s.rooms_occupied.to_string(),
                s.rooms_creating.to_string(),
                s.rooms_terminating.to_string(),
                s.wanted.to_string(),
                s.autoscaling_min.to_string(),
                max(s),
            ]
        });
        let header = [
            "name", "game", "version", "state", "ready", "occupied", "creating", "ending", "wanted", "min",
            "max",
        ];
        output::table(&header, rows)
    })
}

fn config(client: &Client, format: Format, name: &str, version: Option<&str>) -> Result<()> {
    let query = version
        .map(|version| format!("?version={}", segment(version)))
        .unwrap_or_default();
    let path = format!("/scheduler/{}/config{query}", segment(name));
    let explained = |error| no_version(client, name, version, error);
    match format {
        Format::Json => {
            let document: serde_json::Value = client.get(&path).map_err(explained)?;
            output::show(format, &document, |_| String::new())
        }
        Format::Table | Format::Yaml => {
            // Without `Accept: application/json` the document comes back as it was given.
            let text = client.get_text(&path).map_err(explained)?;
            let body: ConfigBody = serde_json::from_str(&text).context("the answer has no `yaml`")?;
            output::print(&body.yaml)
        }
    }
}

/// The error, with the versions that there are if it is the version that there is not.
fn no_version(client: &Client, name: &str, version: Option<&str>, error: Error) -> anyhow::Error {
    let Some(version) = version.filter(|_| error.is_unknown()) else {
        return error.into();
    };
    let Ok(all) = client.get::<Releases>(&format!("/scheduler/{}/releases", segment(name))) else {
        return error.into();
    };
    let newest = &all.releases[all.releases.len().saturating_sub(NAMED_VERSIONS)..];
    let newest: Vec<&str> = newest.iter().map(|release| release.version.as_str()).collect();
    let begin = match newest.len() == all.releases.len() {
        true => "there are",
        false => "the newest are",
    };
    anyhow::Error::new(error).context(NoVersion {
        scheduler: name.to_owned(),
        version: version.to_owned(),
        known: format!("{begin} {}", newest.join(", ")),
    })
}

pub(super) fn status(client: &Client, format: Format, name: &str) -> Result<()> {
    let status: SchedulerStatus = client.get(&format!("/scheduler/{}", segment(name)))?;
    output::show(format, &status, |status| lines(status).join("\n"))
}

/// A status for people.
pub(super) fn lines(status: &SchedulerStatus) -> Vec<String> {
    let max = status
        .max
        .map_or_else(|| "none".to_owned(), |max| max.to_string());
    let mut lines = vec![
        format!(
            "{} {} of the game {}, {}",
            status.name, status.version, status.game, status.state
        ),
        format!("rooms   {} (min {}, max {max})", rooms(status), status.min),
    ];
    let paused = status.scale_in_paused_since.iter();
    lines.extend(paused.map(|since| format!("paused  {}", scale_in::paused_since(&status.name, since))));
    lines.extend(status.pending.iter().map(|what| format!("pending {what}")));
    lines.extend(status.last_decision.iter().map(|last| format!("last    {last}")));
    lines.extend(status.waits.iter().map(|wait| format!("next    {wait}")));
    lines
}

/// Its rooms by state, and what is wanted.
pub(super) fn rooms(status: &SchedulerStatus) -> String {
    format!(
        "{} ready, {} occupied, {} creating, {} ending; wanted {}",
        status.rooms_at_ready,
        status.rooms_at_occupied,
        status.rooms_at_creating,
        status.rooms_at_terminating,
        status.wanted,
    )
}

pub(super) fn scale(client: &Client, format: Format, scale: &Scale) -> Result<()> {
    let request = ScaleRequest {
        scaleup: scale.up,
        scaledown: scale.down,
        replicas: scale.replicas,
    };
    let body = serde_json::to_vec(&request).context("can't write the request")?;
    let path = format!("/scheduler/{}", segment(&scale.scheduler));
    let answer: ScaleAnswer = client.post(&path, JSON, &body)?;
    output::show(format, &answer, |answer| {
        let mut lines = vec![format!("{}: wanted is {} now", scale.scheduler, answer.wanted)];
        if answer.asked != answer.wanted {
            lines[0].push_str(&format!(" ({} asked for)", answer.asked));
        }
        lines.extend(answer.clamped.iter().map(|why| format!("  {why}")));
        lines.join("\n")
    })
}

/// Deletes each; one that is refused does not spare the others.
pub(super) fn delete(client: &Client, format: Format, delete: &Delete) -> Result<ExitCode> {
    let mut names: Vec<&str> = delete.schedulers.iter().map(String::as_str).collect();
    let mut refusals = Refusals::default();
    if !delete.yes {
        if !io::stdin().is_terminal() {
            let force = if delete.force { " --force" } else { "" };
            let what = format!(
                "there is no terminal to ask on; if you are sure: maestro-cli delete {}{force} --yes",
                delete.schedulers.join(" ")
            );
            return Err(Usage(what).into());
        }
        // Nobody has to think about what is not there.
        for name in mem::take(&mut names) {
            match client.get::<SchedulerStatus>(&format!("/scheduler/{}", segment(name))) {
                Err(error) if error.is_unknown() => refusals.add(error),
                Ok(_) | Err(_) => names.push(name),
            }
        }
        if !names.is_empty() && !confirms(&names, delete.force)? {
            bail!("nothing was deleted");
        }
    }
    let query = if delete.force { "?force=true" } else { "" };
    let mut outcomes = Vec::new();
    for name in names {
        match client.delete::<Done>(&format!("/scheduler/{}{query}", segment(name))) {
            Ok(done) => {
                if format == Format::Table {
                    output::print(&said(name, &done, "it is being deleted"))?;
                }
                outcomes.push(Outcome {
                    schedulers: vec![name.to_owned()],
                    done,
                });
            }
            Err(refused @ Error::Refused { .. }) => refusals.add(refused),
            Err(other) => return Err(other.into()),
        }
    }
    finish(format, &outcomes)?;
    Ok(refusals.end())
}

/// What was refused of several things that don't depend on each other.
#[derive(Default)]
struct Refusals {
    /// The first one's.
    code: Option<ExitCode>,
    is_any_unknown: bool,
}

impl Refusals {
    fn add(&mut self, error: Error) {
        self.is_any_unknown |= error.is_unknown();
        let code = complain(&error.into());
        self.code.get_or_insert(code);
    }

    /// Names the way out; gives the exit code.
    fn end(self) -> ExitCode {
        if self.is_any_unknown {
            refer(SCHEDULERS);
        }
        self.code.unwrap_or(ExitCode::SUCCESS)
    }
}

fn confirms(names: &[&str], is_forced: bool) -> Result<bool> {
    let names = names.join(", ");
    let matches = match is_forced {
        true => "are ended too",
        false => "finish it first",
    };
    let mut stderr = io::stderr().lock();
    write!(stderr, "delete {names}? rooms in a match {matches}. [y/N] ")
        .and_then(|()| stderr.flush())
        .context("can't ask on stderr")?;
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("can't read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
