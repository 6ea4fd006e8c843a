//! Documents against what is stored: make it so, or show what that would change.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result};
use maestro_wire::document::{self, Document};
use maestro_wire::http::{Done, SchedulerNames, SchedulerStatus};
use serde::Serialize;
use similar::TextDiff;

use super::documents::{self, Text};
use super::{DIFFERENT, YAML};
use crate::args::{Apply, Files, Format};
use crate::client::{Client, Error, segment};
use crate::output;
use crate::terminal::{Paint, Tint};

/// Something was created or changed, for those who ask. No other verb ends with it.
const CHANGED: u8 = 10;

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Created,
    Changed,
    Unchanged,
}

/// The same, for programs.
#[derive(Debug, Serialize)]
struct Applied {
    scheduler: String,
    change: Change,
    #[serde(flatten)]
    done: Done,
}

pub(super) fn apply(client: &Client, format: Format, apply: &Apply) -> Result<ExitCode> {
    let texts = documents::texts(&apply.files)?;
    let stored: SchedulerNames = client.get("/scheduler")?;
    let mut stored: BTreeSet<String> = stored.schedulers.into_iter().collect();
    let mut applied = Vec::new();
    let mut outcome = Ok(());
    'all: for text in &texts {
        for document in &text.documents {
            match one(client, text, document, &stored) {
                Ok(one) => {
                    if format == Format::Table {
                        output::print(&said(&one))?;
                    }
                    stored.insert(one.scheduler.clone());
                    applied.push(one);
                }
                Err(error) => {
                    outcome = Err(error);
                    break 'all;
                }
            }
        }
    }
    // What was done before a failure is told to programs too.
    if format != Format::Table && (outcome.is_ok() || !applied.is_empty()) {
        output::show(format, &applied, |_| String::new())?;
    }
    outcome?;
    let is_changed = applied.iter().any(|one| one.change != Change::Unchanged);
    Ok(match apply.exit_code && is_changed {
        true => ExitCode::from(CHANGED),
        false => ExitCode::SUCCESS,
    })
}

fn one(client: &Client, text: &Text, document: &Document, stored: &BTreeSet<String>) -> Result<Applied> {
    let scheduler = document.scheduler.name.to_string();
    let made = match stored.contains(&scheduler) {
        true => update(client, document),
        false => create(client, document),
    };
    let (change, done) = match made {
        Ok((change, done)) => (change, Ok(done)),
        // What it fails with needs no change.
        Err(error) => (Change::Unchanged, Err(error)),
    };
    let done = documents::moved(document, done).with_context(|| format!("{}: {scheduler}", text.source))?;
    text.warn(&done);
    Ok(Applied {
        scheduler,
        change,
        done,
    })
}

/// Somebody else may create it meanwhile; then it is there to be updated.
fn create(client: &Client, document: &Document) -> Result<(Change, Done), Error> {
    match client.post("/scheduler", YAML, document.text.as_bytes()) {
        Ok(done) => Ok((Change::Created, done)),
        Err(conflict) if conflict.is_conflict() => match update(client, document) {
            // It is there and is not: it is being deleted, and the first answer tells so.
            Err(error) if error.is_unknown() => Err(conflict),
            updated => updated,
        },
        Err(error) => Err(error),
    }
}

/// A scheduler that somebody else manages can't be changed, and need not be when it is as the document says.
fn update(client: &Client, document: &Document) -> Result<(Change, Done), Error> {
    let name = document.scheduler.name.to_string();
    let path = format!("/scheduler/{}", segment(&name));
    match client.put::<Done>(&path, YAML, document.text.as_bytes()) {
        Ok(done) if done.operation_key.is_some() => Ok((Change::Changed, done)),
        Ok(done) => Ok((Change::Unchanged, done)),
        Err(conflict) if conflict.is_conflict() && is_stored(client, document)? => {
            let status: SchedulerStatus = client.get(&path)?;
            // On its way out it still is as it was, and won't stay so.
            if status.state == "terminating" {
                return Err(conflict);
            }
            let done = Done {
                success: true,
                version: Some(status.version),
                ..Done::default()
            };
            Ok((Change::Unchanged, done))
        }
        Err(error) => Err(error),
    }
}

