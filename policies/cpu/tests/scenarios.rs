//! What `cpu` says: the figures of the formula, and that what was not measured is no zero.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use maestro_policy_cpu::evaluate;
use maestro_policy_sdk::prelude::*;

/// Ten rooms over 60 s that requested 1,000 thousandths of a core each and used `share` of it.
fn using(share: f64, rooms: u32) -> TestWindow {
    let requested = f64::from(rooms) * 1_000.0;
    TestWindow::new(60, 10)
        .rooms(&[(rooms, 0); 7])
        .metric("cpu.used", &[share * requested; 7])
        .metric("cpu.requested", &[requested; 7])
        .wanted(rooms)
}

fn ask(window: TestWindow, parameters: &str) -> Result<Verdict, Error> {
    evaluate(&window.build(), &from_json(parameters).unwrap())
}

#[test]
fn the_factor_is_rounded_to_hundredths_and_the_number_up() {
    let cases = [
        (0.5, 10, 8),
        (0.9, 10, 13),
        (0.77, 10, 11),
        (0.0, 10, 0),
        (2.1, 3, 9),
        (0.69, 1, 1),
    ];
    for (share, rooms, expected) in cases {
        let window = using(share, rooms).wanted(if share > 0.7 { 0 } else { u32::MAX });
        let verdict = ask(window, r#"{"usage": 70}"#).unwrap();
        assert_eq!(
            verdict.vote,
            Vote::Total(expected),
            "{share} of {rooms}: {}",
            verdict.reason
        );
    }
}

#[test]
fn reasons_give_the_figures() {
    let verdict = ask(using(0.9, 10), r#"{"usage": 70, "limit": 120}"#).unwrap();
    let expected = "rooms use 90 % of the cpu that they request; above 70 % for 60 s of the last 60 s (48 s needed): \
                    13 rooms bring it to 70 %";
    assert_eq!(verdict.reason, expected);
    let verdict = ask(using(1.25, 10), r#"{"usage": 70, "limit": 120}"#).unwrap();
    assert!(verdict.urgent);
    let expected = "rooms use 125 % of the cpu that they request, which reaches the limit of 120 %: \
                    18 rooms bring it to 70 % at once";
    assert_eq!(
        (verdict.vote, verdict.reason.as_str()),
        (Vote::Total(18), expected)
    );
}

#[test]
fn what_was_not_measured_is_insufficient_data() {
    let rooms = || TestWindow::new(60, 10).rooms(&[(10, 0); 7]);
    let used = rooms().metric("cpu.used", &[1.0; 7]);
    let nothing_requested = rooms()
        .metric("cpu.used", &[1.0; 7])
        .metric("cpu.requested", &[0.0; 7]);
    let old = rooms()
        .metric_at("cpu.used", &[(40, 1.0)])
        .metric_at("cpu.requested", &[(40, 1.0)]);
    for window in [rooms(), used, nothing_requested, old] {
        let error = ask(window, r#"{"usage": 70}"#).unwrap_err();
        assert!(matches!(error, Error::InsufficientData(_)), "{error}");
    }
    let error = ask(rooms(), r#"{"usage": 70}"#).unwrap_err();
    assert_eq!(
        error,
        Error::InsufficientData("there is no measurement of cpu.used yet".to_owned())
    );
}
