//! The hostile corpus: what each policy of `tests/hostile` comes to, in bounded time, while a healthy one beside it
//! goes on as if nothing happened.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use maestro_core::votes::Vote;
use maestro_engine::FailureClass::{
    AbiViolation, Deadline, InsufficientData, InvalidParameters, Memory, OutOfFuel, OutputTooLarge, Policy,
    StackOverflow, Trap,
};
use maestro_engine::{Class, FailureClass, Limits};

use crate::support::{ENGINE, is_healthy, load, observation, sample};

/// What is expected of a sample.
#[derive(Clone, Copy)]
enum Expected {
    /// It does not even load, and this is the code of the error.
    Refused(&'static str),
    /// It loads, and asking it fails.
    Fails(FailureClass),
    /// It loads, and with fuel without end asking it fails by this.
    FailsLate(FailureClass),
    /// It loads and votes for so many.
    Votes(u32),
}
use Expected::{Fails, FailsLate, Refused, Votes};

const CORPUS: &[(&str, Expected)] = &[
    ("infinite-loop", Fails(OutOfFuel)),
    ("infinite-loop", FailsLate(Deadline)),
    ("start-loop", Refused("out-of-fuel")),
    ("grow-and-touch", Fails(OutOfFuel)),
    ("grow-and-touch", FailsLate(Deadline)),
    ("grow-and-give-up", Fails(Memory)),
    ("memory-65-mib", Refused("precheck-failed")),
    ("memory-4-gib", Refused("precheck-failed")),
    ("table-10-million", Refused("precheck-failed")),
    ("five-memories", Refused("precheck-failed")),
    ("table-grow", Votes(5_001)),
    ("recursion", Fails(StackOverflow)),
    ("unreachable", Fails(Trap)),
    ("load-out-of-bounds", Fails(Trap)),
    ("divide-by-zero", Fails(Trap)),
    ("indirect-call", Fails(Trap)),
    ("reason-out-of-bounds", Fails(AbiViolation)),
    ("state-out-of-bounds", Fails(AbiViolation)),
    ("reason-not-utf8", Fails(AbiViolation)),
    ("answer-out-of-bounds", Fails(AbiViolation)),
    ("answer-unaligned", Fails(AbiViolation)),
    ("vote-of-no-kind", Fails(AbiViolation)),
    ("realloc-out-of-bounds", Fails(AbiViolation)),
    ("realloc-unaligned", Fails(AbiViolation)),
    ("realloc-loop", Fails(OutOfFuel)),
    ("huge-reason", Fails(OutputTooLarge)),
    ("huge-state", Fails(OutputTooLarge)),
    ("large-state", Fails(OutputTooLarge)),
    ("overlapping", Fails(OutputTooLarge)),
    ("long-reason", Votes(9)),
    ("garbage-reason", Votes(9)),
    ("memory-fill", Fails(OutOfFuel)),
    ("memory-fill", FailsLate(Deadline)),
    ("traps-on-thirteen", Votes(1)),
    ("remembers", Votes(101)),
    ("not-a-number", Votes(0x7ff8)),
    ("says-internal", Fails(Policy)),
    ("says-insufficient-data", Fails(InsufficientData)),
    ("says-invalid-parameters", Fails(InvalidParameters)),
    ("memory-64-bit", Refused("precheck-failed")),
    ("memory-shared", Refused("precheck-failed")),
    ("relaxed-simd", Refused("precheck-failed")),
    ("garbage-collection", Refused("precheck-failed")),
    ("exceptions", Refused("precheck-failed")),
    ("tail-call", Refused("precheck-failed")),
    ("imports-clock", Refused("forbidden-import")),
    ("imports-module", Refused("forbidden-import")),
    ("empty-interface", Refused("type-mismatch")),
    ("exports-nothing", Refused("not-a-component")),
    ("list-of-strings", Refused("type-mismatch")),
    ("component-start", Refused("precheck-failed")),
    ("nesting", Refused("precheck-failed")),
    ("healthy", Votes(6)),
];

/// More than any answer takes: deadlines are 20 ms of processor time and a second in all.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// More than any of them takes to be refused or compiled, on a machine with other things to do.
const LOADED_WITHIN: Duration = Duration::from_secs(60);

#[test]
fn hostile_policies_come_to_nothing_and_disturb_nobody() {
    let healthy = load("healthy");
    let beside = Beside::start(&healthy);
    for (name, expected) in CORPUS {
        check(name, *expected);
        assert!(is_healthy(&healthy.evaluate(&observation())), "after {name}");
    }
    let verdicts = beside.finish();
    assert!(
        verdicts > 1_000,
        "the healthy policy had {verdicts} verdicts meanwhile"
    );
}

fn check(name: &str, expected: Expected) {
    let component = sample(name);
    let limits = match expected {
        FailsLate(_) => Limits {
            fuel: u64::MAX,
            ..Class::Native.limits()
        },
        Refused(_) | Fails(_) | Votes(_) => Class::Native.limits(),
    };
    let started = Instant::now();
    let loaded = ENGINE.load_within(&component, Class::Native, limits);
    assert!(
        started.elapsed() < LOADED_WITHIN,
        "{name} took {:?} to load",
        started.elapsed()
    );
    let policy = match (loaded, expected) {
        (Err(error), Refused(code)) => return assert_eq!(error.code(), code, "{name}: {error}"),
        (Err(error), _) => panic!("{name}: {error} {:?}", std::error::Error::source(&error)),
        (Ok(_), Refused(code)) => panic!("{name} loads, but ought to be refused: {code}"),
        (Ok(policy), _) => policy,
    };
    let started = Instant::now();
    let answer = policy.evaluate(&observation());
    let took = started.elapsed();
    assert!(took < ANSWERED_WITHIN, "{name} took {took:?} to answer");
    match (answer, expected) {
        (Err(failure), Fails(class) | FailsLate(class)) => {
            assert_eq!(failure.class, class, "{name}: {failure}")
        }
        (Ok(evaluation), Votes(total)) => assert_eq!(evaluation.verdict.vote, Vote::Total(total), "{name}"),
        (answer, _) => panic!("{name}: {answer:?}"),
    }
}

/// A thread that asks a policy again and again.
struct Beside {
    stop: Arc<AtomicBool>,
    verdicts: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl Beside {
    fn start(policy: &maestro_engine::Policy) -> Self {
        let (stop, verdicts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (policy, stopped, count) = (policy.clone(), Arc::clone(&stop), Arc::clone(&verdicts));
        let thread = thread::spawn(move || {
            let first = policy.evaluate(&observation());
            while !stopped.load(Ordering::Relaxed) {
                let answer = policy.evaluate(&observation());
                assert_eq!(answer, first);
                assert!(is_healthy(&answer));
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self {
            stop,
            verdicts,
            thread,
        }
    }

    fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the healthy policy is not disturbed");
        self.verdicts.load(Ordering::Relaxed)
    }
}

#[test]
fn every_file_of_the_corpus_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let files: BTreeSet<_> = fs::read_dir(folder)
        .expect("the corpus")
        .map(|file| file.expect("a file").path())
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    let table: BTreeSet<_> = CORPUS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, table);
}

#[test]
fn what_a_policy_writes_is_fit_for_a_terminal() {
    let reason = |name| load(name).evaluate(&observation()).expect(name).verdict.reason;
    assert_eq!(reason("garbage-reason"), r"fine\u{1b}[2J\r\u{0}\u{7}\u{202e}enif");
    let long = reason("long-reason");
    assert!((1_000..=1_024).contains(&long.len()), "{}", long.len());
    assert!(long.starts_with(r"\u{1b}\u{1b}") && long.ends_with('…'));
    let failure = load("says-internal")
        .evaluate(&observation())
        .expect_err("it says so");
    assert_eq!(failure.message, r"broken\u{1b}[31m");
}

#[test]
fn failures_say_what_happened() {
    let message = |name| load(name).evaluate(&observation()).expect_err(name).message;
    assert_eq!(message("says-insufficient-data"), "fewer than 3 samples");
    assert!(
        message("divide-by-zero").contains("divide by zero"),
        "{}",
        message("divide-by-zero")
    );
    assert!(
        message("large-state").contains("4097 bytes"),
        "{}",
        message("large-state")
    );
    assert!(
        message("recursion").contains("in down"),
        "{}",
        message("recursion")
    );
}
