//! Verbs about policies.

use std::path::Path;

use anyhow::{Context, Result, bail};
use maestro_engine::package;
use maestro_wire::http::{Policies, PolicyBody};

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
    if name.is_empty() {
        bail!("name a policy");
    }
    let policy: PolicyBody = client.get(&format!("/policies/{}", segment(name)))?;
    output::show(format, &policy, |policy| {
        let parameters = serde_json::to_string_pretty(&policy.parameters).unwrap_or_default();
        format!(
            "{}@{}\n{}\ndigest      {}\nreads       {}\nparameters  {}",
            policy.name,
            policy.version,
            policy.summary,
            policy.digest,
            policy.inputs.join(", "),
            parameters.replace('\n', "\n            "),
        )
    })
}

/// The first twelve digits are enough for people.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}
