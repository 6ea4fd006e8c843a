//! From how a worker's looks at the store go to what it says of that: how it reaches the store.
//!
//! The word changes slowly, but that whoever lost the store is back with the first look that succeeds. A store that goes
//! away for all, and comes back for all, thus moves no scheduler: before anybody says that it is lost, all have stopped to
//! be sure of it; before anybody is sure of it again, all have seen it again. Called by the roster, with the time.

use std::time::{Duration, Instant};

use maestro_core::placement::Reach;

use crate::store;
use crate::supervisor::{LONGEST, POLL};

/// How long a worker stays sure of the store while its looks fail: one that fails alone is no news.
pub(super) const DOUBT: Duration = POLL.saturating_mul(2);

/// How long looks fail until the store is lost, and succeed until it is sure. When it goes away for all, the first worker
/// may notice at once, and the last one when it has waited for the answer to what it asked just before, looks next and has
/// waited for that; then that one stays sure for as long as it doubts. This is longer, by as much as the registry may take
/// to tell.
pub(super) const SETTLED: Duration = POLL
    .saturating_add(LONGEST)
    .saturating_add(LONGEST)
    .saturating_add(DOUBT)
    .saturating_add(DOUBT);

/// How this worker's looks at the store went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    /// Whether the last one succeeded.
    is_answered: bool,
    /// Since when they went as the last one; `None` where the store was away from the beginning.
    since: Option<Instant>,
    /// Whether this worker was sure of the store until then.
    was_steady: bool,
}

impl Looks {
    /// What they are with one that ended at `now`.
    pub(super) fn after(before: Option<Self>, look: &Result<(), store::Error>, now: Instant) -> Self {
        let is_answered = look.is_ok();
        match before {
            Some(before) if before.is_answered == is_answered => before,
            Some(before) => Self {
                is_answered,
                since: Some(now),
                was_steady: before.reach(now) == Reach::Steady,
            },
            // Whoever began without the store does not just miss it for a moment.
            None => Self {
                is_answered,
                since: is_answered.then_some(now),
                was_steady: false,
            },
        }
    }

    /// What this worker says at `now`.
    pub(super) fn reach(self, now: Instant) -> Reach {
        let lasted = self.since.map(|since| now.saturating_duration_since(since));
        let has_lasted = |span: Duration| lasted.is_none_or(|lasted| lasted >= span);
        match self.is_answered {
            true if self.was_steady || has_lasted(SETTLED) => Reach::Steady,
            false if self.was_steady && !has_lasted(DOUBT) => Reach::Steady,
            false if has_lasted(SETTLED) => Reach::Lost,
            true | false => Reach::Unsure,
        }
    }
}

#[cfg(test)]
mod tests {
    use maestro_core::placement::Reach::{Lost, Steady, Unsure};

    use super::*;

    /// Checks what is said at some times, in seconds, of looks at others.
    fn check(looks: &[(u64, bool)], expected: &[(u64, Reach)]) {
        let begun = Instant::now();
        let at = |secs| begun + Duration::from_secs(secs);
        for (secs, reach) in expected {
            let until = looks.iter().take_while(|(looked, _)| looked <= secs);
            let state = until.fold(None, |before, (looked, is_answered)| {
                let look = match is_answered {
                    true => Ok(()),
                    false => Err(store::Error::late("look")),
                };
                Some(Looks::after(before, &look, at(*looked)))
            });
            let said = state.map(|looks| looks.reach(at(*secs)));
            assert_eq!(said, Some(*reach), "{looks:?} at {secs} s");
        }
    }

    #[test]
    fn what_is_said_of_the_store_follows_what_lasts() {
        assert_eq!((DOUBT.as_secs(), SETTLED.as_secs()), (10, 65));
        check(&[(0, true)], &[(0, Unsure), (64, Unsure), (65, Steady)]);
        let lost = [(0, true), (70, false), (75, false), (200, true)];
        check(
            &lost,
            &[
                (70, Steady),
                (79, Steady),
                (80, Unsure),
                (134, Unsure),
                (135, Lost),
            ],
        );
        check(&lost, &[(199, Lost), (200, Unsure), (264, Unsure), (265, Steady)]);
    }

    #[test]
    fn a_moment_without_the_store_is_forgotten() {
        let looks = [(0, true), (70, false), (75, true), (80, false)];
        check(&looks, &[(70, Steady), (75, Steady), (89, Steady), (90, Unsure)]);
    }

    #[test]
    fn whoever_begins_without_the_store_has_lost_it() {
        check(
            &[(5, false), (10, true)],
            &[(5, Lost), (10, Unsure), (75, Steady)],
        );
    }
}
