//! Words: spans, sentences, plural forms, and which decisions say the same.

use maestro_core::decision::{Actor, Clamp, Counts, Decision, Rule};
use maestro_core::explain::{explain, summary};
use maestro_core::names::{PolicyName, Version};
use maestro_core::scheduler::{Direction, Mode};
use maestro_core::time::{Span, Timestamp};
use maestro_core::votes::{Ballot, Outcome, Vote};

fn ballot(outcome: Outcome) -> Ballot {
    Ballot {
        trigger: "up[0]".to_owned(),
        direction: Direction::Up,
        mode: Mode::Active,
        policy: PolicyName::parse("room").unwrap(),
        digest: None,
        fuel: 812,
        outcome,
    }
}

fn voted(total: u32) -> Outcome {
    Outcome::Voted {
        vote: Vote::Total(total),
        urgent: false,
        reason: "80 % of rooms are in use".to_owned(),
    }
}

fn decision(before: u32, wanted: u32) -> Decision {
    Decision {
        at: Timestamp::from_ms(1_790_000_000_000),
        actor: Actor::Loop,
        cluster: "local".to_owned(),
        version: Version::FIRST,
        counts: Counts {
            ready: 1,
            occupied: 4,
            ..Counts::default()
        },
        ballots: vec![ballot(voted(wanted))],
        winner: (before != wanted).then(|| "up[0]".to_owned()),
        clamps: Vec::new(),
        before,
        wanted,
        scaled: before != wanted,
        mass_silence: false,
        recovering: false,
        plan: Vec::new(),
        waits: vec!["The cooldown ends in 30 s.".to_owned()],
    }
}

#[test]
fn spans_read_as_a_person_says_them() {
    for (ms, text) in [
        (0, "0 s"),
        (450, "450 ms"),
        (2_000, "2 s"),
        (2_500, "2.5 s"),
        (90_999, "90 s"),
        (120_000, "2 min"),
        (150_000, "2 min 30 s"),
        (3_600_000, "1 h"),
        (3_900_000, "1 h 5 min"),
        (86_400_000, "24 h"),
        (180_000_000, "2 d 2 h"),
    ] {
        assert_eq!(Span::from_ms(ms).to_string(), text);
    }
}

#[test]
fn points_in_time_read_as_dates() {
    for (secs, text) in [
        (0, "1970-01-01 00:00:00 UTC"),
        (-1, "1969-12-31 23:59:59 UTC"),
        (951_782_400, "2000-02-29 00:00:00 UTC"),
        (1_700_000_000, "2023-11-14 22:13:20 UTC"),
        (4_107_542_399, "2100-02-28 23:59:59 UTC"),
        (4_107_542_400, "2100-03-01 00:00:00 UTC"),
    ] {
        assert_eq!(Timestamp::from_ms(secs * 1_000).to_string(), text);
    }
    for ms in [i64::MIN, i64::MAX] {
        assert!(Timestamp::from_ms(ms).to_string().ends_with(" UTC"));
    }
}

