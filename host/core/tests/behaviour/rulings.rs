//! Votes and the guard: the seven steps, and that every clamp is written down.

use maestro_core::decision::{Clamp, Counts, Rule};
use maestro_core::guard::{Bounds, Input, Ruling, first_wanted, rule, rule_manual};
use maestro_core::names::PolicyName;
use maestro_core::scheduler::{Direction, Mode};
use maestro_core::time::{Span, Timestamp};
use maestro_core::votes::{Ballot, Outcome, Vote};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

fn ballot(direction: Direction, outcome: Outcome) -> Ballot {
    Ballot {
        trigger: format!("{direction:?}").to_lowercase(),
        direction,
        mode: Mode::Active,
        policy: PolicyName::parse("room").unwrap(),
        digest: None,
        fuel: 0,
        outcome,
    }
}

fn total(count: u32) -> Outcome {
    Outcome::Voted {
        vote: Vote::Total(count),
        urgent: false,
        reason: String::new(),
    }
}

fn urgent(count: u32) -> Outcome {
    Outcome::Voted {
        vote: Vote::Total(count),
        urgent: true,
        reason: String::new(),
    }
}

fn hold() -> Outcome {
    Outcome::Voted {
        vote: Vote::Hold,
        urgent: false,
        reason: String::new(),
    }
}

fn failed() -> Outcome {
    Outcome::Failed {
        class: "trap".to_owned(),
        message: "unreachable".to_owned(),
    }
}

/// Ten wanted, five in use, no cooldown running, bounds far away.
fn input(ballots: &[Ballot]) -> Input<'_> {
    Input {
        ballots,
        before: 10,
        counts: Counts {
            ready: 5,
            occupied: 5,
            ..Counts::default()
        },
        bounds: Bounds {
            min: 1,
            max: None,
            cap: 1_000,
        },
        scaled_at: None,
        up_cooldown: Span::from_secs(60),
        down_cooldown: Span::from_secs(120),
        paused: None,
        recovering: false,
        now: NOW,
    }
}

#[track_caller]
fn check(ballots: &[Ballot], change: impl FnOnce(&mut Input), wanted: u32, rules: &[&str]) -> Ruling {
    let mut input = input(ballots);
    change(&mut input);
    let ruling = rule(&input);
    let names: Vec<&str> = ruling.clamps.iter().map(name).collect();
    assert_eq!((ruling.wanted, names.as_slice()), (wanted, rules));
    ruling
}

fn name(clamp: &Clamp) -> &'static str {
    match clamp.rule {
        Rule::Paused { .. } => "paused",
        Rule::NoTrust { .. } => "no trust",
        Rule::Recovering => "recovering",
        Rule::StepLimit { .. } => "step",
        Rule::Cooldown { .. } => "cooldown",
        Rule::Busy => "busy",
        Rule::Min => "min",
        Rule::Max => "max",
        Rule::Cap => "cap",
        Rule::Deleted => "deleted",
    }
}

use Direction::{Both, Down, Up};

#[test]
fn without_votes_wanted_stays() {
    check(&[], |_| {}, 10, &[]);
    let ruling = check(&[ballot(Up, hold()), ballot(Down, hold())], |_| {}, 10, &[]);
    assert_eq!((ruling.winner, ruling.scaled), (None, false));
}

#[test]
fn votes_on_the_wrong_side_abstain() {
    check(&[ballot(Up, total(8)), ballot(Down, total(12))], |_| {}, 10, &[]);
    check(&[ballot(Up, total(10)), ballot(Down, total(10))], |_| {}, 10, &[]);
}

#[test]
fn largest_vote_wins() {
    let ruling = check(&[ballot(Down, total(6)), ballot(Up, total(12))], |_| {}, 12, &[]);
    assert_eq!((ruling.winner.as_deref(), ruling.scaled), (Some("up"), true));
    check(&[ballot(Down, total(6)), ballot(Down, total(8))], |_| {}, 8, &[]);
    check(&[ballot(Both, total(6)), ballot(Down, total(8))], |_| {}, 8, &[]);
}

#[test]
fn two_way_trigger_that_holds_speaks_for_the_present_number() {
    check(&[ballot(Both, hold()), ballot(Down, total(6))], |_| {}, 10, &[]);
    let waiting = Outcome::Waiting {
        reason: String::new(),
    };
    check(&[ballot(Both, waiting), ballot(Down, total(6))], |_| {}, 10, &[]);
    check(&[ballot(Both, hold()), ballot(Up, total(12))], |_| {}, 12, &[]);
}

#[test]
fn doubt_forbids_scaling_down_only() {
    let skipped = Outcome::Skipped { until: NOW };
    let stale = Outcome::Stale {
        input: "cpu.used".to_owned(),
        age: None,
    };
    for doubt in [failed(), skipped, stale] {
        check(
            &[ballot(Up, doubt.clone()), ballot(Down, total(6))],
            |_| {},
            10,
            &["no trust"],
        );
        check(&[ballot(Down, doubt), ballot(Up, total(12))], |_| {}, 12, &[]);
    }
}

