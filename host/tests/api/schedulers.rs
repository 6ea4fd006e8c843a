//! Schedulers through the API.

use maestro::store::operations::{Input, State, Step};
use maestro::store::schedulers::ManagedBy;
use maestro_core::decision::Decision;
use maestro_core::names::Version;
use maestro_core::time::{Span, Timestamp};
use serde_json::{Value, json};

use super::client::request;
use super::decisions::{decision, write};
use super::harness::{Host, PONG, START, pong};

#[tokio::test]
async fn a_scheduler_is_created_listed_shown_and_its_document_comes_back_as_given() {
    let host = Host::start().await;
    assert_eq!(host.get("/scheduler").await, json!({ "schedulers": [] }));
    let commented = format!("# ours\n{PONG}");
    let answer = host
        .send(request("POST /scheduler").body(commented.clone()))
        .await;
    assert_eq!(answer.status, 201);
    let body = answer.json();
    assert_eq!(
        (&body["success"], &body["version"]),
        (&json!(true), &json!("v1.0"))
    );
    assert_eq!(host.get("/scheduler").await, json!({ "schedulers": ["pong"] }));
    assert_eq!(
        host.get("/scheduler/pong/config").await,
        json!({ "yaml": commented })
    );

    let accept = request("GET /scheduler/pong/config").header("accept", "application/json");
    let object = host.send(accept).await.ok();
    assert_eq!(
        (&object["name"], &object["autoscaling"]["min"]),
        (&json!("pong"), &json!(2))
    );
    let status = host.get("/scheduler/pong").await;
    for (field, expected) in [
        ("game", json!("pong")),
        ("state", json!("creating")),
        ("roomsAtReady", json!(0)),
        ("lastScaleOpAt", json!(0)),
        ("stateLastChangedAt", json!(START / 1_000)),
        ("version", json!("v1.0")),
    ] {
        assert_eq!(status[field], expected, "{field} of {status}");
    }
    let info = host.get("/scheduler?info").await;
    assert_eq!(
        (&info[0]["name"], &info[0]["autoscalingMin"]),
        (&json!("pong"), &json!(2))
    );
    host.stop().await;
}

/// What rooms use is measured each ten seconds: a trigger that looks back for less than three of those may never fire.
#[tokio::test]
async fn who_looks_back_on_too_few_measurements_is_told() {
    let host = Host::start().await;
    let document = |kind: &str, time: u32| {
        format!(
            "name: {kind}-{time}\ngame: pong\nimage: pong:1\nrequests: {{cpu: 1, memory: 1Gi}}\nautoscaling:\n  min: 1\n  up:\n    \
             metricsTrigger:\n      - {{type: {kind}, usage: 60, threshold: 80, time: {time}}}\n"
        )
    };
    for (kind, time, is_told) in [
        ("cpu", 20, true),
        ("cpu", 30, false),
        ("memory", 29, true),
        ("room", 20, false),
    ] {
        let created = request("POST /scheduler").body(document(kind, time));
        let answer = host.send(created).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
        let body = answer.json();
        let told = body["warnings"].as_array().cloned().unwrap_or_default();
        let is_about_it = told.iter().any(|warning| {
            warning["path"] == "autoscaling.up.metricsTrigger[0]"
                && warning["message"]
                    .as_str()
                    .unwrap()
                    .contains("measured every 10 s")
        });
        assert_eq!(is_about_it, is_told, "{kind} {time}: {body}");
    }
    host.stop().await;
}

#[tokio::test]
async fn json_documents_and_several_in_one_body_are_taken() {
    let host = Host::start().await;
    let json = json!({ "name": "arena", "game": "test", "image": "a", "autoscaling": { "min": 1 } });
    host.send(request("POST /scheduler").json(&json)).await.ok();
    let two = format!("{PONG}---\n{}", PONG.replace("name: pong", "name: ping"));
    host.send(request("POST /scheduler").body(two)).await.ok();
    let names = host.get("/scheduler").await;
    assert_eq!(names, json!({ "schedulers": ["arena", "ping", "pong"] }));
    host.stop().await;
}

