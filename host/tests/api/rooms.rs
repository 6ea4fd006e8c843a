//! The room protocol and questions about rooms.

use std::collections::BTreeSet;

use maestro::registry::{Act, Registry};
use maestro_core::names::RoomId;
use maestro_core::time::{Span, Timestamp};
use serde_json::{Value, json};

use super::client::request;
use super::harness::{Host, PONG, START, pong};

fn ping(room: &RoomId) -> super::client::Request {
    request(&format!("PUT /scheduler/pong/rooms/{room}/ping"))
}

#[tokio::test]
async fn a_room_goes_through_its_life_and_is_shown_in_the_older_words_and_the_exact_one() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    let shown = async |status: &str, state: &str| {
        let body = host.get(&format!("/scheduler/pong/rooms/{room}")).await;
        assert_eq!(
            (&body["status"], &body["state"]),
            (&json!(status), &json!(state)),
            "{body}"
        );
        let list = host.get(&format!("/scheduler/pong/rooms/status/{status}")).await;
        assert_eq!(list, json!([body]));
    };
    shown("creating", "starting").await;
    let answer = host.report(&room, "ready").await;
    assert_eq!(answer, json!({ "success": true, "draining": false }));
    shown("ready", "ready").await;
    host.report(&room, "occupied").await;
    shown("occupied", "occupied").await;
    host.act(
        &room,
        Act::Drain {
            reason: "too many rooms".to_owned(),
        },
    )
    .await;
    let answer = host.report(&room, "occupied").await;
    assert_eq!(answer, json!({ "success": true, "draining": true }));
    shown("occupied", "draining-occupied").await;
    host.report(&room, "terminating").await;
    shown("terminating", "stopping").await;
    host.stop().await;
}

#[tokio::test]
async fn a_rooms_body_has_the_older_fields() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    let metadata = json!({ "region": "eu", "nested": { "score": [1, 2] } });
    let call = json!({ "status": "occupied", "timestamp": START / 1_000, "metadata": metadata });
    host.send(ping(&room).json(&call)).await.ok();
    let body = host.get(&format!("/scheduler/pong/rooms/{room}")).await;
    for (field, expected) in [
        ("schedulerName", json!("pong")),
        ("schedulerVersion", json!("v1.0")),
        ("roomId", json!("pong-0000000a")),
        ("status", json!("occupied")),
        ("lastPingAt", json!("2023-11-14T22:13:20.000Z")),
        ("lastPingMetadata", metadata),
        ("host", json!("127.0.0.1")),
        (
            "ports",
            json!([{ "name": "game", "protocol": "UDP", "port": 20_000 }]),
        ),
    ] {
        assert_eq!(body[field], expected, "{field}");
    }
    let address = host.get(&format!("/scheduler/pong/rooms/{room}/address")).await;
    let expected = json!({
        "host": "127.0.0.1",
        "ports": [{ "name": "game", "protocol": "UDP", "port": 20_000 }],
        "ipv6Label": "",
    });
    assert_eq!(address, expected);
    host.stop().await;
}

#[tokio::test]
async fn timestamps_are_seconds_or_milliseconds_whole_or_fractional() {
    let host = Host::with_pong().await;
    let sent = [
        ("1700000001", 1_700_000_001_000),
        ("1700000002.25", 1_700_000_002_250),
        ("1700000003500", 1_700_000_003_500),
        ("1700000004500.75", 1_700_000_004_500),
        ("1.7000000055e9", 1_700_000_005_500),
    ];
    let room = host.room(0xa).await;
    for (timestamp, expected) in sent {
        let body = format!("{{\"status\":\"ready\",\"timestamp\":{timestamp}}}");
        host.send(ping(&room).body(body)).await.ok();
        let known = host.registry.room(&pong(), &room).await.unwrap().unwrap();
        let last = known.reports.last.unwrap();
        assert_eq!(last.sent_at, Timestamp::from_ms(expected), "{timestamp}");
    }
    host.stop().await;
}

#[tokio::test]
async fn an_older_report_and_a_refused_one_are_signs_of_life_and_nothing_else() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    host.report(&room, "occupied").await;
    let older = json!({ "status": "ready", "timestamp": START - 10_000 });
    host.pass(Span::from_secs(20));
    host.send(ping(&room).json(&older)).await.ok();
    let known = host.registry.room(&pong(), &room).await.unwrap().unwrap();
    assert_eq!(known.state(), "occupied");
    assert_eq!(known.reports.life_at, Some(Timestamp::from_ms(START + 20_000)));

    host.pass(Span::from_secs(20));
    assert_eq!(host.send(ping(&room).body("status=ready")).await.status, 422);
    let known = host.registry.room(&pong(), &room).await.unwrap().unwrap();
    assert_eq!(known.state(), "occupied");
    assert_eq!(known.reports.life_at, Some(Timestamp::from_ms(START + 40_000)));
    host.stop().await;
}

