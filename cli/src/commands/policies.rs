//! Verbs about policies.

use std::path::Path;

use anyhow::{Context, Result};
use maestro_engine::package;
use maestro_wire::http::{Policies, PolicyBody};
use serde::Deserialize;

use crate::args::Format;
use crate::client::{Client, segment};
use crate::output;

pub(super) fn deploy(client: &Client, format: Format, file: &Path) -> Result<()> {
    let source = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("can't read {source}"))?;
    // Wrapping here gives the author the reason at once, in terms of the file; the service checks all of it again.
    let component = match package::is_component(&bytes) {
        true => bytes,
        false => package::wrap(&bytes).with_context(|| format!("{source} can't be made a policy"))?,
    };
    let policy: PolicyBody = client.post("/policies", "application/wasm", &component)?;
    output::show(format, &policy, |policy| {
        format!(
            "deployed {}@{} ({}); use it in a scheduler with `type: {}`",
            policy.name,
            policy.version,
            short(&policy.digest),
            policy.name
        )
    })
}

pub(super) fn list(client: &Client, format: Format) -> Result<()> {
    let policies: Policies = client.get("/policies")?;
    output::show(format, &policies.policies, |all| {
        let rows = all.iter().map(|policy| {
            vec![
                policy.name.clone(),
                policy.version.clone(),
                short(&policy.digest),
                if policy.builtin {
                    "built in".to_owned()
                } else {
                    "deployed".to_owned()
                },
                policy
                    .deployed_at
                    .as_deref()
                    .map_or_else(|| "-".to_owned(), output::age),
                policy.summary.clone(),
            ]
        });
        output::table(&["name", "version", "digest", "origin", "age", "summary"], rows)
    })
}

pub(super) fn show(client: &Client, format: Format, name: &str) -> Result<()> {
    let policy: PolicyBody = client.get(&format!("/policies/{}", segment(name)))?;
    output::show(format, &policy, |policy| {
        let inputs = policy.inputs.join(", ");
        let mut text = format!("{}@{}\n{}\n", policy.name, policy.version, policy.summary);
        text.push_str(&format!("digest  {}\nreads   {inputs}\n\n", policy.digest));
        text.push_str(&parameters(policy));
        text
    })
}

/// The part of a JSON schema that the SDK writes; a schema of another shape is printed as it is.
#[derive(Debug, Default, Deserialize)]
struct Schema {
    #[serde(default)]
    properties: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    required: Vec<String>,
}

fn parameters(policy: &PolicyBody) -> String {
    let schema = Schema::deserialize(&policy.parameters).unwrap_or_default();
    if schema.properties.is_empty() {
        return match policy.parameters.get("properties") {
            Some(_) => "It takes no parameters.".to_owned(),
            None => format!("parameters, as a JSON schema\n{:#}", policy.parameters),
        };
    }
    let rows = schema.properties.iter().map(|(name, property)| {
        let text = |key: &str| match property.get(key) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let range = match (property.get("minimum"), property.get("maximum")) {
            (None, None) => String::new(),
            _ => format!("{} to {}", text("minimum"), text("maximum")),
        };
        let default = match schema.required.contains(name) {
            true => "required".to_owned(),
            false => text("default"),
        };
        vec![name.clone(), text("type"), default, range, text("description")]
    });
    output::table(&["parameter", "type", "default", "range", "meaning"], rows)
}

/// The first twelve digits are enough for people.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}
