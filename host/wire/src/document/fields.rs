//! How the rest of the reader asks the tree for typed values: each question that fails leaves a problem at its place
//! and answers `None`, so that the caller goes on and finds the others.

use std::ops::RangeInclusive;

use maestro_core::time::Span;

use super::problem::{Position, Problem, Problems, Warning, nearest, quoted};
use super::scalar::{self, Kind};
use super::tree::{Entry, Node, Value};

/// What was found wrong or worth saying so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Which document of the text is read, from 1.
    pub(super) document: usize,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
    pub(super) left_out: usize,
}

impl Report {
    pub(super) fn add(&mut self, mut problem: Problem) {
        problem.document = self.document;
        if self.problems.len() < Problems::LIMIT {
            self.problems.push(problem);
        } else {
            self.left_out += 1;
        }
    }

    pub(super) fn warn(&mut self, mut warning: Warning) {
        warning.document = self.document;
        if self.warnings.len() < Problems::LIMIT {
            self.warnings.push(warning);
        }
    }
}

/// A node and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<'t> {
    pub(super) node: &'t Node,
    pub(super) path: String,
    /// Where its key stands; its own place when it has none.
    pub(super) key_at: Position,
}

/// The keys of a map, known ones only.
#[derive(Clone, Debug)]
pub(super) struct Fields<'t> {
    entries: &'t [Entry],
    path: String,
    /// Where a missing key is missed.
    at: Position,
}

/// A place's path, continued by a key. Keys that would blur the path are quoted.
pub(super) fn join(path: &str, key: &str) -> String {
    let is_clear = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/'));
    match (is_clear, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{key:?}]"),
    }
}

impl<'t> At<'t> {
    pub(super) fn root(node: &'t Node) -> Self {
        Self {
            node,
            path: String::new(),
            key_at: node.at,
        }
    }

    /// A problem with this value.
    pub(super) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.node.at, &self.path, message)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.node.value, Value::Scalar { text, plain: true } if scalar::kind(text) == Kind::Null)
    }

    pub(super) fn wrong_type(&self, expected: &str) -> Problem {
        self.problem(format!("expected {expected}, found {}", self.found()))
    }

    /// What stands here, for a message.
    fn found(&self) -> String {
        match &self.node.value {
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
            Value::Scalar { text, plain } => match (plain, scalar::kind(text)) {
                (true, Kind::Null) => "nothing".to_owned(),
                (true, Kind::Bool(_)) => format!("the boolean {}", quoted(text)),
                (true, Kind::Whole | Kind::Float) => format!("the number {}", quoted(text)),
                (true, Kind::Unclear | Kind::Text) | (false, _) => format!("the text {}", quoted(text)),
            },
        }
    }

    /// The scalar's text, whatever it says.
    pub(super) fn scalar(&self) -> Option<&'t str> {
        match &self.node.value {
            Value::Scalar { text, .. } => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// A text. Numbers and booleans are taken as they are written, as the older system took them: an image's tag
    /// or a variable's value needs no quotes.
    pub(super) fn text(&self, report: &mut Report) -> Option<&'t str> {
        match self.scalar() {
            Some(text) if !self.is_null() => Some(text),
            _ => {
                report.add(self.wrong_type("a text"));
                None
            }
        }
    }

    /// A text that is not empty, at most `limit` bytes long, and free of control characters.
    pub(super) fn label(&self, limit: usize, report: &mut Report) -> Option<&'t str> {
        let text = self.text(report)?;
        let message = if text.is_empty() {
            "expected a text, found an empty one".to_owned()
        } else if text.len() > limit {
            format!("{} is longer than {limit} characters", quoted(text))
        } else if text.contains(char::is_control) {
            format!("{} has a control character", quoted(text))
        } else {
            return Some(text);
        };
        report.add(self.problem(message));
        None
    }

    pub(super) fn flag(&self, report: &mut Report) -> Option<bool> {
        if let Value::Scalar { text, plain } = &self.node.value {
            match (plain, scalar::kind(text), text.to_lowercase().as_str()) {
                (true, Kind::Bool(flag), _) => return Some(flag),
                // The older system's parser took these for booleans, and nothing else can be meant here.
                (true, Kind::Unclear, "yes" | "on") => return Some(true),
                (true, Kind::Unclear, "no" | "off") => return Some(false),
                (false, Kind::Bool(flag), _) => {
                    report.add(
                        self.wrong_type("true or false")
                            .hint(format!("write {flag} without quotes")),
                    );
                    return None;
                }
                _ => {}
            }
        }
        report.add(self.wrong_type("true or false"));
        None
    }

    /// A whole number in `range`.
    pub(super) fn whole(&self, range: RangeInclusive<u64>, report: &mut Report) -> Option<u64> {
        let (low, high) = (*range.start(), *range.end());
        let expected = format!("a whole number from {low} to {high}");
        let Value::Scalar { text, plain } = &self.node.value else {
            report.add(self.wrong_type(&expected));
            return None;
        };
        if *plain && scalar::kind(text) == Kind::Whole {
            let number = text.parse().ok().filter(|number| range.contains(number));
            if number.is_none() {
                report.add(self.problem(format!("{} is outside {low} to {high}", quoted(text))));
            }
            return number;
        }
        let problem = self.wrong_type(&expected);
        let quotes = if *plain { "" } else { " without quotes" };
        report.add(
            match scalar::meant_whole(text).filter(|meant| range.contains(meant)) {
                Some(meant) => problem.hint(format!("write {meant}{quotes}")),
                None => problem,
            },
        );
        None
    }

    /// A length of time in `range`: whole seconds, or with units.
    pub(super) fn span(&self, range: RangeInclusive<Span>, report: &mut Report) -> Option<Span> {
        const EXPECTED: &str = "a duration: whole seconds, or with units as in 90s, 5m, 1h30m";
        let text = match &self.node.value {
            Value::Scalar { text, plain }
                if !*plain || !matches!(scalar::kind(text), Kind::Unclear | Kind::Null) =>
            {
                text
            }
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                report.add(self.wrong_type(EXPECTED));
                return None;
            }
        };
        match scalar::duration(text) {
            Some(span) if range.contains(&span) => Some(span),
            Some(span) => {
                let (low, high) = (range.start(), range.end());
                report.add(self.problem(format!("{span} is outside {low} to {high}")));
                None
            }
            None => {
                let problem = self.wrong_type(EXPECTED);
                report.add(match scalar::meant_whole(text) {
                    Some(meant) => problem.hint(format!("write {meant}")),
                    None => problem,
                });
                None
            }
        }
    }

    pub(super) fn list(&self, report: &mut Report) -> Option<Vec<At<'t>>> {
        let Value::List(items) = &self.node.value else {
            let problem = self.wrong_type("a list");
            let is_map = matches!(self.node.value, Value::Map(_));
            report.add(if is_map {
                problem.hint("begin each entry with `- `")
            } else {
                problem
            });
            return None;
        };
        let item = |(i, node): (usize, &'t Node)| At {
            node,
            path: format!("{}[{i}]", self.path),
            key_at: node.at,
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The keys of a map that may only have keys from `known`; reports all others, and all duplicates.
    pub(super) fn map(&self, known: &[&str], report: &mut Report) -> Option<Fields<'t>> {
        let entries = self.entries(report)?;
        for entry in entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            let path = join(&self.path, &entry.key);
            let problem = Problem::new(entry.key_at, &path, "unknown key");
            report.add(match hint_for(&entry.key, known) {
                Some(hint) => problem.hint(hint),
                None => problem,
            });
        }
        Some(Fields {
            entries,
            path: self.path.clone(),
            at: self.key_at,
        })
    }

    /// The entries of a map of any keys; reports duplicates.
    pub(super) fn entries(&self, report: &mut Report) -> Option<&'t [Entry]> {
        let Value::Map(entries) = &self.node.value else {
            report.add(self.wrong_type("a map of keys"));
            return None;
        };
        let mut first: std::collections::BTreeMap<&str, Position> = std::collections::BTreeMap::new();
        for entry in entries {
            if let Some(earlier) = first.get(entry.key.as_str()) {
                let message = format!("this key was given before, in line {}", earlier.line);
                report.add(Problem::new(entry.key_at, &join(&self.path, &entry.key), message));
            } else {
                first.insert(&entry.key, entry.key_at);
            }
        }
        Some(entries)
    }

    /// The value of one entry of this map.
    pub(super) fn child(&self, entry: &'t Entry) -> At<'t> {
        At {
            node: &entry.node,
            path: join(&self.path, &entry.key),
            key_at: entry.key_at,
        }
    }
}

