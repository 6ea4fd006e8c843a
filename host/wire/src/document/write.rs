//! From a scheduler to text that reads back as the same scheduler.
//!
//! What stands at its default is left out, except where a reader would ask for it. The single-container form is
//! used when it can be, so that a document reads as its author most likely wrote it.

use maestro_core::scheduler::{
    Container, Direction, EnvValue, EnvVar, Forwarder, ImagePull, Mode, Network, Port, Protocol, Resources,
    RoomTemplate, Scheduler, Security, Trigger,
};
use maestro_core::time::Span;
use serde_json::{Map, Value, json};

use super::autoscaling::BUILT_IN;
use super::scalar::duration_text;
use super::scheduler::{NETWORKS, SECURITIES};

/// Why a scheduler could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Parameters or metadata hold something else than the JSON text of an object.
    #[error("{place} is not the JSON text of an object")]
    Json {
        /// Whose text it is.
        place: String,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// The YAML writer failed.
    #[error("failed to write YAML")]
    Yaml(#[source] serde_saphyr::ser::Error),
}

/// The scheduler as a YAML document.
pub fn to_yaml(scheduler: &Scheduler) -> Result<String, WriteError> {
    serde_saphyr::to_string(&to_json(scheduler)?).map_err(WriteError::Yaml)
}

/// The scheduler as a JSON object, keys in a stable order.
pub fn to_json(scheduler: &Scheduler) -> Result<Value, WriteError> {
    let mut out = Map::new();
    out.insert("name".to_owned(), scheduler.name.as_str().into());
    out.insert("game".to_owned(), scheduler.game.as_str().into());
    template(&scheduler.template, scheduler.name.as_str(), &mut out);
    if let Some(text) = &scheduler.template.pod_template {
        out.insert("podTemplate".to_owned(), object(text, "podTemplate")?.into());
    }
    deadlines(scheduler, &mut out);
    if !scheduler.authorized_users.is_empty() {
        out.insert("authorizedUsers".to_owned(), json!(scheduler.authorized_users));
    }
    if !scheduler.hold_creation_on_error {
        out.insert("preventRoomsCreationWithError".to_owned(), false.into());
    }
    out.insert("autoscaling".to_owned(), autoscaling(scheduler)?);
    if !scheduler.forwarders.is_empty() {
        out.insert("forwarders".to_owned(), forwarders(&scheduler.forwarders)?);
    }
    Ok(Value::Object(out))
}

fn template(template: &RoomTemplate, name: &str, out: &mut Map<String, Value>) {
    if let Some(affinity) = &template.affinity {
        out.insert("affinity".to_owned(), affinity.as_str().into());
    }
    if let Some(toleration) = &template.toleration {
        out.insert("toleration".to_owned(), toleration.as_str().into());
    }
    if let Some(range) = template.port_range {
        out.insert(
            "portRange".to_owned(),
            json!({ "start": range.start, "end": range.end }),
        );
    }
    let word = NETWORKS.iter().find(|(_, network)| *network == template.network);
    if let Some((word, _)) = word.filter(|_| template.network != Network::default()) {
        out.insert("network".to_owned(), (*word).into());
    }
    let word = SECURITIES
        .iter()
        .find(|(_, security)| *security == template.security);
    if let Some((word, _)) = word.filter(|_| template.security != Security::default()) {
        out.insert("security".to_owned(), (*word).into());
    }
    match template.containers.as_slice() {
        [only] if only.name == name => container(only, out),
        several => {
            let entry = |one: &Container| {
                let mut entry = Map::new();
                entry.insert("name".to_owned(), one.name.as_str().into());
                container(one, &mut entry);
                Value::Object(entry)
            };
            out.insert("containers".to_owned(), several.iter().map(entry).collect());
        }
    }
    out.insert("shutdownTimeout".to_owned(), span(template.shutdown));
}

fn container(container: &Container, out: &mut Map<String, Value>) {
    out.insert("image".to_owned(), container.image.as_str().into());
    let pull = match container.pull {
        ImagePull::Always => None,
        ImagePull::IfNotPresent => Some("IfNotPresent"),
        ImagePull::Never => Some("Never"),
    };
    if let Some(pull) = pull {
        out.insert("imagePullPolicy".to_owned(), pull.into());
    }
    if !container.ports.is_empty() {
        out.insert("ports".to_owned(), container.ports.iter().map(port).collect());
    }
    for (key, resources) in [("requests", container.requests), ("limits", container.limits)] {
        if resources != Resources::default() {
            out.insert(key.to_owned(), amounts(resources));
        }
    }
    if !container.env.is_empty() {
        out.insert("env".to_owned(), container.env.iter().map(variable).collect());
    }
    if !container.cmd.is_empty() {
        out.insert("cmd".to_owned(), json!(container.cmd));
    }
}

fn port(port: &Port) -> Value {
    let protocol = match port.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    };
    json!({ "containerPort": port.container_port, "protocol": protocol, "name": port.name })
}

fn amounts(resources: Resources) -> Value {
    let mut out = Map::new();
    if let Some(milli) = resources.cpu_milli {
        out.insert("cpu".to_owned(), cpu_text(milli).into());
    }
    if let Some(bytes) = resources.memory_bytes {
        out.insert("memory".to_owned(), memory_text(bytes).into());
    }
    Value::Object(out)
}

