//! The README's five minutes, typed word for word: each command works and shows what stands below it.
//!
//! What differs from a person at a terminal: the binaries are built already, and the API listens on any free port.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use regex::Regex;

use super::harness::{PATIENCE, cli, eventually, root};
use super::terminal::Terminal;

/// The section.
const HEADING: &str = "## Five minutes\n";

/// Where the README's Maestro listens.
const URL: &str = "http://127.0.0.1:8080";

/// Stands for whatever differs from run to run.
const ANYTHING: char = '…';

/// A command and the lines that it shows.
struct Typed {
    command: String,
    lines: Vec<String>,
}

/// The commands of the section's consoles.
fn tour() -> Vec<Typed> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = readme.split_once(HEADING).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let consoles = section.split("```console\n").skip(1);
    let mut tour: Vec<Typed> = Vec::new();
    for console in consoles {
        let (console, _) = console.split_once("```").unwrap();
        for line in console.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => tour.push(Typed {
                    command: command.to_owned(),
                    lines: Vec::new(),
                }),
                None if line.trim().is_empty() => {}
                None => tour.last_mut().unwrap().lines.push(line.to_owned()),
            }
        }
    }
    tour
}

/// A folder to type in: the binaries by their names in `bin`, and the folders of the checkout that the tour names.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let bin = place.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(cli(), bin.join("maestro-cli")).unwrap();
    symlink(root().join("deploy"), place.path().join("deploy")).unwrap();
    let maestro = bin.join("maestro");
    let text = format!(
        "#!/bin/sh\n[ \"$1 $2\" = \"dev init\" ] || {{ shift; set -- dev --listen 127.0.0.1:0 \"$@\"; }}\nexec {} \"$@\"\n",
        env!("CARGO_BIN_EXE_maestro")
    );
    fs::write(&maestro, text).unwrap();
    fs::set_permissions(&maestro, fs::Permissions::from_mode(0o755)).unwrap();
    place
}

/// Lets a command find what a person would have.
fn settle(command: &mut Command, place: &Path, url: Option<&str>) {
    let path = std::env::var("PATH").unwrap();
    command
        .current_dir(place)
        .env("PATH", format!("{}:{path}", place.join("bin").display()))
        .env_remove("MAESTRO_URL")
        .envs(url.map(|url| ("MAESTRO_URL", url)));
}

/// The lines that `text` lacks.
fn missing<'t>(lines: &'t [String], text: &str) -> Vec<&'t str> {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: Vec<String> = text.lines().map(words).collect();
    let is_missing = |line: &&String| {
        let parts: Vec<String> = words(line).split(ANYTHING).map(regex::escape).collect();
        let pattern = Regex::new(&format!("^{}$", parts.join(".*"))).unwrap();
        !shown.iter().any(|shown| pattern.is_match(shown))
    };
    lines.iter().filter(is_missing).map(String::as_str).collect()
}

/// Types a command that ends by itself until it shows what it is to show: rooms need their time.
fn ends_by_itself(typed: &Typed, place: &Path, url: Option<&str>) {
    let mut last = String::new();
    let mut attempt = || {
        let mut command = Command::new("sh");
        command.arg("-c").arg(&typed.command).stdin(Stdio::null());
        settle(&mut command, place, url);
        let output = command.output().unwrap();
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        last = format!("{out}{err}");
        assert!(output.status.success(), "{}\n{last}", typed.command);
        missing(&typed.lines, &last).is_empty()
    };
    let is_query = typed.command.starts_with("maestro-cli ");
    match is_query {
        true => eventually(&typed.command, PATIENCE, || attempt().then_some(())),
        false => assert!(attempt(), "{}\n{last}", typed.command),
    }
}

/// Types a command that goes on, and waits until it shows what it is to show.
fn goes_on(typed: &Typed, place: &Path) -> (Terminal, String) {
    let terminal = Terminal::run(&typed.command, |command| settle(command, place, None));
    let url = eventually("its address", PATIENCE, || {
        let shown = terminal.shown();
        let (_, url) = shown.split_once("API on ")?;
        let (url, _) = url.split_once(char::is_whitespace)?;
        Some(url.to_owned())
    });
    let lines: Vec<String> = typed.lines.iter().map(|line| line.replace(URL, &url)).collect();
    eventually(&typed.command, PATIENCE, || {
        missing(&lines, &terminal.shown()).is_empty().then_some(())
    });
    (terminal, url)
}

#[test]
fn the_tour_of_the_readme_works_word_for_word() {
    let place = place();
    let mut running: Option<(Terminal, String)> = None;
    let mut typed_so_far = 0;
    for mut typed in tour() {
        typed_so_far += 1;
        typed.command = typed
            .command
            .replace("cargo run --release --bin maestro -- ", "maestro ");
        if let Some(alias) = typed.command.strip_prefix("alias ") {
            let (name, means) = alias.split_once('=').unwrap();
            assert_eq!(
                means,
                format!("\"cargo run --release -q --manifest-path $PWD/Cargo.toml --bin {name} --\"")
            );
        } else if typed.command.starts_with("maestro dev") && !typed.command.contains(" init ") {
            if let Some((mut before, _)) = running.take() {
                before.press(b'q');
                before.ends_with_the_terminal_as_it_was();
            }
            running = Some(goes_on(&typed, place.path()));
        } else {
            ends_by_itself(
                &typed,
                place.path(),
                running.as_ref().map(|(_, url)| url.as_str()),
            );
        }
    }
    assert!(typed_so_far >= 10, "the tour is not found");
    let (mut last, _) = running.unwrap();
    last.press(b'q');
    last.ends_with_the_terminal_as_it_was();
}
