//! What is written for people and for programs, and what a collector of traces is sent.

use axum::Router;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::*;
use crate::api::{Heads, serve};
use crate::tasks::{Kind, Tasks};

/// What one event becomes, without its time.
fn told(event: impl FnOnce()) -> String {
    let (tx, mut lines) = mpsc::channel(1);
    let subscriber = Registry::default().with(text(Some("info"), Lines::new(tx), false));
    tracing::subscriber::with_default(subscriber, event);
    let line = lines.try_recv().unwrap();
    let (time, rest) = line.split_once(' ').unwrap();
    assert_eq!(time.len(), "2026-11-23T13:29:03Z".len(), "{line}");
    assert!(time.ends_with('Z'), "{line}");
    rest.to_owned()
}

#[test]
fn what_the_message_names_is_not_said_again() {
    let line = told(|| tracing::info!(scheduler.name = "pong", rooms = 3, "pong: 3 rooms are ready"));
    assert_eq!(line, " INFO pong: 3 rooms are ready rooms=3\n");
    let line = told(|| tracing::warn!(scheduler.name = %"pong", room.id = %"pong-1", "room adopted"));
    assert_eq!(line, " WARN room adopted scheduler.name=pong room.id=pong-1\n");
}

/// Runs something that is logged for programs, and gives the lines.
fn lines(run: impl FnOnce()) -> Vec<serde_json::Value> {
    let (tx, mut lines) = mpsc::channel(10);
    let settings = Settings {
        filter: Some("maestro=info".to_owned()),
        format: Format::Json,
        otlp: None,
    };
    let subscriber = service(&settings, Lines::new(tx), None);
    tracing::subscriber::with_default(subscriber, run);
    let mut read = Vec::new();
    while let Ok(line) = lines.try_recv() {
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        read.push(serde_json::from_str(&line).unwrap());
    }
    read
}

#[test]
fn programs_get_all_fields_and_the_trace() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let told = lines(|| {
        tracing::info!(rooms = 3, "by itself\n\u{1b}[31m");
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        let request = request("GET", "/scheduler", Some(&parent), true);
        let _entered = request.enter();
        tracing::warn!(scheduler.name = %"pong", is_late = true, "pong: late");
        let inner = call(Dependency::Store, "read").entered();
        tracing::info!("in a call");
        drop(inner);
        tracing::debug!("for nobody");
    });
    assert_eq!(told.len(), 3, "{told:?}");
    let [alone, late, inner] = told.as_slice() else {
        return;
    };
    let keys =
        |line: &serde_json::Value| -> Vec<String> { line.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(alone), ["time", "level", "target", "message", "fields"]);
    assert_eq!(alone["message"], "by itself\n\u{1b}[31m");
    assert_eq!(alone["fields"], serde_json::json!({ "rooms": 3 }));
    assert_eq!(
        keys(late),
        [
            "time", "level", "target", "message", "trace_id", "span_id", "fields"
        ]
    );
    assert_eq!(
        (&late["level"], &late["target"]),
        (&"WARN".into(), &"maestro::telemetry::tests".into())
    );
    assert_eq!(
        late["fields"],
        serde_json::json!({ "scheduler.name": "pong", "is_late": true })
    );
    assert_eq!(
        (&late["trace_id"], &inner["trace_id"]),
        (&trace.into(), &trace.into())
    );
    assert_ne!(late["span_id"], inner["span_id"]);
}

#[test]
fn a_step_is_a_trace_of_its_own_and_people_see_nothing_of_it() {
    let told = lines(|| {
        let pong = SchedulerName::parse("pong").unwrap();
        for _ in 0..2 {
            step(&pong).in_scope(|| tracing::info!("stepped"));
        }
    });
    let id = |line: &serde_json::Value| line["trace_id"].as_str().unwrap().to_owned();
    assert_eq!(id(&told[0]).len(), 32);
    assert_ne!(id(&told[0]), id(&told[1]));
    let line = self::told(|| {
        let pong = SchedulerName::parse("pong").unwrap();
        step(&pong).in_scope(|| tracing::info!("stepped"));
    });
    assert_eq!(line, " INFO stepped\n");
}

#[test]
fn lines_are_broken_and_terminals_are_not() {
    let line = told(|| tracing::info!(reason = "a\u{7}", "one\ntwo\u{1b}[31m"));
    assert_eq!(line, " INFO one\ntwo\\u{1b}[31m reason=a\\u{7}\n");
}

