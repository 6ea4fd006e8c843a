//! The service that makes a room reachable: one per room, on a port of its node, and gone with its pod.
//!
//! It is made of the pod and not of the scheduler, so that a room of an older version keeps the ports it has.

use k8s_openapi::api::core::v1::{ContainerPort, Pod, Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use maestro_core::scheduler::Network;

use super::label;

/// The ports that the pod's containers listen on.
pub(super) fn ports(pod: &Pod) -> impl Iterator<Item = &ContainerPort> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.flat_map(|container| container.ports.iter().flatten())
}

/// How players reach this pod.
pub(super) fn network(pod: &Pod) -> Network {
    match label::annotation(&pod.metadata, label::NETWORK) {
        Some(label::HOST_PORT) => Network::HostPort,
        Some(label::POD) => Network::Pod,
        Some(_) | None => Network::NodePort,
    }
}

/// The service of a pod that exists; `None` for one without ports, and for one that is reached without.
pub(super) fn service(pod: &Pod) -> Option<Service> {
    if network(pod) != Network::NodePort {
        return None;
    }
    let room = pod.metadata.name.as_deref()?;
    let uid = pod.metadata.uid.clone()?;
    let ports: Vec<ServicePort> = ports(pod).map(service_port).collect();
    if ports.is_empty() {
        return None;
    }
    let selector = [(label::ROOM.to_owned(), room.to_owned())];
    Some(Service {
        metadata: ObjectMeta {
            name: Some(name(room)),
            namespace: pod.metadata.namespace.clone(),
            labels: pod.metadata.labels.clone(),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Pod".to_owned(),
                name: room.to_owned(),
                uid,
                controller: None,
                // The pod does not wait for it.
                block_owner_deletion: Some(false),
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            type_: Some("NodePort".to_owned()),
            selector: Some(selector.into()),
            ports: Some(ports),
            // Players are told the node that the room is on; others would only pass packets on, under another address.
            external_traffic_policy: Some("Local".to_owned()),
            // Whether a room takes players is what it says to Maestro, not what a probe says to Kubernetes.
            publish_not_ready_addresses: Some(true),
            ip_family_policy: Some("PreferDualStack".to_owned()),
            ..ServiceSpec::default()
        }),
        status: None,
    })
}

/// A service's name must begin with a letter, which a scheduler's need not; the room's suffix is unique in its
/// scheduler's namespace.
pub(super) fn name(room: &str) -> String {
    let suffix = room.rsplit_once('-').map_or(room, |(_, suffix)| suffix);
    format!("room-{suffix}")
}

/// Whether this service was made for this very pod, and not for an earlier one of its name.
pub(super) fn is_of(service: &Service, pod: &Pod) -> bool {
    let mut owners = service.metadata.owner_references.iter().flatten();
    let is_kept = service.metadata.deletion_timestamp.is_none();
    is_kept && owners.any(|owner| Some(&owner.uid) == pod.metadata.uid.as_ref())
}

fn service_port(port: &ContainerPort) -> ServicePort {
    ServicePort {
        name: port.name.clone(),
        port: port.container_port,
        target_port: Some(IntOrString::Int(port.container_port)),
        protocol: port.protocol.clone(),
        ..ServicePort::default()
    }
}
