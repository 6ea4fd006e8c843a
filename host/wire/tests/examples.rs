//! The documents of `deploy/examples` read without problems or warnings, and read back as they were written.

#![allow(clippy::panic, reason = "a test helper says what went wrong")]

use maestro_wire::document::{self, Document};

const PONG: &str = include_str!("../../../deploy/examples/pong.yaml");
const PONG_JSON: &str = include_str!("../../../deploy/examples/pong.json");

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
fn places_of_policies_are_known_after_reading() {
    let document = only(PONG);
    let reference = document.reference("up[0]").unwrap();
    let problem = document.problem(
        &format!("{}.type", reference.path),
        "no policy `room` is deployed",
    );
    insta::assert_snapshot!(problem.show("pong.yaml", PONG));
}
