//! A registry without an epoch has lost its memory, or never had one: what is held back, and for how long.
//!
//! Recovery begins when the holder first reads no epoch, or finds its own state gone, and ends when every running
//! room has reported since, at latest after the longer of the ping deadline and the time to live of an allocation:
//! by then each healthy room has had its say, and every promise made before the loss has run out.

use maestro_core::room::{Phase, Room};
use maestro_core::scheduler::Deadlines;
use maestro_core::time::{Span, Timestamp};

/// Whether and since when a scheduler's registry is recovering.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    since: Option<Timestamp>,
}

impl Recovery {
    /// Takes down what a reading showed; answers whether a loss was noticed just now. `was_lost` says that
    /// something is gone that was there.
    pub(super) fn note(&mut self, epoch: Option<Timestamp>, was_lost: bool, now: Timestamp) -> bool {
        let begins = was_lost || (epoch.is_none() && self.since.is_none());
        if begins {
            self.since = Some(now);
        } else if epoch.is_some() {
            self.since = None;
        }
        begins
    }

    /// Whether it is recovering.
    pub(super) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// Whether it may end: a list begun at `listed` was taken in, and everybody has spoken or had the time to.
    pub(super) fn may_end<'a>(
        &self,
        listed: Option<Timestamp>,
        mut rooms: impl Iterator<Item = &'a Room>,
        deadlines: &Deadlines,
        now: Timestamp,
    ) -> bool {
        let (Some(since), Some(_)) = (self.since, listed) else {
            return false;
        };
        now.since(since) > longest(deadlines) || rooms.all(has_spoken)
    }

    /// When it ends at latest.
    pub(super) fn ends_at(&self, deadlines: &Deadlines) -> Option<Timestamp> {
        let since = self.since?;
        Some(since + longest(deadlines) + Span::from_ms(1))
    }
}

fn longest(deadlines: &Deadlines) -> Span {
    deadlines.ping.max(deadlines.allocation)
}

/// Rooms whose process does not run have nothing to say.
fn has_spoken(room: &Room) -> bool {
    match room.phase {
        Phase::Running { .. } => room.reports.last.is_some(),
        Phase::Unseen | Phase::Pending { .. } | Phase::Exited { .. } | Phase::Absent { .. } => true,
    }
}