/// Whether what is stored is what the document says.
fn is_stored(client: &Client, document: &Document) -> Result<bool, Error> {
    let stored = stored(client, document)?;
    Ok(normal(document).is_ok_and(|given| stored == given))
}

fn said(applied: &Applied) -> String {
    let name = &applied.scheduler;
    let version = applied.done.version.as_deref().unwrap_or("its version");
    let message = applied.done.message.as_deref();
    match applied.change {
        Change::Created => format!("{name}: {}", message.unwrap_or("created")),
        Change::Changed => format!("{name}: changed, {}", message.unwrap_or(version)),
        Change::Unchanged => format!("{name}: unchanged, it stays {version}"),
    }
}

/// What would change of one scheduler, for programs.
#[derive(Debug, Serialize)]
struct Difference {
    scheduler: String,
    different: bool,
    /// A unified diff; empty when nothing differs.
    diff: String,
}

pub(super) fn diff(client: &Client, format: Format, files: &Files) -> Result<ExitCode> {
    let mut found = Vec::new();
    for text in documents::texts(files)? {
        for document in &text.documents {
            found.push(difference(client, &text, document)?);
        }
    }
    let is_different = found.iter().any(|one| one.different);
    if format != Format::Table {
        output::show(format, &found, |_| String::new())?;
    } else if is_different {
        let paint = Paint::for_stdout();
        let texts: Vec<String> = found.iter().map(|one| coloured(&one.diff, paint)).collect();
        output::print(&texts.concat())?;
    }
    Ok(match is_different {
        true => ExitCode::from(DIFFERENT),
        false => ExitCode::SUCCESS,
    })
}

/// Both sides are written by the same writer from what was understood, so that order, comments and ways to write a
/// value are no difference.
fn difference(client: &Client, text: &Text, document: &Document) -> Result<Difference> {
    let scheduler = document.scheduler.name.to_string();
    let stored = stored(client, document)?;
    let given = normal(document).with_context(|| format!("can't write {scheduler} of {}", text.source))?;
    let labels = [
        format!("stored: {scheduler}"),
        format!("{}: {scheduler}", text.source),
    ];
    Ok(Difference {
        diff: unified(&stored, &given, &labels),
        different: stored != given,
        scheduler,
    })
}

/// What is stored under a document's name; empty when there is nothing.
fn stored(client: &Client, document: &Document) -> Result<String, Error> {
    let path = format!("/scheduler/{}/config", segment(document.scheduler.name.as_str()));
    match client.get::<serde_json::Value>(&path) {
        Ok(stored) => serde_saphyr::to_string(&stored).map_err(|error| Error::Answer {
            url: path,
            what: format!("what can't be written: {error}"),
        }),
        Err(error) if error.is_unknown() => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// What a document says, in the words of the same writer.
fn normal(document: &Document) -> Result<String> {
    document::to_yaml(&document.scheduler).context("can't write it")
}

/// A unified diff with three lines around each change; empty when nothing differs.
fn unified(before: &str, after: &str, [old, new]: &[String; 2]) -> String {
    TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(3)
        .header(old, new)
        .to_string()
}

fn coloured(diff: &str, paint: Paint) -> String {
    let tint = |line: &str| match line.chars().next() {
        Some('+') => Some(Tint::Good),
        Some('-') => Some(Tint::Bad),
        Some('@') => Some(Tint::Faint),
        _ => None,
    };
    let line = |line: &str| format!("{}\n", paint.text(tint(line), line));
    diff.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_unified_and_coloured_by_line() {
        let labels = ["stored: a".to_owned(), "a.yaml: a".to_owned()];
        assert_eq!(unified("a\n", "a\n", &labels), "");
        let diff = unified("a\nb\nc\n", "a\nx\nc\n", &labels);
        assert_eq!(
            diff,
            "--- stored: a\n+++ a.yaml: a\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"
        );
        assert_eq!(coloured(&diff, Paint::off()), diff);
        assert!(coloured(&diff, Paint::on()).contains("\n\x1b[31m-b\x1b[0m\n\x1b[32m+x\x1b[0m\n c\n"));
    }
}
