//! Every kind of bad request, and what is said to it. One shape for all: JSON, a code, what is wrong, what would help.

use maestro_wire::http::ErrorBody;
use serde_json::json;

use super::client::{Answer, Request, request};
use super::harness::{Host, PONG, START};

/// The answer as text for the golden file; what all answers share is asserted here instead.
pub fn show(request: &Request, answer: &Answer) -> String {
    assert!(answer.status >= 400, "it was taken: {request:?} {answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{request:?} {answer:?}"
    );
    for name in ["x-version", "x-maestro-version"] {
        assert_eq!(
            answer.header(name),
            Some(env!("CARGO_PKG_VERSION")),
            "{request:?} {answer:?}"
        );
    }
    let body: ErrorBody = serde_json::from_str(&answer.text).unwrap();
    assert!(!body.success && body.code.starts_with("MAE-"), "{answer:?}");
    assert!(
        !body.error.is_empty() && !body.description.is_empty(),
        "{answer:?}"
    );
    let fields = answer.json();
    for field in ["code", "error", "description", "success", "problems", "warnings"] {
        assert!(fields.get(field).is_some(), "{field} is missing: {answer:?}");
    }
    let mut out = format!(
        "{}-> {} {}: {}\n   {}\n",
        request.show(),
        answer.status,
        body.code,
        body.error,
        body.description
    );
    for problem in &body.problems {
        out.push_str(&format!("   - {problem}\n"));
    }
    for name in ["allow", "retry-after", "www-authenticate"] {
        if let Some(value) = answer.header(name) {
            out.push_str(&format!("   {name}: {value}\n"));
        }
    }
    out + "\n"
}

pub async fn check(host: &Host, name: &str, requests: Vec<Request>) {
    let mut golden = String::new();
    for request in requests {
        golden.push_str(&show(&request, &host.send(request.clone()).await));
    }
    insta::assert_snapshot!(name, golden);
}

fn lines(lines: &[&str]) -> Vec<Request> {
    lines.iter().map(|line| request(line)).collect()
}

#[tokio::test]
async fn routes_and_names_that_are_not_there() {
    let host = Host::with_pong().await;
    host.room(0xa).await;
    let there = lines(&[
        "GET /nowhere",
        "GET /schedulers",
        "GET /scheduler/pong/room",
        "PATCH /scheduler/pong",
        "POST /scheduler/pong/rooms/pong-0000000a/ping",
        "DELETE /policies",
        "GET /scheduler/pomg",
        "GET /scheduler/Pong%20Arena%0a",
        "GET /scheduler/zzz/config",
        "PUT /scheduler/zzz",
        "POST /scheduler/zzz",
        "DELETE /scheduler/zzz",
        "GET /scheduler/zzz/rooms",
        "GET /scheduler/zzz/rooms/zzz-0000000a",
        "GET /scheduler/zzz/decisions",
        "GET /scheduler/zzz/releases",
        "GET /scheduler/%ff/rooms",
        "GET /scheduler/pong/rooms/pong-0000000b",
        "GET /scheduler/pong/rooms/arena-0000000a",
        "GET /scheduler/pong/rooms/x/address",
        "GET /scheduler/pong/rooms/pong-0000000b/logs",
        "GET /scheduler/pong/config?version=v1.7",
        "GET /policies/rom",
        "GET /policies/room@77",
        "GET /policies/!",
        "DELETE /policies/rom",
        "DELETE /policies/room",
        "DELETE /policies/room@77",
        "DELETE /policies/!",
        "GET /scheduler/zzz/window",
    ]);
    check(&host, "unknown", there).await;
    host.stop().await;
}

