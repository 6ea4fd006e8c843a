//! What is said of bad documents: each file in `documents/refused` and `documents/odd`, as a terminal shows it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers say what went wrong"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use maestro_wire::document::{self, Problem};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/documents")
        .join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn every_bad_document_is_told_what_is_wrong_with_it() {
    for file in files("refused") {
        let (name, text) = (name(&file), fs::read_to_string(&file).unwrap());
        let Err(problems) = document::read(&text) else {
            panic!("{name} was read");
        };
        insta::assert_snapshot!(name.replace('.', "-"), problems.show(&name, &text));
    }
}

#[test]
fn every_odd_document_is_accepted_with_warnings() {
    for file in files("odd") {
        let (name, text) = (name(&file), fs::read_to_string(&file).unwrap());
        let documents =
            document::read(&text).unwrap_or_else(|problems| panic!("{}", problems.show(&name, &text)));
        let mut shown = String::new();
        for document in documents {
            for warning in &document.warnings {
                writeln!(shown, "{}", warning.show(&name, &text)).unwrap();
            }
            for trigger in &document.scheduler.autoscaling.triggers {
                writeln!(
                    shown,
                    "{}: {} {}",
                    trigger.id, trigger.policy.name, trigger.parameters
                )
                .unwrap();
            }
        }
        insta::assert_snapshot!(name.replace('.', "-"), shown);
    }
}

#[test]
fn problems_have_the_shape_of_http_bodies() {
    let problems = document::read("name: pong\nnmae: ping\n").unwrap_err().list;
    let json = serde_json::to_string_pretty(&problems).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Problem>>(&json).unwrap(), problems);
    insta::assert_snapshot!(json);
}

/// Nothing that a terminal obeys is quoted from a document.
#[test]
fn nothing_shown_controls_a_terminal() {
    for file in files("refused") {
        let text = fs::read_to_string(&file).unwrap();
        let shown = document::read(&text).unwrap_err().show("file", &text);
        let is_harmful = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
        assert!(!shown.contains(is_harmful), "{}: {shown:?}", file.display());
    }
}
