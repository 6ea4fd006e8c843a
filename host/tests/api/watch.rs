//! Streams of what changes in a scheduler.

use std::time::{Duration, Instant};

use maestro::registry::Registry;
use maestro_core::time::Timestamp;
use serde_json::json;

use super::client::{Open, request};
use super::decisions::{decision, write};
use super::eventually::{PATIENCE, eventually};
use super::harness::{Host, START, pong};

async fn watch(host: &Host) -> Open {
    let watch = request("GET /scheduler/pong/watch").open(host.address).await;
    assert_eq!(watch.status, 200);
    watch
}

#[tokio::test]
async fn rooms_come_at_first_and_then_when_they_change_and_when_they_are_gone() {
    let host = Host::with_pong().await;
    let (room, other) = (host.room(0xa).await, host.room(0xb).await);
    let mut watch = watch(&host).await;
    for room in [&room, &other] {
        let sent = watch.expect("room").await;
        assert_eq!((&sent.data["roomId"], sent.id), (&json!(room.as_str()), None));
        assert_eq!(
            sent.data,
            host.get(&format!("/scheduler/pong/rooms/{room}")).await
        );
    }
    host.report(&room, "ready").await;
    assert_eq!(watch.expect("room").await.data["state"], "ready");
    // A repeated ping changes nothing that is worth a line.
    host.report(&room, "ready").await;
    host.report(&room, "occupied").await;
    let sent = watch.expect("room").await;
    assert_eq!(
        (&sent.data["roomId"], &sent.data["state"]),
        (&json!(room.as_str()), &json!("occupied"))
    );
    let fence = host.lease().await;
    host.registry.remove(&fence).await.unwrap();
    for room in [&room, &other] {
        let sent = watch.expect("gone").await;
        assert_eq!(sent.data, json!({ "roomId": room.as_str() }));
    }
    host.stop().await;
}

#[tokio::test]
async fn decisions_come_as_they_are_made_and_what_was_missed_comes_after() {
    let host = Host::with_pong().await;
    host.room(0xa).await;
    write(&host, &[decision(0)]).await;
    let mut first = watch(&host).await;
    first.expect("room").await;
    write(&host, &[decision(1)]).await;
    let sent = first.expect("decision").await;
    assert_eq!(
        sent.data["wanted"], 2,
        "what was decided before is in the journal"
    );
    let listed = host.get("/scheduler/pong/decisions?limit=1").await;
    assert_eq!(sent.data, listed["decisions"][0]);
    drop(first);

    let many: Vec<_> = (2..252).map(decision).collect();
    write(&host, &many).await;
    let again = request("GET /scheduler/pong/watch").header("last-event-id", &sent.id.unwrap());
    let mut again = again.open(host.address).await;
    again.expect("room").await;
    for n in 2..252 {
        assert_eq!(again.expect("decision").await.data["wanted"], n + 1);
    }
    host.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_scheduler_and_with_the_api() {
    let host = Host::with_pong().await;
    let mut watch_pong = watch(&host).await;
    host.send(request("DELETE /scheduler/pong")).await.ok();
    let now = Timestamp::from_ms(START);
    let removed = host.api.store.remove_scheduler(&pong(), now).await.unwrap();
    assert!(removed);
    host.api.known.forget(&pong());
    assert_eq!(watch_pong.event().await, None);

    let host = Host::with_pong().await;
    let mut watch = watch(&host).await;
    // The first room says that the stream is under way.
    host.room(0xa).await;
    watch.expect("room").await;
    let begun = Instant::now();
    host.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(watch.event().await, None);
}

#[tokio::test]
async fn there_are_so_many_places_and_each_is_given_back() {
    let host = Host::with_pong().await;
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(watch(&host).await);
    }
    let refused = host.send(request("GET /scheduler/pong/watch")).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("5")));
    host.room(0xa).await;
    for watch in &mut open {
        watch.expect("room").await;
    }
    drop(open);
    let again = request("GET /scheduler/pong/watch");
    eventually("a place is given back", PATIENCE, async || {
        (again.open(host.address).await.status == 200).then_some(())
    })
    .await;
    host.stop().await;
}

#[tokio::test]
async fn a_quiet_stream_is_kept_alive_by_comments() {
    let host = Host::with_pong().await;
    let mut watch = watch(&host).await;
    loop {
        if watch.line().await.expect("the stream ended") == ": quiet" {
            break;
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn only_an_id_that_a_stream_gave_is_gone_on_from() {
    let host = Host::with_pong().await;
    for id in ["", "7", "e1", "dxyz", "d-1"] {
        let odd = request("GET /scheduler/pong/watch").header("last-event-id", id);
        let answer = host.send(odd).await;
        assert_eq!(answer.status, 400, "{id}: {answer:?}");
    }
    host.stop().await;
}
