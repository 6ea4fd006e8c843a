//! Bodies of the calls that rooms make: JSON objects, read field by field so that every problem is told at once.
//!
//! The bytes come from whatever runs in a room. Reading them never panics, nests no deeper than the JSON reader allows,
//! and makes problems of bounded length. Pure: bytes in, the domain's types or all problems out.

mod unique;

use maestro_core::report::{Report, Reported};
use maestro_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::document::{nearest, quoted};

/// Numbers above this are milliseconds: as seconds they would be after the year 5000.
const SECONDS_LIMIT: f64 = 1e11;

/// Numbers above this are no time at all: as milliseconds they are after the year 5000.
const MILLISECONDS_LIMIT: f64 = 1e14;

/// Most matches that a room may say it holds or can hold.
const MATCHES_LIMIT: u64 = 10_000;

/// Reads the body of a ping or a status; the error holds every problem.
pub fn read_report(bytes: &[u8]) -> Result<Report, Vec<String>> {
    let fields = Fields::read(bytes, "{\"status\": …, \"timestamp\": …}").map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let mut keep = |found: Result<(), String>| problems.extend(found.err());
    let mut report = Report {
        status: Reported::Ready,
        sent_at: Timestamp::default(),
        metadata: None,
        running_matches: None,
        capacity: None,
    };
    keep(fields.once());
    keep(fields.status().map(|status| report.status = status));
    keep(fields.timestamp().map(|sent_at| report.sent_at = sent_at));
    keep(fields.metadata().map(|metadata| report.metadata = metadata));
    keep(
        fields
            .matches("runningMatches", 0)
            .map(|number| report.running_matches = number),
    );
    keep(
        fields
            .matches("capacity", 1)
            .map(|number| report.capacity = number),
    );
    match problems.is_empty() {
        true => Ok(report),
        false => Err(problems),
    }
}

/// The fields of a body.
#[derive(Clone, Debug)]
pub struct Fields {
    map: Map<String, Value>,
    repeated: unique::Repeated,
}

impl Fields {
    /// Reads an object; `form` shows what is expected.
    pub fn read(bytes: &[u8], form: &str) -> Result<Self, String> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(format!("the body is empty; expected {form}"));
        }
        match unique::read(bytes) {
            Ok((Value::Object(map), repeated)) => Ok(Self { map, repeated }),
            Ok(_) => Err(format!("the body is not an object; expected {form}")),
            Err(error) => Err(format!("the body is not JSON: {error}")),
        }
    }

    /// The field of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name)
    }

    /// Whether each key of each object stands there once: of two values, readers would disagree on which one holds.
    pub fn once(&self) -> Result<(), String> {
        self.repeated.check()
    }

    /// Seconds or milliseconds since the epoch, whole or fractional.
    pub fn timestamp(&self) -> Result<Timestamp, String> {
        const EXPECTED: &str = "expected seconds or milliseconds since 1970, greater than 0";
        let number = match self.get("timestamp") {
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
    pub fn metadata(&self) -> Result<Option<String>, String> {
        match self.get("metadata") {
            None | Some(Value::Null) => Ok(None),
            Some(value @ Value::Object(_)) => Ok(Some(value.to_string())),
            Some(_) => Err("`metadata` is not an object".to_owned()),
        }
    }

    fn status(&self) -> Result<Reported, String> {
        let expected = || {
            format!(
                "expected one of {}",
                Reported::ALL.map(Reported::as_str).join(", ")
            )
        };
        let text = match self.get("status") {
            None => return Err(format!("`status` is missing; {}", expected())),
            Some(Value::String(text)) => text,
            Some(_) => return Err(format!("`status` is not a text; {}", expected())),
        };
        if let Some(status) = Reported::ALL.into_iter().find(|status| status.as_str() == text) {
            return Ok(status);
        }
        let near = nearest(text, Reported::ALL.map(Reported::as_str));
        let hint = near.map(|near| format!("; did you mean `{near}`?"));
        Err(format!(
            "`status` is {}; {}{}",
            quoted(text),
            expected(),
            hint.unwrap_or_default()
        ))
    }

    fn matches(&self, name: &str, least: u64) -> Result<Option<u32>, String> {
        match self.get(name) {
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
}
