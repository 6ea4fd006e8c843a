//! Bodies of rooms' calls: what is taken, and what is said of the rest.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use maestro_core::report::Reported;
use maestro_wire::call::read_report;

fn ms(timestamp: &str) -> Option<i64> {
    let body = format!("{{\"status\": \"ready\", \"timestamp\": {timestamp}}}");
    read_report(body.as_bytes())
        .ok()
        .map(|report| report.sent_at.ms())
}

/// What is said of a body that is refused.
fn problems(body: &str) -> Vec<String> {
    read_report(body.as_bytes()).unwrap_err()
}

#[test]
fn seconds_and_milliseconds_are_told_apart() {
    assert_eq!(ms("1700000000"), Some(1_700_000_000_000));
    assert_eq!(ms("1700000000.5"), Some(1_700_000_000_500));
    assert_eq!(ms("1700000000123"), Some(1_700_000_000_123));
    for refused in ["0", "-1", "\"1700000000\"", "1e300", "null"] {
        assert_eq!(ms(refused), None, "{refused}");
    }
}

#[test]
fn metadata_are_kept_as_they_are() {
    let text = r#"{"a":{"b":[1,-2,2.5,1e300,"x\n\"",true,false,null,{}]},"é":18446744073709551615}"#;
    let body = format!(r#"{{"status":"occupied","timestamp":1,"metadata":{text}}}"#);
    let report = read_report(body.as_bytes()).unwrap();
    let read: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(report.metadata, Some(read.to_string()));
    assert_eq!(report.status, Reported::Occupied);
}

#[test]
fn what_is_given_twice_is_refused_beside_whatever_else_is_wrong() {
    let twice = "`timestamp` is given more than once";
    assert_eq!(
        problems(r#"{"status":"ready","timestamp":1,"timestamp":1}"#),
        [twice]
    );
    assert_eq!(
        problems(r#"{"status":"ready","timestamp":1,"timestamp":1,"capacity":0}"#),
        [
            twice,
            "`capacity` is `0`; expected a whole number from 1 to 10000"
        ]
    );
    assert_eq!(
        problems(r#"{"status":"ready","timestamp":1,"metadata":{"a":[{"b":1,"b":2,"b":3}],"\u0061":2}}"#),
        ["`b`, `a` are given more than once"]
    );
    let many: Vec<String> = (0..2_000).map(|number| format!("\"{}\":0", number / 2)).collect();
    let body = format!(r#"{{"status":"ready","timestamp":1,{}}}"#, many.join(","));
    assert_eq!(
        problems(&body),
        ["`0`, `1`, `2`, `3`, `4` and others are given more than once"]
    );
}

#[test]
fn the_same_key_in_different_objects_is_fine() {
    let body = br#"{"status":"ready","timestamp":1,"metadata":{"status":1,"a":{"status":2},"b":[{"status":3},{"status":4}]}}"#;
    assert!(read_report(body).is_ok());
}

#[test]
fn deep_nesting_is_refused_and_ends_nothing() {
    let body = format!(r#"{{"metadata":{}"#, "[".repeat(100_000));
    let [problem] = problems(&body).try_into().unwrap();
    assert!(
        problem.starts_with("the body is not JSON: recursion limit exceeded"),
        "{problem}"
    );
}