#[tokio::test]
async fn parameters_that_are_not_right() {
    let host = Host::with_pong().await;
    host.room(0xa).await;
    let requests = lines(&[
        "GET /scheduler/pong/rooms?limit=0",
        "GET /scheduler/pong/rooms?limit=many",
        "GET /scheduler/pong/rooms?limit=1&limit=2",
        "GET /scheduler/pong/rooms?metric=cpus",
        "GET /scheduler/pong/rooms/status/redy",
        "GET /scheduler/pong/rooms/status/ready?offset=0",
        "GET /scheduler/pong/rooms/status/ready?offset=-1",
        "GET /scheduler/pong/rooms/pong-0000000a/logs?lines=1000000",
        "GET /scheduler/pong/rooms/pong-0000000a/logs?previous=perhaps",
        "GET /scheduler/pong/config?version=1",
        "GET /scheduler/pong/decisions?limit=1000",
        "GET /scheduler/pong/decisions?cursor=abc",
        "GET /scheduler/pong/decisions?changes=perhaps",
        "GET /scheduler/pong/decisions?actor=manuel",
        "GET /scheduler/pong/decisions?since=yesterday",
        "GET /scheduler/pong/decisions?since=1700000001&until=1700000000",
        "GET /scheduler/pong/decisions?cursor=7",
        "GET /scheduler/pong/decisions?cursor=e1",
        "GET /scheduler/pong/window?format=cvs",
        "GET /scheduler/pong/events?page=0",
        "GET /scheduler/pong/events?page=1&limit=5",
        "GET /scheduler/pong/events?cursor=d1",
        "GET /scheduler/pong/events?kind=rooms",
        "GET /scheduler/pong/events?room=zzz-0000000a",
        "GET /scheduler/pong/window?until=2023-11-14",
        "DELETE /scheduler/pong?force=perhaps",
    ]);
    check(&host, "parameters", requests).await;
    host.stop().await;
}

#[tokio::test]
async fn reports_that_are_not_right() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    let ping = || request(&format!("PUT /scheduler/pong/rooms/{room}/ping"));
    let status = || request(&format!("PUT /scheduler/pong/rooms/{room}/status"));
    let bodies = [
        "",
        "  ",
        "status=ready",
        "[]",
        "null",
        "{}",
        r#"{"status":"ready"}"#,
        r#"{"timestamp":1700000000}"#,
        r#"{"status":"already","timestamp":1700000000}"#,
        r#"{"status":"READY","timestamp":1700000000}"#,
        r#"{"status":"creating","timestamp":1700000000}"#,
        r#"{"status":7,"timestamp":1700000000}"#,
        r#"{"status":"ready","timestamp":0}"#,
        r#"{"status":"ready","timestamp":-1}"#,
        r#"{"status":"ready","timestamp":"1700000000"}"#,
        r#"{"status":"ready","timestamp":1e300}"#,
        r#"{"status":"ready","timestamp":1700000000,"metadata":[1]}"#,
        r#"{"status":"ready","timestamp":1700000000,"runningMatches":-1}"#,
        r#"{"status":"ready","timestamp":1700000000,"capacity":0}"#,
        r#"{"status":"redy","timestamp":"now","metadata":"m","runningMatches":"all","capacity":1.5}"#,
        r#"{"status":"ready","timestamp":1700000000,"status":"occupied","capacity":0}"#,
    ];
    let mut requests: Vec<Request> = bodies.iter().map(|body| status().body(*body)).collect();
    requests.push(ping().body(b"\xff\xfe".to_vec()));
    requests.push(ping().body(vec![b' '; 16 * 1024 + 1]));
    let fine = json!({ "status": "ready", "timestamp": START });
    requests.push(ping().header("authorization", "Bearer 00").json(&fine));
    requests.push(ping().header("x-maestro-room-token", "wrong").json(&fine));
    requests.push(request("PUT /scheduler/pong/rooms/pong-0000000b/ping").json(&fine));
    requests.push(request("PUT /scheduler/pong/rooms/pong-0000000b/ping").body("x"));
    requests.push(request("PUT /scheduler/zzz/rooms/zzz-0000000a/ping").json(&fine));
    check(&host, "reports", requests).await;
    host.stop().await;
}

