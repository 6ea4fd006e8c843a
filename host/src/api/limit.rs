//! How often a room may call: a bucket of tokens for each room, never for an address, since many rooms share one. How
//! often rooms may tell of events, which the store keeps, in buckets of their own: a room that tells much must not lose
//! its pings over it, nor one scheduler the store to another. And how often the store may be asked for schedulers that
//! nobody knows.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use maestro_core::names::{RoomId, SchedulerName};

/// What one room may call: ten times a second for ever, and a burst. A room that pings each second and reports each
/// match needs two.
const CALLS: Rate = Rate {
    per_second: 10.0,
    burst: 30.0,
};

/// What all rooms of one scheduler may tell of: a full thousand rooms in which a player comes or goes each five seconds.
/// The store takes some thousands a second.
const EVENTS: Rate = Rate {
    per_second: 200.0,
    burst: 1_000.0,
};

/// How often the store is asked for schedulers that are not known here. Those that there are become known without a
/// request; the burst is for a process that has just started.
const LOOKUPS: Rate = Rate {
    per_second: 10.0,
    burst: 100.0,
};

/// How often a call without a valid operator's token is answered with the reason: somebody who mistypes, and a program that
/// was given none, and nobody who guesses.
const REFUSALS: Rate = Rate {
    per_second: 2.0,
    burst: 20.0,
};

/// Rooms remembered. Above it, those whose bucket is full again are forgotten, which changes nothing for them.
const ROOMS: usize = 50_000;

/// All buckets.
#[derive(Debug, Default)]
pub struct Limits {
    calls: Buckets<RoomId>,
    events: Buckets<RoomId>,
    schedulers_events: Buckets<SchedulerName>,
    lookups: Mutex<Option<Bucket>>,
    refusals: Mutex<Option<Bucket>>,
}

/// How often something may happen.
#[derive(Clone, Copy, Debug)]
struct Rate {
    per_second: f64,
    burst: f64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self {
            tokens: rate.burst,
            at: now,
        }
    }

    fn refilled(self, rate: Rate, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.tokens + passed * rate.per_second).min(rate.burst)
    }

    /// Takes a token; or tells how long to wait for one.
    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let tokens = self.refilled(rate, now);
        let is_left = tokens >= 1.0;
        *self = Self {
            tokens: if is_left { tokens - 1.0 } else { tokens },
            at: now,
        };
        match is_left {
            true => Ok(()),
            false => Err(Duration::from_secs_f64((1.0 - tokens) / rate.per_second)),
        }
    }
}

impl Limits {
    /// Takes a token of the room's; or tells how long to wait for one.
    pub fn take(&self, room: &RoomId, now: Instant) -> Result<(), Duration> {
        self.calls.take(room, CALLS, now)
    }

    /// Takes a token of the room's for an event, and then one of its scheduler's; or tells how long to wait.
    pub fn take_event(&self, scheduler: &SchedulerName, room: &RoomId, now: Instant) -> Result<(), Duration> {
        self.events.take(room, CALLS, now)?;
        self.schedulers_events.take(scheduler, EVENTS, now)
    }

    /// Takes a token for one question to the store about a scheduler that is not known; or tells how long to wait.
    pub fn take_lookup(&self, now: Instant) -> Result<(), Duration> {
        take_one(&self.lookups, LOOKUPS, now)
    }

    /// Takes a token for one call without a valid operator's token; or tells how long to wait.
    pub fn take_refusal(&self, now: Instant) -> Result<(), Duration> {
        take_one(&self.refusals, REFUSALS, now)
    }
}

fn take_one(one: &Mutex<Option<Bucket>>, rate: Rate, now: Instant) -> Result<(), Duration> {
    let mut one = one.lock().unwrap_or_else(PoisonError::into_inner);
    one.get_or_insert(Bucket::full(rate, now)).take(rate, now)
}

/// A bucket for each name.
#[derive(Debug)]
struct Buckets<Name>(Mutex<HashMap<Name, Bucket>>);

impl<Name> Default for Buckets<Name> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Name: Clone + Eq + Hash> Buckets<Name> {
    fn take(&self, name: &Name, rate: Rate, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ROOMS && !buckets.contains_key(name) {
            buckets.retain(|_, bucket| bucket.refilled(rate, now) < rate.burst);
            if buckets.len() >= ROOMS {
                // So many rooms calling at their limit at once are an attack with made-up names: start over rather
                // than grow.
                buckets.clear();
            }
        }
        match buckets.get_mut(name) {
            Some(bucket) => bucket.take(rate, now),
            None => {
                let mut bucket = Bucket::full(rate, now);
                let taken = bucket.take(rate, now);
                buckets.insert(name.clone(), bucket);
                taken
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_then_the_rate_holds_and_other_rooms_do_not_notice() {
        let limits = Limits::default();
        let (one, other) = (
            RoomId::parse("a-00000001").unwrap(),
            RoomId::parse("a-00000002").unwrap(),
        );
        let start = Instant::now();
        let taken = (0..100).filter(|_| limits.take(&one, start).is_ok()).count();
        assert_eq!(taken, 30);
        assert!(limits.take(&one, start).unwrap_err() <= Duration::from_millis(100));
        assert!(limits.take(&other, start).is_ok());
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| limits.take(&one, later).is_ok()).count(), 10);
    }

    #[test]
    fn events_take_nothing_from_calls_and_one_scheduler_nothing_from_another() {
        let limits = Limits::default();
        let start = Instant::now();
        let (one, other) = (
            SchedulerName::parse("a").unwrap(),
            SchedulerName::parse("b").unwrap(),
        );
        let tell = |scheduler: &SchedulerName, room| {
            limits.take_event(scheduler, &RoomId::new(scheduler, room), start)
        };
        let room = RoomId::new(&one, 0);
        let told = (0..100).filter(|_| tell(&one, 0).is_ok()).count();
        assert_eq!(told, 30);
        assert!(limits.take(&room, start).is_ok());
        let told = (1..2_000).filter(|room| tell(&one, *room).is_ok()).count();
        assert_eq!(told, 970, "the scheduler's thousand in all");
        assert!(tell(&other, 1).is_ok());
    }

    #[test]
    fn lookups_have_one_bucket_for_all() {
        let (limits, start) = (Limits::default(), Instant::now());
        let taken = |at| (0..500).filter(|_| limits.take_lookup(at).is_ok()).count();
        assert_eq!(taken(start), 100);
        assert_eq!(taken(start + Duration::from_secs(1)), 10);
    }

    #[test]
    fn made_up_names_do_not_grow_it_for_ever() {
        let limits = Limits::default();
        let now = Instant::now();
        for suffix in 0..(ROOMS as u32 + 100) {
            let room = RoomId::parse(&format!("a-{suffix:08x}")).unwrap();
            assert!(limits.take(&room, now).is_ok());
        }
        assert!(limits.calls.0.lock().unwrap().len() <= ROOMS);
    }
}
