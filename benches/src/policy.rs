//! One evaluation: a fresh instance, all guards on, parameters parsed; against the same function compiled natively.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result};
use maestro_core::scheduler::Direction;
use maestro_engine::{Counts, Observation, Policy, Rooms};
use maestro_policy_sdk::{self as sdk, TestWindow};

use crate::engine;
use crate::measure::{cpu_micros, rate};

/// Samples of the past: 100 minutes on the service's grid of ten seconds.
const POINTS: u64 = 600;

const CALLS: u32 = 2_000;

pub(crate) const ROOM: &str = r#"{"usage":70,"threshold":80,"time":600,"limit":95}"#;
const TREND: &str = r#"{"ahead":120,"spare":2}"#;

/// Rooms in use: a wave that is above and below the target.
fn busy(point: u64) -> u32 {
    u32::try_from(40 + (point * 7) % 55).unwrap_or(0)
}

pub(crate) fn observation(parameters: &str) -> Observation {
    let now_ms = 1_800_000_000_000;
    let counts = |point| Counts {
        ready: 100 - busy(point),
        occupied: busy(point),
        ..Counts::default()
    };
    let mut rooms = Rooms::default();
    for point in 0..POINTS {
        rooms.push(now_ms - (POINTS - 1 - point) * 10_000, counts(point));
    }
    Observation {
        now_ms,
        window_ms: POINTS * 10_000,
        period_ms: 10_000,
        direction: Direction::Up,
        wanted: 100,
        current: counts(POINTS - 1),
        min: 1,
        max: Some(300),
        last_scaled_ms: None,
        rooms,
        metrics: Vec::new(),
        parameters: parameters.to_owned(),
        labels: Vec::new(),
        state: Vec::new(),
    }
}

fn native() -> sdk::Observation {
    let samples: Vec<(u32, u32)> = (0..POINTS)
        .map(|point| (100 - busy(point), busy(point)))
        .collect();
    TestWindow::new(POINTS * 10, 10)
        .rooms(&samples)
        .direction(sdk::Direction::Up)
        .wanted(100)
        .build()
}

/// What a policy costs, sandboxed and natively; parameters are parsed each time in both.
fn compare<P: sdk::Parameters>(
    name: &str,
    policy: &Policy,
    parameters: &str,
    evaluate: fn(&sdk::Observation, &P) -> Result<sdk::Verdict, sdk::Error>,
) -> Result<()> {
    let shown = observation(parameters);
    let answer = policy
        .evaluate(&shown)
        .with_context(|| format!("`{name}` does not answer"))?;
    let sandboxed = cpu_micros(CALLS, || {
        black_box(policy.evaluate(black_box(&shown)).ok());
    });
    let shown = native();
    let floor = cpu_micros(CALLS, || {
        let parameters: Option<P> = sdk::from_json(black_box(parameters)).ok();
        black_box(parameters.map(|parameters| evaluate(black_box(&shown), &parameters).ok()));
    });
    println!(
        "  {name} on {POINTS} points: {sandboxed:.1} µs of CPU, natively {floor:.1} µs: {:.1} times; fuel {}",
        sandboxed / floor,
        answer.fuel
    );
    Ok(())
}

/// Evaluations a second by so many threads.
fn throughput(policy: &Policy, threads: u64) -> f64 {
    const EACH: u64 = 20_000;
    let shown = observation(ROOM);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..EACH {
                    black_box(policy.evaluate(black_box(&shown)).ok());
                }
            });
        }
    });
    rate(EACH * threads, began)
}

pub(crate) fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let engine = engine::engine(&folder.path().join("cache"))?;
    let room = engine::load(&engine, engine::room()?)?;
    compare("room", &room, ROOM, maestro_policy_room::evaluate)?;
    let component = engine::trend(&folder.path().join("wasm"))?;
    let trend = engine::load(&engine, &component)?;
    compare(
        "trend and percentile",
        &trend,
        TREND,
        maestro_policy_trend::evaluate,
    )?;
    let (one, two) = (throughput(&room, 1), throughput(&room, 2));
    println!(
        "  evaluations a second: one thread {one:.0}, two {two:.0}: {:.2} times",
        two / one
    );
    drop((room, trend));
    let mut loads = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        drop(engine::load(&engine, engine::room()?)?);
        loads.push(began.elapsed());
    }
    println!(
        "  load from the compile cache: {:.2} ms",
        crate::measure::Times::new(loads).ms(50)
    );
    Ok(())
}
