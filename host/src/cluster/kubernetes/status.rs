//! What a pod and its service say of a room: its phase with the reason, and where it is reached. Pure.

#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1::{
    ContainerPort, ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodStatus, Service,
    ServicePort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use maestro_core::names::{SchedulerName, Version};
use maestro_core::room::{Address, OpenPort, Phase};
use maestro_core::scheduler::{Network, Protocol};
use maestro_core::time::Timestamp;

use super::{address, label, service};
use crate::cluster::Object;

/// The room that this pod is; `None` when it is none of this scheduler's.
pub(super) fn object(
    scheduler: &SchedulerName,
    pod: &Pod,
    of_pod: Option<&Service>,
    addresses: Vec<Address>,
) -> Option<Object> {
    let metadata = &pod.metadata;
    let room = label::room(metadata, scheduler)?;
    let version = label::get(metadata, label::VERSION).and_then(|text| Version::parse(text).ok())?;
    let phase = phase(pod);
    let has_ports = service::ports(pod).next().is_some();
    let network = service::network(pod);
    let (addresses, ports) = match network {
        Network::NodePort => (
            addresses,
            of_pod.map(|service| served(pod, service)).unwrap_or_default(),
        ),
        Network::HostPort => (addresses, open_ports(pod, |port| port.host_port)),
        Network::Pod => (
            own_addresses(pod),
            open_ports(pod, |port| Some(port.container_port)),
        ),
    };
    let is_over = matches!(phase, Phase::Exited { .. });
    let is_reachable = !is_over && !addresses.is_empty() && (!has_ports || !ports.is_empty());
    let (addresses, ports) = if is_reachable {
        (addresses, ports)
    } else {
        Default::default()
    };
    Some(Object {
        room,
        uid: metadata.uid.clone()?,
        version,
        phase,
        deleting: metadata.deletion_timestamp.is_some(),
        node: node(pod).map(str::to_owned),
        addresses,
        ports,
        exposed: !has_ports || network != Network::NodePort || of_pod.is_some(),
    })
}

/// The node that the pod was placed on.
pub(super) fn node(pod: &Pod) -> Option<&str> {
    let name = pod.spec.as_ref()?.node_name.as_deref();
    name.filter(|name| !name.is_empty())
}

/// The pod's own addresses, IPv6 too.
fn own_addresses(pod: &Pod) -> Vec<Address> {
    let status = pod.status.iter();
    let listed = status.clone().flat_map(|status| status.pod_ips.iter().flatten());
    let mut hosts: Vec<&str> = listed.map(|address| address.ip.as_str()).collect();
    if hosts.is_empty() {
        hosts.extend(status.filter_map(|status| status.pod_ip.as_deref()));
    }
    hosts.retain(|host| !host.is_empty());
    let address = |host: &str| Address {
        kind: "PodIP".to_owned(),
        family: address::family(host).to_owned(),
        host: host.to_owned(),
    };
    hosts.into_iter().map(address).collect()
}

/// The ports of its service.
fn served(pod: &Pod, of_pod: &Service) -> Vec<OpenPort> {
    let served: Vec<&ServicePort> = of_pod
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten())
        .collect();
    open_ports(pod, |port| {
        let served = served.iter().find(|served| served.name == port.name)?;
        served.node_port
    })
}

/// Its ports as seen from outside, each with the number that `number` gives it; all of them, or none.
fn open_ports(pod: &Pod, number: impl Fn(&ContainerPort) -> Option<i32>) -> Vec<OpenPort> {
    let written = label::annotation(&pod.metadata, label::PORTS).unwrap_or_default();
    let open = |port: &ContainerPort| {
        let name = port.name.as_deref()?;
        let as_written = written.split(',').find(|other| other.eq_ignore_ascii_case(name));
        Some(OpenPort {
            name: as_written.unwrap_or(name).to_owned(),
            protocol: match port.protocol.as_deref() {
                Some("UDP") => Protocol::Udp,
                _ => Protocol::Tcp,
            },
            port: u16::try_from(number(port)?).ok().filter(|number| *number > 0)?,
        })
    };
    service::ports(pod)
        .map(open)
        .collect::<Option<Vec<_>>>()
        .unwrap_or_default()
}

/// The ports of its node that the pod holds.
pub(super) fn host_ports(pod: &Pod) -> Vec<u16> {
    let numbers = service::ports(pod).filter_map(|port| port.host_port);
    numbers.filter_map(|number| u16::try_from(number).ok()).collect()
}

fn phase(pod: &Pod) -> Phase {
    let Some(status) = &pod.status else {
        return Phase::Pending {
            reason: String::new(),
        };
    };
    if let Some(ended) = ended(pod, status).or_else(|| crowded_out(pod, status)) {
        return ended;
    }
    let created = || pod.metadata.creation_timestamp.as_ref();
    match status.phase.as_deref() {
        // `Unknown` is a node that fell silent. Its rooms may well run; the ping deadline decides.
        Some("Running" | "Unknown") => {
            let starts = statuses(status).filter_map(|container| container.state.as_ref()?.running.as_ref());
            let last = starts.filter_map(|running| running.started_at.as_ref()).max();
            let since = last.or(status.start_time.as_ref()).or_else(created);
            Phase::Running {
                since: since.map(timestamp).unwrap_or_default(),
            }
        }
        _ => Phase::Pending {
            reason: waiting(status).unwrap_or_default().to_owned(),
        },
    }
}