#[test]
fn pause_forbids_votes_down_and_nothing_else() {
    let paused = |input: &mut Input| input.paused = Some(NOW);
    check(&[ballot(Down, total(6))], paused, 10, &["paused"]);
    check(
        &[ballot(Down, urgent(6)), ballot(Up, failed())],
        paused,
        10,
        &["paused"],
    );
    check(&[ballot(Up, total(12)), ballot(Down, total(6))], paused, 12, &[]);
    check(&[ballot(Both, hold())], paused, 10, &[]);
    let lowered = |input: &mut Input| (input.paused, input.bounds.max) = (Some(NOW), Some(7));
    check(&[ballot(Down, total(6))], lowered, 7, &["paused", "max"]);
    let mut by_hand = input(&[]);
    by_hand.paused = Some(NOW);
    let ruling = rule_manual(6, &by_hand);
    assert_eq!((ruling.wanted, ruling.scaled, ruling.clamps.len()), (6, true, 0));
}

#[test]
fn no_vote_counts_while_what_rooms_do_is_not_known() {
    for asked in [6, 12] {
        let votes = [ballot(Both, total(asked))];
        check(&votes, |input| input.recovering = true, 10, &["recovering"]);
    }
}

#[test]
fn doubt_never_keeps_a_number_above_the_maximum() {
    check(
        &[ballot(Up, failed())],
        |input| input.bounds.max = Some(7),
        7,
        &["max"],
    );
}

#[test]
fn one_step_is_limited_both_ways() {
    check(&[ballot(Up, total(900))], |_| {}, 310, &["step"]);
    let quiet = |input: &mut Input| {
        input.before = 200;
        input.counts = Counts::default();
    };
    check(&[ballot(Down, total(2))], quiet, 180, &["step"]);
    check(&[ballot(Down, total(2))], |input| input.before = 15, 5, &["step"]);
}

#[test]
fn cooldown_of_each_direction_counts_from_the_last_scaling() {
    let ago = |seconds| move |input: &mut Input| input.scaled_at = Some(NOW - Span::from_secs(seconds));
    check(&[ballot(Up, total(12))], ago(59), 10, &["cooldown"]);
    check(&[ballot(Up, total(12))], ago(60), 12, &[]);
    check(&[ballot(Down, total(6))], ago(119), 10, &["cooldown"]);
    check(&[ballot(Down, total(6))], ago(120), 6, &[]);
    check(&[ballot(Up, urgent(12))], ago(1), 12, &[]);
    check(&[ballot(Down, urgent(6))], ago(1), 10, &["cooldown"]);
}

#[test]
fn time_of_the_last_scaling_that_lies_ahead_holds_no_longer_than_the_cooldown() {
    let ahead = |input: &mut Input| input.scaled_at = Some(NOW + Span::from_secs(9_999));
    let ruling = check(&[ballot(Up, total(12))], ahead, 10, &["cooldown"]);
    let left = Span::from_secs(60);
    assert_eq!(ruling.clamps[0].rule, Rule::Cooldown { left });
}

#[test]
fn smaller_urgent_vote_passes_where_a_larger_one_waits() {
    let ballots = [ballot(Up, total(20)), ballot(Both, urgent(13))];
    let ruling = check(&ballots, |input| input.scaled_at = Some(NOW), 13, &["cooldown"]);
    assert_eq!((ruling.winner.as_deref(), ruling.scaled), (Some("both"), true));
}

#[test]
fn never_below_the_rooms_in_use() {
    let ruling = check(&[ballot(Down, total(2))], |_| {}, 5, &["busy"]);
    assert!(ruling.scaled);
}

#[test]
fn bounds_hold_whatever_the_votes_and_move_no_cooldown() {
    let ruling = check(&[], |input| input.bounds.min = 12, 12, &["min"]);
    assert!(!ruling.scaled);
    let ruling = check(&[], |input| input.bounds.max = Some(8), 8, &["max"]);
    assert!(!ruling.scaled);
    check(&[], |input| input.bounds.max = Some(0), 10, &[]);
    check(&[], |input| input.bounds.cap = 9, 9, &["cap"]);
    check(
        &[ballot(Up, total(50))],
        |input| input.bounds.max = Some(20),
        20,
        &["max"],
    );
}

#[test]
fn vote_that_a_bound_takes_back_moves_no_cooldown() {
    let ruling = check(
        &[ballot(Up, total(50))],
        |input| input.bounds.max = Some(10),
        10,
        &["max"],
    );
    assert!(!ruling.scaled);
}

