//! Where log lines go: to stderr, or above the live table; readable, and quiet about what libraries mutter.
//!
//! These lines are for people: seconds are exact enough, and a field whose value the message names already is left
//! out. Events keep all their fields, for a form that programs read.

mod line;

use std::io::{self, IsTerminal, Write, stderr};

use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use self::line::{Fields, Seconds};
use crate::config;
use crate::registry::clock;

/// What is logged unless the user says otherwise.
const DEFAULT: &str =
    "info,sqlx=warn,sea_orm=warn,sea_orm_migration=warn,tower_http=warn,wasmtime=warn,cranelift=warn";

/// Begins logging to stderr by `filter`, in the syntax of tracing's filters; [`None`] takes the default. Called once.
pub fn log_to_stderr(filter: Option<&str>) {
    let is_coloured = stderr().is_terminal() && !config::is_colourless();
    begin(subscriber(filter, stderr, is_coloured));
}

/// Begins logging into `lines`, for whoever owns the terminal.
pub fn log_to(filter: Option<&str>, lines: Lines) {
    begin(subscriber(filter, lines, !config::is_colourless()));
}

fn subscriber<W>(filter: Option<&str>, writer: W, is_coloured: bool) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(parse(filter))
        .with_target(false)
        .with_timer(Seconds(clock::system()))
        .fmt_fields(Fields)
        .with_writer(writer)
        .with_ansi(is_coloured)
        .finish()
}

fn begin(subscriber: impl tracing::Subscriber + Send + Sync) {
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        // Only a second call ends here, and the first one's subscriber goes on.
        eprintln!("logging was set up already");
    }
}

fn parse(filter: Option<&str>) -> EnvFilter {
    let given = filter.map(|text| (text, EnvFilter::try_new(text)));
    match given {
        Some((_, Ok(filter))) => filter,
        Some((text, Err(error))) => {
            eprintln!("`{text}` says nothing of what to log ({error}); logging as usual");
            EnvFilter::new(DEFAULT)
        }
        None => EnvFilter::new(DEFAULT),
    }
}

/// A queue of log lines. When it is full, lines are lost: logging never waits for a terminal.
#[derive(Clone, Debug)]
pub struct Lines {
    queue: mpsc::Sender<String>,
}

impl Lines {
    /// Lines that go into this queue.
    pub fn new(queue: mpsc::Sender<String>) -> Self {
        Self { queue }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter {
            queue: self.queue.clone(),
            text: Vec::new(),
        }
    }
}

/// Gathers one event's text and queues it whole when dropped.
#[derive(Debug)]
pub struct LineWriter {
    queue: mpsc::Sender<String>,
    text: Vec<u8>,
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text).into_owned();
        if self.queue.try_send(text).is_err() {
            // Full or closed: the line is lost, which is said above.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one event becomes, without its time.
    fn told(event: impl FnOnce()) -> String {
        let (tx, mut lines) = mpsc::channel(1);
        let subscriber = subscriber(Some("info"), Lines::new(tx), false);
        tracing::subscriber::with_default(subscriber, event);
        let line = lines.try_recv().unwrap();
        let (time, rest) = line.split_once(' ').unwrap();
        assert_eq!(time.len(), "2026-11-23T13:29:03Z".len(), "{line}");
        assert!(time.ends_with('Z'), "{line}");
        rest.to_owned()
    }

    #[test]
    fn what_the_message_names_is_not_said_again() {
        let line = told(|| tracing::info!(scheduler.name = "pong", rooms = 3, "pong: 3 rooms are ready"));
        assert_eq!(line, " INFO pong: 3 rooms are ready rooms=3\n");
        let line = told(|| tracing::warn!(scheduler.name = %"pong", room.id = %"pong-1", "room adopted"));
        assert_eq!(line, " WARN room adopted scheduler.name=pong room.id=pong-1\n");
    }

    #[test]
    fn lines_are_broken_and_terminals_are_not() {
        let line = told(|| tracing::info!(reason = "a\u{7}", "one\ntwo\u{1b}[31m"));
        assert_eq!(line, " INFO one\ntwo\\u{1b}[31m reason=a\\u{7}\n");
    }
}
