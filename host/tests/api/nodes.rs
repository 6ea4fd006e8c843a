//! Nodes, as rooms and people tell of them.

use maestro::registry::{Registry, Seen};
use maestro_core::names::RoomId;
use maestro_core::time::Span;
use serde_json::{Value, json};

use super::client::request;
use super::harness::{Host, pong};

/// Puts a room on a node, which may be left or lost.
async fn place(host: &Host, room: &RoomId, node: &str, (leaving, node_lost): (Option<&str>, bool)) {
    let known = host.registry.room(&pong(), room).await.unwrap().unwrap();
    let seen = Seen {
        phase: known.phase,
        node: Some(node.to_owned()),
        leaving: leaving.map(str::to_owned),
        node_lost,
        addresses: known.addresses,
        ports: known.ports,
    };
    let fence = host.lease().await;
    host.registry.observe(&fence, room, seen).await.unwrap();
}

#[tokio::test]
async fn nodes_are_told_by_their_rooms_and_by_who_drains_them() {
    let host = Host::with_pong().await;
    assert_eq!(host.get("/nodes").await, json!({ "nodes": [] }));
    let (one, two, three) = (host.room(1).await, host.room(2).await, host.room(3).await);
    for (room, status, node) in [
        (&one, "ready", "a"),
        (&two, "occupied", "b"),
        (&three, "ready", "b"),
    ] {
        host.report(room, status).await;
        place(&host, room, node, (None, false)).await;
    }
    let node = |nodes: &Value, at: usize| nodes["nodes"][at].clone();
    let nodes = host.get("/nodes").await;
    let a = json!({
        "name": "a", "standing": "open", "roomsByState": { "ready": 1 }, "rooms": 1, "matches": 0,
        "schedulers": ["pong"],
    });
    let b = json!({
        "name": "b", "standing": "open", "roomsByState": { "occupied": 1, "ready": 1 }, "rooms": 2, "matches": 1,
        "schedulers": ["pong"],
    });
    assert_eq!(nodes, json!({ "nodes": [a, b] }));

    let drained = host.send(request("PUT /nodes/b/drain")).await.ok();
    let since = json!("2023-11-14T22:13:20.000Z");
    assert_eq!(
        (
            &drained["standing"],
            &drained["why"],
            &drained["drainedSince"],
            &drained["matches"]
        ),
        (&json!("leaving"), &json!("is being drained"), &since, &json!(1))
    );
    host.pass(Span::from_secs(5));
    let again = host.send(request("PUT /nodes/b/drain")).await.ok();
    assert_eq!(again, drained, "twice is harmless");
    let empty = host.send(request("PUT /nodes/c.example/drain")).await.ok();
    assert_eq!(
        (&empty["standing"], &empty["rooms"]),
        (&json!("leaving"), &json!(0))
    );
    let nodes = host.get("/nodes").await;
    assert_eq!(nodes["nodes"].as_array().map(Vec::len), Some(3));

    place(&host, &one, "a", (None, true)).await;
    let lost = node(&host.get("/nodes").await, 0);
    let why = json!("is not heard of any more");
    assert_eq!((&lost["standing"], &lost["why"]), (&json!("lost"), &why));
    let path = format!("/scheduler/pong/rooms/{one}");
    assert_eq!(host.get(&path).await["nodeLost"], true);

    place(&host, &one, "a", (Some("is cordoned"), false)).await;
    let cordoned = node(&host.get("/nodes").await, 0);
    assert_eq!(
        (&cordoned["standing"], &cordoned["why"], &cordoned["drainedSince"]),
        (&json!("leaving"), &json!("is cordoned"), &Value::Null)
    );
    assert_eq!(host.get(&path).await["nodeLeaving"], "is cordoned");
    let offered = host.get("/scheduler/pong/rooms").await;
    assert_eq!(offered["rooms"], json!([three.as_str()]), "{offered}");

    let undone = host.send(request("DELETE /nodes/b/drain")).await.ok();
    assert_eq!(
        (&undone["standing"], &undone["drainedSince"]),
        (&json!("open"), &Value::Null)
    );
    host.stop().await;
}

#[tokio::test]
async fn what_is_no_node_or_not_drained_is_refused() {
    let host = Host::with_pong().await;
    host.send(request("PUT /nodes/node-3/drain")).await.ok();
    let unknown = host.send(request("DELETE /nodes/node-4/drain")).await;
    assert_eq!(unknown.status, 404);
    let description = unknown.json()["description"].as_str().unwrap().to_owned();
    assert_eq!(
        description,
        "there is no drained node `node-4`; did you mean `node-3`?"
    );
    let long = "a".repeat(254);
    for name in ["Node-3", "-a", "a.", "a_b", long.as_str()] {
        let answer = host.send(request(&format!("PUT /nodes/{name}/drain"))).await;
        assert_eq!(answer.status, 400, "{name}");
    }
    host.stop().await;
}
