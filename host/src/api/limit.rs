//! How often a room may call: a bucket of tokens for each room, never for an address, since many rooms share one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use maestro_core::names::RoomId;

/// Calls a second that a room may make for ever; a room that pings each second and reports each match needs two.
const RATE: f64 = 10.0;

/// Calls that it may make at once.
const BURST: f64 = 30.0;

/// Rooms remembered. Above it, those whose bucket is full again are forgotten, which changes nothing for them.
const ROOMS: usize = 50_000;

/// All rooms' buckets.
#[derive(Debug, Default)]
pub struct Limits {
    buckets: Mutex<HashMap<RoomId, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn refilled(self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.tokens + passed * RATE).min(BURST)
    }
}

impl Limits {
    /// Takes a token of the room's; or tells how long to wait for one.
    pub fn take(&self, room: &RoomId, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ROOMS && !buckets.contains_key(room) {
            buckets.retain(|_, bucket| bucket.refilled(now) < BURST);
            if buckets.len() >= ROOMS {
                // So many rooms calling at their limit at once are an attack with made-up names: start over rather
                // than grow.
                buckets.clear();
            }
        }
        let bucket = buckets.entry(room.clone()).or_insert(Bucket {
            tokens: BURST,
            at: now,
        });
        let tokens = bucket.refilled(now);
        let is_left = tokens >= 1.0;
        *bucket = Bucket {
            tokens: if is_left { tokens - 1.0 } else { tokens },
            at: now,
        };
        match is_left {
            true => Ok(()),
            false => Err(Duration::from_secs_f64((1.0 - tokens) / RATE)),
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
    fn made_up_names_do_not_grow_it_for_ever() {
        let limits = Limits::default();
        let now = Instant::now();
        for suffix in 0..(ROOMS as u32 + 100) {
            let room = RoomId::parse(&format!("a-{suffix:08x}")).unwrap();
            assert!(limits.take(&room, now).is_ok());
        }
        assert!(limits.buckets.lock().unwrap().len() <= ROOMS);
    }
}
