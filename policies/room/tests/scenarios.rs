//! What `room` says in situations that people meet, word for word: its reasons are read as they stand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use maestro_policy_room::evaluate;
use maestro_policy_sdk::prelude::*;

/// `minutes` of samples, one each 10 s, in which `occupied` of ten rooms were.
fn busy(parts: &[(usize, u32)]) -> Vec<(u32, u32)> {
    parts
        .iter()
        .flat_map(|&(samples, occupied)| vec![(10 - occupied, occupied); samples])
        .collect()
}

fn ask(window: TestWindow, parameters: &str) -> (Vote, bool, String) {
    let parameters = from_json(parameters).unwrap();
    let verdict = evaluate(&window.build(), &parameters).unwrap();
    (verdict.vote, verdict.urgent, verdict.reason)
}

fn check(direction: Direction, parts: &[(usize, u32)], parameters: &str, expected: (Vote, bool, &str)) {
    let window = TestWindow::new(600, 10)
        .rooms(&busy(parts))
        .direction(direction)
        .wanted(10);
    let (vote, urgent, reason) = ask(window, parameters);
    assert_eq!((vote, urgent, reason.as_str()), expected);
}

const USAGE_70: &str = r#"{"usage": 70, "threshold": 80, "time": 600, "limit": 95}"#;
const USAGE_50: &str = r#"{"usage": 50, "threshold": 75, "time": 300}"#;

#[test]
fn enough_time_above_the_target_adds_rooms() {
    let reason = "8 of 10 rooms are in use (80 %); above 70 % for 480 s of the last 600 s (480 s needed): 11 rooms bring it to 70 %";
    check(
        Direction::Up,
        &[(12, 5), (49, 8)],
        USAGE_70,
        (Vote::Total(11), false, reason),
    );
}

#[test]
fn too_little_time_above_waits_and_says_for_what() {
    let reason = "8 of 10 rooms are in use (80 %); above 70 % for 470 of the needed 480 s of the last 600 s";
    check(
        Direction::Up,
        &[(13, 5), (48, 8)],
        USAGE_70,
        (Vote::Hold, false, reason),
    );
}

#[test]
fn exactly_at_the_target_is_not_above_it() {
    let reason = "7 of 10 rooms are in use (70 %); above 70 % for 0 of the needed 480 s of the last 600 s";
    check(Direction::Up, &[(61, 7)], USAGE_70, (Vote::Hold, false, reason));
}

#[test]
fn the_limit_adds_rooms_at_once() {
    let reason = "10 of 10 rooms are in use (100 %), which reaches the limit of 95 %: 14 rooms bring it to 70 % at once";
    check(
        Direction::Up,
        &[(1, 10)],
        USAGE_70,
        (Vote::Total(14), true, reason),
    );
}

#[test]
fn enough_time_below_the_target_removes_rooms() {
    let reason = "2 of 10 rooms are in use (20 %); below 50 % for 230 s of the last 300 s (225 s needed): 4 rooms bring it to 50 %";
    check(
        Direction::Down,
        &[(38, 6), (24, 2)],
        USAGE_50,
        (Vote::Total(4), false, reason),
    );
}

#[test]
fn a_trigger_never_votes_against_its_direction() {
    let reason = "10 of 10 rooms are in use (100 %); below 50 % for 0 of the needed 225 s of the last 300 s";
    check(
        Direction::Down,
        &[(61, 10)],
        USAGE_50,
        (Vote::Hold, false, reason),
    );
    let reason = "2 of 10 rooms are in use (20 %); above 70 % for 0 of the needed 480 s of the last 600 s";
    check(Direction::Up, &[(61, 2)], USAGE_70, (Vote::Hold, false, reason));
}

#[test]
fn what_is_wanted_already_is_not_asked_for_again() {
    let window = || {
        TestWindow::new(600, 10)
            .rooms(&busy(&[(61, 8)]))
            .direction(Direction::Up)
    };
    let (vote, _, reason) = ask(window().wanted(11), USAGE_70);
    assert_eq!(vote, Vote::Hold);
    assert!(
        reason.ends_with("but 11 rooms bring it to 70 %, and 11 are wanted already"),
        "{reason}"
    );
    let window = TestWindow::new(600, 10)
        .rooms(&busy(&[(61, 2)]))
        .direction(Direction::Down)
        .wanted(3);
    let (vote, _, reason) = ask(window, USAGE_50);
    assert_eq!(vote, Vote::Hold);
    assert!(
        reason.ends_with("but 4 rooms bring it to 50 %, and only 3 are wanted"),
        "{reason}"
    );
}

#[test]
fn a_two_way_trigger_goes_either_way() {
    check_vote(&[(61, 9)], Vote::Total(13));
    check_vote(&[(61, 1)], Vote::Total(1));
    let reason = "8 of 10 rooms are in use (80 %); above 70 % for 300 of the needed 480 s of the last 600 s, \
                  below 70 % for 300 of the needed 480 s of the last 600 s";
    check(
        Direction::Both,
        &[(30, 5), (31, 8)],
        USAGE_70,
        (Vote::Hold, false, reason),
    );
}

fn check_vote(parts: &[(usize, u32)], expected: Vote) {
    let window = TestWindow::new(600, 10).rooms(&busy(parts)).wanted(10);
    assert_eq!(ask(window, USAGE_70).0, expected);
}

#[test]
fn allocated_rooms_are_in_use_and_starting_ones_available() {
    let counts = Counts {
        creating: 2,
        ready: 3,
        allocated: 1,
        occupied: 4,
        terminating: 9,
    };
    let window = TestWindow::new(20, 10)
        .sample(20, counts)
        .sample(10, counts)
        .sample(0, counts)
        .wanted(10);
    let (vote, _, reason) = ask(window.direction(Direction::Up), r#"{"usage": 40}"#);
    assert_eq!(vote, Vote::Total(13));
    assert_eq!(
        reason,
        "5 of 10 rooms are in use (50 %); above 40 % for 20 s of the last 20 s (16 s needed): 13 rooms bring it to 40 %"
    );
}

#[test]
fn without_a_room_there_is_no_utilisation() {
    let parameters = from_json(USAGE_70).unwrap();
    let seen = TestWindow::new(600, 10).rooms(&[(0, 0), (0, 0)]).build();
    assert!(matches!(
        evaluate(&seen, &parameters),
        Err(Error::InsufficientData(_))
    ));
}

#[test]
fn parameters_are_held_to_their_ranges() {
    let cases = [
        (r#"{}"#, "missing field `usage`"),
        (r#"{"usage": 0}"#, "`usage` must be from 1 to 1000"),
        (r#"{"usage": 1001}"#, "`usage` must be from 1 to 1000"),
        (
            r#"{"usage": 70, "threshold": 0}"#,
            "`threshold` must be from 1 to 100",
        ),
        (r#"{"usage": 70, "time": 0}"#, "`time` must be from 1 to 604800"),
        (
            r#"{"usage": 95, "limit": 90}"#,
            "`limit` is 90, but must be above `usage`, which is 95",
        ),
        (
            r#"{"usage": 70, "treshold": 80}"#,
            "unknown field `treshold`, expected one of `usage`, `threshold`, `time`, `limit`",
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(
            from_json::<maestro_policy_sdk::target::Parameters>(json).unwrap_err(),
            expected
        );
    }
}
