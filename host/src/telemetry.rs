//! Where log lines go: to stderr, or above the live table; readable, and quiet about what libraries mutter.

use std::io::{self, IsTerminal, Write, stderr};

use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What is logged unless the user says otherwise.
const DEFAULT: &str =
    "info,sqlx=warn,sea_orm=warn,sea_orm_migration=warn,tower_http=warn,wasmtime=warn,cranelift=warn";

/// Begins logging to stderr by `filter`, in the syntax of tracing's filters; [`None`] takes the default. Called once.
pub fn log_to_stderr(filter: Option<&str>) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parse(filter))
        .with_target(false);
    let subscriber = builder
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .finish();
    begin(subscriber);
}

/// Begins logging into `lines`, for whoever owns the terminal.
pub fn log_to(filter: Option<&str>, lines: Lines) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parse(filter))
        .with_target(false);
    begin(builder.with_writer(lines).with_ansi(true).finish());
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
