//! The simulator: many control loops of one scheduler over the in-process registry and a simulated cluster, seeded,
//! in virtual time, with faults.
//!
//! `cargo test --release -p maestro --test simulation` runs the cluster's contract suite on the simulated cluster, a
//! thousand seeds, and each deliberately broken registry until it is caught. After `--`:
//!
//! - `--seeds 20000 --from 0` runs that many seeds, and nothing else;
//! - `--seed 4711` runs one and prints its trace;
//! - `--broken no-fence` does either on a registry that is broken in that way.
//!
//! A failing seed prints its trace and the command that runs it again. A run depends on nothing but its seed.
#![expect(
    clippy::expect_used,
    reason = "a world that is not as the simulator made it is a fault of the simulator"
)]

mod options;
mod run;
mod plan;
mod events;
mod world;
mod calls;
mod registry;
mod cluster;
mod ground;
mod nodes;
mod room;
mod workers;
mod oracle;
mod contract;
mod policy;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use maestro_engine::Policy;

use options::{Options, Task};
use registry::Broken;
use run::{Figures, Run};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 1_000;

fn main() -> ExitCode {
    if let Some(code) = policy::compile_if_asked() {
        return code;
    }
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    let shelf = match policy::Shelf::open() {
        Ok(shelf) => shelf,
        Err(error) => {
            eprintln!("the built-in policy could not be loaded: {error}");
            return ExitCode::FAILURE;
        }
    };
    let is_well = match options.task {
        Task::All => all(&shelf.room),
        Task::Seeds { from, number } => many(from, number, options.broken, &shelf.room),
        Task::Seed(seed) => one(seed, options.broken, &shelf.room),
    };
    match is_well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn all(policy: &Policy) -> bool {
    println!("\nrunning {} tests", 2 + Broken::ALL.len());
    let mut is_well = test("the_simulated_cluster_keeps_the_contract", contract::check);
    is_well &= test("a_thousand_seeds_break_no_promise", || {
        let is_well = many(0, SEEDS, None, policy);
        is_well.then_some(()).ok_or_else(|| "see above".to_owned())
    });
    for broken in Broken::ALL {
        is_well &= test(&format!("{}_is_caught", broken.as_str()), || {
            caught(broken, policy)
        });
    }
    println!("\ntest result: {}\n", if is_well { "ok" } else { "FAILED" });
    is_well
}

fn test(name: &str, check: impl FnOnce() -> Result<(), String>) -> bool {
    let began = Instant::now();
    let answer = check();
    let seconds = began.elapsed().as_secs_f64();
    match &answer {
        Ok(()) => println!("test {name} ... ok ({seconds:.1} s)"),
        Err(message) => println!("test {name} ... FAILED ({seconds:.1} s)\n{message}"),
    }
    answer.is_ok()
}

/// Whether a broken registry is caught within so many seeds; says by which, and how.
fn caught(broken: Broken, policy: &Policy) -> Result<(), String> {
    for seed in 0..SEEDS {
        let run = run::run(seed, Some(broken), Some(policy), false);
        if let Some(violation) = run.violation {
            println!("  seed {seed}: {violation}");
            return Ok(());
        }
    }
    Err(format!("{SEEDS} seeds, and nobody noticed"))
}

/// Runs seeds on all cores; stops at the first that fails and shows it.
fn many(from: u64, number: u64, broken: Option<Broken>, policy: &Policy) -> bool {
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let failed: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    let figures = Mutex::new(Figures::default());
    let stops = AtomicBool::new(false);
    let work = || {
        let mut sum = Figures::default();
        while !stops.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + number {
                break;
            }
            let Run {
                violation, figures, ..
            } = run::run(seed, broken, Some(policy), false);
            sum.add(&figures);
            if violation.is_some() {
                failed.lock().expect("no thread panics").push(seed);
                stops.store(true, Ordering::Relaxed);
            }
        }
        figures.lock().expect("no thread panics").add(&sum);
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().expect("no thread panics");
    if let Some(seed) = failed.into_iter().min() {
        return one(seed, broken, policy);
    }
    let figures = figures.into_inner().expect("no thread panics");
    println!(
        "  {number} seeds in {:.1} s: {figures:?}",
        began.elapsed().as_secs_f64()
    );
    true
}

/// Runs one seed and prints all that happened.
fn one(seed: u64, broken: Option<Broken>, policy: &Policy) -> bool {
    let run = run::run(seed, broken, Some(policy), true);
    for line in &run.trace {
        println!("{line}");
    }
    let broken = broken
        .map(|broken| format!(" --broken {}", broken.as_str()))
        .unwrap_or_default();
    match run.violation {
        None => println!("seed {seed}: no promise was broken: {:?}", run.figures),
        Some(violation) => {
            println!("seed {seed}: {violation}");
            println!("again: cargo test --release -p maestro --test simulation -- --seed {seed}{broken}");
            return false;
        }
    }
    true
}
