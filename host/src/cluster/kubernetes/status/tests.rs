//! What people are told of a room, for each thing that a pod may say.

use maestro_core::names::SchedulerName;
use serde_json::{Value, json};

use super::*;

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;

fn pod(status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": "pong-0000001a",
            "uid": "8d3c",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                "maestro.dev/scheduler": "pong",
                "maestro.dev/room": "pong-0000001a",
                "maestro.dev/version": "v1.2",
            },
            "annotations": {"maestro.dev/ports": "clientPort,rcon"},
        },
        "spec": {
            "nodeName": "node-7",
            "containers": [
                {"name": "logger"},
                {"name": "server", "ports": [
                    {"name": "clientport", "containerPort": 5050, "protocol": "UDP"},
                    {"name": "rcon", "containerPort": 5051},
                ]},
            ],
        },
        "status": status,
    }))
    .unwrap()
}

fn served(ports: Value) -> Service {
    serde_json::from_value(json!({"metadata": {}, "spec": {"ports": ports}})).unwrap()
}

fn complete() -> Service {
    served(json!([
        {"name": "clientport", "port": 5050, "protocol": "UDP", "nodePort": 30001},
        {"name": "rcon", "port": 5051, "protocol": "TCP", "nodePort": 30002},
    ]))
}

fn seen(pod: &Pod, service: Option<&Service>) -> Object {
    let address = Address {
        kind: "ExternalIP".to_owned(),
        family: "IPv4".to_owned(),
        host: "203.0.113.7".to_owned(),
    };
    let name = SchedulerName::parse("pong").unwrap();
    object(&name, pod, service, vec![address]).unwrap()
}

/// A status with these states of the logger and of the server.
fn status(phase: &str, logger: Value, server: Value) -> Value {
    let container = |name: &str, state: Value| json!({"name": name, "image": "any", "imageID": "", "ready": true, "restartCount": 0, "state": state});
    json!({
        "phase": phase,
        "startTime": "2026-01-01T00:00:01Z",
        "containerStatuses": [container("logger", logger), container("server", server)],
    })
}

fn running() -> Value {
    json!({"running": {"startedAt": "2026-01-01T00:00:05Z"}})
}

fn ended(code: i32, reason: &str, message: &str) -> Value {
    json!({"terminated": {
        "exitCode": code, "reason": reason, "message": message, "finishedAt": "2026-01-01T00:00:09Z",
    }})
}

fn pending(reason: &str) -> Phase {
    Phase::Pending {
        reason: reason.to_owned(),
    }
}

fn exited(after_ms: i64, code: Option<i32>, reason: &str) -> Phase {
    Phase::Exited {
        at: Timestamp::from_ms(START + after_ms),
        code,
        reason: reason.to_owned(),
    }
}

fn check(status: Value, expected: Phase) {
    assert_eq!(phase(&pod(status)), expected);
}

#[test]
fn a_room_that_does_not_start_says_why() {
    let waiting = |reason: &str| json!({"waiting": {"reason": reason, "message": "any"}});
    check(Value::Null, pending(""));
    check(json!({"phase": "Pending"}), pending(""));
    for (reason, told) in [
        ("ContainerCreating", ""),
        ("PodInitializing", ""),
        ("ImagePullBackOff", "ImagePullBackOff"),
        ("CreateContainerConfigError", "CreateContainerConfigError"),
    ] {
        check(
            status("Pending", waiting("ContainerCreating"), waiting(reason)),
            pending(told),
        );
    }
    let unplaced = |status: &str| {
        json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": status, "reason": "Unschedulable", "message": "0/7 nodes are available"},
        ]})
    };
    check(unplaced("False"), pending("Unschedulable"));
    check(unplaced("True"), pending(""));
}

#[test]
fn a_room_runs_since_its_last_container_began() {
    let since = Phase::Running {
        since: Timestamp::from_ms(START + 5_000),
    };
    let earlier = json!({"running": {"startedAt": "2026-01-01T00:00:02Z"}});
    check(status("Running", earlier, running()), since.clone());
    // Its node fell silent.
    check(status("Unknown", running(), running()), since);
}

#[test]
fn an_end_tells_its_code_and_its_last_words() {
    for (code, reason, message, told) in [
        (0, "Completed", "", ""),
        (3, "Error", "starting\nno licence\n\n", "no licence"),
        (137, "OOMKilled", "", "OOMKilled"),
        (137, "OOMKilled", "loading map", "OOMKilled; loading map"),
        (
            128,
            "StartError",
            "exec: \"./room\": not found",
            "StartError; exec: \"./room\": not found",
        ),
    ] {
        let status = status("Failed", ended(0, "Completed", ""), ended(code, reason, message));
        check(status, exited(9_000, Some(code), told));
    }
}

