//! What a policy may rely on.

use std::process::Command;
use std::sync::Arc;
use std::thread;

use maestro_core::votes::Vote;
use maestro_engine::{Breaker, Class, FailureClass, Limits, Observation, Refusal, Series};

use crate::support::{ENGINE, is_healthy, load, observation, sample};

#[test]
fn healthy_policy_votes() {
    let policy = load("healthy");
    let evaluation = policy.evaluate(&observation()).expect("a verdict");
    assert_eq!(evaluation.verdict.vote, Vote::Total(6));
    assert!(!evaluation.verdict.urgent);
    assert_eq!(evaluation.verdict.reason, "two more than are occupied");
    assert_eq!(evaluation.verdict.state, [1]);
    assert!(
        evaluation.fuel > 0 && evaluation.fuel < 1_000,
        "{}",
        evaluation.fuel
    );
    assert_eq!(policy.manifest().name, "sample");
    assert_eq!(policy.validate("{}"), Ok(()));
}

#[test]
fn state_comes_back_next_time() {
    let policy = load("healthy");
    let mut shown = observation();
    for times in 1..5 {
        let verdict = policy.evaluate(&shown).expect("a verdict").verdict;
        assert_eq!(verdict.state, [times]);
        shown.state = verdict.state;
    }
}

#[test]
fn same_observation_gives_same_verdict_and_fuel() {
    for name in ["healthy", "not-a-number", "table-grow"] {
        let policy = load(name);
        let first = policy.evaluate(&observation());
        assert!(first.is_ok(), "{name}: {first:?}");
        for _ in 0..100 {
            assert_eq!(policy.evaluate(&observation()), first, "{name}");
        }
        let same = ENGINE.load(&sample(name), Class::Native).expect("it loads again");
        assert_eq!(same.digest(), policy.digest());
        assert_eq!(same.evaluate(&observation()), first, "{name}, loaded again");
    }
}

#[test]
fn failures_use_the_same_fuel_too() {
    for name in ["infinite-loop", "recursion", "memory-fill", "unreachable"] {
        let policy = load(name);
        let first = policy.evaluate(&observation()).expect_err(name);
        assert_eq!(policy.evaluate(&observation()).expect_err(name), first, "{name}");
    }
}

#[test]
fn nan_has_canonical_bits() {
    let verdict = load("not-a-number")
        .evaluate(&observation())
        .expect("a verdict")
        .verdict;
    // 0x7ff8_0000_0000_0000, turned by 16 bits and cut to 32.
    assert_eq!(verdict.vote, Vote::Total(0x0000_7ff8));
}

#[test]
fn nothing_outlives_a_call() {
    let policy = load("remembers");
    for _ in 0..20 {
        let verdict = policy.evaluate(&observation()).expect("a verdict").verdict;
        assert_eq!(verdict.vote, Vote::Total(101));
    }
}

#[test]
fn a_crash_has_no_part_in_the_next_call() {
    let policy = load("traps-on-thirteen");
    let unlucky = Observation {
        wanted: 13,
        ..observation()
    };
    for _ in 0..20 {
        let failure = policy.evaluate(&unlucky).expect_err("it traps");
        assert_eq!(failure.class, FailureClass::Trap);
        assert!(policy.evaluate(&observation()).is_ok());
    }
}

#[test]
fn whole_observation_fits() {
    let mut shown = observation();
    for sample in 0..1_240 {
        shown.rooms.push(shown.now_ms + sample, shown.current);
    }
    shown.metrics = ["cpu.used", "cpu.requested", "memory.used", "memory.requested"]
        .map(|name| Series {
            name: name.to_owned(),
            at_ms: (0..1_240).collect(),
            values: vec![f64::NAN; 1_240],
        })
        .into();
    shown.state = vec![7; 4_096];
    let verdict = load("healthy").evaluate(&shown).expect("a verdict").verdict;
    assert_eq!(verdict.state, [8]);
}

