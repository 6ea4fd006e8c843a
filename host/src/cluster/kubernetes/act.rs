//! The time of one act: all calls that come to something together, and their turns in the budget.
//!
//! A call knows the act that it is a part of by its task. Only the first call of an act waits in the line of all, for half of
//! the act's time at most; those that follow pass whoever has not begun. Otherwise a crowd would have all acts begun and
//! none done. And when an act has come to nothing for want of time, this tells whose fault that was: the server's, or that
//! of our own crowd, which says nothing of the cluster nor of the rooms that were to be made. Calls outside of any act
//! (watches) have their own time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Kubernetes;
use super::budget::Lane;
use super::failure::Failure;
use crate::cluster::Error;

tokio::task_local! {
    /// The time of the act that is under way.
    static TIME: Arc<Time>;
}

/// What an act has of time, and what of it goes by in waiting for turns.
struct Time {
    until: Instant,
    length: Duration,
    /// Whether a call of it was given its turn.
    has_begun: AtomicBool,
    waits: Mutex<Waits>,
}

/// Waits so far. Those of calls side by side count once.
struct Waits {
    total: Duration,
    until: Instant,
}

impl Kubernetes {
    /// One act, in the time that is given to it.
    pub(super) async fn act<T>(
        &self,
        act: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let time = Arc::new(Time::new(Instant::now(), self.timeout));
        let in_time = tokio::time::timeout(self.timeout, TIME.scope(Arc::clone(&time), act));
        match in_time.await {
            Ok(Err(Error::Crowded)) | Err(_) => Err(time.over().into()),
            Ok(answer) => answer,
        }
    }
}

/// Where a call waits for its turn that would wait in `lane` by itself, and for how long: as part of an act no longer than
/// that lasts, and `patience` at most.
pub(super) fn place(lane: Lane, now: Instant, patience: Duration) -> (Lane, Duration) {
    let place = TIME.try_with(|time| {
        let left = time.until.saturating_duration_since(now).min(patience);
        match time.has_begun.load(Ordering::Relaxed) {
            true => (Lane::First, left),
            false => (lane, left / 2),
        }
    });
    place.unwrap_or((lane, patience))
}

/// Takes down that a call of the act was given its turn.
pub(super) fn begin() {
    TIME.try_with(|time| time.has_begun.store(true, Ordering::Relaxed))
        .unwrap_or_default();
}

/// Takes down that a call of the act waits for its turn.
pub(super) fn note_wait(from: Instant, until: Instant) {
    // Whoever is no part of an act need not account for it.
    TIME.try_with(|time| time.note_wait(from, until))
        .unwrap_or_default();
}

impl Time {
    fn new(now: Instant, length: Duration) -> Self {
        Self {
            until: now + length,
            length,
            has_begun: AtomicBool::new(false),
            waits: Mutex::new(Waits {
                total: Duration::ZERO,
                until: now,
            }),
        }
    }

    fn note_wait(&self, from: Instant, until: Instant) {
        let mut waits = self.waits();
        let from = from.max(waits.until);
        waits.total += until.saturating_duration_since(from);
        waits.until = waits.until.max(until);
    }

    /// Why an act that did not get done came to nothing. One that never had a turn was crowded out. With half of its time
    /// spent in line it would have had twice as much without: what the server did in the rest says nothing of it.
    fn over(&self) -> Failure {
        let has_begun = self.has_begun.load(Ordering::Relaxed);
        match !has_begun || self.waits().total * 2 >= self.length {
            true => Failure::Crowded,
            false => Failure::late(self.length),
        }
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_that_mostly_waited_for_turns_was_crowded_out_and_others_were_answered_late() {
        let secs = Duration::from_secs;
        let check = |waits: &[(u64, u64)], is_crowded: bool| {
            let now = Instant::now();
            let time = Time::new(now, secs(4));
            assert!(matches!(time.over(), Failure::Crowded), "it never had a turn");
            time.has_begun.store(true, Ordering::Relaxed);
            for (from, until) in waits {
                time.note_wait(now + secs(*from), now + secs(*until));
            }
            assert_eq!(matches!(time.over(), Failure::Crowded), is_crowded, "{waits:?}");
        };
        check(&[], false);
        check(&[(0, 1)], false);
        check(&[(0, 1), (3, 4)], true);
        check(&[(0, 4)], true);
        // Side by side, and one within the other.
        check(&[(0, 1), (0, 1), (0, 1)], false);
        check(&[(0, 3), (1, 2)], true);
        // The server took nearly all of it, and there was no turn for the last call.
        check(&[(3, 4)], false);
    }

    #[tokio::test]
    async fn a_call_waits_no_longer_than_its_act_lasts() {
        let (now, hour) = (Instant::now(), Duration::from_secs(3_600));
        let of_act = Duration::from_secs(4);
        let place = |now, patience| place(Lane::Usual, now, patience);
        assert_eq!(place(now, hour), (Lane::Usual, hour), "a call of no act");
        let time = Arc::new(Time::new(now, of_act));
        TIME.scope(Arc::clone(&time), async {
            assert_eq!(place(now, hour), (Lane::Usual, of_act / 2));
            begin();
            assert_eq!(place(now, hour), (Lane::First, of_act));
            let second = Duration::from_secs(1);
            assert_eq!(place(now, second), (Lane::First, second));
            assert_eq!(place(now + hour, hour), (Lane::First, Duration::ZERO));
            note_wait(now, now + Duration::from_secs(3));
        })
        .await;
        note_wait(now, now + hour);
        assert_eq!(time.waits().total, Duration::from_secs(3));
    }
}
