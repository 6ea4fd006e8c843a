//! Who may call what: operators' routes with a token, rooms' routes and probes without; and rooms on a listener of
//! their own.

use std::net::SocketAddr;

use maestro::api::{Api, Heads, Operators, operators_router, rooms_router};
use serde_json::json;

use super::client::{Request, request};
use super::harness::{Host, PONG, START};
use super::refusals;

const TOKEN: &str = "mst_0123";

/// An installation that asks for a token.
async fn closed() -> Host {
    let hashes = [Operators::hash("another"), Operators::hash(TOKEN)];
    Host::start_as(Heads::default(), |api: &mut Api| {
        api.operators = Operators::parse(hashes).unwrap();
    })
    .await
}

fn with_token(line: &str) -> Request {
    request(line).header("authorization", &format!("Bearer {TOKEN}"))
}

/// Every route of the document, with names that are there.
async fn routes(host: &Host) -> Vec<String> {
    let document = host.get("/openapi.json").await;
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{scheduler}", "pong")
            .replace("{room}", "pong-0000000a");
        let path = path.replace("{status}", "ready").replace("{policy}", "room");
        for verb in item.as_object().unwrap().keys() {
            routes.push(format!("{} {path}", verb.to_uppercase()));
        }
    }
    routes
}

const OPEN: [&str; 8] = [
    "GET /healthcheck",
    "GET /livez",
    "GET /readyz",
    "PUT /scheduler/pong/rooms/pong-0000000a/ping",
    "PUT /scheduler/pong/rooms/pong-0000000a/status",
    "POST /scheduler/pong/rooms/pong-0000000a/roomevent",
    "POST /scheduler/pong/rooms/pong-0000000a/playerevent",
    "GET /scheduler/pong/rooms/pong-0000000a/address",
];

#[tokio::test]
async fn every_route_but_rooms_and_probes_asks_for_a_token() {
    let host = closed().await;
    let mut open = Vec::new();
    for (number, line) in routes(&host).await.into_iter().enumerate() {
        let answer = host.send(request(&line)).await;
        if ![401, 429].contains(&answer.status) {
            open.push(line);
        } else if number < 10 {
            assert_eq!(answer.status, 401, "{line}: {answer:?}");
        }
    }
    open.sort();
    let mut expected = OPEN.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(open, expected);
    // The document and its page hold nothing of the installation.
    assert_eq!(host.send(request("GET /docs")).await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn a_token_opens_every_route_and_a_wrong_one_none() {
    let host = closed().await;
    host.send(with_token("POST /scheduler").body(PONG)).await.ok();
    for line in routes(&host).await {
        if line.contains("DELETE") || line.contains("/watch") {
            continue;
        }
        let answer = host.send(with_token(&line)).await;
        // Rooms' own routes know rooms' tokens only.
        let is_rooms = OPEN.contains(&line.as_str()) && line.contains("/rooms/") && !line.contains("address");
        assert_eq!(answer.status == 401, is_rooms, "{line}: {answer:?}");
    }
    let bearer = |value: &str| request("GET /scheduler").header("authorization", value);
    assert_eq!(host.send(bearer(&format!("bearer  {TOKEN} "))).await.status, 200);
    assert_eq!(host.send(bearer("Bearer another")).await.status, 200);
    refusals::check(
        &host,
        "without_a_token",
        vec![
            request("GET /scheduler"),
            bearer("Bearer mst_0124"),
            bearer(&format!("Basic {TOKEN}")),
            bearer("Bearer"),
            request("GET /metrics"),
            request("GET /scheduler/nobody"),
            request("DELETE /scheduler/pong"),
        ],
    )
    .await;
    host.stop().await;
}

#[tokio::test]
async fn guessing_is_limited_and_locks_nobody_out() {
    let host = closed().await;
    let guess = request("GET /scheduler").header("authorization", "Bearer guess");
    let mut statuses = Vec::new();
    for _ in 0..60 {
        let answer = host.send(guess.clone()).await;
        if answer.status == 429 {
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..20], [401; 20]);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(host.send(with_token("GET /scheduler")).await.status, 200);
    let told = host.send(with_token("GET /metrics")).await.text;
    assert!(
        told.contains("maestro_operator_refusals_total{reason=\"invalid\"} "),
        "{told}"
    );
    assert!(
        told.contains("maestro_operator_refusals_total{reason=\"too-often\"} "),
        "{told}"
    );
    host.stop().await;
}

#[tokio::test]
async fn rooms_can_have_a_listener_of_their_own() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    let rooms = host.listen(rooms_router(host.api.clone())).await;
    let operators = host.listen(operators_router(host.api.clone())).await;
    let ping = request(&format!("PUT /scheduler/pong/rooms/{room}/ping"))
        .json(&json!({ "status": "ready", "timestamp": START }));
    let status = async |request: &Request, address: SocketAddr| request.send(address).await.status;
    assert_eq!(
        (status(&ping, rooms).await, status(&ping, operators).await),
        (200, 404)
    );
    let create = request("POST /scheduler").body(PONG.replace("pong", "ping"));
    assert_eq!(
        (status(&create, rooms).await, status(&create, operators).await),
        (404, 201)
    );
    for line in [
        "GET /metrics",
        "GET /scheduler",
        "GET /scheduler/pong",
        "DELETE /policies/x",
    ] {
        assert_eq!(status(&request(line), rooms).await, 404, "{line}");
    }
    for probe in ["GET /livez", "GET /readyz", "GET /healthcheck"] {
        for address in [rooms, operators] {
            assert_eq!(status(&request(probe), address).await, 200, "{probe}");
        }
    }
    host.stop().await;
}
