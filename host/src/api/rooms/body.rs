//! The body of a room's call, read field by field so that every problem is told at once.

use maestro_core::report::{Report, Reported};
use maestro_core::time::Timestamp;
use maestro_wire::document::{nearest, quoted};
use serde_json::{Map, Value};

use crate::api::problem::{Kind, Problem};

/// Numbers above this are milliseconds: as seconds they would be after the year 5000.
const SECONDS_LIMIT: f64 = 1e11;

/// Numbers above this are no time at all: as milliseconds they are after the year 5000.
const MILLISECONDS_LIMIT: f64 = 1e14;

/// Most matches that a room may say it holds or can hold.
const MATCHES_LIMIT: u64 = 10_000;

/// Reads a call's body.
pub(super) fn read(bytes: &[u8]) -> Result<Report, Problem> {
    let fields = object(bytes, "{\"status\": …, \"timestamp\": …}").map_err(|problem| invalid(&[problem]))?;
    let mut problems = Vec::new();
    let mut keep = |found: Result<(), String>| problems.extend(found.err());
    let mut report = Report {
        status: Reported::Ready,
        sent_at: Timestamp::default(),
        metadata: None,
        running_matches: None,
        capacity: None,
    };
    keep(status(&fields).map(|status| report.status = status));
    keep(timestamp(&fields).map(|sent_at| report.sent_at = sent_at));
    keep(metadata(&fields).map(|metadata| report.metadata = metadata));
    keep(matches("runningMatches", &fields, 0).map(|number| report.running_matches = number));
    keep(matches("capacity", &fields, 1).map(|number| report.capacity = number));
    match problems.is_empty() {
        true => Ok(report),
        false => Err(invalid(&problems)),
    }
}

/// The fields of a body; `form` shows what is expected.
pub(super) fn object(bytes: &[u8], form: &str) -> Result<Map<String, Value>, String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(format!("the body is empty; expected {form}"));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(format!("the body is not an object; expected {form}")),
        Err(error) => Err(format!("the body is not JSON: {error}")),
    }
}

fn invalid(problems: &[String]) -> Problem {
    Problem::new(Kind::Invalid, "invalid report", problems.join("; "))
}

fn status(fields: &Map<String, Value>) -> Result<Reported, String> {
    let words = Reported::ALL.map(Reported::as_str);
    let expected = format!("expected one of {}", words.join(", "));
    match fields.get("status") {
        None => Err(format!("`status` is missing; {expected}")),
        Some(Value::String(text)) => match Reported::ALL.into_iter().find(|status| status.as_str() == text) {
            Some(status) => Ok(status),
            None => {
                let near =
                    nearest(&text.to_lowercase(), words).map(|near| format!("; did you mean `{near}`?"));
                Err(format!(
                    "`status` is {}; {expected}{}",
                    quoted(text),
                    near.unwrap_or_default()
                ))
            }
        },
        Some(_) => Err(format!("`status` is not a text; {expected}")),
    }
}

/// Seconds or milliseconds since the epoch, whole or fractional.
pub(super) fn timestamp(fields: &Map<String, Value>) -> Result<Timestamp, String> {
    const EXPECTED: &str = "expected seconds or milliseconds since 1970, greater than 0";
    let number = match fields.get("timestamp") {
        None => return Err(format!("`timestamp` is missing; {EXPECTED}")),
        Some(value) => value
            .as_f64()
            .ok_or_else(|| format!("`timestamp` is not a number; {EXPECTED}"))?,
    };
    if !(number > 0.0 && number < MILLISECONDS_LIMIT) {
        return Err(format!("`timestamp` is {number:e}; {EXPECTED}"));
    }
    let ms = if number < SECONDS_LIMIT {
        number * 1_000.0
    } else {
        number
    };
    // Checked above: it fits.
    Ok(Timestamp::from_ms(ms as i64))
}

/// JSON text of the object; `None` when it is not given.
pub(super) fn metadata(fields: &Map<String, Value>) -> Result<Option<String>, String> {
    match fields.get("metadata") {
        None | Some(Value::Null) => Ok(None),
        Some(value @ Value::Object(_)) => Ok(Some(value.to_string())),
        Some(_) => Err("`metadata` is not an object".to_owned()),
    }
}

fn matches(name: &str, fields: &Map<String, Value>, least: u64) -> Result<Option<u32>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value
                .as_u64()
                .filter(|number| (least..=MATCHES_LIMIT).contains(number));
            let number = number.and_then(|number| u32::try_from(number).ok());
            number.map(Some).ok_or_else(|| {
                format!(
                    "`{name}` is {}; expected a whole number from {least} to {MATCHES_LIMIT}",
                    quoted(&value.to_string())
                )
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(timestamp: &str) -> Option<i64> {
        let body = format!("{{\"status\": \"ready\", \"timestamp\": {timestamp}}}");
        read(body.as_bytes()).ok().map(|report| report.sent_at.ms())
    }

    #[test]
    fn seconds_and_milliseconds_are_told_apart() {
        assert_eq!(ms("1700000000"), Some(1_700_000_000_000));
        assert_eq!(ms("1700000000.5"), Some(1_700_000_000_500));
        assert_eq!(ms("1700000000123"), Some(1_700_000_000_123));
        for refused in ["0", "-1", "\"1700000000\"", "1e300", "null"] {
            assert_eq!(ms(refused), None, "{refused}");
        }
    }

    #[test]
    fn metadata_are_kept_as_they_are() {
        let body = br#"{"status":"occupied","timestamp":1,"metadata":{"a":{"b":[1,2.5,"x"]}}}"#;
        assert_eq!(
            read(body).unwrap().metadata.as_deref(),
            Some(r#"{"a":{"b":[1,2.5,"x"]}}"#)
        );
    }
}
