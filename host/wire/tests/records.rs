//! Stored encodings: what is written reads back as it was, and no bytes whatsoever make a reader panic.

#![allow(clippy::unwrap_used, reason = "generators make valid names only")]

use maestro_core::decision::{Actor, Clamp, Counts, Decision, Rule};
use maestro_core::names::{Digest, PolicyName, Version};
use maestro_core::scheduler::{Direction, Mode};
use maestro_core::time::{Span, Timestamp};
use maestro_core::votes::{Ballot, Outcome, Vote};
use maestro_core::window::{Cut, Sample};
use maestro_wire::record::{self, Evidence, Observation, Record, RecordError};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_ms)
}

fn span() -> impl Strategy<Value = Span> {
    any::<u64>().prop_map(Span::from_ms)
}

fn counts() -> impl Strategy<Value = Counts> {
    any::<[u32; 7]>().prop_map(
        |[starting, ready, allocated, occupied, draining, stopping, silent]| Counts {
            starting,
            ready,
            allocated,
            occupied,
            draining,
            stopping,
            silent,
        },
    )
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        vec(any::<String>(), 0..3).prop_map(|triggers| Rule::NoTrust { triggers }),
        Just(Rule::Recovering),
        Just(Rule::Deleted),
        time().prop_map(|since| Rule::Paused { since }),
        any::<u32>().prop_map(|limit| Rule::StepLimit { limit }),
        span().prop_map(|left| Rule::Cooldown { left }),
        Just(Rule::Busy),
        Just(Rule::Min),
        Just(Rule::Max),
        Just(Rule::Cap),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let vote = prop_oneof![Just(Vote::Hold), any::<u32>().prop_map(Vote::Total)];
    prop_oneof![
        (vote, any::<bool>(), any::<String>()).prop_map(|(vote, urgent, reason)| Outcome::Voted {
            vote,
            urgent,
            reason
        }),
        any::<String>().prop_map(|reason| Outcome::Waiting { reason }),
        any::<(String, String)>().prop_map(|(class, message)| Outcome::Failed { class, message }),
        time().prop_map(|until| Outcome::Skipped { until }),
        (any::<String>(), option::of(span())).prop_map(|(input, age)| Outcome::Stale { input, age }),
    ]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Up), Just(Direction::Down), Just(Direction::Both)]
}

fn ballot() -> impl Strategy<Value = Ballot> {
    let mode = prop_oneof![
        Just(Mode::Active),
        Just(Mode::Shadow),
        (0.0..1.0).prop_map(Mode::Canary)
    ];
    let digest = option::of(any::<[u8; 32]>().prop_map(Digest));
    let policy = "[a-z]{1,63}".prop_map(|name| PolicyName::parse(&name).unwrap());
    (
        any::<String>(),
        direction(),
        mode,
        policy,
        digest,
        any::<u64>(),
        outcome(),
    )
        .prop_map(
            |(trigger, direction, mode, policy, digest, fuel, outcome)| Ballot {
                trigger,
                direction,
                mode,
                policy,
                digest,
                fuel,
                outcome,
            },
        )
}

fn decision() -> impl Strategy<Value = Decision> {
    let actor = prop_oneof![Just(Actor::Loop), Just(Actor::Manual), Just(Actor::File)];
    let clamp = (rule(), any::<u32>(), any::<u32>()).prop_map(|(rule, from, to)| Clamp { rule, from, to });
    let said = (vec(ballot(), 0..4), option::of(any::<String>()), vec(clamp, 0..4));
    let lines = (vec(any::<String>(), 0..3), vec(any::<String>(), 0..3));
    (
        (time(), actor, any::<String>(), any::<(u32, u32)>(), counts()),
        said,
        any::<(u32, u32, bool, bool, bool)>(),
        lines,
    )
        .prop_map(
            |((at, actor, cluster, (major, minor), counts), said, rest, lines)| Decision {
                at,
                actor,
                cluster,
                version: Version { major, minor },
                counts,
                ballots: said.0,
                winner: said.1,
                clamps: said.2,
                before: rest.0,
                wanted: rest.1,
                scaled: rest.2,
                mass_silence: rest.3,
                recovering: rest.4,
                plan: lines.0,
                waits: lines.1,
            },
        )
}

