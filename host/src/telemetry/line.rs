//! One log line for people: its time to the second, its message, and the fields that the message does not name.

use std::fmt;

use maestro_wire::view::rfc3339;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::registry::clock::Clock;

/// The field that holds an event's message.
const MESSAGE: &str = "message";

/// The length of a time to the second, without its zone.
const TO_THE_SECOND: usize = "2026-11-23T13:29:03".len();

/// The time of day in UTC, to the second.
pub(super) struct Seconds(pub(super) Clock);

impl FormatTime for Seconds {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let text = rfc3339((self.0)());
        write!(writer, "{}Z", text.get(..TO_THE_SECOND).unwrap_or(&text))
    }
}

/// The message, then each field as `name=value`.
pub(super) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut found = Found::default();
        fields.record(&mut found);
        let Found { message, others } = found;
        let named: Vec<String> = others
            .into_iter()
            .filter(|other| !(other.is_text && message.contains(&other.value)))
            .map(|other| format!("{}={}", other.name, other.value))
            .collect();
        let message = Some(message).filter(|message| !message.is_empty());
        let parts: Vec<String> = message.into_iter().chain(named).collect();
        write!(writer, "{}", plain(&parts.join(" ")))
    }
}

/// What an event holds.
#[derive(Default)]
struct Found {
    message: String,
    others: Vec<Other>,
}

/// A field beside the message.
struct Other {
    name: &'static str,
    value: String,
    /// Numbers are told even where the message has the same digits: those may count something else.
    is_text: bool,
}

impl Found {
    fn take(&mut self, field: &Field, value: String, is_text: bool) {
        match field.name() {
            MESSAGE => self.message = value,
            name => self.others.push(Other { name, value, is_text }),
        }
    }
}

impl Visit for Found {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.to_string(), false);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value.to_string(), false);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field, value.to_string(), false);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.to_string(), false);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned(), true);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}"), true);
    }
}

/// The text with other control characters than line breaks and tabs made visible: what others wrote, such as a room's
/// last words, must not steer a terminal.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}
