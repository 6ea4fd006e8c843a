//! Free-form parts of a document (`parameters`, `metadata`): from nodes to the JSON text that the domain keeps.

use serde_json::{Map, Number, Value as Json};

use super::fields::{At, Report};
use super::problem::quoted;
use super::scalar::{self, Kind};
use super::tree::Value;

/// JSON text of the map at `at`, in its own order. Problems are reported, and the rest is read all the same.
pub(super) fn object(at: &At<'_>, report: &mut Report) -> Option<String> {
    let entries = at.entries(report)?;
    let mut map = Map::new();
    for entry in entries {
        map.insert(entry.key.clone(), value(&at.child(entry), report));
    }
    Some(Json::Object(map).to_string())
}

fn value(at: &At<'_>, report: &mut Report) -> Json {
    match &at.node.value {
        Value::Scalar { text, plain: false } => Json::String(text.clone()),
        Value::Scalar { text, plain: true } => plain(text, at, report),
        Value::List(_) => {
            let items = at.list(report).unwrap_or_default();
            Json::Array(items.iter().map(|item| value(item, report)).collect())
        }
        Value::Map(_) => {
            let entries = at.entries(report).unwrap_or_default();
            let pairs = entries
                .iter()
                .map(|entry| (entry.key.clone(), value(&at.child(entry), report)));
            Json::Object(pairs.collect())
        }
    }
}

fn plain(text: &str, at: &At<'_>, report: &mut Report) -> Json {
    let number = match scalar::kind(text) {
        Kind::Null => return Json::Null,
        Kind::Bool(flag) => return Json::Bool(flag),
        Kind::Text => return Json::String(text.to_owned()),
        Kind::Whole => match text.starts_with('-') {
            true => text.parse::<i64>().ok().map(Number::from),
            false => text.parse::<u64>().ok().map(Number::from),
        },
        Kind::Float => text.parse::<f64>().ok().and_then(Number::from_f64),
        Kind::Unclear => {
            let problem = at.problem(format!(
                "versions of YAML disagree on what {} means",
                quoted(text)
            ));
            report.add(problem.hint("put it in quotes if it is a text, else write it as in JSON"));
            return Json::Null;
        }
    };
    match number {
        Some(number) => Json::Number(number),
        None => {
            let problem = at.problem(format!("the number {} is too large", quoted(text)));
            report.add(problem.hint("put it in quotes"));
            Json::Null
        }
    }
}
