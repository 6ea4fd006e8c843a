//! What the embedded components say of themselves, refuse, and need.

use maestro_core::votes::Vote;
use maestro_engine::Refusal;
use maestro_engine::package::read_manifest;
use maestro_policies::POLICIES;
use maestro_policy_sdk::TestWindow;

use crate::engine::{builtin, shown};

pub(crate) fn describe_themselves() {
    let inputs = [
        vec!["rooms"],
        vec!["rooms", "cpu.used", "cpu.requested"],
        vec!["rooms", "memory.used", "memory.requested"],
    ];
    for (policy, inputs) in POLICIES.iter().zip(inputs) {
        let manifest = read_manifest(policy.component).unwrap();
        assert_eq!(
            (manifest.name.as_str(), manifest.version.as_str()),
            (policy.name, env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(
            (manifest.inputs, manifest.wit.as_str()),
            (inputs.iter().map(|name| (*name).to_owned()).collect(), "0.1.0")
        );
        assert!(
            manifest.parameters_schema.contains(r#""usage":{"type":"number""#),
            "{}",
            manifest.parameters_schema
        );
        assert!(manifest.summary.ends_with('.'), "{}", manifest.summary);
    }
}

pub(crate) fn refuse_bad_parameters() {
    let room = builtin("room");
    room.validate(r#"{"usage":70,"threshold":80,"time":600,"limit":90}"#)
        .unwrap();
    let refused = room.validate(r#"{"usage":70,"treshold":80}"#).unwrap_err();
    let Refusal::Rejected(message) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        message,
        "unknown field `treshold`, expected one of `usage`, `threshold`, `time`, `limit`"
    );
}

/// The largest window that the host keeps: 1,240 samples, and as many of each metric.
pub(crate) fn need_a_fraction_of_their_fuel() {
    let rooms: Vec<_> = (0..1_240).map(|index| (index % 7, 10 + index % 5)).collect();
    let values: Vec<f64> = (0..1_240).map(|index| f64::from(index % 97) * 1e7).collect();
    let requested = vec![1e9; 1_240];
    let window = ["cpu", "memory"]
        .iter()
        .fold(TestWindow::new(12_400, 10).rooms(&rooms), |window, name| {
            window
                .metric(&format!("{name}.used"), &values)
                .metric(&format!("{name}.requested"), &requested)
        });
    let seen = shown(&window.parameters(r#"{"usage":70,"limit":200}"#).build());
    for policy in POLICIES {
        let loaded = builtin(policy.name);
        let evaluation = loaded.evaluate(&seen).unwrap();
        println!(
            "{}: {} bytes, {} fuel",
            policy.name,
            policy.component.len(),
            evaluation.fuel
        );
        assert!(
            evaluation.fuel < loaded.limits().fuel / 2,
            "{} needs {} fuel",
            policy.name,
            evaluation.fuel
        );
    }
}

/// More than the SDK's arena holds, so that memory has to grow.
pub(crate) fn take_more_than_their_arena_holds() {
    let window = TestWindow::new(60, 10)
        .rooms(&[(2, 8); 7])
        .parameters(r#"{"usage":70}"#);
    let window = (0..1_000).fold(window, |window, _| window.label("note", &"x".repeat(1_000)));
    let evaluation = builtin("room")
        .evaluate(&shown(&window.wanted(10).build()))
        .unwrap();
    assert_eq!(evaluation.verdict.vote, Vote::Total(11));
}
