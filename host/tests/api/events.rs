//! Events through the API.

use maestro::store::journal::Budget;
use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::time::{Span, Timestamp};
use serde_json::{Value, json};

use super::client::{Request, request};
use super::harness::{Host, PONG, START, pong};

fn tell(room: &RoomId, sort: &str, event: &str) -> Request {
    let call = request(&format!("POST /scheduler/pong/rooms/{room}/{sort}"));
    call.json(&json!({ "event": event, "timestamp": START, "metadata": { "playerId": "p7" } }))
}

fn names(list: &Value) -> Vec<String> {
    let events = list.as_array().unwrap().iter();
    events
        .map(|event| event["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn rooms_tell_of_themselves_and_of_their_players() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    let answer = host.send(tell(&room, "roomevent", "goal")).await.ok();
    assert_eq!(answer, json!({ "success": true, "message": "" }));
    host.pass(Span::from_secs(5));
    host.send(tell(&room, "playerevent", "playerLeft")).await.ok();
    let list = host.get("/scheduler/pong/events").await;
    assert_eq!(names(&list["events"]), ["playerLeft", "goal", "schedulerCreated"]);
    let id = list["events"][0]["id"].clone();
    assert!(id.is_string() && id != list["events"][1]["id"], "{list}");
    let expected = json!({
        "id": id,
        "name": "playerLeft",
        "schedulerName": "pong",
        "createdAt": "2023-11-14T22:13:25.000Z",
        "metadata": { "playerId": "p7" },
        "kind": "player",
        "roomId": "pong-0000000a",
        "sentAt": "2023-11-14T22:13:20.000Z",
    });
    assert_eq!(list["events"][0], expected);
    assert_eq!(list["next"], Value::Null);
    host.stop().await;
}

#[tokio::test]
async fn what_is_done_to_a_scheduler_is_an_event() {
    let host = Host::with_pong().await;
    let changed = PONG.replace("max: 10", "max: 20");
    for _ in 0..2 {
        host.send(request("PUT /scheduler/pong").body(changed.clone()))
            .await
            .ok();
    }
    host.send(request("POST /scheduler/pong").json(&json!({ "replicas": 3 })))
        .await
        .ok();
    for _ in 0..2 {
        host.send(request("DELETE /scheduler/pong")).await.ok();
    }
    let now = Timestamp::from_ms(START);
    for is_there in [true, false] {
        let removed = host.api.store.remove_scheduler(&pong(), now).await.unwrap();
        assert_eq!(removed, is_there);
    }
    let list = host.get("/scheduler/pong/events").await;
    let list = list["events"].as_array().unwrap();
    let told: Vec<(&Value, &Value)> = list
        .iter()
        .map(|event| (&event["name"], &event["metadata"]))
        .collect();
    let expected = [
        (&json!("schedulerRemoved"), &json!({})),
        (&json!("schedulerDeleted"), &json!({ "force": false })),
        (&json!("scaleRequested"), &json!({ "wanted": 3 })),
        (
            &json!("schedulerUpdated"),
            &json!({ "from": "v1.0", "version": "v1.1" }),
        ),
        (&json!("schedulerCreated"), &json!({ "version": "v1.0" })),
    ];
    assert_eq!(told, expected);
    host.stop().await;
}

#[tokio::test]
async fn events_come_in_pages_by_cursor_and_in_the_older_counted_ones() {
    let host = Host::with_pong().await;
    for suffix in 0..7 {
        let room = host.room(suffix).await;
        for n in 0..10 {
            let event = format!("e{}", u64::from(suffix) * 10 + n);
            host.send(tell(&room, "roomevent", &event)).await.ok();
        }
        host.pass(Span::from_secs(1));
    }
    let mut expected: Vec<String> = (0..70).rev().map(|n| format!("e{n}")).collect();
    expected.push("schedulerCreated".to_owned());

    let mut counted = Vec::new();
    for (page, count) in [(1, 30), (2, 30), (3, 11), (4, 0)] {
        let list = names(&host.get(&format!("/scheduler/pong/events?page={page}")).await);
        assert_eq!(list.len(), count);
        counted.extend(list);
    }
    assert_eq!(counted, expected);

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = host
            .get(&format!("/scheduler/pong/events?limit=40{cursor}"))
            .await;
        paged.extend(names(&page["events"]));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, expected);

    for (query, expected) in [
        ("room=pong-00000003&limit=2", vec!["e39", "e38"]),
        ("kind=scheduler", vec!["schedulerCreated"]),
        ("since=1700000006&limit=1", vec!["e69"]),
        ("until=1700000000&limit=1", vec!["e9"]),
    ] {
        let page = host.get(&format!("/scheduler/pong/events?{query}")).await;
        assert_eq!(names(&page["events"]), expected, "{query}");
    }
    host.stop().await;
}

#[tokio::test]
async fn events_of_all_schedulers_are_one_list_that_outlives_them() {
    let host = Host::with_pong().await;
    let arena = PONG.replace("name: pong", "name: arena");
    host.send(request("POST /scheduler").body(arena)).await.ok();
    let room = host.room(0xa).await;
    host.send(tell(&room, "roomevent", "goal")).await.ok();
    let now = Timestamp::from_ms(START);
    let arena = SchedulerName::parse("arena").unwrap();
    host.send(request("DELETE /scheduler/arena")).await.ok();
    let removed = host.api.store.remove_scheduler(&arena, now).await.unwrap();
    assert!(removed);
    let list = host.get("/events").await;
    let told: Vec<(&str, &str)> = list["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let text = |key: &str| event[key].as_str().unwrap();
            (text("schedulerName"), text("name"))
        })
        .collect();
    let expected = [
        ("arena", "schedulerRemoved"),
        ("arena", "schedulerDeleted"),
        ("pong", "goal"),
        ("arena", "schedulerCreated"),
        ("pong", "schedulerCreated"),
    ];
    assert_eq!(told, expected);
    let of_room = host.get(&format!("/events?room={room}&limit=9")).await;
    assert_eq!(names(&of_room["events"]), ["goal"]);
    let wrong = host.send(request("GET /events?room=pong")).await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    host.stop().await;
}

