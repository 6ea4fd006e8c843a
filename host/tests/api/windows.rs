//! Windows through the API.

use maestro::registry::{Registry, State};
use maestro_core::decision::Counts;
use maestro_core::time::{Span, Timestamp};
use maestro_core::window::{Sample, Sampling, Window};
use serde_json::json;

use super::client::request;
use super::harness::{Host, START};

/// What the loop of `pong` remembers: three samples, and two series, one with an odd name.
async fn remember(host: &Host) {
    let sampling = Sampling::of(Span::from_secs(600));
    let mut window = Window::default();
    for n in 0..3 {
        let counts = Counts {
            ready: u32::try_from(n).unwrap(),
            occupied: 2,
            ..Counts::default()
        };
        let at = Timestamp::from_ms(START + n * 10_000);
        assert!(window.push(Sample { at, counts }, sampling));
    }
    let at = Timestamp::from_ms(START + 10_000);
    assert!(window.push_value("cpu.used", at, 1.5, sampling));
    let at = Timestamp::from_ms(START + 12_000);
    assert!(window.push_value("odd,\"name", at, 7.0, sampling));
    let fence = host.lease().await;
    let state = State {
        window,
        ..State::default()
    };
    host.registry.save(&fence, &state).await.unwrap();
}

#[tokio::test]
async fn a_window_is_shown_whole_or_in_part() {
    let host = Host::with_pong().await;
    let empty = host.get("/scheduler/pong/window").await;
    assert_eq!(empty, json!({ "samples": [], "series": {} }));
    remember(&host).await;
    let whole = host.get("/scheduler/pong/window").await;
    assert_eq!(whole["samples"].as_array().unwrap().len(), 3);
    assert_eq!(
        whole["samples"][1],
        json!({
            "at": "2023-11-14T22:13:30.000Z", "starting": 0, "ready": 1, "allocated": 0, "occupied": 2,
            "draining": 0, "stopping": 0, "silent": 0,
        })
    );
    assert_eq!(
        whole["series"]["cpu.used"],
        json!([["2023-11-14T22:13:30.000Z", 1.5]])
    );
    let part = host
        .get("/scheduler/pong/window?since=1700000010&until=1700000011")
        .await;
    assert_eq!(part["samples"], json!([whole["samples"][1]]));
    assert_eq!(part["series"], json!({ "cpu.used": whole["series"]["cpu.used"] }));
    host.stop().await;
}

#[tokio::test]
async fn a_window_is_a_table_for_those_who_ask_for_one() {
    let host = Host::with_pong().await;
    remember(&host).await;
    let expected = [
        "at,starting,ready,allocated,occupied,draining,stopping,silent,cpu.used,\"odd,\"\"name\"",
        "2023-11-14T22:13:20.000Z,0,0,0,2,0,0,0,,",
        "2023-11-14T22:13:30.000Z,0,1,0,2,0,0,0,1.5,",
        "2023-11-14T22:13:32.000Z,,,,,,,,,7",
        "2023-11-14T22:13:40.000Z,0,2,0,2,0,0,0,,",
        "",
    ]
    .join("\r\n");
    for asking in [
        request("GET /scheduler/pong/window?format=csv"),
        request("GET /scheduler/pong/window").header("accept", "text/csv"),
    ] {
        let answer = host.send(asking).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("text/csv; charset=utf-8"))
        );
        assert_eq!(answer.text, expected);
    }
    let both = request("GET /scheduler/pong/window?format=json").header("accept", "text/csv");
    assert_eq!(host.send(both).await.ok()["samples"].as_array().unwrap().len(), 3);
    host.stop().await;
}
