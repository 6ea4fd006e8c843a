//! Stands in for players and their matchmaker in `maestro dev`: takes ready rooms and starts matches in them.
//!
//! It uses what a real one uses, an allocation and the room's address, and knows nothing else of Maestro. A match is
//! begun by one line over TCP to the room's first port: `match <milliseconds>`, answered `ok`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maestro_core::names::SchedulerName;
use maestro_core::room::Room;
use maestro_core::time::Span;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::matches::Matches;
use crate::registry::{Registry, Terms};

/// Time between two looks at the demand.
const TICK: Duration = Duration::from_millis(200);

/// How long a promise holds before the match must have begun.
const PROMISE: Terms = Terms {
    ttl: Span::from_secs(5),
    ping: Span::from_secs(15),
};

/// The longest that a room may take to answer.
const ANSWER: Duration = Duration::from_millis(500);

/// Most matches begun in one tick, so that a typing error in a rate does not stall everything else.
const MOST_A_TICK: u32 = 200;

/// How long a rush lasts: half of the squeezed day, so that its quiet part shows it too.
pub(super) const RUSH: Duration = Duration::from_secs(30);

/// By how much demand grows in a rush.
const RUSH_FACTOR: f64 = 2.0;

/// More demand for a while, whenever somebody wants it. Cheap to clone; all clones are the same rush.
#[derive(Clone, Debug, Default)]
pub(super) struct Rush(Arc<Mutex<Option<Instant>>>);

impl Rush {
    /// Begins one, or begins it anew.
    pub(super) fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + RUSH);
    }

    fn factor(&self, now: Instant) -> f64 {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match until {
            Some(until) if now < until => RUSH_FACTOR,
            Some(_) | None => 1.0,
        }
    }
}

/// Simulates demand for some schedulers.
pub(super) struct Matchmaker {
    /// Where rooms are found.
    pub registry: Arc<dyn Registry>,
    /// Whose rooms.
    pub schedulers: Vec<SchedulerName>,
    /// How much demand each of them gets.
    pub matches: Matches,
    /// When there is more of it.
    pub rush: Rush,
    /// For the same matches at the same moments.
    pub seed: u64,
}

impl Matchmaker {
    /// Starts matches until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<(), std::convert::Infallible> {
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let start = Instant::now();
        let mut last = start;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                now = ticks.tick() => {
                    let rate = self.matches.rate(now - start) * self.rush.factor(now);
                    let expected = rate * (now - last).as_secs_f64();
                    last = now;
                    for scheduler in &self.schedulers {
                        for _ in 0..arrivals(expected, &mut random) {
                            let length = self.length(&mut random);
                            self.begin(scheduler, length).await;
                        }
                    }
                }
            }
        }
    }

    /// Matches differ by half their mean in either direction.
    fn length(&self, random: &mut StdRng) -> Duration {
        self.matches.length().mul_f64(random.random_range(0.5..1.5))
    }

    async fn begin(&self, scheduler: &SchedulerName, length: Duration) {
        let room = match self.registry.allocate(scheduler, PROMISE).await {
            Ok(Some(room)) => room,
            Ok(None) => {
                tracing::debug!(scheduler.name = %scheduler, "{scheduler}: players wait, no room is ready");
                return;
            }
            Err(error) => {
                tracing::warn!(scheduler.name = %scheduler, "{scheduler}: no room could be asked for: {error}");
                return;
            }
        };
        match timeout(ANSWER, ask(&room, length)).await {
            Ok(Ok(answer)) if answer.trim_end() == "ok" => {}
            // The promise runs out by itself; the room's own reports say what became of it.
            Ok(Ok(answer)) => {
                tracing::debug!(room.id = %room.id, "{} took no match: {}", room.id, answer.trim_end())
            }
            Ok(Err(error)) => tracing::debug!(room.id = %room.id, "{} took no match: {error}", room.id),
            Err(_elapsed) => tracing::debug!(room.id = %room.id, "{} did not answer its matchmaker", room.id),
        }
    }
}

async fn ask(room: &Room, length: Duration) -> std::io::Result<String> {
    let address = room.addresses.first().zip(room.ports.first());
    let Some((address, port)) = address else {
        return Err(std::io::Error::other("it has no address"));
    };
    let mut stream = BufReader::new(TcpStream::connect((address.host.as_str(), port.port)).await?);
    stream
        .write_all(format!("match {}\n", length.as_millis()).as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    Ok(answer)
}

/// How many matches begin where `expected` do on average (Poisson, by Knuth's product of uniform numbers).
fn arrivals(expected: f64, random: &mut StdRng) -> u32 {
    let floor = (-expected.min(50.0)).exp();
    let mut product = 1.0;
    for count in 0..MOST_A_TICK {
        product *= random.random::<f64>();
        if product <= floor {
            return count;
        }
    }
    MOST_A_TICK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rush_doubles_demand_and_passes() {
        let rush = Rush::default();
        let now = Instant::now();
        assert_eq!(rush.factor(now), 1.0);
        rush.clone().begin();
        assert_eq!(rush.factor(now), 2.0);
        assert_eq!(rush.factor(Instant::now() + RUSH), 1.0);
    }

    #[test]
    fn arrivals_average_to_what_is_expected() {
        let mut random = StdRng::seed_from_u64(7);
        for expected in [0.05, 0.5, 3.0] {
            let rounds = 20_000;
            let sum: u32 = (0..rounds).map(|_| arrivals(expected, &mut random)).sum();
            let mean = f64::from(sum) / f64::from(rounds);
            assert!(
                (mean - expected).abs() < expected * 0.1,
                "{mean} instead of {expected}"
            );
        }
        assert_eq!(arrivals(0.0, &mut random), 0);
    }
}