#[tokio::test]
async fn a_room_that_tells_too_much_is_slowed_down_and_its_pings_are_not() {
    let host = Host::with_pong().await;
    let (loud, quiet) = (host.room(0xa).await, host.room(0xb).await);
    let mut refused = None;
    for _ in 0..500 {
        let answer = host.send(tell(&loud, "roomevent", "tick")).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("500 events in a row are more than any room needs");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    host.report(&loud, "ready").await;
    assert_eq!(host.send(tell(&quiet, "roomevent", "tick")).await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn only_rooms_that_are_known_or_have_their_token_tell() {
    let host = Host::with_pong().await;
    host.room(0xa).await;
    let unknown = RoomId::new(&pong(), 0xb);
    assert_eq!(host.send(tell(&unknown, "roomevent", "goal")).await.status, 404);
    let token = host.api.key.token(&pong(), &unknown);
    let with_token = tell(&unknown, "roomevent", "goal").header("x-maestro-room-token", &token);
    host.send(with_token).await.ok();
    host.stop().await;
}

#[tokio::test]
async fn events_are_bounded_in_age_and_size_beside_the_journal() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    for n in 0..20 {
        host.send(tell(&room, "roomevent", &format!("e{n}"))).await.ok();
        host.pass(Span::from_secs(1));
    }
    let now = Timestamp::from_ms(START + 20_000);
    let left = async || names(&host.get("/scheduler/pong/events?page=1").await);
    let budget = Budget {
        age: Span::from_secs(10),
        ..Budget::default()
    };
    host.api.store.trim(budget, now).await.unwrap();
    let events = left().await;
    assert_eq!((events.len(), events.last().unwrap().as_str()), (10, "e10"));
    let budget = Budget {
        bytes: 4 * 500,
        ..Budget::default()
    };
    let dropped = host.api.store.trim(budget, now).await.unwrap();
    assert_eq!(dropped.iter().map(|gone| gone.records).sum::<u64>(), 7);
    assert_eq!(left().await, ["e19", "e18", "e17"]);
    host.stop().await;
}
