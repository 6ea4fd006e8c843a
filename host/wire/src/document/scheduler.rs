//! One document's top level: from its map to a validated [`Scheduler`].

use std::ops::RangeInclusive;

use maestro_core::names::SchedulerName;
use maestro_core::scheduler::{Deadlines, Forwarder, Network, PortRange, RoomTemplate, Scheduler, Security};
use maestro_core::time::Span;

use super::autoscaling::{self, Reference};
use super::fields::{At, Fields, Report};
use super::json;
use super::pod::{self, Above};
use super::problem::quoted;
use super::template::{self, CONTAINER_KEYS};

/// Keys of a document besides those of its only container.
const KEYS: [&str; 20] = [
    "name",
    "game",
    "shutdownTimeout",
    "occupiedTimeout",
    "initializationTimeout",
    "pingTimeout",
    "allocationTimeout",
    "drainingTimeout",
    "lostTimeout",
    "affinity",
    "toleration",
    "authorizedUsers",
    "portRange",
    "network",
    "security",
    "podTemplate",
    "preventRoomsCreationWithError",
    "containers",
    "autoscaling",
    "forwarders",
];

/// What `network` can say.
pub(super) const NETWORKS: [(&str, Network); 3] = [
    ("nodePort", Network::NodePort),
    ("hostPort", Network::HostPort),
    ("pod", Network::Pod),
];

/// What `security` can say.
pub(super) const SECURITIES: [(&str, Security); 2] =
    [("legacy", Security::Legacy), ("restricted", Security::Restricted)];

/// Time to end after SIGTERM when a document says nothing, or zero: what Kubernetes gives a pod.
const SHUTDOWN: Span = Span::from_secs(30);
/// The longest that anything may take.
const LONGEST: Span = Span::from_secs(30 * 86_400);
/// A deadline below a second would be over before a room could answer.
const DEADLINE: RangeInclusive<Span> = Span::from_secs(1)..=LONGEST;

/// Reads one document; `None` only with a problem in `report`.
pub(super) fn read(root: &At<'_>, report: &mut Report) -> Option<(Scheduler, Vec<Reference>)> {
    let known: Vec<&str> = KEYS.iter().chain(&CONTAINER_KEYS).copied().collect();
    let fields = root.map(&known, report)?;
    let name = fields
        .required("name", "the scheduler's name", report)
        .and_then(|at| template::dns_label(&at, SchedulerName::MAX, report))
        .and_then(|text| SchedulerName::parse(text).ok());
    let game = fields
        .required("game", "the game that the rooms belong to", report)
        .and_then(|at| at.label(128, report))
        .map(str::to_owned);
    let template = room_template(&fields, name.as_ref().map_or("", SchedulerName::as_str), report);
    let deadlines = deadlines(&fields, report);
    let section = fields
        .required("autoscaling", "the number of rooms there shall be", report)
        .and_then(|at| autoscaling::read(&at, &template.containers, report));
    let forwarders = fields
        .get("forwarders")
        .map(|at| forwarders(&at, report))
        .unwrap_or_default();
    let authorized_users = fields
        .get("authorizedUsers")
        .map(|at| users(&at, report))
        .unwrap_or_default();
    let hold = fields
        .get("preventRoomsCreationWithError")
        .and_then(|at| at.flag(report));
    let section = section?;
    let scheduler = Scheduler {
        name: name?,
        game: game?,
        template,
        deadlines,
        autoscaling: section.autoscaling,
        forwarders,
        authorized_users,
        hold_creation_on_error: hold.unwrap_or(true),
    };
    Some((scheduler, section.references))
}

fn room_template(fields: &Fields<'_>, name: &str, report: &mut Report) -> RoomTemplate {
    let containers = template::containers(fields, name, report);
    let ports = containers.iter().map(|container| container.ports.len()).sum();
    let network = fields
        .get("network")
        .and_then(|at| template::choice(&at, &NETWORKS, report));
    let security = fields
        .get("security")
        .and_then(|at| template::choice(&at, &SECURITIES, report));
    let (network, security) = (network.unwrap_or_default(), security.unwrap_or_default());
    let above = Above {
        containers: &containers,
        security,
        network,
    };
    RoomTemplate {
        affinity: fields.get("affinity").and_then(|at| label_key(&at, report)),
        toleration: fields.get("toleration").and_then(|at| label_value(&at, report)),
        port_range: port_range(fields, ports, network, report),
        shutdown: shutdown(fields, report),
        network,
        security,
        pod_template: fields
            .get("podTemplate")
            .and_then(|at| pod::read(&at, &above, report)),
        containers,
    }
}

fn port_range(fields: &Fields<'_>, ports: usize, network: Network, report: &mut Report) -> Option<PortRange> {
    let at = fields.get("portRange")?;
    if network == Network::Pod {
        report.warn(
            at.problem("with `network: pod` rooms take no ports of their nodes: the range is not used"),
        );
    }
    template::port_range(&at, ports, report)
}

