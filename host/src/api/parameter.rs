//! Parameters of queries, read one by one so that each problem names its parameter and what it takes.

use maestro_core::time::Timestamp;
use maestro_wire::document::{nearest, quoted};
use maestro_wire::view;

use super::problem::{Kind, Problem};

/// A whole number, from 1 to `most`.
pub(super) fn number(name: &str, text: Option<&str>, default: usize, most: usize) -> Result<usize, Problem> {
    let Some(text) = text else { return Ok(default) };
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(invalid(format!(
            "`{name}` is {}; expected a whole number from 1 to {most}",
            quoted(text)
        ))),
    }
}

/// A word that is none of the valid ones.
pub(super) fn one_of(name: &str, given: &str, valid: &[&str]) -> Problem {
    invalid(wrong_word(name, given, valid))
}

/// What is said of a word that is none of the valid ones.
pub(super) fn wrong_word(name: &str, given: &str, valid: &[&str]) -> String {
    let hint = nearest(given, valid.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
    format!(
        "`{name}` is {}; expected one of {}{}",
        quoted(given),
        valid.join(", "),
        hint.unwrap_or_default()
    )
}

/// A stretch of time, open where nothing is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Between {
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
}

/// `since` and `until`.
pub(super) fn between(since: Option<&str>, until: Option<&str>) -> Result<Between, Problem> {
    let between = Between {
        since: time("since", since)?,
        until: time("until", until)?,
    };
    match between {
        Between {
            since: Some(since),
            until: Some(until),
        } if since > until => Err(invalid("`since` is after `until`".to_owned())),
        Between { .. } => Ok(between),
    }
}

impl Between {
    pub(super) fn contains(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at <= until)
    }
}

fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match view::time(text) {
        Some(time) => Ok(Some(time)),
        None => Err(invalid(format!(
            "`{name}` is {}; expected a time in UTC such as 2030-01-31T08:00:00Z, or seconds or milliseconds since 1970",
            quoted(text)
        ))),
    }
}

/// What a cursor goes through; no list takes another one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Decisions.
    Decisions,
    /// Events.
    Events,
}

impl List {
    fn letter(self) -> char {
        match self {
            Self::Decisions => 'd',
            Self::Events => 'e',
        }
    }

    /// The cursor for what comes after the row `id`. Clients hand it back and read nothing in it.
    pub(super) fn cursor(self, id: u64) -> String {
        format!("{}{id:x}", self.letter())
    }

    /// The row of a cursor.
    pub(super) fn row(self, cursor: &str) -> Result<u64, Problem> {
        let id = cursor
            .strip_prefix(self.letter())
            .and_then(|id| u64::from_str_radix(id, 16).ok());
        id.ok_or_else(|| invalid("`cursor` is not one that an earlier page gave as `next`".to_owned()))
    }
}

pub(super) fn invalid(description: String) -> Problem {
    Problem::new(Kind::Parameter, "invalid parameter", description)
}
