//! What a look over all rooms brought, good until something changes or a deadline comes.
//!
//! At rest, a step costs what changed since the last one and not what there is: of ten thousand rooms that only go on
//! pinging nothing is counted, planned or sorted anew.

use maestro_core::decision::Counts;
use maestro_core::room::{Intent, Room, Use};
use maestro_core::scheduler::Deadlines;
use maestro_core::time::{Span, Timestamp};

/// All rooms at one time, summed up.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) counts: Counts,
    pub(super) mass_silence: bool,
    /// The first deadline of any room that was ahead, by the registry's clock. Signs of life only move deadlines
    /// away, so that none comes sooner.
    pub(super) deadline: Option<Timestamp>,
    /// On what a plan was made that had nothing to do.
    pub(super) idle_on: Option<Ground>,
}

/// What a plan depends on, beside the rooms and the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ground {
    pub(super) wanted: u32,
    pub(super) recovering: bool,
    pub(super) listed: bool,
    pub(super) creation_held: bool,
}

impl Survey {
    /// Whether it still says how things are.
    pub(super) fn holds_at(&self, now: Timestamp) -> bool {
        self.deadline.is_none_or(|deadline| now < deadline)
    }
}

/// Whether all that happened to a room is that it was heard of again, and that changes nothing that is derived of it.
pub(super) fn is_only_fresher(before: &Room, after: &Room, deadlines: &Deadlines, witnessed: Span) -> bool {
    let may_wait_for_a_word = match before.intent {
        Intent::Keep | Intent::Allocated { .. } => {
            deadlines.occupied.is_some() && before.usage() == Use::Occupied
        }
        Intent::Draining { .. } | Intent::Stopping { .. } => true,
    };
    let was_silent = before.reports.silence(witnessed) > deadlines.ping;
    !may_wait_for_a_word
        && !was_silent
        && before.revision == after.revision
        && before.version == after.version
        && before.creation == after.creation
        && before.origin == after.origin
        && before.phase == after.phase
        && before.allocation_expired == after.allocation_expired
        && before.occupied_since == after.occupied_since
        && before.reports.last.is_some() == after.reports.last.is_some()
        && before.node == after.node
        && before.addresses == after.addresses
        && before.ports == after.ports
}

#[cfg(test)]
mod tests {
    use maestro_core::names::{RoomId, SchedulerName, Version};
    use maestro_core::report::{Report, Reported};

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_ms(secs * 1_000)
    }

    fn told(room: &Room, status: Reported, secs: i64) -> Room {
        let report = Report {
            status,
            sent_at: at(secs),
            metadata: None,
            running_matches: None,
            capacity: None,
        };
        let mut room = room.clone();
        room.receive(&report, at(secs), Span::from_secs(secs.unsigned_abs()));
        room
    }

    #[test]
    fn a_repeated_ping_is_no_news_unless_somebody_waits_for_it() {
        let deadlines = Deadlines::default();
        let with_limit = Deadlines {
            occupied: Some(Span::from_secs(600)),
            ..Deadlines::default()
        };
        let id = RoomId::new(&SchedulerName::parse("pong").unwrap(), 1);
        let new = Room::reserved(id, Version::FIRST, at(0), Span::ZERO);
        let ready = told(&new, Reported::Ready, 1);
        let occupied = told(&ready, Reported::Occupied, 2);
        let mut draining = ready.clone();
        draining.drain("", at(2)).unwrap();
        let now = Span::from_secs(3);
        let is_fresher =
            |before: &Room, after: &Room, limits: &Deadlines| is_only_fresher(before, after, limits, now);
        for (before, status, limits, expected) in [
            (&new, Reported::Ready, &deadlines, false),
            (&ready, Reported::Ready, &deadlines, true),
            (&ready, Reported::Occupied, &deadlines, false),
            (&occupied, Reported::Occupied, &deadlines, true),
            (&occupied, Reported::Occupied, &with_limit, false),
            (&draining, Reported::Ready, &deadlines, false),
        ] {
            let after = told(before, status, 3);
            assert_eq!(
                is_fresher(before, &after, limits),
                expected,
                "{status:?} of {before:?}"
            );
        }
        let late = Span::from_secs(1) + deadlines.ping + Span::from_ms(1);
        let back = told(&ready, Reported::Ready, 100);
        assert!(!is_only_fresher(&ready, &back, &deadlines, late), "it was silent");
    }
}
