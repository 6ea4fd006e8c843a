//! From a scheduler's template to the pod of a room: typed, pure, and the same for the same input.
//!
//! What keeps a room alive stands here too: nothing evicts its pod for the sake of fuller nodes, and a node that falls
//! silent does not end it, because the ping deadline decides about that.

mod beneath;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container as PodContainer, ContainerPort, EnvVar as PodEnvVar, EnvVarSource,
    NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, ObjectFieldSelector, Pod, PodSecurityContext,
    PodSpec, PreferredSchedulingTerm, ResourceRequirements, SeccompProfile, SecretKeySelector,
    SecurityContext, Toleration,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use maestro_core::scheduler::{
    Container, EnvValue, EnvVar, ImagePull, Network, Port, Protocol, Resources, RoomTemplate, Scheduler,
    Security,
};

use super::label;
use crate::cluster::Order;

/// Annotations by which the common autoscalers of nodes leave a pod alone. They hold for its whole life: to write
/// them anew with each match would cost a write per match, and come late.
const UNDISTURBED: [(&str, &str); 2] = [
    ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
    ("karpenter.sh/do-not-disrupt", "true"),
];

/// Taints of nodes that do not answer. Without a time limit on them, rooms outlive a node's silence.
const SILENT_NODES: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// The pod of a room. With `network: hostPort` it holds `host_ports` on its node, one for each of its ports. Fails only on a
/// `podTemplate` that no document can have.
pub(super) fn pod(
    scheduler: &Scheduler,
    order: &Order,
    api_url: &str,
    host_ports: &[u16],
) -> Result<Pod, serde_json::Error> {
    let template = &scheduler.template;
    let ours = Pod {
        metadata: ObjectMeta {
            name: Some(order.room.to_string()),
            namespace: Some(scheduler.name.to_string()),
            labels: Some(label::of_room(&scheduler.name, &order.room, order.version)),
            annotations: Some(annotations(scheduler)),
            ..ObjectMeta::default()
        },
        spec: Some(spec(scheduler, order, api_url, host_ports)),
        status: None,
    };
    let Some(text) = &template.pod_template else {
        return Ok(ours);
    };
    let mut pod = beneath::put(text, &ours)?;
    let begins = pod
        .spec
        .iter_mut()
        .flat_map(|spec| spec.init_containers.iter_mut().flatten());
    for container in begins {
        let context = container.security_context.get_or_insert_default();
        confine(context, template.security);
    }
    Ok(pod)
}

fn spec(scheduler: &Scheduler, order: &Order, api_url: &str, host_ports: &[u16]) -> PodSpec {
    let template = &scheduler.template;
    let given = given(scheduler, order, api_url);
    let mut host_ports = host_ports.iter().copied();
    let containers = template.containers.iter();
    let containers = containers.map(|c| container(c, template.security, &given, &mut host_ports));
    PodSpec {
        containers: containers.collect(),
        affinity: template.affinity.as_deref().map(preferred),
        tolerations: Some(tolerations(template)),
        // An ended process is an ended room.
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: Some(seconds(template.shutdown.ms())),
        automount_service_account_token: Some(false),
        // The variables of all services in the namespace, one per room, would break the start of the thousandth.
        enable_service_links: Some(false),
        security_context: Some(PodSecurityContext {
            run_as_non_root: (template.security == Security::Restricted).then_some(true),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    }
}

/// Takes from a container what no room has.
fn confine(context: &mut SecurityContext, security: Security) {
    context.allow_privilege_escalation = Some(false);
    if security == Security::Restricted {
        let capabilities = context.capabilities.get_or_insert_with(Capabilities::default);
        capabilities.drop = Some(vec!["ALL".to_owned()]);
    }
}

/// Whole seconds, the begun one included; Kubernetes counts in these.
pub(super) fn seconds(ms: u64) -> i64 {
    i64::try_from(ms.div_ceil(1_000)).unwrap_or(i64::MAX)
}

/// A protocol's name in Kubernetes.
fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}

fn annotations(scheduler: &Scheduler) -> BTreeMap<String, String> {
    let mut annotations: BTreeMap<String, String> = UNDISTURBED
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    annotations.insert(label::GAME.to_owned(), scheduler.game.clone());
    let ports = || scheduler.template.containers.iter().flat_map(|c| &c.ports);
    if ports().any(|port| port.name.contains(|c: char| c.is_ascii_uppercase())) {
        let names: Vec<&str> = ports().map(|port| port.name.as_str()).collect();
        annotations.insert(label::PORTS.to_owned(), names.join(","));
    }
    // Pods of older releases have none, and services.
    let network = match scheduler.template.network {
        Network::NodePort => None,
        Network::HostPort => Some(label::HOST_PORT),
        Network::Pod => Some(label::POD),
    };
    if let Some(network) = network {
        annotations.insert(label::NETWORK.to_owned(), network.to_owned());
    }
    annotations
}

fn tolerations(template: &RoomTemplate) -> Vec<Toleration> {
    let silent = SILENT_NODES.map(|key| Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        ..Toleration::default()
    });
    // Without an effect it is all of them.
    let dedicated = template.toleration.as_ref().map(|value| Toleration {
        key: Some("dedicated".to_owned()),
        operator: Some("Equal".to_owned()),
        value: Some(value.clone()),
        ..Toleration::default()
    });
    silent.into_iter().chain(dedicated).collect()
}