#[test]
fn a_room_ends_with_the_container_that_players_talk_to() {
    check(
        status("Running", running(), ended(1, "Error", "bye")),
        exited(9_000, Some(1), "bye"),
    );
    let without_logger = status("Running", ended(1, "Error", "disk full"), running());
    assert!(matches!(phase(&pod(without_logger)), Phase::Running { .. }));
}

#[test]
fn a_container_that_waits_to_be_started_again_has_ended() {
    let mut status = status(
        "Running",
        running(),
        json!({"waiting": {"reason": "CrashLoopBackOff"}}),
    );
    status["containerStatuses"][1]["lastState"] = ended(137, "OOMKilled", "");
    check(status, exited(9_000, Some(137), "OOMKilled"));
}

#[test]
fn a_pod_that_was_taken_away_says_by_whom() {
    check(
        json!({
            "phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory.",
            "startTime": "2026-01-01T00:00:01Z",
        }),
        exited(1_000, None, "Evicted; The node was low on resource: memory."),
    );
    let mut lost = status("Failed", running(), running());
    lost["conditions"] = json!([{
        "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists", "lastTransitionTime": "2026-01-01T00:00:30Z",
    }]);
    check(
        lost,
        exited(30_000, None, "DeletionByPodGC; PodGC: node no longer exists"),
    );
}

/// Its node is unreachable, or somebody removes it: until it has ended there may be a match in it.
#[test]
fn a_room_that_is_being_taken_away_runs_until_it_has_ended() {
    let mut status = status("Running", running(), running());
    status["conditions"] = json!([
        {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:20Z"},
        {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
         "message": "Taint manager: deleting due to NoExecute taint", "lastTransitionTime": "2026-01-01T00:00:30Z"},
    ]);
    let mut pod = pod(status.clone());
    pod.metadata.deletion_timestamp = pod.metadata.creation_timestamp.clone();
    let object = seen(&pod, Some(&complete()));
    assert!(object.deleting && matches!(object.phase, Phase::Running { .. }));
    status["phase"] = json!("Failed");
    check(
        status,
        exited(
            30_000,
            None,
            "DeletionByTaintManager; Taint manager: deleting due to NoExecute taint",
        ),
    );
}

#[test]
fn a_room_is_reachable_when_all_of_its_ports_are() {
    let pod = pod(status("Running", running(), running()));
    let object = seen(&pod, Some(&complete()));
    assert!(object.exposed && !object.deleting);
    assert_eq!(
        (object.addresses.len(), object.node.as_deref()),
        (1, Some("node-7"))
    );
    let ports: Vec<_> = object
        .ports
        .iter()
        .map(|p| (p.name.as_str(), p.protocol, p.port))
        .collect();
    assert_eq!(
        ports,
        [
            ("clientPort", Protocol::Udp, 30_001),
            ("rcon", Protocol::Tcp, 30_002)
        ]
    );

    let half = served(
        json!([{"name": "clientport", "port": 5050, "protocol": "UDP", "nodePort": 30001}, {"name": "rcon", "port": 5051}]),
    );
    for service in [None, Some(&half)] {
        let object = seen(&pod, service);
        assert_eq!((object.addresses.len(), object.ports.len()), (0, 0));
        assert_eq!(object.exposed, service.is_some());
    }
}

/// The same pod, reached in another way, with the address that Kubernetes gave it.
fn reached_by(network: &str) -> Pod {
    let mut pod = pod(status("Running", running(), running()));
    let annotations = pod.metadata.annotations.as_mut().unwrap();
    annotations.insert("maestro.dev/network".to_owned(), network.to_owned());
    let ports = pod.spec.as_mut().unwrap().containers[1].ports.as_mut().unwrap();
    if network == "hostPort" {
        ports[0].host_port = Some(7_001);
        ports[1].host_port = Some(7_002);
    }
    pod
}

/// Addresses and ports, as a person reads them.
type Reached<'o> = (Vec<(&'o str, &'o str, &'o str)>, Vec<(&'o str, u16)>);

fn told(object: &Object) -> Reached<'_> {
    let addresses = object.addresses.iter();
    let addresses = addresses.map(|a| (a.kind.as_str(), a.family.as_str(), a.host.as_str()));
    let ports = object.ports.iter().map(|port| (port.name.as_str(), port.port));
    (addresses.collect(), ports.collect())
}