fn whole_record() -> impl Strategy<Value = Record> {
    let state = option::of(vec(any::<u8>(), 0..50));
    let samples = option::of((time(), time()));
    let evidence = (
        any::<String>(),
        span(),
        option::of(time()),
        samples,
        state,
        any::<[u8; 32]>(),
    )
        .prop_map(|(trigger, period, scaled_at, samples, state, digest)| Evidence {
            trigger,
            period,
            scaled_at,
            samples,
            state,
            digest,
        });
    (decision(), any::<String>(), vec(evidence, 0..3)).prop_map(|(decision, engine, evidence)| Record {
        decision,
        engine,
        evidence,
    })
}

fn cut() -> impl Strategy<Value = Cut> {
    let sample = (time(), counts()).prop_map(|(at, counts)| Sample { at, counts });
    let value = any::<f64>().prop_filter("windows hold finite numbers", |value| value.is_finite());
    let series = btree_map("[a-z.]{1,12}", vec((time(), value), 0..20), 0..4);
    (vec(sample, 0..40), series).prop_map(|(samples, series)| Cut { samples, series })
}

proptest! {
    #[test]
    fn a_decision_reads_back_as_it_was_written(record in whole_record()) {
        prop_assert_eq!(record::decode_decision(&record::encode_decision(&record)), Ok(record));
    }

    #[test]
    fn samples_read_back_as_they_were_written(cut in cut()) {
        prop_assert_eq!(record::decode_samples(&record::encode_samples(&cut)), Ok(cut));
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in vec(any::<u8>(), 0..400), format in 0_u8..0x30) {
        bytes.insert(0, format);
        if let Ok(record) = record::decode_decision(&bytes) {
            prop_assert_eq!(record::decode_decision(&record::encode_decision(&record)), Ok(record));
        }
        if let Ok(cut) = record::decode_samples(&bytes) {
            prop_assert_eq!(record::decode_samples(&record::encode_samples(&cut)), Ok(cut));
        }
    }

    #[test]
    fn a_damaged_record_is_read_or_refused(
        record in whole_record(),
        cut in cut(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = record::encode_decision(&record);
        let index = place.index(bytes.len());
        bytes[index] = byte;
        drop(record::decode_decision(&bytes));
        let mut bytes = record::encode_samples(&cut);
        let index = place.index(bytes.len());
        bytes[index] = byte;
        drop(record::decode_samples(&bytes));
    }

    #[test]
    fn a_cut_off_record_is_refused(record in whole_record(), cut in cut(), place in any::<prop::sample::Index>()) {
        let bytes = record::encode_decision(&record);
        prop_assert!(record::decode_decision(&bytes[..place.index(bytes.len())]).is_err());
        let bytes = record::encode_samples(&cut);
        prop_assert!(record::decode_samples(&bytes[..place.index(bytes.len())]).is_err());
    }

    #[test]
    fn what_a_policy_is_shown_has_one_encoding(
        (one, other) in (cut(), cut()),
        (now, window) in (time(), span()),
        (counts, wanted) in (counts(), any::<u32>()),
    ) {
        let again = one.clone();
        let shown = |cut, wanted| record::observation_digest(&Observation {
            now,
            window,
            period: Span::from_secs(10),
            direction: Direction::Up,
            wanted,
            counts,
            min: 1,
            max: None,
            scaled_at: None,
            cut,
            parameters: "{}",
            labels: &[],
            state: &[],
        });
        prop_assert_eq!(shown(&one, wanted), shown(&again, wanted));
        prop_assert_eq!(shown(&one, wanted) == shown(&other, wanted), one == other);
        prop_assert_ne!(shown(&one, wanted), shown(&one, wanted.wrapping_add(1)));
    }
}

#[test]
fn unknown_formats_are_named() {
    assert_eq!(
        record::decode_decision(&[0x02, 0]),
        Err(RecordError::Format { found: 2 })
    );
    assert_eq!(
        record::decode_samples(&[0x01, 0]),
        Err(RecordError::Format { found: 1 })
    );
    assert_eq!(record::decode_samples(&[]), Err(RecordError::Truncated));
    assert_eq!(
        record::decode_decision(&[0xff]).unwrap_err().to_string(),
        "the record has the unknown format 0xff"
    );
}

#[test]
fn few_bytes_do_not_become_many_points() {
    // 2^40 samples, all of them one run of zeros.
    let mut bytes = vec![0x11];
    bytes.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0]);
    assert_eq!(
        record::decode_samples(&bytes),
        Err(RecordError::Damaged("too many points"))
    );
}

