//! What policies that never answer cost everybody else: the time from a question to its answer, with and without them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use maestro_engine::{Evaluator, Observation, Policy};
use tokio::time::{MissedTickBehavior, interval};

use crate::engine;
use crate::measure::Times;
use crate::policy::{ROOM, observation};

/// Questions to the policy that is well, one each five milliseconds.
const QUESTIONS: usize = 1_000;

/// How often an endless policy is asked: the least period of a scheduler. No breaker spares it here.
const PERIOD: Duration = Duration::from_secs(1);

/// Times from question to answer of a policy that is well, while so many others are endless.
async fn answers(policy: &Policy, endless: &Policy, number: u64) -> Result<(Times, u64)> {
    let evaluator = Evaluator::pool()?;
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut others = Vec::new();
    for _ in 0..number {
        let (evaluator, policy) = (evaluator.clone(), endless.clone());
        let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
        others.push(tokio::spawn(async move {
            let shown = observation(r#"{"endless":true}"#);
            let mut ticks = interval(PERIOD);
            while !stop.load(Ordering::Relaxed) {
                ticks.tick().await;
                if evaluator.evaluate(&policy, shown.clone()).await.is_err() {
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    let mut ticks = interval(Duration::from_millis(5));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let shown: Observation = observation(ROOM);
    let mut times = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        ticks.tick().await;
        let began = Instant::now();
        evaluator.evaluate(policy, shown.clone()).await?;
        times.push(began.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    for other in others {
        other.await?;
    }
    Ok((Times::new(times), asked.load(Ordering::Relaxed)))
}

pub(crate) fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let engine = engine::engine(&folder.path().join("cache"))?;
    let room = engine::load(&engine, engine::room()?)?;
    let endless = engine::load(&engine, &engine::trend(&folder.path().join("wasm"))?)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (alone, _) = runtime.block_on(answers(&room, &endless, 0))?;
    println!("  alone: 99th percentile {:.2} ms", alone.ms(99));
    for number in [1, 20] {
        let (times, failed) = runtime.block_on(answers(&room, &endless, number))?;
        let (later, percent) = (times.ms(99) - alone.ms(99), 99);
        println!(
            "  beside {number} that never answer ({failed} runs ended): {percent}th percentile {:.2} ms, {later:.2} ms later",
            times.ms(percent)
        );
    }
    Ok(())
}