#[test]
fn a_room_that_holds_ports_of_its_node_is_reached_there_without_a_service() {
    let mut pod = reached_by("hostPort");
    let object = seen(&pod, None);
    assert!(object.exposed);
    let node = vec![("ExternalIP", "IPv4", "203.0.113.7")];
    assert_eq!(
        told(&object),
        (node, vec![("clientPort", 7_001), ("rcon", 7_002)])
    );
    assert_eq!(host_ports(&pod), [7_001, 7_002]);
    pod.spec.as_mut().unwrap().containers[1].ports.as_mut().unwrap()[1].host_port = None;
    assert_eq!(
        told(&seen(&pod, None)),
        (vec![], vec![]),
        "half of its ports are none"
    );
}

#[test]
fn a_room_that_is_reached_by_its_own_address_has_one_once_kubernetes_gave_it_one() {
    let mut pod = reached_by("pod");
    let object = seen(&pod, None);
    assert_eq!((object.exposed, told(&object)), (true, (vec![], vec![])));
    pod.status.as_mut().unwrap().pod_ip = Some("10.1.0.9".to_owned());
    let ports = vec![("clientPort", 5_050), ("rcon", 5_051)];
    assert_eq!(
        told(&seen(&pod, None)),
        (vec![("PodIP", "IPv4", "10.1.0.9")], ports.clone())
    );
    let both: PodStatus = serde_json::from_value(json!({
        "phase": "Running", "podIP": "10.1.0.9", "podIPs": [{"ip": "10.1.0.9"}, {"ip": "fd00::9"}],
    }))
    .unwrap();
    pod.status = Some(both);
    let addresses = vec![("PodIP", "IPv4", "10.1.0.9"), ("PodIP", "IPv6", "fd00::9")];
    assert_eq!(told(&seen(&pod, None)), (addresses, ports));
}

#[test]
fn a_room_for_whose_ports_there_is_no_node_has_ended_so_that_one_with_others_is_made() {
    let unplaced = |pod: &mut Pod, message: &str| {
        let status = json!({"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastTransitionTime": "2026-01-01T00:00:02Z",
        }]});
        pod.status = Some(serde_json::from_value(status).unwrap());
        phase(pod)
    };
    let taken = "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't have free ports for the requested pod ports.";
    let mut held = reached_by("hostPort");
    let reason = "HostPortTaken; no node that fits has port 7001, 7002 free";
    assert_eq!(unplaced(&mut held, taken), exited(2_000, None, reason));
    assert_eq!(
        unplaced(&mut held, "0/3 nodes are available: 3 Insufficient cpu."),
        pending("Unschedulable")
    );
    assert_eq!(unplaced(&mut reached_by("pod"), taken), pending("Unschedulable"));
}

#[test]
fn an_ended_room_is_reachable_nowhere() {
    let pod = pod(status(
        "Failed",
        ended(0, "Completed", ""),
        ended(0, "Completed", ""),
    ));
    let object = seen(&pod, Some(&complete()));
    assert_eq!((object.addresses.len(), object.ports.len()), (0, 0));
}

#[test]
fn a_room_without_ports_needs_no_service() {
    let mut pod = pod(status("Running", running(), running()));
    pod.spec.as_mut().unwrap().containers.remove(1);
    let object = seen(&pod, None);
    assert!(object.exposed);
    assert_eq!((object.addresses.len(), object.ports.len()), (1, 0));
}

#[test]
fn what_is_not_the_schedulers_is_no_room_of_it() {
    let ours = pod(status("Running", running(), running()));
    let check = |change: fn(&mut Pod)| {
        let mut pod = ours.clone();
        change(&mut pod);
        assert_eq!(
            object(&SchedulerName::parse("pong").unwrap(), &pod, None, Vec::new()),
            None
        );
    };
    check(|pod| pod.metadata.labels = None);
    check(|pod| {
        let labels = pod.metadata.labels.as_mut().unwrap();
        labels.insert("maestro.dev/scheduler".to_owned(), "ping".to_owned());
    });
    check(|pod| {
        let labels = pod.metadata.labels.as_mut().unwrap();
        labels.insert("maestro.dev/version".to_owned(), "latest".to_owned());
    });
}
