//! Ids of traces, so that lines of one request or one step of a loop can be found together; and what was done in how
//! much time, for a collector.
//!
//! Spans of the target [`TARGET`] are traced, and no others. A span that has no parent begins a trace, or goes on with
//! the one that the caller's `traceparent` names. What spans within it were doing is held back until it ends, because
//! only then it is known whether it is worth keeping: pings and steps that change nothing would drown all else.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tokio::sync::mpsc;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::metrics::Metrics;

/// The target of spans that are traced.
pub(super) const TARGET: &str = "maestro::trace";

/// The field that holds what a caller sent along.
pub(super) const TRACEPARENT: &str = "traceparent";

/// The field that says whether a trace is worth keeping.
pub(super) const KEEP: &str = "trace.keep";

/// The field that tells a span from others of its name.
pub(super) const NAME: &str = "otel.name";

/// The field that says that what was done failed.
pub(super) const ERROR: &str = "error";

/// Most spans that are held back for one trace. A step makes a call or two for each room that it creates, fifty at
/// most.
const HELD: usize = 128;

/// Who a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    parent: SpanId,
    is_remote: bool,
}

/// What is known of a span.
struct Known {
    ids: Ids,
    begun: SystemTime,
    found: Found,
    /// Spans within this one that have ended, if it is the first of its trace here.
    within: Vec<SpanData>,
}

/// Gives spans their ids, and queues those that are to be kept.
pub(super) struct Traces {
    queue: Option<(mpsc::Sender<SpanData>, Arc<Metrics>)>,
}

impl Traces {
    /// Spans go into this queue, if there is one; when it is full they are dropped.
    pub(super) fn new(queue: Option<(mpsc::Sender<SpanData>, Arc<Metrics>)>) -> Self {
        Self { queue }
    }

    fn send(&self, spans: impl Iterator<Item = SpanData>) {
        let Some((queue, metrics)) = &self.queue else {
            return;
        };
        for span in spans {
            if queue.try_send(span).is_err() {
                metrics.spans("dropped", 1);
            }
        }
    }
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for Traces {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut found = Found::default();
        attributes.record(&mut found);
        let above = span.parent().and_then(|parent| ids(&parent));
        let remote = found.parent.as_deref().and_then(read);
        let (trace, parent) = match (above, remote) {
            (Some(above), _) => (above.trace, above.span),
            (
                None,
                Some(Remote {
                    trace,
                    span,
                    is_sampled,
                }),
            ) => {
                found.is_kept |= is_sampled;
                (trace, span)
            }
            (None, None) => (TraceId::from_bytes(rand::random()), SpanId::INVALID),
        };
        let ids = Ids {
            trace,
            span: SpanId::from_bytes(rand::random()),
            parent,
            is_remote: above.is_none(),
        };
        span.extensions_mut().insert(Known {
            ids,
            begun: SystemTime::now(),
            found,
            within: Vec::new(),
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(known) = span.extensions_mut().get_mut::<Known>() {
            values.record(&mut known.found);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id).filter(|_| self.queue.is_some()) else {
            return;
        };
        let Some(known) = span.extensions_mut().remove::<Known>() else {
            return;
        };
        let first = span.scope().from_root().next();
        let is_first = first.as_ref().is_none_or(|first| first.id() == id);
        let (is_kept, within, data) = known.finish(span.name());
        if is_first {
            if is_kept {
                self.send(within.into_iter().chain([data]));
            }
            return;
        }
        if let Some(first) = first
            && let Some(first) = first.extensions_mut().get_mut::<Known>()
            && first.within.len() < HELD
        {
            first.found.is_kept |= is_kept;
            first.within.push(data);
        }
    }
}

/// Who the span is, if it is traced.
pub(super) fn ids<'l, S: LookupSpan<'l>>(span: &SpanRef<'l, S>) -> Option<Ids> {
    span.extensions().get::<Known>().map(|known| known.ids)
}

impl Known {
    fn finish(self, name: &'static str) -> (bool, Vec<SpanData>, SpanData) {
        let Self {
            ids,
            begun,
            found,
            within,
        } = self;
        let context = SpanContext::new(ids.trace, ids.span, TraceFlags::SAMPLED, false, TraceState::NONE);
        let data = SpanData {
            span_context: context,
            parent_span_id: ids.parent,
            parent_span_is_remote: ids.is_remote && ids.parent != SpanId::INVALID,
            span_kind: match name {
                "request" => SpanKind::Server,
                "call" => SpanKind::Client,
                _ => SpanKind::Internal,
            },
            name: found.name.map_or(Cow::Borrowed(name), Cow::Owned),
            start_time: begun,
            end_time: SystemTime::now(),
            attributes: found.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match found.is_failed {
                true => Status::error(""),
                false => Status::Unset,
            },
            instrumentation_scope: InstrumentationScope::builder("maestro").build(),
        };
        (found.is_kept, within, data)
    }
}

/// What a span's fields say.
#[derive(Default)]
struct Found {
    parent: Option<String>,
    name: Option<String>,
    is_kept: bool,
    is_failed: bool,
    attributes: Vec<KeyValue>,
}

impl Found {
    fn take(&mut self, field: &Field, value: Value) {
        self.attributes.push(KeyValue::new(field.name(), value));
    }
}

impl Visit for Found {
    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            KEEP => self.is_kept |= value,
            ERROR => self.is_failed |= value,
            _ => self.take(field, value.into()),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, i64::try_from(value).unwrap_or(i64::MAX).into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            TRACEPARENT => self.parent = Some(value.to_owned()),
            NAME => self.name = Some(value.to_owned()),
            _ => self.take(field, value.to_owned().into()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Where a caller's trace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Remote {
    trace: TraceId,
    span: SpanId,
    is_sampled: bool,
}

/// Reads a `traceparent` (<https://www.w3.org/TR/trace-context/>). What is none is left aside, as the standard says.
fn read(text: &str) -> Option<Remote> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_known = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !(is_known && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2)) {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    (trace != TraceId::INVALID && span != SpanId::INVALID).then_some(Remote {
        trace,
        span,
        is_sampled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_trace_is_read_and_nonsense_is_left_aside() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let check = |text: &str, expected: Option<bool>| {
            let remote = read(text);
            assert_eq!(remote.map(|remote| remote.is_sampled), expected, "{text}");
            if let Some(remote) = remote {
                assert_eq!(remote.trace.to_string(), trace);
                assert_eq!(remote.span.to_string(), "00f067aa0ba902b7");
            }
        };
        check(&format!("00-{trace}-00f067aa0ba902b7-01"), Some(true));
        check(&format!(" 00-{trace}-00f067aa0ba902b7-00 "), Some(false));
        // A later version may say more.
        check(&format!("01-{trace}-00f067aa0ba902b7-03-more"), Some(true));
        check(&format!("00-{trace}-00f067aa0ba902b7-01-more"), None);
        check(&format!("ff-{trace}-00f067aa0ba902b7-01"), None);
        check(&format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()), None);
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None);
        check(&format!("00-{trace}-0000000000000000-01"), None);
        check("", None);
        check("é-ü-ö-ä", None);
    }
}
