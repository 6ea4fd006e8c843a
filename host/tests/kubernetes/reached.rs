//! Where players reach a room, and what of it stands in the API server.

use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::{Api, DeleteParams, ListParams};
use maestro::cluster::{Cluster, Object, Order};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::room::Phase;
use maestro_core::scheduler::{Protocol, Scheduler};

use crate::bench::{Bench, eventually};

fn services(bench: &Bench, scheduler: &Scheduler) -> Api<Service> {
    Api::namespaced(bench.client.clone(), scheduler.name.as_str())
}

fn is_reachable(object: &Object) -> bool {
    matches!(object.phase, Phase::Running { .. }) && !object.addresses.is_empty()
}

#[tokio::test]
async fn a_room_is_reached_on_its_node_by_ports_of_its_own_service() {
    let bench = Bench::new("reached").await;
    let scheduler = bench.with_image("ports", "any/room:1");
    let room = bench.create(&scheduler, 0x2a).await.unwrap();
    let object = bench.once(&scheduler, &room, is_reachable).await;
    let service = services(&bench, &scheduler).get("room-0000002a").await.unwrap();
    let spec = service.spec.unwrap();
    assert_eq!(spec.external_traffic_policy.as_deref(), Some("Local"));
    assert_eq!(spec.publish_not_ready_addresses, Some(true));
    let given: Vec<_> = spec
        .ports
        .unwrap()
        .iter()
        .map(|port| port.node_port.unwrap())
        .collect();
    let seen: Vec<_> = object.ports.iter().map(|port| i32::from(port.port)).collect();
    assert_eq!(seen, given);
    let names: Vec<_> = object
        .ports
        .iter()
        .map(|port| (port.name.as_str(), port.protocol))
        .collect();
    assert_eq!(names, [("game", Protocol::Udp), ("chat", Protocol::Tcp)]);

    let nodes: Api<Node> = Api::all(bench.client.clone());
    let node = nodes.get(object.node.as_deref().unwrap()).await.unwrap();
    let of_node = node.status.unwrap().addresses.unwrap();
    let internal = of_node
        .iter()
        .find(|address| address.type_ == "InternalIP")
        .unwrap();
    assert_eq!(object.addresses[0].host, internal.address);
    assert_eq!(object.addresses[0].kind, "InternalIP");

    bench
        .kubernetes
        .delete(
            &scheduler.name,
            &room,
            &object.uid,
            maestro_core::time::Span::ZERO,
        )
        .await
        .unwrap();
    eventually("the service goes with its room", async || {
        let left = services(&bench, &scheduler)
            .list(&ListParams::default())
            .await
            .unwrap();
        left.items.is_empty().then_some(())
    })
    .await;
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn a_room_that_lost_its_service_is_given_another() {
    let bench = Bench::new("reached").await;
    let scheduler = bench.with_image("again", "any/room:1");
    let room = bench.create(&scheduler, 1).await.unwrap();
    bench.once(&scheduler, &room, is_reachable).await;
    let api = services(&bench, &scheduler);
    api.delete("room-00000001", &DeleteParams::default())
        .await
        .unwrap();
    let object = bench.once(&scheduler, &room, |object| !object.exposed).await;
    assert_eq!((object.addresses.len(), object.ports.len()), (0, 0));
    bench.kubernetes.expose(&scheduler, &room).await.unwrap();
    bench.kubernetes.expose(&scheduler, &room).await.unwrap();
    let object = bench.once(&scheduler, &room, is_reachable).await;
    assert!(object.exposed);
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn the_examples_and_all_keys_are_accepted_by_the_server() {
    let bench = Bench::new("reached").await;
    let pong = include_str!("../../../deploy/examples/pong.yaml");
    let full = "
name: any
game: Any Game, Really
affinity: game-nodes
toleration: games
containers:
  - name: server
    image: any/server:1
    imagePullPolicy: Always
    ports: [{containerPort: 5050, protocol: UDP, name: clientPort}, {containerPort: 5050, protocol: TCP, name: rcon}]
    requests: {cpu: 250m, memory: 96Mi}
    limits: {cpu: '1', memory: 1000000000}
    env:
      - {name: SECRET, valueFrom: {secretKeyRef: {name: vault, key: password}}}
      - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    cmd: [./server]
  - {name: logger, image: 'any/logger:1'}
autoscaling: {min: 1}
";
    for (document, ports) in [
        (pong, ["gamebinary", "websocket"]),
        (full, ["clientPort", "rcon"]),
    ] {
        let mut scheduler = maestro_wire::document::read(document)
            .unwrap()
            .remove(0)
            .scheduler;
        // Begins with a digit, which a service's name may not.
        let name = format!("2-{}", bench.with_image(&ports[0].to_lowercase(), "any").name);
        scheduler.name = SchedulerName::parse(&name).unwrap();
        let version = Version { major: 3, minor: 7 };
        let order = Order {
            room: RoomId::new(&scheduler.name, 1),
            version,
            token: "secret".to_owned(),
            avoid: Vec::new(),
        };
        bench.kubernetes.create(&scheduler, &order).await.unwrap();
        let object = bench.once(&scheduler, &order.room, is_reachable).await;
        assert_eq!(object.version, version);
        let names: Vec<_> = object.ports.iter().map(|port| port.name.as_str()).collect();
        assert_eq!(names, ports);
        bench.end(&scheduler).await;
    }
}