#[test]
fn shadow_counts_for_nothing_and_a_canary_in_its_share() {
    let mut shadow = ballot(Up, total(20));
    shadow.mode = Mode::Shadow;
    check(&[shadow.clone()], |_| {}, 10, &[]);
    shadow.outcome = failed();
    check(&[shadow, ballot(Down, total(6))], |_| {}, 6, &[]);
    let mut canary = ballot(Up, total(20));
    canary.mode = Mode::Canary(0.25);
    let counted = (0..400_u64).filter(|slot| canary.counts_at(NOW + Span::from_secs(slot * 10)));
    assert_eq!(counted.count(), 100);
}

#[test]
fn first_number_is_the_minimum_within_the_other_bounds() {
    let first = |min, max, cap| first_wanted(Bounds { min, max, cap });
    assert_eq!(first(3, Some(20), 50), 3);
    assert_eq!(first(30, None, 24), 24);
    assert_eq!(first(0, Some(0), 24), 0);
}

#[test]
fn number_asked_for_by_hand_obeys_bounds_and_busy_rooms_only() {
    let ballots = [ballot(Up, failed())];
    let mut input = input(&ballots);
    input.scaled_at = Some(NOW);
    input.bounds.max = Some(20);
    let ask = |asked| {
        let ruling = rule_manual(asked, &input);
        (
            ruling.wanted,
            ruling.scaled,
            ruling.clamps.iter().map(name).collect::<Vec<_>>(),
        )
    };
    assert_eq!(ask(12), (12, true, vec![]));
    assert_eq!(ask(2), (5, true, vec!["busy"]));
    assert_eq!(ask(90), (20, true, vec!["max"]));
    assert_eq!(ask(10), (10, false, vec![]));
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        6 => (0..60_u32, any::<bool>()).prop_map(|(count, hurry)| if hurry { urgent(count) } else { total(count) }),
        1 => Just(total(u32::MAX)),
        2 => Just(hold()),
        1 => Just(failed()),
        1 => Just(Outcome::Waiting { reason: String::new() }),
        1 => Just(Outcome::Skipped { until: NOW }),
    ]
}

fn any_ballots() -> impl Strategy<Value = Vec<Ballot>> {
    let direction = prop_oneof![Just(Up), Just(Down), Just(Both)];
    let mode = prop_oneof![4 => Just(Mode::Active), 1 => Just(Mode::Shadow), 1 => Just(Mode::Canary(0.5))];
    let one = (direction, mode, any_outcome()).prop_map(|(direction, mode, outcome)| Ballot {
        mode,
        ..ballot(direction, outcome)
    });
    proptest::collection::vec(one, 0..5)
}

proptest! {
    #[test]
    fn ruling_is_within_bounds_and_every_clamp_is_written_down(
        ballots in any_ballots(),
        before in 0..60_u32,
        (ready, busy) in (0..30_u32, 0..30_u32),
        (min, max, cap) in (0..30_u32, proptest::option::of(0..60_u32), 1..60_u32),
        scaled in proptest::option::of(0..200_u64),
        (recovering, paused) in any::<(bool, bool)>(),
    ) {
        let mut input = input(&ballots);
        input.before = before;
        input.counts = Counts { ready, occupied: busy, ..Counts::default() };
        input.bounds = Bounds { min, max, cap };
        input.scaled_at = scaled.map(|seconds| NOW - Span::from_secs(seconds));
        input.recovering = recovering;
        input.paused = paused.then_some(NOW);
        let ruling = rule(&input);
        let most = input.bounds.most();
        prop_assert!(ruling.wanted <= most);
        prop_assert!(ruling.wanted >= min.min(most));
        prop_assert!(ruling.wanted >= busy.min(most));
        // The clamps are a chain from a vote, or from the present number, to what came out.
        let first = ruling.clamps.first().map_or(ruling.wanted, |clamp| clamp.from);
        let votes: Vec<u32> = ballots
            .iter()
            .filter_map(|ballot| match ballot.outcome {
                Outcome::Voted { vote: Vote::Total(total), .. } => Some(total),
                _ => None,
            })
            .collect();
        prop_assert!(first == before || votes.contains(&first));
        prop_assert_eq!(ruling.winner.is_some(), first != before);
        prop_assert!(ruling.clamps.iter().all(|clamp| clamp.from != clamp.to));
        prop_assert!(ruling.clamps.windows(2).all(|pair| pair[0].to == pair[1].from));
        prop_assert_eq!(ruling.clamps.last().map_or(first, |clamp| clamp.to), ruling.wanted);
        // Down only on figures that can be relied on, and never while paused; the bounds alone may still correct.
        let doubt = ballots.iter().any(|ballot| ballot.counts_at(NOW) && ballot.is_untrusted());
        if (doubt || recovering || paused) && ruling.wanted < before {
            prop_assert!(ruling.wanted == most && !ruling.scaled);
        }
        if ruling.scaled {
            prop_assert!(ruling.wanted != before && ruling.winner.is_some());
        }
        if ruling.winner.is_none() {
            prop_assert!(!ruling.scaled);
        }
    }
}
