//! What Prometheus scrapes: the names that dashboards and alerts live by, and that the counts are right.

use std::sync::Arc;
use std::time::Duration;

use maestro::api::Heads;
use maestro::metrics::{Call, Dependency, Outcome};
use maestro::registry::observed::Observed;
use maestro_core::names::PolicyName;
use maestro_core::scheduler::PolicyRef;
use maestro_engine::{Failure, FailureClass};

use super::client::request;
use super::harness::{Host, pong};

/// Names, kinds and helps, without values: what a release promises to the next one.
fn names(text: &str) -> String {
    let described = text
        .lines()
        .filter(|line| line.starts_with("# ") && *line != "# EOF");
    described.map(|line| format!("{line}\n")).collect()
}

/// Makes every metric have a value: those without any are not told of.
async fn tell_everything(host: &Host) {
    let metrics = &host.api.metrics;
    metrics.report("newest");
    metrics.refusal("missing");
    metrics.spans("exported", 1);
    metrics.journal_dropped("decisions", 1);
    metrics.allocation("pong", "none");
    metrics.call(Call::begin(Dependency::Registry, "room"), Outcome::Ok);
    let room = PolicyRef {
        name: PolicyName::parse("room").unwrap(),
        version: None,
    };
    let policy = host.api.catalog.load(&room, None).await.unwrap();
    let failure = Failure {
        class: FailureClass::OutOfFuel,
        message: "it looped".to_owned(),
        fuel: 1_500_000,
    };
    metrics.of_policies()(&policy, Duration::from_millis(3), &Err(failure));
    host.get("/scheduler").await;
}

/// The value of a series, as it stands in the text.
fn value<'t>(text: &'t str, series: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

#[tokio::test]
async fn the_names_are_as_reviewed() {
    let host = Host::start().await;
    tell_everything(&host).await;
    let answer = host.send(request("GET /metrics")).await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(answer.text.ends_with("# EOF\n"), "{answer:?}");
    insta::assert_snapshot!("metrics", names(&answer.text));
    host.stop().await;
}

#[tokio::test]
async fn requests_are_counted_by_template_and_reports_by_what_became_of_them() {
    let host = Host::with_pong().await;
    for suffix in 1..=3 {
        let room = host.room(suffix).await;
        host.report(&room, "ready").await;
        host.get(&format!("/scheduler/pong/rooms/{room}")).await;
    }
    let malformed = request("PUT /scheduler/pong/rooms/pong-00000001/status").body("{");
    host.send(malformed).await;
    for line in [
        "PUT /scheduler/pong/rooms/pong-00000009/ping",
        "PUT /scheduler/nobody/rooms/nobody-00000009/ping",
        "GET /nowhere/at/all",
        "BREW /scheduler",
    ] {
        host.send(request(line)).await;
    }
    let text = host.send(request("GET /metrics")).await.text;
    let is = |series: &str, expected: Option<&str>| {
        assert_eq!(value(&text, series), expected, "{series} of {text}")
    };
    let of = |method: &str, route: &str, status: u16| {
        format!(
            "maestro_http_request_duration_seconds_count{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
        )
    };
    is(
        &of("PUT", "/scheduler/{scheduler}/rooms/{room}/ping", 200),
        Some("3"),
    );
    is(&of("GET", "/scheduler/{scheduler}/rooms/{room}", 200), Some("3"));
    is(&of("GET", "none", 404), Some("1"));
    is(&of("OTHER", "/scheduler", 405), Some("1"));
    is("maestro_room_reports_total{result=\"newest\"}", Some("3"));
    is("maestro_room_reports_total{result=\"unknown\"}", Some("2"));
    is("maestro_room_reports_total{result=\"malformed\"}", Some("1"));
    assert!(
        !text.contains("pong-0000"),
        "no room has a series of its own: {text}"
    );
    host.stop().await;
}

#[tokio::test]
async fn calls_to_the_registry_are_counted_and_so_are_allocations() {
    let host = Host::start_as(Heads::default(), |api| {
        let (registry, metrics) = (api.registry.clone(), api.metrics.clone());
        api.registry = Arc::new(Observed::new(registry, metrics));
    })
    .await;
    let terms = maestro::registry::Terms {
        ttl: maestro_core::time::Span::from_secs(60),
        ping: maestro_core::time::Span::from_secs(60),
    };
    assert!(
        host.api
            .registry
            .allocate(&pong(), terms)
            .await
            .unwrap()
            .is_none()
    );
    let text = host.api.metrics.text();
    let count = "maestro_dependency_call_duration_seconds_count";
    let labels = "{dependency=\"registry\",call=\"allocate\",result=\"ok\"}";
    assert_eq!(value(&text, &format!("{count}{labels}")), Some("1"), "{text}");
    let none = "maestro_allocations_total{scheduler=\"pong\",result=\"none\"}";
    assert_eq!(value(&text, none), Some("1"), "{text}");
    assert_eq!(
        value(&text, "maestro_dependency_up{dependency=\"registry\"}"),
        Some("1")
    );
    host.stop().await;
}
