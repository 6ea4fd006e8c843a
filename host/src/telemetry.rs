//! Where log lines go: to stderr, or above the live table; for people or for programs. And traces, if anybody wants them.
//!
//! Lines for people are readable, and quiet about what libraries mutter: seconds are exact enough, and a field whose
//! value the message names already is left out. Lines for programs are JSON, keep all fields, and carry the ids of the
//! trace they belong to: a request's, which goes on with its caller's `traceparent`, or a step's of a scheduler's loop.
//! Whoever wants to see a trace whole has a collector; `trace` says which of them it gets.

mod line;
mod json;
mod trace;
mod otlp;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write, stderr};
use std::sync::Arc;

use maestro_core::names::SchedulerName;
use tokio::sync::mpsc;
use tracing::field::Empty;
use tracing::{Metadata, Span, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use self::json::Json;
use self::line::{Fields, Seconds};
use self::trace::Traces;
use crate::config;
use crate::metrics::{Dependency, Metrics};
use crate::registry::clock;

pub use otlp::{Error, Exporter};

/// What is logged unless the user says otherwise.
const DEFAULT: &str =
    "info,sqlx=warn,sea_orm=warn,sea_orm_migration=warn,tower_http=warn,wasmtime=warn,cranelift=warn";

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one object a line.
    Json,
}

/// What a service tells, and how.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What is logged, in the syntax of tracing's filters; [`None`] takes the default.
    pub filter: Option<String>,
    /// How lines are written.
    pub format: Format,
    /// The collector of traces, as in `http://collector:4318`.
    pub otlp: Option<String>,
}

/// Begins logging to stderr, and tracing. Called once, before anything else. What is given back sends the traces: it is
/// to be run as a task, [`crate::tasks::Kind::Traces`], that ends after all others.
pub fn start(settings: &Settings, metrics: &Arc<Metrics>) -> Result<Option<Exporter>, Error> {
    let Some(url) = &settings.otlp else {
        begin(service(settings, stderr, None));
        return Ok(None);
    };
    let (tx, spans) = mpsc::channel(otlp::QUEUE);
    let exporter = Exporter::new(url, spans, Arc::clone(metrics))?;
    begin(service(settings, stderr, Some((tx, Arc::clone(metrics)))));
    Ok(Some(exporter))
}

/// Begins logging to stderr by `filter`, in the syntax of tracing's filters; [`None`] takes the default. Called once.
pub fn log_to_stderr(filter: Option<&str>) {
    let settings = Settings {
        filter: filter.map(str::to_owned),
        ..Settings::default()
    };
    begin(service(&settings, stderr, None));
}

/// Begins logging into `lines`, for whoever owns the terminal.
pub fn log_to(filter: Option<&str>, lines: Lines) {
    begin(Registry::default().with(text(filter, lines, !config::is_colourless())));
}

/// The span of a request; a caller's trace goes on in it.
pub fn request(method: &str, route: &str, traceparent: Option<&str>, is_kept: bool) -> Span {
    tracing::error_span!(
        target: trace::TARGET,
        "request",
        otel.name = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        traceparent,
        trace.keep = is_kept,
        error = Empty
    )
}

/// Takes down in a request's span how it was answered; one that failed is always kept.
pub fn answered(span: &Span, name: &str, status: u16) {
    if span.is_disabled() {
        return;
    }
    span.record(trace::NAME, name);
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record(trace::ERROR, true);
        keep(span);
    }
}

/// The span of one step of a scheduler's loop. It is not kept unless something says so.
pub fn step(scheduler: &SchedulerName) -> Span {
    tracing::error_span!(
        target: trace::TARGET,
        parent: None,
        "step",
        scheduler.name = scheduler.as_str(),
        trace.keep = Empty
    )
}

/// The span of a call to what Maestro depends on.
pub fn call(dependency: Dependency, name: &'static str) -> Span {
    tracing::error_span!(
        target: trace::TARGET,
        "call",
        otel.name = name,
        peer.service = dependency.as_str()
    )
}

/// Makes the span's trace worth keeping.
pub fn keep(span: &Span) {
    span.record(trace::KEEP, true);
}

type Queue = (mpsc::Sender<opentelemetry_sdk::trace::SpanData>, Arc<Metrics>);

/// What a service logs by. Spans are made where somebody asks for their ids, and only there.
fn service<W>(settings: &Settings, writer: W, queue: Option<Queue>) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = settings.filter.as_deref();
    let is_asked_for = queue.is_some() || settings.format == Format::Json;
    let traces = is_asked_for.then(|| Traces::new(queue).with_filter(filter_fn(is_traced)));
    let (people, programs) = match settings.format {
        Format::Text => {
            let is_coloured = stderr().is_terminal() && !config::is_colourless();
            (Some(text(filter, writer, is_coloured)), None)
        }
        Format::Json => {
            let clock = clock::system();
            // Whatever is logged, its trace is known.
            let wanted = parse(filter).or(filter_fn(is_traced));
            (None, Some(Json { clock, writer }.with_filter(wanted)))
        }
    };
    Registry::default().with(traces).with(people).with(programs)
}

fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == trace::TARGET
}

fn text<S, W>(filter: Option<&str>, writer: W, is_coloured: bool) -> impl Layer<S> + Send + Sync + use<S, W>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let is_for_people = filter_fn(|metadata| !is_traced(metadata));
    tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_timer(Seconds(clock::system()))
        .fmt_fields(Fields)
        .with_writer(writer)
        .with_ansi(is_coloured)
        .with_filter(parse(filter).and(is_for_people))
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