fn shutdown(fields: &Fields<'_>, report: &mut Report) -> Span {
    let Some(at) = fields.get("shutdownTimeout") else {
        return SHUTDOWN;
    };
    match at.span(Span::ZERO..=LONGEST, report) {
        Some(Span::ZERO) => {
            report.warn(at.problem(format!("a room can't end in no time: {SHUTDOWN} is used")));
            SHUTDOWN
        }
        Some(span) => span,
        None => SHUTDOWN,
    }
}

fn deadlines(fields: &Fields<'_>, report: &mut Report) -> Deadlines {
    let default = Deadlines::default();
    // Zero switches this one off, as in the older system.
    let occupied = fields
        .get("occupiedTimeout")
        .and_then(|at| at.span(Span::ZERO..=LONGEST, report));
    let mut deadline = |key: &str, default: Span| {
        let given = fields.get(key).and_then(|at| at.span(DEADLINE, report));
        given.unwrap_or(default)
    };
    Deadlines {
        initialization: deadline("initializationTimeout", default.initialization),
        ping: deadline("pingTimeout", default.ping),
        occupied: occupied.filter(|span| *span > Span::ZERO),
        allocation: deadline("allocationTimeout", default.allocation),
        draining: deadline("drainingTimeout", default.draining),
        lost: deadline("lostTimeout", default.lost),
    }
}

/// A node label's key, `[prefix/]name`; an empty text is none.
fn label_key(at: &At<'_>, report: &mut Report) -> Option<String> {
    let text = at.text(report)?;
    let (prefix, name) = text.rsplit_once('/').unwrap_or(("", text));
    let is_prefix = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if text.is_empty() {
        return None;
    }
    let has_prefix = text.contains('/');
    let is_prefix_ok =
        !has_prefix || (!prefix.is_empty() && prefix.len() <= 253 && prefix.chars().all(is_prefix));
    if is_label(name) && is_prefix_ok {
        return Some(text.to_owned());
    }
    report.add(at.problem(format!("{} is not the key of a node label", quoted(text))));
    None
}

/// The value of a taint; an empty text is none.
fn label_value(at: &At<'_>, report: &mut Report) -> Option<String> {
    let text = at.text(report)?;
    if text.is_empty() || is_label(text) {
        return Some(text.to_owned()).filter(|text| !text.is_empty());
    }
    report.add(at.problem(format!("{} is not the value of a taint", quoted(text))));
    None
}

/// Up to 63 letters, digits, dashes, dots and underscores between a letter or digit at each end.
pub(super) fn is_label(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_alphanumeric();
    let is_inner = |c: char| is_end(c) || matches!(c, '-' | '_' | '.');
    (1..=63).contains(&text.len())
        && text.chars().all(is_inner)
        && text.starts_with(is_end)
        && text.ends_with(is_end)
}

fn users(at: &At<'_>, report: &mut Report) -> Vec<String> {
    let items = at.list(report).unwrap_or_default();
    items.iter().filter_map(|item| user(item, report)).collect()
}

fn user(at: &At<'_>, report: &mut Report) -> Option<String> {
    let text = at.label(254, report)?;
    let is_address = text
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    if is_address && !text.contains(char::is_whitespace) {
        return Some(text.to_owned());
    }
    report.add(at.problem(format!("{} is not an e-mail address", quoted(text))));
    None
}

fn forwarders(at: &At<'_>, report: &mut Report) -> Vec<Forwarder> {
    let mut read = Vec::new();
    for plugin in at.entries(report).unwrap_or_default() {
        let plugin_at = at.child(plugin);
        check_key(&plugin_at, &plugin.key, report);
        if plugin_at.is_null() {
            continue;
        }
        for entry in plugin_at.entries(report).unwrap_or_default() {
            let entry_at = plugin_at.child(entry);
            check_key(&entry_at, &entry.key, report);
            read.extend(forwarder(&plugin.key, &entry.key, &entry_at, report));
        }
    }
    read
}

fn forwarder(plugin: &str, name: &str, at: &At<'_>, report: &mut Report) -> Option<Forwarder> {
    let fields = at.map(&["enabled", "forwardResponse", "metadata"], report)?;
    let enabled = match fields.get("enabled") {
        Some(at) => at.flag(report),
        None => {
            report.warn(fields.missing("enabled", "a forwarder that does not say `enabled: true` is off"));
            Some(false)
        }
    };
    let response = fields
        .get("forwardResponse")
        .map_or(Some(true), |at| at.flag(report));
    let metadata = match fields.get("metadata") {
        Some(at) => json::object(&at, report),
        None => Some("{}".to_owned()),
    };
    Some(Forwarder {
        plugin: plugin.to_owned(),
        name: name.to_owned(),
        enabled: enabled?,
        forward_response: response?,
        metadata: metadata?,
    })
}

/// The names of plugins and forwarders appear in paths, metrics and logs.
fn check_key(at: &At<'_>, key: &str, report: &mut Report) {
    if !is_label(key) {
        let message = format!(
            "{} is not a name: expected letters, digits, `-`, `_` and `.`",
            quoted(key)
        );
        report.add(super::problem::Problem::new(at.key_at, &at.path, message));
    }
}
