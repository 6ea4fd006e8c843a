//! The documents of `deploy/examples` read without problems or warnings, and read back as they were written.

#![allow(clippy::panic, reason = "a test helper says what went wrong")]

use maestro_wire::document::{self, Document};

const PONG: &str = include_str!("../../../deploy/examples/pong.yaml");
const ARENA: &str = include_str!("../../../deploy/examples/arena.yaml");
const PONG_JSON: &str = include_str!("../../../deploy/examples/pong.json");
const EXAMPLE_ROOM: &str = include_str!("../../../deploy/examples/example-room.yaml");

fn only(text: &str) -> Document {
    let mut documents =
        document::read(text).unwrap_or_else(|problems| panic!("{}", problems.show("text", text)));
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

#[test]
fn pong_and_its_json_twin_are_the_same_scheduler() {
    let (yaml, json) = (only(PONG), only(PONG_JSON));
    assert_eq!(yaml.scheduler, json.scheduler);
    assert_eq!((yaml.warnings, json.warnings), (vec![], vec![]));
    assert_eq!((yaml.text.as_str(), json.text.as_str()), (PONG, PONG_JSON));
    insta::assert_debug_snapshot!(yaml.scheduler);
}

#[test]
fn the_example_room_reads_without_warnings_and_reads_back_as_it_is_written() {
    let document = only(EXAMPLE_ROOM);
    assert_eq!(document.warnings, vec![]);
    let yaml = document::to_yaml(&document.scheduler).unwrap();
    assert_eq!(only(&yaml).scheduler, document.scheduler);
}

#[test]
fn pong_reads_back_as_it_is_written() {
    let scheduler = only(PONG).scheduler;
    let yaml = document::to_yaml(&scheduler).unwrap();
    assert_eq!(only(&yaml).scheduler, scheduler);
    let json = document::to_json(&scheduler).unwrap();
    assert_eq!(only(&json.to_string()).scheduler, scheduler);
    assert_eq!(
        only(&serde_json::to_string_pretty(&json).unwrap()).scheduler,
        scheduler
    );
    insta::assert_snapshot!(yaml);
}

#[test]
fn arena_reads_back_as_it_is_written() {
    let document = only(ARENA);
    assert_eq!(document.warnings, []);
    let yaml = document::to_yaml(&document.scheduler).unwrap();
    assert_eq!(only(&yaml).scheduler, document.scheduler);
    insta::assert_snapshot!(yaml);
}

/// What is compared to tell a major version from a minor one.
#[test]
fn the_order_of_keys_of_a_pod_template_and_what_says_nothing_make_no_other_room() {
    let read = |template: &str| {
        let text = format!("name: a\ngame: b\nimage: c\npodTemplate: {template}\nautoscaling: {{min: 1}}\n");
        only(&text).scheduler
    };
    let one =
        read("{spec: {nodeSelector: {b: '1', a: x}, dnsPolicy: None}, metadata: {labels: {z: 1, y: true}}}");
    let same = read(
        "{metadata: {labels: {y: 'true', z: '1'}}, spec: {dnsPolicy: None, hostname: null, nodeSelector: {a: x, b: 1}}}",
    );
    assert!(!same.is_major_change_from(&one));
    assert!(read("{spec: {dnsPolicy: None}}").is_major_change_from(&one));
    let text = one.template.pod_template.unwrap();
    assert_eq!(
        text,
        r#"{"metadata":{"labels":{"y":"true","z":"1"}},"spec":{"dnsPolicy":"None","nodeSelector":{"a":"x","b":"1"}}}"#
    );
    assert_eq!(read("{}").template.pod_template, None);
}

#[test]
fn places_of_policies_are_known_after_reading() {
    let document = only(PONG);
    let reference = document.reference("up[0]").unwrap();
    let problem = document.problem(
        &format!("{}.type", reference.path),
        "no policy `room` is deployed",
    );
    insta::assert_snapshot!(problem.show("pong.yaml", PONG));
}

#[test]
fn aliases_stand_for_their_values() {
    let text = "
name: &name pong
game: *name
containers:
  - &game {name: game, image: 'pong:1', requests: &size {cpu: 1}, limits: *size}
autoscaling: {min: &few 2, max: *few}
";
    let document = only(text);
    assert_eq!(document.scheduler.game, "pong");
    assert_eq!(document.scheduler.autoscaling.max, Some(2));
    let container = &document.scheduler.template.containers[0];
    assert_eq!(container.limits, container.requests);
}

#[test]
fn keys_at_their_defaults_may_be_left_out_or_empty() {
    let short = only("{name: pong, game: pong, image: 'pong:1', autoscaling: {}}").scheduler;
    let text = "
name: pong
game: pong
image: pong:1
imagePullPolicy: Always
ports: []
env:
cmd: ~
requests: {cpu: '', memory: null}
limits:
containers: []
affinity: ''
toleration: ''
portRange: null
shutdownTimeout: 30s
occupiedTimeout: 0
initializationTimeout: 2m
pingTimeout: 90
allocationTimeout: 300s
drainingTimeout: 1m60s
lostTimeout: 1h
preventRoomsCreationWithError: yes
authorizedUsers: []
forwarders: {grpc: }
autoscaling:
  min: 0
  max: 0
  enablePanicScale: false
  up: {cooldown: 600, metricsTrigger: []}
  down:
  policies: []
";
    let long = only(text);
    assert_eq!(long.scheduler, short);
    assert_eq!(long.warnings, []);
    assert_eq!(short.autoscaling.triggers, []);
}

/// The document that `deploy/examples/README.md` shows for autoscaling.
#[test]
fn the_readme_shows_a_document_that_reads() {
    let readme = include_str!("../../../deploy/examples/README.md");
    let shown = readme
        .split("```yaml")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let text = format!("name: pong\ngame: pong\nimage: pong:1\nrequests: {{cpu: 1}}\n{shown}");
    let triggers = only(&text).scheduler.autoscaling.triggers;
    let ids: Vec<&str> = triggers.iter().map(|trigger| trigger.id.as_str()).collect();
    assert_eq!(ids, ["up[0]", "up[1]", "down[0]", "policies[0]"]);
    assert_eq!(triggers[1].parameters, r#"{"perRoom":4}"#);
}
