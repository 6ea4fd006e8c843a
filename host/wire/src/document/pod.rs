//! `podTemplate`: what a room's pod shall have besides what a document has keys for, as fields of Kubernetes.
//!
//! It stands beneath what Maestro sets. A template that is read without a problem can be merged into the pod of any room:
//! each field is known and of its type, and none is one that Maestro sets. That is why it is checked here and not where pods
//! are made: an author is told at once, with the place, and by the command line too.

mod clash;
mod types;

use std::collections::BTreeMap;

use maestro_core::scheduler::{Container, Network, Security};

use super::fields::{At, Fields, Report};
use super::problem::{nearest, quoted};
use super::scheduler::is_label;
use super::template::env;
use super::tree::Value;
use types::Type;

/// What a template stands beneath.
pub(super) struct Above<'d> {
    pub(super) containers: &'d [Container],
    pub(super) security: Security,
    pub(super) network: Network,
}

/// Kinds of volumes that the standard `restricted` of Kubernetes allows.
const RESTRICTED_VOLUMES: [&str; 9] = [
    "name",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Capabilities that the standard `baseline` of Kubernetes allows.
const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Taints of nodes that do not answer, on which rooms stay for as long as their deadlines let them.
const SILENT_NODES: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// JSON text of the template, keys sorted; `None` of one that says nothing.
pub(super) fn read(at: &At<'_>, above: &Above<'_>, report: &mut Report) -> Option<String> {
    let json = types::read(at, &Type::Object("PodTemplate"), "", report)?;
    let metadata = inner(at, "metadata");
    for (key, is_value_checked) in [("labels", true), ("annotations", false)] {
        if let Some(at) = metadata.as_ref().and_then(|at| inner(at, key)) {
            keys(&at, is_value_checked, report);
        }
    }
    if let Some(spec) = inner(at, "spec") {
        containers(&spec, above, report);
        for at in items(&spec, "initContainers") {
            let fields = known(&at);
            if fields
                .as_ref()
                .is_some_and(|fields| fields.get("image").is_none())
            {
                report.add(at.problem("missing key: the image to run"));
            }
            allowed(&at, above, report);
        }
        tolerations(&spec, report);
        volumes(&spec, above, report);
        if above.security == Security::Restricted
            && let Some(context) = inner(&spec, "securityContext")
        {
            not_root(&context, report);
        }
    }
    Some(json.to_string()).filter(|text| text != "{}")
}

/// The value of a key of what may be a map; what is wrong with the map was said.
fn inner<'t>(at: &At<'t>, key: &str) -> Option<At<'t>> {
    known(at)?.get(key)
}

fn known<'t>(at: &At<'t>) -> Option<Fields<'t>> {
    at.map(&[], &mut Report::default())
}

fn items<'t>(at: &At<'t>, key: &str) -> Vec<At<'t>> {
    let list = inner(at, key).and_then(|at| at.list(&mut Report::default()));
    list.unwrap_or_default()
}

/// The text of a key, if it is one.
fn text<'t>(at: &At<'t>, key: &str) -> Option<&'t str> {
    inner(at, key)?.scalar()
}

fn entries<'t>(at: &At<'t>) -> Vec<(&'t str, At<'t>)> {
    let entries = at.entries(&mut Report::default()).unwrap_or_default();
    let entry = |entry: &'t super::tree::Entry| (entry.key.as_str(), at.child(entry));
    entries.iter().map(entry).collect()
}

/// Labels and annotations: names that Kubernetes takes, and none of Maestro's.
fn keys(at: &At<'_>, is_value_checked: bool, report: &mut Report) {
    for (key, at) in entries(at) {
        if let Some(problem) = clash::of_key(&at, key) {
            report.add(problem);
        }
        if !is_key(key) {
            report.add(at.problem(format!("{} is not the key of a label or annotation", quoted(key))));
        }
        let value = at.scalar().unwrap_or_default();
        if is_value_checked && !value.is_empty() && !is_label(value) {
            report.add(at.problem(format!("{} is not the value of a label", quoted(value))));
        }
    }
}