/// A day of an unexciting scheduler: a sample every 10 s, a change every minute, cpu measured every 15 s.
#[test]
fn a_day_of_samples_is_small() {
    let at = |ms: i64| Timestamp::from_ms(1_790_000_000_000 + ms);
    let samples = (0..8_640_i64).map(|i| {
        let occupied = 40 + u32::try_from(i / 6 % 7).unwrap();
        let counts = Counts {
            ready: 100 - occupied,
            occupied,
            ..Counts::default()
        };
        Sample {
            at: at(i * 10_000),
            counts,
        }
    });
    let cpu = (0..5_760_i64).map(|i| (at(i * 15_000), 20_000.0 + (i % 13) as f64 * 125.0));
    let cut = Cut {
        samples: samples.collect(),
        series: [("cpu.used".to_owned(), cpu.collect())].into(),
    };
    let bytes = record::encode_samples(&cut);
    assert_eq!(record::decode_samples(&bytes), Ok(cut));
    assert!(bytes.len() < 32 * 1024, "{} bytes", bytes.len());
}

/// The bytes of format 1, as stored by the first release: they must be read for as long as the format is.
#[test]
fn the_first_format_is_still_read() {
    let record = Record {
        decision: Decision {
            at: Timestamp::from_ms(1_790_000_000_000),
            actor: Actor::Loop,
            cluster: "local".to_owned(),
            version: Version { major: 1, minor: 2 },
            counts: Counts {
                starting: 1,
                ready: 2,
                allocated: 3,
                occupied: 4,
                draining: 5,
                stopping: 6,
                silent: 7,
            },
            ballots: vec![Ballot {
                trigger: "up[0]".to_owned(),
                direction: Direction::Up,
                mode: Mode::Canary(0.5),
                policy: PolicyName::parse("room").unwrap(),
                digest: Some(Digest([7; 32])),
                fuel: 300,
                outcome: Outcome::Voted {
                    vote: Vote::Total(12),
                    urgent: true,
                    reason: "busy".to_owned(),
                },
            }],
            winner: Some("up[0]".to_owned()),
            clamps: vec![Clamp {
                rule: Rule::Cooldown {
                    left: Span::from_secs(5),
                },
                from: 12,
                to: 10,
            }],
            before: 10,
            wanted: 10,
            scaled: false,
            mass_silence: false,
            recovering: true,
            plan: vec!["reserve 1 of v1.2".to_owned()],
            waits: vec![],
        },
        engine: "48.0.8".to_owned(),
        evidence: vec![],
    };
    let bytes = record::encode_decision(&record);
    let hex: Vec<String> = bytes
        .chunks(32)
        .map(|line| line.iter().map(|b| format!("{b:02x}")).collect())
        .collect();
    insta::assert_snapshot!(hex.join("\n"));
    assert_eq!(record::decode_decision(&bytes), Ok(record));
}