impl<'t> Fields<'t> {
    /// The value of `key`, unless it is absent or nothing.
    pub(super) fn get(&self, key: &str) -> Option<At<'t>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        let at = At {
            node: &entry.node,
            path: join(&self.path, key),
            key_at: entry.key_at,
        };
        (!at.is_null()).then_some(at)
    }

    /// The value of `key`, or a problem that says what it is for.
    pub(super) fn required(&self, key: &str, purpose: &str, report: &mut Report) -> Option<At<'t>> {
        let found = self.get(key);
        if found.is_none() {
            report.add(match self.entries.iter().find(|entry| entry.key == key) {
                Some(entry) => {
                    let message = format!("expected {purpose}, found nothing");
                    Problem::new(entry.key_at, &join(&self.path, key), message)
                }
                None => self.missing(key, purpose),
            });
        }
        found
    }

    /// The problem that `key` is missing.
    pub(super) fn missing(&self, key: &str, purpose: &str) -> Problem {
        Problem::new(self.at, &join(&self.path, key), format!("missing key: {purpose}"))
    }
}

/// Where keys belong that are easily written a level too high or too low.
const HOMES: [(&str, &[&str]); 5] = [
    (
        "`autoscaling`",
        &["min", "max", "up", "down", "policies", "enablePanicScale"],
    ),
    (
        "`autoscaling.up` or `autoscaling.down`",
        &["cooldown", "metricsTrigger", "trigger"],
    ),
    ("an entry of `metricsTrigger`", &["threshold", "usage", "limit"]),
    ("an entry of `ports`", &["containerPort", "protocol"]),
    ("an entry of `env`", &["value", "valueFrom"]),
];

/// What an unknown key most likely was meant to be.
fn hint_for(key: &str, known: &[&str]) -> Option<String> {
    if key == "hostPort" {
        return Some("Maestro picks the host's port itself".to_owned());
    }
    if let Some((home, _)) = HOMES.iter().find(|(_, keys)| keys.contains(&key)) {
        return Some(format!("it belongs under {home}"));
    }
    nearest(key, known.iter().copied()).map(|name| format!("did you mean `{name}`?"))
}
