//! What goes on without the store, and what is refused; and that nobody is sent to a process without a registry.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::join_all;
use maestro::api::{Api, router};
use maestro::catalog::Catalog;
use maestro::store::{Store, postgres};
use maestro_wire::http::ErrorBody;
use serde_json::{Value, json};

use super::client::request;
use super::harness::{Host, PONG, START, engine};

/// The same installation, as it is once nothing answers where the store was.
async fn without_store(host: &Host) -> SocketAddr {
    // A port that was free a moment ago: whoever takes it meanwhile is no PostgreSQL.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let config = postgres::Config::parse(&format!("postgres://nobody@127.0.0.1:{port}/none"), 4).unwrap();
    let store = Store::on_server(config).unwrap();
    let catalog = Catalog::new(engine(), store.clone()).await.unwrap();
    let api = Api {
        catalog: Arc::new(catalog),
        store,
        probe: Arc::default(),
        ..host.api.clone()
    };
    host.listen(router(api)).await
}

#[tokio::test]
async fn without_the_store_changes_are_refused_and_say_when_to_come_again() {
    let host = Host::with_pong().await;
    let address = without_store(&host).await;
    let other = PONG.replace("pong", "ping");
    let requests = [
        request("POST /scheduler").body(other),
        request("PUT /scheduler/pong").body(PONG.replace("max: 10", "max: 9")),
        request("POST /scheduler/pong").json(&json!({ "replicas": 3 })),
        request("DELETE /scheduler/pong"),
        request("PUT /scheduler/pong/scale-in").json(&json!({ "paused": true })),
        request("DELETE /policies/mine?version=1.0.0"),
        request("GET /policies"),
        request("GET /scheduler/pong/decisions"),
        request("GET /scheduler/pong/events"),
        request("GET /healthcheck"),
    ];
    let answers = join_all(requests.iter().map(|request| request.send(address))).await;
    for (request, answer) in requests.iter().zip(answers) {
        assert_eq!(answer.status, 503, "{request:?} {answer:?}");
        assert_eq!(answer.header("retry-after"), Some("5"), "{request:?} {answer:?}");
        let body: ErrorBody = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(body.code, "MAE-001", "{request:?} {answer:?}");
        assert_eq!(body.error, "the store does not answer", "{request:?} {answer:?}");
    }
    host.stop().await;
}

#[tokio::test]
async fn without_the_store_rooms_and_status_go_on() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    host.wanted(2).await;
    let address = without_store(&host).await;
    let at_room = format!("/scheduler/pong/rooms/{room}");
    let ping = json!({ "status": "ready", "timestamp": START });
    let requests = [
        request(&format!("PUT {at_room}/ping")).json(&ping),
        request(&format!("GET {at_room}")),
        request(&format!("GET {at_room}/address")),
        request("GET /scheduler/pong/rooms"),
        request("GET /scheduler/pong/rooms/status/ready"),
        request("GET /scheduler/pong"),
        request("GET /scheduler/pong/config"),
        request("GET /scheduler"),
        request("GET /scheduler?info"),
        request("GET /livez"),
        request("GET /readyz"),
    ];
    let answers = join_all(requests.iter().map(|request| request.send(address))).await;
    let bodies: Vec<Value> = requests
        .iter()
        .zip(answers)
        .map(|(request, answer)| {
            assert_eq!(answer.status, 200, "{request:?} {answer:?}");
            answer.json()
        })
        .collect();
    let [.., status, _, names, infos, _, readiness] = bodies.as_slice() else {
        panic!("{bodies:?}");
    };
    assert_eq!(status["wanted"], 2);
    assert_eq!(
        status["pending"][0],
        "the store does not answer: the last decision is not known, and no change is taken"
    );
    assert_eq!(names, &json!({ "schedulers": ["pong"] }));
    assert_eq!(infos[0]["name"], "pong");
    assert_eq!(readiness["ready"], true);
    assert_eq!(
        readiness["dependencies"][1],
        json!({
            "name": "store",
            "state": "down",
            "required": false,
            "without": "changes are refused; pings, status, allocation and scaling go on",
        })
    );
    host.stop().await;
}

/// Takes a server of its own, to end it.
#[cfg(feature = "testbed")]
#[tokio::test]
async fn without_the_registry_nothing_goes_on_and_it_is_told() {
    use super::eventually::eventually;
    use maestro::registry::redis::{Config, Redis};
    use std::process::{Command, Stdio};
    use std::time::Duration;

    let host = Host::with_pong().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut server = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed: run `deploy/testbed/up`");
    let patience = Duration::from_secs(30);
    let redis = eventually("the server answers", patience, async || {
        let config = Config {
            patience: Duration::from_secs(1),
            answer_timeout: Duration::from_millis(500),
            ..Config::new(vec![format!("redis://127.0.0.1:{port}")])
        };
        Redis::connect(config).await.ok()
    })
    .await;
    let api = Api {
        registry: Arc::new(redis),
        probe: Arc::default(),
        ..host.api.clone()
    };
    let address = host.listen(router(api)).await;
    let ready = request("GET /readyz");
    assert_eq!(ready.send(address).await.status, 200);
    server.kill().unwrap();
    server.wait().unwrap();
    let told = eventually("it is told", patience, async || {
        let answer = ready.send(address).await;
        (answer.status == 503).then(|| answer.json())
    })
    .await;
    assert_eq!((&told["ready"], &told["ending"]), (&false.into(), &false.into()));
    assert_eq!(
        told["dependencies"][0],
        json!({
            "name": "registry",
            "state": "down",
            "required": true,
            "without": "no room is heard, none is given out, and nothing is decided",
        })
    );
    let ping = request("PUT /scheduler/pong/rooms/pong-0000000a/ping")
        .json(&json!({ "status": "ready", "timestamp": START }));
    for refused in [ping, request("GET /scheduler/pong")] {
        let answer = refused.send(address).await;
        assert_eq!(answer.status, 503, "{refused:?} {answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        assert_eq!(answer.json()["error"], "the registry failed", "{answer:?}");
    }
    assert_eq!(request("GET /livez").send(address).await.status, 200);
    host.stop().await;
}
