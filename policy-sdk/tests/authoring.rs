//! What an author's macros make: settings that are read, refused and described.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use maestro_policy_sdk::Parameters as _;
use maestro_policy_sdk::prelude::*;

parameters! {
    /// Settings of every kind.
    pub struct Parameters {
        /// The first "line",
        /// and a second one.
        share: f64 = 0.5 in 0.0..=1.0,
        /// Number.
        rooms: u32 in 1..=1_000,
        /// Text.
        name: String = "plain",
        /// Switch.
        is_on: bool = true,
        /// Choice.
        offset: Option<i64> in -5..=5,
    }
    check name_is_short;
}

policy!(
    evaluate,
    Parameters,
    "Says what it read.",
    name = "echo",
    inputs = ["rooms", "queue.waiting"]
);

fn name_is_short(parameters: &Parameters) -> Result<(), String> {
    if parameters.name.len() < 10 {
        Ok(())
    } else {
        Err("`name` is too long".to_owned())
    }
}

fn evaluate(_: &Observation, parameters: &Parameters) -> Result<Verdict, Error> {
    Ok(Verdict::total(parameters.rooms, parameters.name.clone())
        .urgent()
        .with_state(vec![1]))
}

fn refused(json: &str) -> String {
    from_json::<Parameters>(json).unwrap_err()
}

#[test]
fn settings_have_defaults() {
    let expected = Parameters {
        share: 0.5,
        rooms: 7,
        name: "plain".to_owned(),
        is_on: true,
        offset: None,
    };
    assert_eq!(from_json::<Parameters>(r#"{"rooms": 7}"#).unwrap(), expected);
    let given = r#"{"rooms": 1000, "share": 1, "name": "x", "is_on": false, "offset": -5}"#;
    let expected = Parameters {
        share: 1.0,
        rooms: 1000,
        name: "x".to_owned(),
        is_on: false,
        offset: Some(-5),
    };
    assert_eq!(from_json::<Parameters>(given).unwrap(), expected);
}

#[test]
fn bad_settings_are_refused_in_a_sentence() {
    let cases = [
        ("{}", "missing field `rooms`"),
        (
            r#"{"rooms": 7, "shar": 1}"#,
            "unknown field `shar`, expected one of `share`, `rooms`, `name`, `is_on`, `offset`",
        ),
        (r#"{"rooms": 0}"#, "`rooms` must be from 1 to 1000"),
        (r#"{"rooms": 7, "share": 1.5}"#, "`share` must be from 0 to 1"),
        (r#"{"rooms": 7, "offset": -6}"#, "`offset` must be from -5 to 5"),
        (
            r#"{"rooms": 7, "name": "a name that is long"}"#,
            "`name` is too long",
        ),
        (
            r#"{"rooms": "seven"}"#,
            "invalid type: string \"seven\", expected u32",
        ),
        (r#"{"rooms": -7}"#, "invalid value: integer `-7`, expected u32"),
    ];
    for (json, expected) in cases {
        assert_eq!(refused(json), expected);
    }
    assert!(refused("{").contains("EOF while parsing"), "{}", refused("{"));
    assert!(
        refused("[]").contains("missing field `rooms`") || refused("[]").contains("invalid"),
        "{}",
        refused("[]")
    );
}

#[test]
fn the_schema_says_what_the_macro_was_told() {
    let schema: serde_json::Value = serde_json::from_str(Parameters::SCHEMA).unwrap();
    let expected = serde_json::json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "share": {
                "type": "number", "description": "The first \"line\", and a second one.",
                "default": 0.5, "minimum": 0.0, "maximum": 1.0,
            },
            "rooms": { "type": "integer", "description": "Number.", "minimum": 1, "maximum": 1000 },
            "name": { "type": "string", "description": "Text.", "default": "plain" },
            "is_on": { "type": "boolean", "description": "Switch.", "default": true },
            "offset": { "type": "integer", "description": "Choice.", "minimum": -5, "maximum": 5 },
        },
        "required": ["rooms"],
    });
    assert_eq!(schema, expected);
}

#[test]
fn the_exported_functions_read_the_parameters() {
    use maestro_policy_sdk::support;

    let seen = TestWindow::new(60, 10)
        .parameters(r#"{"rooms": 3, "name": "three"}"#)
        .build();
    let verdict = support::evaluate(&seen, evaluate).unwrap();
    assert_eq!(
        verdict,
        Verdict {
            vote: Vote::Total(3),
            urgent: true,
            reason: "three".to_owned(),
            state: vec![1]
        }
    );
    assert_eq!(support::validate::<Parameters>(r#"{"rooms": 3}"#), Ok(()));
    let error = support::evaluate(&TestWindow::new(60, 10).build(), evaluate).unwrap_err();
    assert_eq!(
        error,
        Error::InvalidParameters("missing field `rooms`".to_owned())
    );
}
