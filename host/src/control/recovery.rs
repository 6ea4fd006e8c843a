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

#[cfg(test)]
mod tests {
    use maestro_core::names::{RoomId, SchedulerName, Version};
    use maestro_core::report::{Accepted, Reported};

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_ms(secs * 1_000)
    }

    fn room(has_reported: bool) -> Room {
        let id = RoomId::new(&SchedulerName::parse("pong").unwrap(), 1);
        let mut room = Room::adopted(id, Version::FIRST, at(0), Span::ZERO);
        room.phase = Phase::Running { since: at(0) };
        room.reports.last = has_reported.then(|| Accepted {
            status: Reported::Occupied,
            since: at(1),
            sent_at: at(1),
            received_at: at(1),
        });
        room
    }

    fn may_end(recovery: &Recovery, listed: Option<Timestamp>, rooms: &[Room], secs: i64) -> bool {
        recovery.may_end(listed, rooms.iter(), &Deadlines::default(), at(secs))
    }

    #[test]
    fn it_ends_when_every_running_room_has_reported_or_the_longest_deadline_is_over() {
        let mut recovery = Recovery::default();
        assert!(
            recovery.note(None, false, at(10)),
            "no epoch, and it was not known"
        );
        assert!(!recovery.note(None, false, at(11)), "known by now");
        let listed = Some(at(10));
        assert!(!may_end(&recovery, None, &[], 12), "not before a list");
        assert!(may_end(&recovery, listed, &[room(true)], 12));
        assert!(!may_end(&recovery, listed, &[room(true), room(false)], 310));
        assert_eq!(
            recovery.ends_at(&Deadlines::default()),
            Some(Timestamp::from_ms(310_001))
        );
        assert!(may_end(&recovery, listed, &[room(false)], 311));
    }

    #[test]
    fn an_epoch_ends_it_and_a_loss_begins_it_anew() {
        let mut recovery = Recovery::default();
        recovery.note(None, false, at(10));
        assert!(!recovery.note(Some(at(12)), false, at(12)));
        assert!(!recovery.is_on());
        assert!(recovery.note(None, true, at(20)));
        assert!(recovery.note(None, true, at(30)), "lost once more");
        assert!(recovery.is_on());
    }
}