/// `[prefix/]name`.
fn is_key(key: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(is_inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    match key.split_once('/') {
        Some((prefix, name)) => prefix.len() <= 253 && prefix.split('.').all(is_part) && is_label(name),
        None => is_label(key),
    }
}

/// Entries of `containers` add to the document's containers of the same names.
fn containers(spec: &At<'_>, above: &Above<'_>, report: &mut Report) {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for at in items(spec, "containers") {
        allowed(&at, above, report);
        let Some(name_at) = inner(&at, "name") else {
            continue;
        };
        let name = name_at.scalar().unwrap_or_default();
        if let Some(first) = seen.insert(name, name_at.path.clone()) {
            report.add(name_at.problem(format!("the name {} is already taken by {first}", quoted(name))));
        }
        let names = || above.containers.iter().map(|container| container.name.as_str());
        let Some(container) = above.containers.iter().find(|container| container.name == name) else {
            let problem = name_at.problem(format!("the document has no container {}", quoted(name)));
            report.add(match nearest(name, names()) {
                Some(name) => problem.hint(format!("did you mean `{name}`?")),
                None => problem.hint(format!("one of {}", names().collect::<Vec<_>>().join(", "))),
            });
            continue;
        };
        for at in items(&at, "env") {
            let Some(at) = inner(&at, "name") else { continue };
            let name = at.scalar().unwrap_or_default();
            if env::is_ours(name) {
                report.add(at.problem(format!("Maestro sets the variable {} itself", quoted(name))));
            } else if container.env.iter().any(|var| var.name == name) {
                report.add(at.problem(format!("the document itself sets the variable {}", quoted(name))));
            }
        }
        let resources = inner(&at, "resources");
        for part in ["requests", "limits"] {
            let Some(part_at) = resources.as_ref().and_then(|at| inner(at, part)) else {
                continue;
            };
            for key in ["cpu", "memory"] {
                if let Some(at) = inner(&part_at, key) {
                    let hint = format!("write it in the document's `{part}`");
                    report.add(at.problem("the document itself says this").hint(hint));
                }
            }
        }
    }
}

/// What the document's `security` says against one container.
fn allowed(container: &At<'_>, above: &Above<'_>, report: &mut Report) {
    let Some(context) = inner(container, "securityContext") else {
        return;
    };
    let is_restricted = above.security == Security::Restricted;
    let capabilities = inner(&context, "capabilities");
    let listed = |key: &str| capabilities.as_ref().map(|at| items(at, key)).unwrap_or_default();
    for at in listed("add") {
        let name = at.scalar().unwrap_or_default();
        let message = format!("rooms can't have the capability {}", quoted(name));
        if is_restricted && name != "NET_BIND_SERVICE" {
            report.add(at.problem(format!(
                "`security: restricted` allows no capability {}",
                quoted(name)
            )));
        } else if name.trim_start_matches("CAP_") == "SYS_ADMIN" {
            report.add(
                at.problem(message)
                    .hint("it is all privileges, which rooms never gain"),
            );
        } else if !BASELINE_CAPABILITIES.contains(&name) {
            warn_of_baseline(&at, &format!("the capability {}", quoted(name)), above, report);
        }
    }
    if is_restricted {
        not_root(&context, report);
        if let Some(at) = capabilities.as_ref().and_then(|at| inner(at, "drop")) {
            report.add(at.problem("`security: restricted` drops all of them itself"));
        }
        if let Some(profile) = inner(&context, "seccompProfile")
            && let Some(at) = inner(&profile, "type").filter(|at| at.scalar() == Some("Unconfined"))
        {
            report.add(at.problem("`security: restricted` allows no `Unconfined`"));
        }
    }
}

/// A security context, of a pod or of a container, that keeps to `security: restricted`.
fn not_root(context: &At<'_>, report: &mut Report) {
    const WHY: &str = "`security: restricted` allows no root";
    if let Some(at) = inner(context, "runAsNonRoot") {
        report.add(at.problem("`security: restricted` sets this itself"));
    }
    if let Some(at) = inner(context, "runAsUser").filter(|at| at.scalar() == Some("0")) {
        report.add(at.problem(WHY));
    }
}

/// Rooms stay on nodes that are silent: their deadlines decide, and not a toleration that ends.
fn tolerations(spec: &At<'_>, report: &mut Report) {
    for at in items(spec, "tolerations") {
        let key = text(&at, "key").unwrap_or_default();
        let is_of_silence = key.is_empty() || SILENT_NODES.contains(&key);
        if let Some(limit) = inner(&at, "tolerationSeconds").filter(|_| is_of_silence) {
            let message = "rooms would be taken from nodes that fall silent, in the middle of a match";
            report.add(
                limit
                    .problem(message)
                    .hint("leave it out; `pingTimeout` and `lostTimeout` decide"),
            );
        }
    }
}

fn volumes(spec: &At<'_>, above: &Above<'_>, report: &mut Report) {
    for at in items(spec, "volumes") {
        for (kind, at) in entries(&at) {
            if at.is_null() || !matches!(at.node.value, Value::Map(_)) {
                continue;
            }
            if above.security == Security::Restricted && !RESTRICTED_VOLUMES.contains(&kind) {
                report.add(at.problem(format!(
                    "`security: restricted` allows no volume of {}",
                    quoted(kind)
                )));
            } else if kind == "hostPath" {
                warn_of_baseline(&at, "a volume of the node", above, report);
            }
        }
    }
}

/// What is only possible in a namespace that somebody made for it.
fn warn_of_baseline(at: &At<'_>, what: &str, above: &Above<'_>, report: &mut Report) {
    if above.network == Network::HostPort {
        // Its namespace is one that takes everything.
        return;
    }
    let problem = at.problem(format!(
        "a namespace that Maestro makes refuses rooms with {what}"
    ));
    report.warn(problem.hint("make the namespace yourself, and label it maestro.dev/managed=true"));
}