#[test]
fn summary_says_what_and_why() {
    let check = |change: &dyn Fn(&mut Decision), before, wanted, text: &str| {
        let mut decision = decision(before, wanted);
        change(&mut decision);
        assert_eq!(summary(&decision), text);
    };
    check(
        &|_| {},
        3,
        5,
        "Scaled up from 3 to 5 rooms, as trigger up[0] (room) asked.",
    );
    check(
        &|_| {},
        0,
        1,
        "Scaled up from 0 to 1 room, as trigger up[0] (room) asked.",
    );
    check(
        &|_| {},
        1,
        1,
        "1 room stays wanted: no trigger asked for a change.",
    );
    check(
        &|_| {},
        0,
        0,
        "Still no room is wanted: no trigger asked for a change.",
    );
    check(
        &|decision| decision.actor = Actor::Manual,
        3,
        1,
        "Scaled down from 3 to 1 room by hand.",
    );
    let bounded = |decision: &mut Decision| {
        decision.actor = Actor::File;
        decision.clamps = vec![Clamp {
            rule: Rule::Min,
            from: 0,
            to: 2,
        }];
    };
    let text = "Scaled down from 3 to 2 rooms by a change of the scheduler's file: 0 were asked for, but the \
                scheduler's minimum is 2.";
    check(&bounded, 3, 2, text);
    let corrected = |decision: &mut Decision| {
        decision.winner = None;
        decision.ballots.clear();
        decision.clamps = vec![Clamp {
            rule: Rule::Max,
            from: 9,
            to: 6,
        }];
    };
    check(
        &corrected,
        9,
        6,
        "Scaled down from 9 to 6 rooms: the scheduler's maximum is 6.",
    );
    let silent = |decision: &mut Decision| decision.mass_silence = true;
    let text =
        "2 rooms stay wanted: no trigger asked for a change; over a fifth of the rooms fell silent at once.";
    check(&silent, 2, 2, text);
    let failed = |decision: &mut Decision| {
        decision.ballots = vec![ballot(Outcome::Failed {
            class: "trap".to_owned(),
            message: "unreachable".to_owned(),
        })];
    };
    let text = "2 rooms stay wanted: no trigger asked for a change, and not all of them could answer.";
    check(&failed, 2, 2, text);
}

#[test]
fn explanation_has_only_sections_with_something_to_say() {
    let text = explain(&decision(3, 5)).to_string();
    assert!(text.contains(
        "What the triggers said\n  Trigger up[0] (room) asked for 5 rooms: 80 % of rooms are in use.\n"
    ));
    assert!(text.contains("There were 5 rooms, 80 % of them in use: 1 ready and 4 in a match."));
    assert!(!text.contains("What is done"), "{text}");
}

#[test]
fn every_sentence_of_an_explanation_is_one() {
    let mut decision = decision(3, 5);
    decision.plan = vec!["make 2 new rooms of v1.0".to_owned()];
    decision.counts.draining = 1;
    (decision.mass_silence, decision.recovering) = (true, true);
    decision.clamps = vec![Clamp {
        rule: Rule::NoTrust {
            triggers: vec!["up[0]".to_owned(), "down[0]".to_owned()],
        },
        from: 1,
        to: 5,
    }];
    let told = explain(&decision);
    let all = [&told.seen, &told.said, &told.ruled, &told.done, &told.next];
    for sentence in all.into_iter().flatten().chain([&told.summary]) {
        let first = sentence.chars().next().unwrap();
        assert!(first.is_uppercase() || first.is_numeric(), "{sentence}");
        assert!(sentence.ends_with('.') && !sentence.ends_with(".."), "{sentence}");
    }
}

#[test]
fn holds_in_a_row_say_the_same_whatever_time_is_left() {
    let cooling = |left, wording: &str| {
        let mut decision = decision(5, 5);
        decision.clamps = vec![Clamp {
            rule: Rule::Cooldown {
                left: Span::from_secs(left),
            },
            from: 7,
            to: 5,
        }];
        decision.ballots = vec![ballot(Outcome::Voted {
            vote: Vote::Total(7),
            urgent: false,
            reason: wording.to_owned(),
        })];
        decision.at = decision.at + Span::from_secs(100 - left);
        decision
    };
    let first = cooling(30, "80.1 % of rooms are in use");
    assert!(cooling(20, "80.2 % of rooms are in use").repeats(&first));
    let changes: [fn(&mut Decision); 8] = [
        |decision| decision.plan = vec!["make 1 new room of v1.0".to_owned()],
        |decision| decision.counts.ready += 1,
        |decision| decision.clamps.clear(),
        |decision| decision.ballots[0].outcome = voted(8),
        |decision| decision.mass_silence = true,
        |decision| decision.version = decision.version.next_minor(),
        |decision| decision.actor = Actor::Manual,
        |decision| (decision.before, decision.wanted) = (5, 6),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut other = cooling(20, "80.2 % of rooms are in use");
        change(&mut other);
        assert!(!other.repeats(&first), "change {number}");
    }
}
