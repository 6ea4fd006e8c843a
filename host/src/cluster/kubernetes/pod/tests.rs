//! Rooms' pods, services and namespaces as they are sent, for the documents of `deploy/examples` and each special key.

use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::scheduler::Scheduler;

use super::super::{namespace, service};
use super::*;

/// One without anything that need not be there.
const PLAIN: &str = "
name: plain
game: any
image: any/room:1
autoscaling: {min: 1}
";

/// One with all that a container can have, twice.
const FULL: &str = "
name: 2v2-full
game: Any Game, Really
affinity: game-nodes
toleration: games
shutdownTimeout: 1500ms
containers:
  - name: server
    image: any/server:1
    imagePullPolicy: Always
    ports:
      - {containerPort: 5050, protocol: UDP, name: clientPort}
      - {containerPort: 5050, protocol: TCP, name: rcon}
    requests: {cpu: 250m, memory: 96Mi}
    limits: {cpu: '1', memory: 1000000000}
    env:
      - {name: PLAIN, value: 'quotes \" and $(MAESTRO_ROOM_ID)'}
      - {name: MAESTRO_ROOM_TOKEN, value: mine}
      - name: SECRET
        valueFrom: {secretKeyRef: {name: vault, key: password}}
      - name: NODE
        valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
    cmd: ['./server', '--name', 'it''s mine']
  - name: logger
    image: any/logger:1
    imagePullPolicy: Never
autoscaling: {min: 1}
";

fn scheduler(document: &str) -> Scheduler {
    let mut documents = maestro_wire::document::read(document).unwrap();
    documents.remove(0).scheduler
}

fn made(document: &str) -> Pod {
    let scheduler = scheduler(document);
    let order = Order {
        room: RoomId::new(&scheduler.name, 0x1a),
        version: Version { major: 2, minor: 1 },
        token: "secret".to_owned(),
        avoid: Vec::new(),
    };
    pod(&scheduler, &order, "http://maestro.maestro:8080")
}

/// As the API server answers with it.
fn stored(document: &str) -> Pod {
    let mut pod = made(document);
    pod.metadata.uid = Some("8d3c".to_owned());
    pod
}

#[test]
fn the_pod_of_the_example() {
    insta::assert_yaml_snapshot!(made(include_str!("../../../../../deploy/examples/pong.yaml")));
    assert_eq!(
        made(include_str!("../../../../../deploy/examples/pong.yaml")),
        made(include_str!("../../../../../deploy/examples/pong.json")),
    );
}

#[test]
fn the_pod_of_a_document_with_everything() {
    insta::assert_yaml_snapshot!(made(FULL));
}

#[test]
fn the_pod_of_a_document_with_nothing() {
    insta::assert_yaml_snapshot!(made(PLAIN));
}

#[test]
fn the_service_of_a_room_has_the_ports_of_all_its_containers() {
    insta::assert_yaml_snapshot!(service::service(&stored(FULL)).unwrap());
}

#[test]
fn a_room_without_ports_or_a_pod_that_does_not_exist_has_no_service() {
    assert_eq!(service::service(&stored(PLAIN)), None);
    assert_eq!(service::service(&made(FULL)), None);
}

#[test]
fn a_service_belongs_to_one_pod_and_to_no_later_one_of_its_name() {
    let first = stored(FULL);
    let of_first = service::service(&first).unwrap();
    let mut second = first.clone();
    second.metadata.uid = Some("9e4d".to_owned());
    assert!(service::is_of(&of_first, &first));
    assert!(!service::is_of(&of_first, &second));
}

#[test]
fn the_namespace_and_the_budget_of_a_scheduler() {
    let name = SchedulerName::parse("pong").unwrap();
    insta::assert_yaml_snapshot!((namespace::namespace(&name), namespace::budget(&name)));
}

#[test]
fn a_namespace_is_ours_by_its_marks() {
    use namespace::Standing;

    let ours = namespace::namespace(&SchedulerName::parse("pong").unwrap());
    assert_eq!(namespace::standing(&ours), Standing::Ours);
    let mut lent = ours.clone();
    lent.metadata.annotations = None;
    assert_eq!(namespace::standing(&lent), Standing::Lent);
    let mut foreign = ours.clone();
    foreign.metadata.labels = None;
    assert_eq!(namespace::standing(&foreign), Standing::Foreign);
}

#[test]
fn amounts_are_written_in_units_without_a_rest() {
    for (bytes, expected) in [
        (0, "0"),
        (1_000, "1000"),
        (1_024, "1Ki"),
        (1_536, "1536"),
        (3 << 19, "1536Ki"),
        (1 << 30, "1Gi"),
        (1_000_000_000, "1000000000"),
    ] {
        assert_eq!(memory(bytes), expected);
    }
    assert_eq!(
        [cpu(0), cpu(250), cpu(1_000), cpu(1_500)],
        ["0", "250m", "1", "1500m"]
    );
}

#[test]
fn a_begun_second_counts_whole() {
    assert_eq!(
        [seconds(0), seconds(1), seconds(1_000), seconds(1_001)],
        [0, 1, 1, 2]
    );
}
