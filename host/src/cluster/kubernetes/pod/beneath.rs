//! A document's `podTemplate`, put beneath the pod that Maestro makes.

use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use serde_json::Value;

/// The pod with what `template`, the JSON text of a pod template, says besides.
///
/// Whatever both say, `ours` says. Entries of lists that have the same name are one; the others of both are there, ours
/// first.
pub(super) fn put(template: &str, ours: &Pod) -> Result<Pod, serde_json::Error> {
    // As the one of its type, so that what this release does not know falls away here, and not in some pods only.
    let theirs: PodTemplateSpec = serde_json::from_str(template)?;
    let mut pod = serde_json::to_value(ours)?;
    merge(&mut pod, serde_json::to_value(theirs)?);
    serde_json::from_value(pod)
}

fn merge(ours: &mut Value, theirs: Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in theirs {
                match ours.get_mut(&key) {
                    Some(own) => merge(own, value),
                    None => {
                        ours.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            for entry in theirs {
                let name = entry.get("name").and_then(Value::as_str);
                let same = name.and_then(|name| {
                    let mut own = ours.iter_mut();
                    own.find(|own| own.get("name").and_then(Value::as_str) == Some(name))
                });
                match same {
                    Some(own) => merge(own, entry),
                    None => ours.push(entry),
                }
            }
        }
        _ => {}
    }
}
