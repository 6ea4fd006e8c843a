//! Scheduler documents that verbs are given: files and stdin, read and checked before anything is sent.

use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use maestro_wire::document::{self, Document};
use maestro_wire::http::Done;

use crate::args::Files;
use crate::client::Error;
use crate::output;

/// A file's text and the documents in it.
pub(super) struct Text {
    /// Its path, as it was given.
    pub source: String,
    /// All of it.
    pub body: String,
    /// At least one.
    pub documents: Vec<Document>,
}

impl Text {
    /// The schedulers' names, in the file's order.
    pub(super) fn names(&self) -> Vec<String> {
        self.documents
            .iter()
            .map(|document| document.scheduler.name.to_string())
            .collect()
    }

    /// Tells what is odd about an accepted document.
    pub(super) fn warn(&self, done: &Done) {
        for warning in &done.warnings {
            output::say(&format!("warning: {}:{warning}", self.source));
        }
    }
}

/// Reads every file before the first call, so that a bad one changes nothing.
pub(super) fn texts(files: &Files) -> Result<Vec<Text>> {
    files
        .files
        .iter()
        .chain(&files.file)
        .map(|file| text(file))
        .collect()
}

fn text(file: &Path) -> Result<Text> {
    let is_stdin = file == Path::new("-");
    let source = match is_stdin {
        true => "stdin".to_owned(),
        false => file.display().to_string(),
    };
    let body = match is_stdin {
        true => {
            let mut body = String::new();
            io::stdin()
                .read_to_string(&mut body)
                .context("can't read stdin")?;
            body
        }
        false => std::fs::read_to_string(file).with_context(|| format!("can't read {source}"))?,
    };
    let documents = document::read(&body)
        .map_err(|problems| anyhow::anyhow!("{source} has problems\n{}", problems.show(&source, &body)))?;
    match documents.is_empty() {
        true => bail!("{source} holds no scheduler"),
        false => Ok(Text {
            source,
            body,
            documents,
        }),
    }
}

/// How many lines of its file stand above a document's own text.
fn lines_above(document: &Document) -> usize {
    let alone = document::read(&document.text);
    let line = |document: &Document| document.position("").line;
    let own = alone.ok().and_then(|alone| alone.first().map(line));
    own.map_or(0, |own| line(document).saturating_sub(own))
}

/// Maestro was sent one document of a file; what it says of its lines is said of the file's.
pub(super) fn moved(document: &Document, done: Result<Done, Error>) -> Result<Done, Error> {
    match done {
        Ok(mut done) => {
            let above = lines_above(document);
            done.warnings.iter_mut().for_each(|warning| warning.line += above);
            Ok(done)
        }
        Err(Error::Refused { status, mut body }) => {
            let above = lines_above(document);
            let places = body.problems.iter_mut().chain(&mut body.warnings);
            places.for_each(|problem| problem.line += above);
            Err(Error::Refused { status, body })
        }
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_later_document_are_the_files() {
        let text = "# one\nname: one\ngame: g\nimage: i\nautoscaling: {min: 0}\n---\n# two\n\nname: two\ngame: g\n\
                    image: i\nautoscaling: {min: 0}\nshutdownTimeout: 0\n";
        let documents = document::read(text).unwrap();
        let lines: Vec<usize> = documents
            .iter()
            .map(|d| d.warnings.first().map_or(0, |w| w.line))
            .collect();
        assert_eq!(lines, [0, 13]);
        let alone = document::read(&documents[1].text).unwrap();
        let warnings = alone[0].warnings.clone();
        let done = moved(
            &documents[1],
            Ok(Done {
                warnings,
                ..Done::default()
            }),
        )
        .unwrap();
        assert_eq!(done.warnings[0].line, 13);
    }
}