/// Why it does not start. `ContainerCreating` and the like are no reason.
fn waiting(status: &PodStatus) -> Option<&str> {
    let waits = statuses(status).filter_map(|container| container.state.as_ref()?.waiting.as_ref());
    let reasons = waits.filter_map(|waiting| waiting.reason.as_deref());
    let mut telling = reasons.filter(|reason| !matches!(*reason, "ContainerCreating" | "PodInitializing"));
    telling.next().or_else(|| {
        let placed = condition(status, "PodScheduled").filter(|condition| condition.status == "False")?;
        placed.reason.as_deref()
    })
}

/// How it ended, if it did. A room of several containers has ended when one with ports has, because nobody can
/// play there any more; those without may come and go.
fn ended(pod: &Pod, status: &PodStatus) -> Option<Phase> {
    let all_ended = matches!(status.phase.as_deref(), Some("Failed" | "Succeeded"));
    let serving: Vec<&str> = serving(pod);
    let ends = || {
        statuses(status)
            .filter(|container| all_ended || serving.contains(&container.name.as_str()))
            .filter_map(terminated)
    };
    let failed = ends().find(|end| end.exit_code != 0);
    let end = failed.or_else(|| ends().next());
    if end.is_none() && !all_ended {
        return None;
    }
    let finished = end.and_then(|end| end.finished_at.as_ref());
    let at = finished
        .or_else(|| transitions(status).max())
        .or(status.start_time.as_ref())
        .or(pod.metadata.creation_timestamp.as_ref());
    Some(Phase::Exited {
        at: at.map(timestamp).unwrap_or_default(),
        code: end.map(|end| end.exit_code),
        reason: of_pod(status)
            .or_else(|| end.map(of_container))
            .unwrap_or_default(),
    })
}

/// A room for whose ports there is no node will not start, but another one may, which has other ports: so it has ended.
/// Kubernetes says that in the text only.
fn crowded_out(pod: &Pod, status: &PodStatus) -> Option<Phase> {
    let held = host_ports(pod);
    let placed = condition(status, "PodScheduled").filter(|condition| condition.status == "False")?;
    let message = placed.message.as_deref().unwrap_or_default();
    if held.is_empty() || !message.contains("didn't have free ports") {
        return None;
    }
    let at = placed
        .last_transition_time
        .as_ref()
        .or(pod.metadata.creation_timestamp.as_ref());
    let held: Vec<String> = held.iter().map(u16::to_string).collect();
    Some(Phase::Exited {
        at: at.map(timestamp).unwrap_or_default(),
        code: None,
        reason: format!(
            "HostPortTaken; no node that fits has port {} free",
            held.join(", ")
        ),
    })
}

/// The containers that players talk to; all of them where none has ports.
fn serving(pod: &Pod) -> Vec<&str> {
    let containers = || pod.spec.iter().flat_map(|spec| &spec.containers);
    let with_ports = containers().filter(|container| container.ports.iter().flatten().next().is_some());
    let names: Vec<&str> = with_ports.map(|container| container.name.as_str()).collect();
    match names.is_empty() {
        true => containers().map(|container| container.name.as_str()).collect(),
        false => names,
    }
}

/// How a container ended. One that waits to be started again has ended too: it was the room.
fn terminated(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let state = container.state.as_ref()?;
    let before = || container.last_state.as_ref()?.terminated.as_ref();
    state.terminated.as_ref().or_else(|| match state.waiting {
        Some(_) => before(),
        None => None,
    })
}

/// Why the whole pod ended: evicted, preempted, its node deleted.
fn of_pod(status: &PodStatus) -> Option<String> {
    let of_status = status
        .reason
        .as_deref()
        .map(|reason| (reason, status.message.as_deref()));
    let disrupted = || {
        let condition =
            condition(status, "DisruptionTarget").filter(|condition| condition.status == "True")?;
        Some((condition.reason.as_deref()?, condition.message.as_deref()))
    };
    let (reason, message) = of_status.or_else(disrupted)?;
    Some(joined(reason, message.unwrap_or_default()))
}

/// `OOMKilled`, the last line that the container wrote, or both.
fn of_container(end: &ContainerStateTerminated) -> String {
    let word = match end.reason.as_deref() {
        // These say what the exit code says.
        None | Some("Error" | "Completed") => "",
        Some(word) => word,
    };
    let lines = end.message.as_deref().unwrap_or_default().lines();
    let last = lines.map(str::trim).rfind(|line| !line.is_empty());
    joined(word, last.unwrap_or_default())
}

fn joined(word: &str, line: &str) -> String {
    match (word, line) {
        ("", line) => line.to_owned(),
        (word, "") => word.to_owned(),
        (word, line) => format!("{word}; {line}"),
    }
}

fn statuses(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.container_statuses.iter().flatten()
}

fn condition<'s>(status: &'s PodStatus, kind: &str) -> Option<&'s PodCondition> {
    let mut conditions = status.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == kind)
}

fn transitions(status: &PodStatus) -> impl Iterator<Item = &Time> {
    let conditions = status.conditions.iter().flatten();
    conditions.filter_map(|condition| condition.last_transition_time.as_ref())
}

fn timestamp(time: &Time) -> Timestamp {
    Timestamp::from_ms(time.0.as_millisecond())
}