#[test]
fn more_callers_than_places_all_get_their_turn() {
    let policy = Arc::new(load("healthy"));
    let slow = load("infinite-loop");
    let callers: Vec<_> = (0..48)
        .map(|number| {
            let (policy, slow) = (Arc::clone(&policy), slow.clone());
            thread::spawn(move || {
                for _ in 0..10 {
                    match number % 3 {
                        0 => assert_eq!(
                            slow.evaluate(&observation()).expect_err("it loops").class,
                            FailureClass::OutOfFuel
                        ),
                        _ => assert!(is_healthy(&policy.evaluate(&observation()))),
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().expect("no caller fails");
    }
}

#[test]
fn parameters_are_checked_within_the_same_limits() {
    let fields = r#"
      (func (export "maestro:policy/policy@0.1.0#evaluate") (param i32) (result i32) unreachable)
      (data (i32.const 512) "no such key: usge")"#;
    let says_no = crate::support::module(fields);
    let text = wat_with_validate(
        "(i32.store8 (i32.const 64) (i32.const 1)) (i32.store (i32.const 68) (i32.const 512))
         (i32.store (i32.const 72) (i32.const 17)) (i32.const 64)",
        fields,
    );
    let loops = wat_with_validate("(loop $forever (br $forever)) unreachable", fields);
    let load = |module| {
        let component = crate::support::wrap(
            module,
            crate::support::CONTRACT,
            wit_component::StringEncoding::UTF8,
        );
        ENGINE.load(&component, Class::Native).expect("it loads")
    };
    assert_eq!(load(says_no).validate("{}"), Ok(()));
    let refusal = load(text).validate("{}");
    assert_eq!(refusal, Err(Refusal::Rejected("no such key: usge".to_owned())));
    let Err(Refusal::Failed(failure)) = load(loops).validate("{}") else {
        panic!("it loops");
    };
    assert_eq!(failure.class, FailureClass::OutOfFuel);
}

/// The prelude with another `validate`.
fn wat_with_validate(body: &str, fields: &str) -> Vec<u8> {
    let prelude = include_str!("prelude.wat");
    let usual = "(func (export \"maestro:policy/policy@0.1.0#validate\") (param i32 i32) (result i32)\n    (i32.const 64))";
    assert!(prelude.contains(usual));
    let other = format!(
        "(func (export \"maestro:policy/policy@0.1.0#validate\") (param i32 i32) (result i32) {body})"
    );
    crate::support::parse(&format!("(module {} {fields})", prelude.replace(usual, &other)))
}

#[test]
fn narrower_limits_hold() {
    let limits = Limits {
        fuel: 20,
        ..Class::Native.limits()
    };
    let policy = ENGINE
        .load_within(&sample("healthy"), Class::Native, limits)
        .expect("starting it takes less");
    let failure = policy.evaluate(&observation()).expect_err("too little fuel");
    assert_eq!(failure.class, FailureClass::OutOfFuel);
    assert_eq!(failure.fuel, 20);
    let mut breaker = Breaker::default();
    breaker.record(
        &Err(failure),
        maestro_core::time::Timestamp::from_ms(0),
        maestro_core::time::Span::from_secs(10),
    );
    assert_eq!(breaker.failures(), 1);
}

/// Runs this test program again where address space is limited, so that the pool cannot be made.
#[test]
fn limited_address_space_is_no_obstacle() {
    let program = std::env::current_exe().expect("this program");
    let run = |limit: &str| {
        Command::new("/bin/sh")
            .args([
                "-c",
                &format!("{limit} exec \"$0\" --exact sandbox::healthy_policy_votes"),
            ])
            .arg(&program)
            .output()
            .expect("the program starts")
    };
    for limit in ["", "ulimit -v 3000000;"] {
        let output = run(limit);
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{limit} {text}");
        assert!(text.contains("1 passed"), "{limit} {text}");
    }
}