#[tokio::test]
async fn events_that_are_not_right() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    let of_room = || request(&format!("POST /scheduler/pong/rooms/{room}/roomevent"));
    let of_player = || request(&format!("POST /scheduler/pong/rooms/{room}/playerevent"));
    let mut requests = vec![
        of_room().body(""),
        of_room().body("[]"),
        of_room().body("{}"),
        of_room().body(r#"{"event":"","timestamp":1700000000}"#),
        of_room().body(r#"{"event":7,"timestamp":"now","metadata":[]}"#),
        of_room().body(r#"{"event":"\u001b]0;mine\u0007\u0000","timestamp":1700000000}"#),
        of_room().json(&json!({ "event": "e".repeat(101), "timestamp": START })),
        of_room().body(vec![b' '; 16 * 1024 + 1]),
        of_player().body("{}"),
        of_player().body(r#"{"event":"playerJoined","timestamp":1700000000}"#),
        of_player().body(r#"{"event":"playerJoin","timestamp":1700000000,"metadata":{"playerId":7}}"#),
    ];
    let fine = json!({ "event": "goal", "timestamp": START });
    requests.push(of_room().header("authorization", "Bearer 00").json(&fine));
    requests.push(request("POST /scheduler/pong/rooms/pong-0000000b/roomevent").json(&fine));
    requests.push(request("POST /scheduler/pong/rooms/x/roomevent").json(&fine));
    check(&host, "events", requests).await;
    host.stop().await;
}

#[tokio::test]
async fn documents_that_are_not_right() {
    let host = Host::with_pong().await;
    let create = |body: &str| request("POST /scheduler").body(body);
    let update = |body: &str| request("PUT /scheduler/pong").body(body);
    let requests = vec![
        create(""),
        create("\n---\n"),
        create("42"),
        create("{"),
        create("name: [\n"),
        create("name: pong\nname: pong\n"),
        create("name: Pong\ngame: g\nimage: i\nautoscaling: {min: 5, max: 2}\nautoscalin: 1\n"),
        create(
            "name: a\ngame: g\nimage: i\nautoscaling:\n  min: 1\n  up:\n    metricsTrigger:\n      - {type: rom, usage: 70, threshold: 80, time: 60}\n",
        ),
        create(PONG),
        request("POST /scheduler").body(b"name: \xff".to_vec()),
        request("POST /scheduler").body(vec![b'#'; 1024 * 1024 + 1]),
        update(""),
        update("name: arena\ngame: g\nimage: i\nautoscaling: {min: 1}\n"),
        update(&format!(
            "{PONG}---\nname: arena\ngame: g\nimage: i\nautoscaling: {{min: 1}}\n"
        )),
        update("name: pong\ngame: pong\nimage: pong:1\nautoscaling: {min: -1}\n"),
    ];
    check(&host, "documents", requests).await;
    host.stop().await;
}

#[tokio::test]
async fn requests_to_scale_that_are_not_right() {
    let host = Host::with_pong().await;
    let bodies = [
        "",
        "{",
        "[]",
        "{}",
        r#"{"replicas":-1}"#,
        r#"{"replicas":1.5}"#,
        r#"{"replicas":"many"}"#,
        r#"{"scaleup":0}"#,
        r#"{"scaledown":0}"#,
        r#"{"scaleup":1,"scaledown":1}"#,
        r#"{"scaleup":1,"replicas":1}"#,
        r#"{"scale":1}"#,
    ];
    let scale = || request("POST /scheduler/pong");
    let mut requests: Vec<Request> = bodies.iter().map(|body| scale().body(*body)).collect();
    requests.push(scale().body(vec![b' '; 5_000]));
    check(&host, "scale", requests).await;
    let open = host
        .api
        .store
        .open_operations(&super::harness::pong())
        .await
        .unwrap();
    assert_eq!(open.len(), 1, "only the creation: {open:?}");
    host.stop().await;
}

#[tokio::test]
async fn a_store_that_is_away_is_said_so_and_pings_go_on() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    host.api.store.clone().close().await.unwrap();
    let requests = vec![
        request("GET /healthcheck"),
        request("POST /scheduler").body(PONG.replace("pong", "arena")),
        request("PUT /scheduler/pong").body(PONG),
        request("POST /scheduler/pong").body(r#"{"replicas":3}"#),
        request("DELETE /scheduler/pong"),
    ];
    check(&host, "outage", requests).await;
    host.report(&room, "ready").await;
    host.stop().await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_answered_in_time() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    let begun = request(&format!("PUT /scheduler/pong/rooms/{room}/ping"))
        .body("{")
        .promise(100);
    check(&host, "endless", vec![begun]).await;
    host.stop().await;
}

#[tokio::test]
async fn every_success_names_the_version_too() {
    let host = Host::with_pong().await;
    for line in [
        "GET /healthcheck",
        "GET /scheduler",
        "GET /scheduler/pong",
        "GET /policies",
    ] {
        let answer = host.send(request(line)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        for name in ["x-version", "x-maestro-version"] {
            assert_eq!(answer.header(name), Some(env!("CARGO_PKG_VERSION")), "{line}");
        }
        assert_eq!(answer.header("content-type"), Some("application/json"), "{line}");
    }
    host.stop().await;
}