/// Prefers nodes with this label, and takes others when those are full.
fn preferred(key: &str) -> Affinity {
    let with_label = NodeSelectorTerm {
        match_expressions: Some(vec![NodeSelectorRequirement {
            key: key.to_owned(),
            operator: "In".to_owned(),
            values: Some(vec!["true".to_owned()]),
        }]),
        match_fields: None,
    };
    Affinity {
        node_affinity: Some(NodeAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![PreferredSchedulingTerm {
                preference: with_label,
                // The greatest: what the document asks for goes before the scheduler's own liking.
                weight: 100,
            }]),
            required_during_scheduling_ignored_during_execution: None,
        }),
        ..Affinity::default()
    }
}

fn container(
    container: &Container,
    security: Security,
    given: &[PodEnvVar],
    host_ports: &mut impl Iterator<Item = u16>,
) -> PodContainer {
    let is_free = |var: &&EnvVar| given.iter().all(|ours| ours.name != var.name);
    // Ours first: the document's can refer to them as $(NAME).
    let env = given.iter().cloned();
    let env = env.chain(container.env.iter().filter(is_free).map(variable));
    let mut confined = SecurityContext::default();
    confine(&mut confined, security);
    let mut port = |port: &Port| ContainerPort {
        name: Some(port.name.to_ascii_lowercase()),
        container_port: i32::from(port.container_port),
        host_port: host_ports.next().map(i32::from),
        protocol: Some(protocol(port.protocol).to_owned()),
        ..ContainerPort::default()
    };
    PodContainer {
        name: container.name.clone(),
        image: Some(container.image.clone()),
        image_pull_policy: Some(pull(container.pull).to_owned()),
        command: (!container.cmd.is_empty()).then(|| container.cmd.clone()),
        env: Some(env.collect()),
        ports: (!container.ports.is_empty()).then(|| container.ports.iter().map(&mut port).collect()),
        resources: resources(container),
        // The last words of a room that died are the reason that people are shown.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        security_context: Some(confined),
        ..PodContainer::default()
    }
}

fn pull(pull: ImagePull) -> &'static str {
    match pull {
        ImagePull::Always => "Always",
        ImagePull::IfNotPresent => "IfNotPresent",
        ImagePull::Never => "Never",
    }
}

/// What each room is told of itself. Its ports are those of its containers, so that a program which asks for them runs
/// here as it does among local processes.
fn given(scheduler: &Scheduler, order: &Order, api_url: &str) -> Vec<PodEnvVar> {
    let of_room = [
        ("MAESTRO_SCHEDULER_NAME", scheduler.name.to_string()),
        ("MAESTRO_ROOM_ID", order.room.to_string()),
        ("MAESTRO_API_URL", api_url.to_owned()),
        ("MAESTRO_ROOM_TOKEN", order.token.clone()),
    ];
    let of_room = of_room.map(|(name, value)| (name.to_owned(), value));
    let ports = scheduler.template.containers.iter().flat_map(|c| &c.ports);
    let of_ports = ports.map(|port| {
        let name = port.name.to_ascii_uppercase().replace('-', "_");
        (format!("MAESTRO_PORT_{name}"), port.container_port.to_string())
    });
    let variable = |(name, value)| PodEnvVar {
        name,
        value: Some(value),
        value_from: None,
    };
    of_room.into_iter().chain(of_ports).map(variable).collect()
}

fn variable(var: &EnvVar) -> PodEnvVar {
    let (value, value_from) = match &var.value {
        EnvValue::Literal(text) => (Some(text.clone()), None),
        EnvValue::SecretKey { name, key } => {
            let secret = SecretKeySelector {
                name: name.clone(),
                key: key.clone(),
                optional: None,
            };
            let source = EnvVarSource {
                secret_key_ref: Some(secret),
                ..EnvVarSource::default()
            };
            (None, Some(source))
        }
        EnvValue::Field { path } => {
            let field = ObjectFieldSelector {
                api_version: None,
                field_path: path.clone(),
            };
            let source = EnvVarSource {
                field_ref: Some(field),
                ..EnvVarSource::default()
            };
            (None, Some(source))
        }
    };
    PodEnvVar {
        name: var.name.clone(),
        value,
        value_from,
    }
}

fn resources(container: &Container) -> Option<ResourceRequirements> {
    let (requests, limits) = (amounts(&container.requests), amounts(&container.limits));
    (requests.is_some() || limits.is_some()).then_some(ResourceRequirements {
        requests,
        limits,
        claims: None,
    })
}

fn amounts(resources: &Resources) -> Option<BTreeMap<String, Quantity>> {
    let cpu = resources.cpu_milli.map(|milli| ("cpu", cpu(milli)));
    let memory = resources.memory_bytes.map(|bytes| ("memory", memory(bytes)));
    let amounts: BTreeMap<String, Quantity> = cpu
        .into_iter()
        .chain(memory)
        .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
        .collect();
    (!amounts.is_empty()).then_some(amounts)
}

fn cpu(milli: u64) -> String {
    match milli % 1_000 {
        0 => (milli / 1_000).to_string(),
        _ => format!("{milli}m"),
    }
}

/// In the largest unit that leaves no rest.
fn memory(bytes: u64) -> String {
    let units = [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];
    let unit = units
        .into_iter()
        .find(|(size, _)| bytes >= *size && bytes.is_multiple_of(*size));
    match unit {
        Some((size, name)) => format!("{}{name}", bytes / size),
        None => bytes.to_string(),
    }
}
