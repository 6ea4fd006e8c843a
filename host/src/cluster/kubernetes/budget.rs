//! How many calls are made of the API server, and which of them come first.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::act;
use super::failure::Failure;

/// So many calls a second, and some at once; for all schedulers together, because the server is one.
pub(super) struct Budget {
    /// The time of one call.
    each: Duration,
    /// How much unused time is kept.
    kept: Duration,
    next: Mutex<Turns>,
    /// When it was told last that more is asked than there is.
    told: Mutex<Option<Instant>>,
}

/// Time between two lines about a crowd: it is one for all schedulers.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// When the next call of each lane may be made.
struct Turns {
    usual: Instant,
    first: Instant,
}

/// Where a call waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// In the order of coming.
    Usual,
    /// Before all those. They keep the turns that they were given, so that twice the budget is used for a moment, and
    /// whoever comes later pays for it.
    First,
}

impl Budget {
    /// At least one call a second, and one at once.
    pub(super) fn new(per_second: u32, at_once: u32, now: Instant) -> Self {
        let each = Duration::from_secs(1) / per_second.max(1);
        let kept = each * (at_once.max(1) - 1);
        let since = now.checked_sub(kept).unwrap_or(now);
        Self {
            each,
            kept,
            next: Mutex::new(Turns {
                usual: since,
                first: since,
            }),
            told: Mutex::default(),
        }
    }

    /// Returns when the next call may be made. Fails at once when that would be later than `patience` allows, so that
    /// a crowd that gives up does not stand in the way of who comes after it.
    pub(super) async fn turn(&self, lane: Lane, now: Instant, patience: Duration) -> Result<(), Failure> {
        let at = self.take(lane, now, patience);
        // Who gets no turn gives up all the time that was left.
        act::note_wait(now, at.unwrap_or(now + patience));
        let Some(at) = at else {
            self.tell(now);
            return Err(Failure::Crowded);
        };
        act::begin();
        tokio::time::sleep_until(at.into()).await;
        Ok(())
    }

    /// Whether a usual call would be given its turn now.
    pub(super) fn has_turn(&self, now: Instant, patience: Duration) -> bool {
        self.next().usual <= now + patience
    }

    /// Says that more is asked than there is.
    fn tell(&self, now: Instant) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| now.saturating_duration_since(at) >= TOLD_EVERY) {
            *told = Some(now);
            tracing::warn!(
                "more is asked of Kubernetes than {} calls a second (--kube-calls): rooms come later",
                self.each.as_secs_f64().recip().round()
            );
        }
    }

    fn take(&self, lane: Lane, now: Instant, patience: Duration) -> Option<Instant> {
        let mut next = self.next();
        let earliest = now.checked_sub(self.kept).unwrap_or(now);
        let (usual, first) = (next.usual.max(earliest), next.first.max(earliest));
        let at = match lane {
            Lane::Usual => usual,
            Lane::First => first,
        };
        if at > now + patience {
            return None;
        }
        next.usual = usual + self.each;
        if lane == Lane::First {
            next.first = first + self.each;
        }
        Some(at.max(now))
    }

    fn next(&self) -> MutexGuard<'_, Turns> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets no call through for a while.
    pub(super) fn pause(&self, respite: Duration) {
        let (mut next, until) = (self.next(), Instant::now() + respite);
        next.usual = next.usual.max(until);
        next.first = next.first.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    #[test]
    fn calls_take_turns_and_those_that_would_wait_too_long_take_none() {
        let start = Instant::now();
        let budget = Budget::new(2, 2, start);
        let after = |now: Duration| {
            let at = budget.take(Lane::Usual, start + now, PATIENCE)?;
            Some((at - start).as_millis())
        };
        let at_once: Vec<_> = (0..6).map(|_| after(Duration::ZERO)).collect();
        assert_eq!(at_once, [Some(0), Some(0), Some(500), Some(1_000), None, None]);
        assert_eq!(after(Duration::from_secs(1)), Some(1_500));
        // Nobody came for a minute: two at once, not sixty.
        let later = Duration::from_secs(60);
        let burst: Vec<_> = (0..3).map(|_| after(later)).collect();
        assert_eq!(burst, [Some(60_000), Some(60_000), Some(60_500)]);
    }

    #[test]
    fn deletions_pass_all_that_wait_and_their_calls_are_paid_for() {
        let start = Instant::now();
        let budget = Budget::new(2, 1, start);
        let after = |lane| {
            let at = budget.take(lane, start, Duration::from_secs(5))?;
            Some((at - start).as_millis())
        };
        let usual: Vec<_> = (0..4).map(|_| after(Lane::Usual)).collect();
        assert_eq!(usual, [Some(0), Some(500), Some(1_000), Some(1_500)]);
        assert_eq!([after(Lane::First), after(Lane::First)], [Some(0), Some(500)]);
        assert_eq!(after(Lane::Usual), Some(3_000), "it comes after six calls");
    }

    #[test]
    fn a_server_that_asks_for_a_respite_gets_it() {
        let now = Instant::now();
        let budget = Budget::new(100, 100, now);
        budget.pause(Duration::from_secs(3));
        assert!(budget.take(Lane::First, now, PATIENCE).is_none());
        assert!(
            budget
                .take(Lane::First, now + Duration::from_secs(3), PATIENCE)
                .is_some()
        );
    }
}
