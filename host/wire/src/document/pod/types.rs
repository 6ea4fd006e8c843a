//! The types of a pod template's fields, from `fields.txt`, and how values are read by them.
//!
//! They stand in a text of ours, because what reads documents is part of the command line, which is to know nothing of
//! Kubernetes' libraries, and because those stop at the first error and don't know places.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value as Json};

use super::super::fields::{At, Report};
use super::super::problem::quoted;
use super::super::scalar::{self, Kind as Scalar};
use super::super::tree::Value;
use super::clash;

/// What a value has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Flag,
    /// A whole number of so many bits.
    Whole(u8),
    /// A number, or the name of one.
    NumberOrText,
    /// An amount as of resources.
    Amount,
    /// One of these words.
    Word(Vec<&'static str>),
    List(Box<Type>),
    /// A map of any keys.
    Map(Box<Type>),
    /// A map of the keys of the type with this name.
    Object(&'static str),
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Type,
    is_required: bool,
}

/// All types, by name.
pub(super) static TYPES: LazyLock<BTreeMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    let mut types: BTreeMap<&'static str, Vec<Field>> = BTreeMap::new();
    let mut fields = &mut Vec::new();
    let lines = include_str!("fields.txt").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.trim_start().split_once(' ') {
            Some((name, kind)) => fields.push(Field {
                name: name.trim_end_matches('!'),
                kind: of_text(kind),
                is_required: name.ends_with('!'),
            }),
            None => fields = types.entry(line).or_default(),
        }
    }
    types
});

fn of_text(text: &'static str) -> Type {
    let within = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close);
    if let Some(inner) = within('[', ']') {
        return Type::List(Box::new(of_text(inner)));
    }
    if let Some(inner) = within('{', '}') {
        return Type::Map(Box::new(of_text(inner)));
    }
    if let Some(words) = within('(', ')') {
        return Type::Word(words.split('|').collect());
    }
    match text {
        "text" => Type::Text,
        "flag" => Type::Flag,
        "i32" => Type::Whole(32),
        "i64" => Type::Whole(64),
        "number-or-text" => Type::NumberOrText,
        "amount" => Type::Amount,
        name => Type::Object(name),
    }
}

/// The value at `at`, whose place in any pod template is `place`, as in `spec.containers[].env`. Problems are reported,
/// and the rest is read all the same.
pub(super) fn read(at: &At<'_>, kind: &Type, place: &str, report: &mut Report) -> Option<Json> {
    match kind {
        Type::Text => at.text(report).map(Json::from),
        Type::Flag => at.flag(report).map(Json::from),
        Type::Whole(bits) => whole(at, *bits, report).map(Json::from),
        Type::NumberOrText => match is_whole(at) {
            true => whole(at, 32, report).map(Json::from),
            false => at.text(report).map(Json::from),
        },
        Type::Amount => amount(at, report).map(Json::from),
        Type::Word(words) => {
            let choices: Vec<(&str, &str)> = words.iter().map(|word| (*word, *word)).collect();
            super::super::template::choice(at, &choices, report).map(Json::from)
        }
        Type::List(inner) => {
            let place = format!("{place}[]");
            let items = at.list(report)?;
            let items = items.iter().filter_map(|item| read(item, inner, &place, report));
            Some(Json::Array(items.collect()))
        }
        Type::Map(inner) => {
            let mut map = BTreeMap::new();
            for entry in at.entries(report)? {
                let value = read(&at.child(entry), inner, place, report);
                map.extend(value.map(|value| (entry.key.clone(), value)));
            }
            Some(Json::Object(map.into_iter().collect()))
        }
        Type::Object(name) => object(at, name, place, report),
    }
}

/// What Kubernetes requires of a pod and Maestro gives it.
const GIVEN: [&str; 1] = ["spec.containers"];

fn object(at: &At<'_>, name: &str, place: &str, report: &mut Report) -> Option<Json> {
    let known = TYPES.get(name).map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = known.iter().map(|field| field.name).collect();
    let fields = at.map(&names, report)?;
    let mut map = Map::new();
    for field in known {
        let place = match place {
            "" => field.name.to_owned(),
            place => format!("{place}.{}", field.name),
        };
        let Some(at) = fields.get(field.name) else {
            if field.is_required && !GIVEN.contains(&place.as_str()) {
                report.add(fields.missing(field.name, "Kubernetes requires it here"));
            }
            continue;
        };
        if let Some(problem) = clash::at(&at, &place) {
            report.add(problem);
            continue;
        }
        let value = read(&at, &field.kind, &place, report);
        map.extend(value.map(|value| (field.name.to_owned(), value)));
    }
    Some(Json::Object(map))
}

fn is_whole(at: &At<'_>) -> bool {
    matches!(&at.node.value, Value::Scalar { text, plain: true } if scalar::kind(text) == Scalar::Whole)
}

fn whole(at: &At<'_>, bits: u8, report: &mut Report) -> Option<i64> {
    let text = at.scalar().unwrap_or_default();
    if !is_whole(at) {
        let problem = at.wrong_type("a whole number");
        report.add(match scalar::meant_whole(text) {
            Some(meant) => problem.hint(format!("write {meant}")),
            None => problem,
        });
        return None;
    }
    let number = text.parse::<i64>().ok();
    let number = number.filter(|number| bits > 32 || i32::try_from(*number).is_ok());
    if number.is_none() {
        report.add(at.problem(format!("{} is too large for this field", quoted(text))));
    }
    number
}

/// A number with a suffix of Kubernetes, kept as it is written.
fn amount(at: &At<'_>, report: &mut Report) -> Option<String> {
    const SUFFIXES: [&str; 16] = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    let text = at.text(report)?;
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let exponent = suffix.strip_prefix(['e', 'E']).unwrap_or_default();
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_exponent = (1..=2).contains(&exponent.len()) && exponent.bytes().all(|b| b.is_ascii_digit());
    let is_number = number.parse::<f64>().is_ok() && number.len() <= 20;
    if is_number && (SUFFIXES.contains(&suffix) || is_exponent) {
        return Some(text.to_owned());
    }
    report.add(at.problem(format!(
        "expected an amount such as 1, 500m or 1Gi, found {}",
        quoted(text)
    )));
    None
}
