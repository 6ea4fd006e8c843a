//! When the next deadline of any room is over, so that a step comes then and not before.
//!
//! A hint only: whether a deadline is over, and what follows, the core judges from the facts of that time.

use maestro_core::room::{Intent, Room, Stage};
use maestro_core::scheduler::Deadlines;
use maestro_core::time::{Span, Timestamp};

/// What deadlines are counted by.
pub(super) struct Clocks<'a> {
    pub(super) deadlines: &'a Deadlines,
    pub(super) shutdown: Span,
    pub(super) witnessed: Span,
    pub(super) now: Timestamp,
}

/// The core's comparisons are strict.
const TICK: Span = Span::from_ms(1);

impl Clocks<'_> {
    /// The first deadline of any of these rooms that is still ahead, by the registry's clock.
    pub(super) fn next_deadline<'r>(&self, rooms: impl Iterator<Item = &'r Room>) -> Option<Timestamp> {
        rooms.filter_map(|room| self.of(room)).min()
    }

    fn of(&self, room: &Room) -> Option<Timestamp> {
        let deadlines = self.deadlines;
        let mut times = Vec::with_capacity(4);
        match room.stage() {
            Stage::Reserved | Stage::Gone => {}
            Stage::Starting => times.push(room.created_at() + deadlines.initialization),
            Stage::Running | Stage::Draining => {
                for limit in [deadlines.ping, deadlines.draining, deadlines.lost] {
                    times.push(self.now + (limit - room.reports.silence(self.witnessed)));
                }
            }
            Stage::Stopping => {
                let last = room.reports.last.map(|last| last.received_at);
                times.extend(last.map(|at| at + self.shutdown));
            }
        }
        match room.intent {
            Intent::Keep => {}
            Intent::Allocated { until } => times.push(until),
            Intent::Draining { since, .. } => times.push(since + deadlines.draining),
            // Half a minute is what the core waits before an object is deleted once more.
            Intent::Stopping { since, .. } => times.push(since + self.shutdown + Span::from_secs(30)),
        }
        if let (Some(limit), Some(began)) = (deadlines.occupied, room.occupied_since) {
            times.push(began + limit);
        }
        let ahead = times
            .into_iter()
            .map(|at| at + TICK)
            .filter(|at| *at > self.now + TICK);
        ahead.min()
    }
}

#[cfg(test)]
mod tests {
    use maestro_core::names::{RoomId, SchedulerName, Version};
    use maestro_core::room::Creation;

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_ms(secs * 1_000)
    }

    fn room() -> Room {
        let id = RoomId::new(&SchedulerName::parse("pong").unwrap(), 1);
        Room::reserved(id, Version::FIRST, at(100), Span::ZERO)
    }

    fn next(room: Room, now: i64) -> Option<Timestamp> {
        let clocks = Clocks {
            deadlines: &Deadlines::default(),
            shutdown: Span::from_secs(10),
            witnessed: Span::ZERO,
            now: at(now),
        };
        clocks.next_deadline([room].iter())
    }

    #[test]
    fn the_first_deadline_ahead_is_told_and_those_behind_are_not() {
        assert_eq!(next(room(), 100), None, "creating it again is bounded by tries");
        let mut starting = room();
        starting.creation = Creation::Confirmed { at: at(110) };
        assert_eq!(next(starting.clone(), 120), Some(at(230) + TICK));
        assert_eq!(next(starting.clone(), 240), None);
        starting.intent = Intent::Allocated { until: at(150) };
        assert_eq!(next(starting, 120), Some(at(150) + TICK));
    }
}