/// A collector on loopback, and what it is sent.
async fn collector(tasks: &Tasks) -> (String, mpsc::UnboundedReceiver<ExportTraceServiceRequest>) {
    let (tx, rx) = mpsc::unbounded_channel();
    let take = move |body: axum::body::Bytes| {
        let sent = ExportTraceServiceRequest::decode(body).unwrap();
        tx.send(sent).unwrap();
        async {}
    };
    let app = Router::new().route("/v1/traces", post(take));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tasks.spawn(Kind::Api, serve(listener, app, Heads::default(), tasks.clone()));
    (url, rx)
}

fn text_of(span: &Sent, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        Any::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

#[tokio::test]
async fn a_collector_gets_what_is_worth_keeping() {
    let tasks = Tasks::new();
    let (url, mut sent) = collector(&tasks).await;
    let metrics = Arc::<Metrics>::default();
    let (tx, spans) = mpsc::channel(otlp::QUEUE);
    let exporter = Exporter::new(&url, spans, Arc::clone(&metrics)).unwrap();
    let (lines, _kept) = mpsc::channel(10);
    let subscriber = service(
        &Settings::default(),
        Lines::new(lines),
        Some((tx, Arc::clone(&metrics))),
    );
    let stop = CancellationToken::new();
    {
        let _subscribed = tracing::subscriber::set_default(subscriber);
        let pong = SchedulerName::parse("pong").unwrap();
        // Nothing came of it.
        step(&pong).in_scope(|| drop(call(Dependency::Cluster, "usage")));
        let kept = step(&pong);
        async { drop(call(Dependency::Cluster, "list").entered()) }
            .instrument(kept.clone())
            .await;
        keep(&kept);
        drop(kept);
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        // A room's call, which nobody would trace if its caller did not.
        let ping = request("PUT", "/ping", Some(parent), false);
        answered(&ping, "PUT /ping", 200);
        drop(ping);
        let failed = request("PUT", "/ping", None, false);
        answered(&failed, "PUT /ping", 503);
        drop(failed);
        drop(request("PUT", "/ping", None, false));
    }
    // What waits is sent before the end.
    stop.cancel();
    exporter.run(stop).await.unwrap();
    let batch = sent.recv().await.unwrap();
    let [resource] = batch.resource_spans.as_slice() else {
        panic!("{batch:?}");
    };
    let named = &resource.resource.as_ref().unwrap().attributes;
    assert!(named.iter().any(|one| one.key == "service.name"), "{named:?}");
    let spans = &resource.scope_spans[0].spans;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["list", "step", "PUT /ping", "PUT /ping"]);
    let [list, step, ping, failed] = spans.as_slice() else {
        return;
    };
    assert_eq!(
        (&list.trace_id, &list.parent_span_id),
        (&step.trace_id, &step.span_id)
    );
    assert_eq!(text_of(list, "peer.service").as_deref(), Some("cluster"));
    assert_eq!(text_of(step, "scheduler.name").as_deref(), Some("pong"));
    assert_eq!(hex::encode(&ping.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex::encode(&ping.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(
        text_of(failed, "http.response.status_code").as_deref(),
        Some("503")
    );
    assert_eq!(failed.status.as_ref().map(|status| status.code), Some(2));
    assert!(step.end_time_unix_nano >= step.start_time_unix_nano);
    let text = metrics.text();
    assert!(
        text.contains("maestro_trace_spans_total{result=\"exported\"} 4\n"),
        "{text}"
    );
    tasks.stop(std::time::Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn without_a_collector_spans_are_dropped_and_counted() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let metrics = Arc::<Metrics>::default();
    let (tx, spans) = mpsc::channel(2);
    let exporter = Exporter::new(&url, spans, Arc::clone(&metrics)).unwrap();
    let (lines, _kept) = mpsc::channel(10);
    let subscriber = service(
        &Settings::default(),
        Lines::new(lines),
        Some((tx, Arc::clone(&metrics))),
    );
    {
        let _subscribed = tracing::subscriber::set_default(subscriber);
        // Nobody waits for the queue.
        for _ in 0..5 {
            drop(request("GET", "/scheduler", None, true));
        }
    }
    let stop = CancellationToken::new();
    stop.cancel();
    exporter.run(stop).await.unwrap();
    let text = metrics.text();
    for line in [
        "maestro_trace_spans_total{result=\"dropped\"} 3\n",
        "maestro_trace_spans_total{result=\"failed\"} 2\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    for wrong in ["collector:4318", "ftp://collector", ""] {
        let (_tx, spans) = mpsc::channel(1);
        assert!(
            Exporter::new(wrong, spans, Arc::clone(&metrics)).is_err(),
            "{wrong}"
        );
    }
}