#[tokio::test]
async fn a_document_is_yaml_or_json_whatever_type_its_body_is_said_to_be() {
    let host = Host::start().await;
    let json =
        json!({ "name": "pong", "game": "pong", "image": "pong:1", "autoscaling": { "min": 2, "max": 10 } });
    let types = [
        "application/json",
        "application/yaml",
        "application/x-yaml",
        "text/yaml",
        "text/plain",
    ];
    host.send(request("POST /scheduler").body(PONG)).await.ok();
    for content_type in types {
        for body in [PONG.to_owned(), json.to_string()] {
            let put = request("PUT /scheduler/pong").header("content-type", content_type);
            let done = host.send(put.body(body)).await.ok();
            assert_eq!(done["version"], "v1.0", "{content_type}: both say the same");
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn one_bad_document_among_several_stores_none() {
    let host = Host::start().await;
    let two = format!("{PONG}---\nname: ping\n");
    assert_eq!(host.send(request("POST /scheduler").body(two)).await.status, 422);
    assert_eq!(host.get("/scheduler").await, json!({ "schedulers": [] }));
    host.stop().await;
}

#[tokio::test]
async fn it_is_said_how_many_rooms_come_up() {
    let host = Host::start().await;
    for (name, min, expected) in [
        ("one", 1, "created as v1.0; at least 1 room comes up"),
        ("two", 2, "created as v1.0; at least 2 rooms come up"),
    ] {
        let document = PONG.replace("name: pong", &format!("name: {name}"));
        let document = document.replace("min: 2", &format!("min: {min}"));
        let done = host.send(request("POST /scheduler").body(document)).await.ok();
        assert_eq!(done["message"], expected);
    }
    host.stop().await;
}

async fn put(host: &Host, document: &str) -> Value {
    host.send(request("PUT /scheduler/pong").body(document))
        .await
        .ok()
}

#[tokio::test]
async fn an_update_is_minor_or_major_or_nothing_at_all() {
    let host = Host::with_pong().await;
    let more = PONG.replace("max: 10", "max: 20");
    let other_image = more.replace("pong:1", "pong:2");
    for (document, expected) in [
        (PONG, "v1.0"),
        (more.as_str(), "v1.1"),
        (other_image.as_str(), "v2.0"),
        (other_image.as_str(), "v2.0"),
    ] {
        let done = put(&host, document).await;
        assert_eq!(
            (&done["success"], &done["version"]),
            (&json!(true), &json!(expected))
        );
    }
    let old = host.get("/scheduler/pong/config?version=v1.1").await;
    assert_eq!(old, json!({ "yaml": more }));
    let releases = host.get("/scheduler/pong/releases").await;
    let releases: Vec<&Value> = releases["releases"].as_array().unwrap().iter().collect();
    let versions: Vec<&Value> = releases.iter().map(|release| &release["version"]).collect();
    assert_eq!(versions, ["v1.0", "v1.1", "v2.0"]);
    assert_eq!(releases[0]["createdAt"], "2023-11-14T22:13:20.000Z");
    host.stop().await;
}

async fn scale(host: &Host, request_body: Value) -> Value {
    host.send(request("POST /scheduler/pong").json(&request_body))
        .await
        .ok()
}

#[tokio::test]
async fn a_scale_says_what_was_asked_what_it_comes_to_and_why() {
    let host = Host::with_pong().await;
    host.wanted(4).await;
    let answer = scale(&host, json!({ "replicas": 8 })).await;
    assert_eq!(
        answer,
        json!({ "success": true, "asked": 8, "wanted": 8, "clamped": [] })
    );
    let open = host.api.store.open_operations(&pong()).await.unwrap();
    assert_eq!(open.last().unwrap().input, Input::Scale { wanted: 8 });

    let answer = scale(&host, json!({ "replicas": 99 })).await;
    assert_eq!((&answer["asked"], &answer["wanted"]), (&json!(99), &json!(10)));
    assert_eq!(answer["clamped"].as_array().unwrap().len(), 1, "{answer}");
    let answer = scale(&host, json!({ "replicas": 0 })).await;
    assert_eq!((&answer["asked"], &answer["wanted"]), (&json!(0), &json!(2)));
    host.stop().await;
}

#[tokio::test]
async fn two_scales_by_some_before_the_loop_comes_round_add_up() {
    let host = Host::with_pong().await;
    host.wanted(4).await;
    assert_eq!(scale(&host, json!({ "scaleup": 2 })).await["wanted"], 6);
    assert_eq!(scale(&host, json!({ "scaleup": 3 })).await["wanted"], 9);
    assert_eq!(scale(&host, json!({ "scaledown": 4 })).await["wanted"], 5);
    host.stop().await;
}

#[tokio::test]
async fn what_the_loop_has_not_taken_up_yet_is_pending() {
    let host = Host::with_pong().await;
    let pending = async || host.get("/scheduler/pong").await["pending"].clone();
    assert_eq!(pending().await, json!([]));
    host.wanted(4).await;
    scale(&host, json!({ "replicas": 8 })).await;
    assert_eq!(pending().await, json!(["8 rooms were asked for by hand"]));
    let open = host.api.store.open_operations(&pong()).await.unwrap();
    let done = Step {
        state: State::Finished,
        progress: 10_000,
        description: String::new(),
        error: None,
    };
    let now = Timestamp::from_ms(START);
    let operation = open.last().unwrap().id;
    host.api.store.advance(operation, &done, now).await.unwrap();
    assert_eq!(pending().await, json!([]));

    write(&host, &[decision(1)]).await;
    put(&host, &PONG.replace("max: 10", "max: 20")).await;
    assert_eq!(pending().await, json!(["version v1.1 is not taken up yet"]));
    let decided = Decision {
        version: Version::parse("v1.1").unwrap(),
        ..decision(2)
    };
    write(&host, &[decided]).await;
    assert_eq!(pending().await, json!([]));
    host.stop().await;
}

#[tokio::test]
async fn a_scale_never_goes_below_the_rooms_in_use() {
    let host = Host::with_pong().await;
    host.wanted(4).await;
    for suffix in 0..4 {
        let room = host.room(suffix).await;
        host.report(&room, "occupied").await;
    }
    let answer = scale(&host, json!({ "scaledown": 2 })).await;
    assert_eq!((&answer["asked"], &answer["wanted"]), (&json!(2), &json!(4)));
    host.stop().await;
}

#[tokio::test]
async fn a_deleted_scheduler_is_terminating_until_the_loop_is_done() {
    let host = Host::with_pong().await;
    let done = host.send(request("DELETE /scheduler/pong")).await.ok();
    assert_eq!(done["success"], true);
    assert_eq!(host.get("/scheduler/pong").await["state"], "terminating");
    host.pass(Span::from_secs(60));
    let again = host.send(request("DELETE /scheduler/pong?force=true")).await.ok();
    assert_eq!(again["operationKey"], done["operationKey"]);
    let changed_at = &host.get("/scheduler/pong").await["stateLastChangedAt"];
    assert_eq!(
        changed_at,
        START / 1_000,
        "its deadline counts from the first time"
    );
    assert_eq!(host.send(request("POST /scheduler").body(PONG)).await.status, 409);
    host.stop().await;
}

#[tokio::test]
async fn what_a_file_manages_is_changed_through_the_file_only() {
    let host = Host::start().await;
    let file = ManagedBy::File("pong.yaml".to_owned());
    maestro::api::apply::apply(&host.api, PONG, &file).await.unwrap();
    let changed = PONG.replace("max: 10", "max: 20");
    for refused in [
        request("PUT /scheduler/pong").body(changed),
        request("DELETE /scheduler/pong"),
    ] {
        let answer = host.send(refused).await;
        assert_eq!(answer.status, 409, "{answer:?}");
        assert!(answer.text.contains("pong.yaml"), "{answer:?}");
    }
    assert_eq!(host.get("/scheduler/pong").await["version"], "v1.0");
    host.stop().await;
}
