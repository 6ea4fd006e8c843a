//! Environment variables of a container.

use std::collections::BTreeMap;

use maestro_core::scheduler::{EnvValue, EnvVar};

use super::super::fields::{At, Fields, Report};
use super::super::problem::{nearest, quoted};

/// What Maestro itself sets for each room.
const OURS: [&str; 4] = [
    "MAESTRO_SCHEDULER_NAME",
    "MAESTRO_ROOM_ID",
    "MAESTRO_API_URL",
    "MAESTRO_ROOM_TOKEN",
];

/// Whether Maestro sets this variable itself.
pub(in crate::document) fn is_ours(name: &str) -> bool {
    OURS.contains(&name) || name.starts_with("MAESTRO_PORT_")
}

pub(super) fn read(at: &At<'_>, report: &mut Report) -> Vec<EnvVar> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut read = Vec::new();
    for item in at.list(report).unwrap_or_default() {
        let Some(fields) = item.map(&["name", "value", "valueFrom"], report) else {
            continue;
        };
        let name = fields
            .required("name", "the variable's name", report)
            .and_then(|at| {
                let name = env_name(&at, report)?;
                if let Some(first) = names.insert(name.clone(), at.path.clone()) {
                    report.add(at.problem(format!(
                        "the variable {} is already set by {first}",
                        quoted(&name)
                    )));
                }
                if is_ours(&name) {
                    report.warn(
                        at.problem("Maestro sets this variable itself; the value given here is not used"),
                    );
                }
                Some(name)
            });
        if let (Some(name), Some(value)) = (name, env_value(&fields, report)) {
            read.push(EnvVar { name, value });
        }
    }
    read
}

fn env_name(at: &At<'_>, report: &mut Report) -> Option<String> {
    let text = at.label(256, report)?;
    let is_ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if text.chars().all(is_ok) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(text.to_owned());
    }
    let expected = "letters, digits, `_`, `-` and `.`, and no digit first";
    report.add(at.problem(format!(
        "{} is not a variable's name: expected {expected}",
        quoted(text)
    )));
    None
}

fn env_value(fields: &Fields<'_>, report: &mut Report) -> Option<EnvValue> {
    match (fields.get("value"), fields.get("valueFrom")) {
        (Some(at), None) => no_nul(&at, report).map(EnvValue::Literal),
        (None, Some(at)) => value_from(&at, report),
        (Some(at), Some(_)) => {
            report.add(at.problem("`value` and `valueFrom` are both given: only one can hold"));
            None
        }
        (None, None) => {
            let problem = fields.missing("value", "a variable needs `value` or `valueFrom`");
            report.add(problem.hint("write `value: \"\"` for an empty one"));
            None
        }
    }
}

/// A text that a process can be given.
pub(super) fn no_nul(at: &At<'_>, report: &mut Report) -> Option<String> {
    let text = at.text(report)?;
    if text.contains('\0') {
        report.add(at.problem("a process can't be given a text with a NUL character"));
        return None;
    }
    Some(text.to_owned())
}

fn value_from(at: &At<'_>, report: &mut Report) -> Option<EnvValue> {
    let fields = at.map(&["secretKeyRef", "fieldRef"], report)?;
    match (fields.get("secretKeyRef"), fields.get("fieldRef")) {
        (Some(at), None) => {
            let fields = at.map(&["name", "key"], report)?;
            let name = fields
                .required("name", "the secret's name", report)
                .and_then(|at| token(&at, 253, report));
            let key = fields
                .required("key", "the key in the secret", report)
                .and_then(|at| token(&at, 253, report));
            Some(EnvValue::SecretKey {
                name: name?,
                key: key?,
            })
        }
        (None, Some(at)) => {
            let fields = at.map(&["fieldPath"], report)?;
            let path = fields.required("fieldPath", "the field's path, as in status.podIP", report)?;
            field_path(&path, report).map(|path| EnvValue::Field { path })
        }
        (Some(_), Some(at)) => {
            report.add(at.problem("`secretKeyRef` and `fieldRef` are both given: only one can hold"));
            None
        }
        (None, None) => {
            report.add(at.problem("expected `secretKeyRef` or `fieldRef`"));
            None
        }
    }
}

fn field_path(at: &At<'_>, report: &mut Report) -> Option<String> {
    const PATHS: [&str; 9] = [
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    ];
    let text = at.label(256, report)?;
    let is_subscript = ["metadata.labels['", "metadata.annotations['"]
        .iter()
        .any(|start| {
            text.strip_prefix(start)
                .and_then(|t| t.strip_suffix("']"))
                .is_some_and(|key| !key.is_empty())
        });
    if PATHS.contains(&text) || is_subscript {
        return Some(text.to_owned());
    }
    let problem = at.problem(format!(
        "a pod has no field {} to take a variable from",
        quoted(text)
    ));
    report.add(match nearest(text, PATHS) {
        Some(path) => problem.hint(format!("did you mean `{path}`?")),
        None => problem.hint(format!("one of {}", PATHS.join(", "))),
    });
    None
}

/// Letters, digits, dots, dashes and underscores, beginning and ending with a letter or digit unless hidden.
fn token(at: &At<'_>, limit: usize, report: &mut Report) -> Option<String> {
    let text = at.label(limit, report)?;
    if text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    {
        return Some(text.to_owned());
    }
    report.add(at.problem(format!(
        "{} has other characters than letters, digits, `_`, `-` and `.`",
        quoted(text)
    )));
    None
}