#[tokio::test]
async fn a_rooms_own_token_is_taken_in_both_headers_and_no_other_is() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    let other = RoomId::new(&pong(), 0xb);
    let (own, foreign) = (
        host.api.key.token(&pong(), &room),
        host.api.key.token(&pong(), &other),
    );
    let call = || ping(&room).json(&json!({ "status": "ready", "timestamp": START }));
    let with = |token: &str| {
        let bearer = call().header("authorization", &format!("Bearer {token}"));
        [bearer, call().header("x-maestro-room-token", token)]
    };
    for request in with(&own) {
        assert_eq!(host.send(request).await.status, 200);
    }
    for token in [foreign.as_str(), "", "zz", &own[..62]] {
        for request in with(token) {
            let answer = host.send(request.clone()).await;
            assert_eq!(answer.status, 401, "{request:?}: {answer:?}");
            assert_eq!(answer.json()["code"], "MAE-005");
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn one_room_that_calls_too_often_is_slowed_down_and_its_neighbours_are_not() {
    let host = Host::with_pong().await;
    let (loud, quiet) = (host.room(0xa).await, host.room(0xb).await);
    let call = |room| ping(room).json(&json!({ "status": "ready", "timestamp": START }));
    let mut refused = None;
    for _ in 0..500 {
        let answer = host.send(call(&loud)).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("500 calls in a row are more than any room needs");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert_eq!(host.send(call(&quiet)).await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn rooms_are_listed_by_status_in_pages_that_neither_skip_nor_repeat() {
    let host = Host::with_pong().await;
    for suffix in 0..7 {
        let room = host.room(suffix).await;
        host.report(&room, if suffix < 5 { "ready" } else { "occupied" })
            .await;
    }
    let names = |list: &Value| -> Vec<u32> {
        let rooms = list.as_array().unwrap().iter();
        let suffixes = rooms.map(|room| room["roomId"].as_str().unwrap().rsplit_once('-').unwrap().1);
        suffixes
            .map(|suffix| u32::from_str_radix(suffix, 16).unwrap())
            .collect()
    };
    let page = async |path: &str| names(&host.get(&format!("/scheduler/pong/rooms/status/{path}")).await);
    assert_eq!(page("ready?limit=2").await, [0, 1]);
    assert_eq!(page("ready?limit=2&offset=2").await, [2, 3]);
    assert_eq!(page("ready?limit=2&offset=3").await, [4]);
    assert_eq!(page("ready?limit=2&offset=4").await, [0; 0]);
    assert_eq!(page("occupied").await, [5, 6]);
    assert_eq!(page("ready_or_occupied").await, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(page("creating").await, [0; 0]);
    let ready = host.get("/scheduler/pong/rooms?limit=3").await;
    assert_eq!(ready["rooms"].as_array().unwrap().len(), 3);
    host.stop().await;
}

#[tokio::test]
async fn ready_rooms_are_offered_by_chance_so_that_callers_do_not_all_get_the_same() {
    let host = Host::with_pong().await;
    for suffix in 0..20 {
        let room = host.room(suffix).await;
        host.report(&room, if suffix < 16 { "ready" } else { "occupied" })
            .await;
    }
    let offered = async |path: &str| -> BTreeSet<String> {
        let body = host.get(&format!("/scheduler/pong/rooms{path}")).await;
        let rooms: Vec<String> = serde_json::from_value(body["rooms"].clone()).unwrap();
        let distinct: BTreeSet<String> = rooms.iter().cloned().collect();
        assert_eq!(distinct.len(), rooms.len(), "{rooms:?}");
        distinct
    };
    let ready = offered("?limit=100").await;
    assert_eq!(ready.len(), 16);
    for path in ["", "?metric=room", "?metric=legacy"] {
        let mut answers = BTreeSet::new();
        for _ in 0..20 {
            let rooms = offered(path).await;
            assert!(rooms.len() == 5 && rooms.is_subset(&ready), "{rooms:?}");
            answers.insert(rooms);
        }
        // Twenty equal choices of 5 out of 16 come once in more tries than there are atoms.
        assert!(answers.len() > 1, "{answers:?}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_room_of_a_removed_scheduler_begins_nothing_by_calling_late() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    host.report(&room, "ready").await;
    let token = host.api.key.token(&pong(), &room);
    let call = || {
        let call = ping(&room).header("x-maestro-room-token", &token);
        call.json(&json!({ "status": "ready", "timestamp": START }))
    };
    host.send(call()).await.ok();

    host.send(request("DELETE /scheduler/pong")).await.ok();
    let remove = async {
        host.registry.remove(&host.lease().await).await.unwrap();
        let now = Timestamp::from_ms(START);
        let removed = host.api.store.remove_scheduler(&pong(), now).await.unwrap();
        assert!(removed);
        host.api.known.forget(&pong());
    };
    let answers = [
        call().send_slowly(host.address, remove).await,
        host.send(call()).await,
        host.send(ping(&room).body("{}")).await,
    ];
    for answer in answers {
        assert_eq!(answer.status, 404, "{answer:?}");
        assert_eq!(answer.json()["error"], "scheduler not found");
    }
    assert!(host.registry.rooms(&pong()).await.unwrap().is_empty());
    host.stop().await;
}

#[tokio::test]
async fn pings_to_schedulers_that_nobody_knows_can_not_wear_out_the_store() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    let call = |scheduler: &str| {
        let call = request(&format!(
            "PUT /scheduler/{scheduler}/rooms/{scheduler}-0000000a/ping"
        ));
        call.json(&json!({ "status": "ready", "timestamp": START }))
    };
    assert_eq!(host.send(call("made-up")).await.status, 404);
    let mut refused = None;
    for n in 0..2_000 {
        let answer = host.send(call(&format!("made-up-{n}"))).await;
        if answer.status != 404 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("2,000 made-up names are more than the store is asked for");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    host.report(&room, "ready").await;

    // What is created is known at once, whatever was asked before.
    host.send(request("POST /scheduler").body(PONG.replace("name: pong", "name: made-up")))
        .await
        .ok();
    assert_eq!(host.get("/scheduler/made-up").await["name"], "made-up");
    host.stop().await;
}
