//! One log line for programs: an object with all that an event holds, and the trace that it belongs to.

use std::fmt;
use std::io::Write;

use maestro_wire::view::rfc3339;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::trace;
use crate::registry::clock::Clock;

/// Writes each event as a line.
pub(super) struct Json<W> {
    pub(super) clock: Clock,
    pub(super) writer: W,
}

impl<S, W> Layer<S> for Json<W>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut found = Found::default();
        event.record(&mut found);
        let metadata = event.metadata();
        let mut line = Map::new();
        let mut put = |name: &str, value: String| line.insert(name.to_owned(), Value::String(value));
        put("time", rfc3339((self.clock)()));
        put("level", metadata.level().to_string());
        put("target", metadata.target().to_owned());
        put("message", found.message);
        // The innermost span may be a library's.
        let mut scope = context.event_scope(event).into_iter().flatten();
        if let Some(ids) = scope.find_map(|span| trace::ids(&span)) {
            put("trace_id", ids.trace.to_string());
            put("span_id", ids.span.to_string());
        }
        if !found.fields.is_empty() {
            line.insert("fields".to_owned(), Value::Object(found.fields));
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        if self.writer.make_writer().write_all(text.as_bytes()).is_err() {
            // Nobody reads; there is nowhere else to say it.
        }
    }
}

/// What an event holds.
#[derive(Default)]
struct Found {
    message: String,
    fields: Map<String, Value>,
}

impl Found {
    fn take(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Found {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            _ => self.take(field, value.into()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