fn cpu_text(milli: u64) -> String {
    match milli % 1_000 {
        0 => (milli / 1_000).to_string(),
        _ => format!("{milli}m"),
    }
}

/// In the greatest binary unit that divides it.
fn memory_text(bytes: u64) -> String {
    let units = [(30, "Gi"), (20, "Mi"), (10, "Ki")];
    let exact = units
        .iter()
        .find(|(shift, _)| bytes.trailing_zeros() >= *shift && bytes > 0);
    match exact {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

fn variable(variable: &EnvVar) -> Value {
    let name = &variable.name;
    match &variable.value {
        EnvValue::Literal(value) => json!({ "name": name, "value": value }),
        EnvValue::SecretKey { name: secret, key } => {
            json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": secret, "key": key } } })
        }
        EnvValue::Field { path } => {
            json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } })
        }
    }
}

fn deadlines(scheduler: &Scheduler, out: &mut Map<String, Value>) {
    let (given, default) = (scheduler.deadlines, maestro_core::scheduler::Deadlines::default());
    if let Some(occupied) = given.occupied {
        out.insert("occupiedTimeout".to_owned(), span(occupied));
    }
    let others = [
        (
            "initializationTimeout",
            given.initialization,
            default.initialization,
        ),
        ("pingTimeout", given.ping, default.ping),
        ("allocationTimeout", given.allocation, default.allocation),
        ("drainingTimeout", given.draining, default.draining),
        ("lostTimeout", given.lost, default.lost),
    ];
    for (key, given, default) in others {
        if given != default {
            out.insert(key.to_owned(), span(given));
        }
    }
}

fn span(span: Span) -> Value {
    match duration_text(span) {
        Ok(seconds) => seconds.into(),
        Err(text) => text.into(),
    }
}

fn autoscaling(scheduler: &Scheduler) -> Result<Value, WriteError> {
    let autoscaling = &scheduler.autoscaling;
    let mut out = Map::new();
    out.insert("min".to_owned(), autoscaling.min.into());
    if let Some(max) = autoscaling.max {
        out.insert("max".to_owned(), max.into());
    }
    let list = |direction: Direction| {
        let triggers = autoscaling
            .triggers
            .iter()
            .filter(|trigger| trigger.direction == direction);
        triggers.map(trigger).collect::<Result<Vec<Value>, WriteError>>()
    };
    let sides = [
        ("up", Direction::Up, autoscaling.up_cooldown),
        ("down", Direction::Down, autoscaling.down_cooldown),
    ];
    for (key, direction, cooldown) in sides {
        let mut side = Map::new();
        let triggers = list(direction)?;
        if !triggers.is_empty() {
            side.insert("metricsTrigger".to_owned(), Value::Array(triggers));
        }
        side.insert("cooldown".to_owned(), span(cooldown));
        out.insert(key.to_owned(), Value::Object(side));
    }
    let policies = list(Direction::Both)?;
    if !policies.is_empty() {
        out.insert("policies".to_owned(), Value::Array(policies));
    }
    Ok(Value::Object(out))
}

fn trigger(trigger: &Trigger) -> Result<Value, WriteError> {
    let mut out = Map::new();
    let name = trigger.policy.name.as_str();
    let written = match &trigger.policy.version {
        Some(version) => format!("{name}@{version}"),
        None => name.to_owned(),
    };
    out.insert("type".to_owned(), written.into());
    let parameters = object(&trigger.parameters, &trigger.id)?;
    if BUILT_IN.contains(&name) {
        // Without the key the reader would take its default.
        let lacks_limit = trigger.direction == Direction::Up && !parameters.contains_key("limit");
        out.extend(parameters);
        if lacks_limit {
            out.insert("limit".to_owned(), 0.into());
        }
    } else {
        if !parameters.is_empty() {
            out.insert("parameters".to_owned(), Value::Object(parameters));
        }
        out.insert("window".to_owned(), span(trigger.window));
    }
    if trigger.mode != Mode::Active {
        out.insert("mode".to_owned(), mode_text(trigger.mode).into());
    }
    Ok(Value::Object(out))
}

/// A trigger's mode as a document has it.
fn mode_text(mode: Mode) -> String {
    match mode {
        Mode::Active => "active".to_owned(),
        Mode::Shadow => "shadow".to_owned(),
        Mode::Canary(share) => format!("canary({share})"),
    }
}

fn forwarders(forwarders: &[Forwarder]) -> Result<Value, WriteError> {
    let mut plugins: Map<String, Value> = Map::new();
    for forwarder in forwarders {
        let mut out = Map::new();
        out.insert("enabled".to_owned(), forwarder.enabled.into());
        if !forwarder.forward_response {
            out.insert("forwardResponse".to_owned(), false.into());
        }
        let metadata = object(&forwarder.metadata, &forwarder.name)?;
        if !metadata.is_empty() {
            out.insert("metadata".to_owned(), Value::Object(metadata));
        }
        let plugin = plugins
            .entry(forwarder.plugin.clone())
            .or_insert_with(|| json!({}));
        if let Value::Object(plugin) = plugin {
            plugin.insert(forwarder.name.clone(), Value::Object(out));
        }
    }
    Ok(Value::Object(plugins))
}

fn object(text: &str, place: &str) -> Result<Map<String, Value>, WriteError> {
    serde_json::from_str(text).map_err(|source| WriteError::Json {
        place: place.to_owned(),
        source,
    })
}
