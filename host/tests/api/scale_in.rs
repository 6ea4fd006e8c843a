//! The switch that pauses scaling down, and rooms that are gone, through the API.

use maestro::registry::{Act, Registry, Seen};
use maestro_core::room::Phase;
use maestro_core::time::{Span, Timestamp};
use serde_json::{Value, json};

use super::client::{Request, request};
use super::harness::{Host, START, pong};

fn switch(body: &Value) -> Request {
    request("PUT /scheduler/pong/scale-in").json(body)
}

#[tokio::test]
async fn scaling_down_is_paused_shown_and_resumed_and_twice_is_harmless() {
    let host = Host::with_pong().await;
    assert_eq!(
        host.get("/scheduler/pong").await["scaleInPausedSince"],
        Value::Null
    );
    let since = "2023-11-14T22:13:20.000Z";
    for _ in 0..2 {
        let answer = host.send(switch(&json!({ "paused": true }))).await.ok();
        assert_eq!(answer, json!({ "success": true, "paused": true, "since": since }));
        host.pass(Span::from_secs(5));
    }
    assert_eq!(host.get("/scheduler/pong").await["scaleInPausedSince"], since);
    for _ in 0..2 {
        let answer = host.send(switch(&json!({ "paused": false }))).await.ok();
        assert_eq!(answer, json!({ "success": true, "paused": false }));
    }
    assert_eq!(
        host.get("/scheduler/pong").await["scaleInPausedSince"],
        Value::Null
    );
    host.stop().await;
}

#[tokio::test]
async fn what_is_no_such_request_is_refused_in_words() {
    let host = Host::with_pong().await;
    for body in [
        "",
        "{}",
        "{\"paused\": 1}",
        "{\"paused\": true, \"why\": \"tests\"}",
    ] {
        let answer = host
            .send(request("PUT /scheduler/pong/scale-in").body(body))
            .await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        let description = answer.json()["description"].as_str().unwrap().to_owned();
        assert!(
            description.starts_with("expected {\"paused\": true}"),
            "{description}"
        );
    }
    let unknown = request("PUT /scheduler/ping/scale-in").json(&json!({ "paused": true }));
    assert_eq!(host.send(unknown).await.status, 404);
    host.send(request("DELETE /scheduler/pong")).await.ok();
    assert_eq!(host.send(switch(&json!({ "paused": true }))).await.status, 409);
    host.stop().await;
}

#[tokio::test]
async fn a_number_asked_for_by_hand_takes_rooms_away_all_the_same() {
    let host = Host::with_pong().await;
    host.wanted(8).await;
    host.send(switch(&json!({ "paused": true }))).await.ok();
    let scale = request("POST /scheduler/pong").json(&json!({ "replicas": 3 }));
    let answer = host.send(scale).await.ok();
    assert_eq!((&answer["wanted"], &answer["clamped"]), (&json!(3), &json!([])));
    host.stop().await;
}

#[tokio::test]
async fn a_room_that_is_gone_is_shown_as_it_ended_and_only_where_one_room_is_asked_for() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    host.report(&room, "ready").await;
    host.pass(Span::from_secs(5));
    let seen = Seen {
        phase: Phase::Exited {
            at: Timestamp::from_ms(START + 5_000),
            code: Some(3),
            reason: "no licence".to_owned(),
        },
        node: Some("local".to_owned()),
        leaving: None,
        node_lost: false,
        addresses: Vec::new(),
        ports: Vec::new(),
    };
    host.registry
        .observe(&host.lease().await, &room, seen)
        .await
        .unwrap();
    let path = format!("/scheduler/pong/rooms/{room}");
    let before = host.get(&path).await;
    let ended = host.registry.room(&pong(), &room).await.unwrap().unwrap();
    let end = ended.end(Timestamp::from_ms(START));
    host.api.store.append_ends(&[(pong(), end)]).await.unwrap();
    host.act(&room, Act::Forget).await;

    let gone = host.get(&path).await;
    for (field, expected) in [
        ("roomId", json!(room.as_str())),
        ("schedulerVersion", json!("v1.0")),
        ("status", json!("terminating")),
        ("state", json!("gone")),
        ("health", json!("failed")),
        ("createdAt", json!("2023-11-14T22:13:20.000Z")),
        ("lastPingAt", json!("2023-11-14T22:13:20.000Z")),
        ("endedAt", json!("2023-11-14T22:13:25.000Z")),
        ("exitCode", json!(3)),
        ("lastWords", json!("no licence")),
        ("reason", json!("it ended by itself after 5 s")),
        ("node", json!("local")),
    ] {
        assert_eq!(gone[field], expected, "{field} of {gone}");
        assert_eq!(
            before[field], expected,
            "{field} before it was forgotten: {before}"
        );
    }
    for path in [
        format!("{path}/address"),
        "/scheduler/pong/rooms/pong-0000000b".to_owned(),
    ] {
        let answer = host.send(request(&format!("GET {path}"))).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["success"], false);
    }
    let listed = host.get("/scheduler/pong/rooms/status/terminating").await;
    assert_eq!(listed, json!([]));
    let events = host.get(&format!("/scheduler/pong/events?room={room}")).await;
    let event = &events["events"][0];
    assert_eq!(
        (&event["name"], &event["kind"]),
        (&json!("roomEnded"), &json!("room"))
    );
    assert_eq!(
        (&event["metadata"]["exitCode"], &event["metadata"]["lastWords"]),
        (&json!(3), &json!("no licence"))
    );
    host.stop().await;
}
