//! When the next deadline of any room is over, so that a step comes then and not before.
//!
//! Whether a deadline is over, and what follows, the core judges from the facts of that time. But a deadline that is
//! missing here would go unnoticed while nothing else happens.

use maestro_core::deadlines::Witness;
use maestro_core::room::{Intent, Room, Stage};
use maestro_core::scheduler::Deadlines;
use maestro_core::time::{Span, Timestamp};

/// What deadlines are counted by.
pub(super) struct Clocks<'a> {
    pub(super) deadlines: &'a Deadlines,
    pub(super) shutdown: Span,
    pub(super) witness: Witness,
    pub(super) now: Timestamp,
}

/// The core's comparisons are strict.
const TICK: Span = Span::from_ms(1);

impl Clocks<'_> {
    /// The first deadline of any of these rooms that is still ahead, by the registry's clock.
    pub(super) fn next_deadline<'r>(&self, rooms: impl Iterator<Item = &'r Room>) -> Option<Timestamp> {
        rooms.filter_map(|room| self.deadline_of(room)).min()
    }

    /// The first deadline of this room that is still ahead.
    pub(super) fn deadline_of(&self, room: &Room) -> Option<Timestamp> {
        let deadlines = self.deadlines;
        let of_stage = match room.stage() {
            Stage::Reserved | Stage::Gone => [None; 3],
            // Over when both are: what it waited, and what of that was witnessed.
            Stage::Starting => {
                let waited = self.since(room.created_at(), deadlines.initialization);
                [
                    waited.max(self.silent_for(room, deadlines.initialization)),
                    None,
                    None,
                ]
            }
            // Whoever was not asked to leave owes no answer to that.
            Stage::Running => {
                let [ping, lost] = [deadlines.ping, deadlines.lost].map(|limit| self.silent_for(room, limit));
                [ping, lost, None]
            }
            Stage::Draining => {
                [deadlines.ping, deadlines.draining, deadlines.lost].map(|limit| self.silent_for(room, limit))
            }
            Stage::Stopping => {
                let said = room.reports.last.map(|last| last.since);
                [said.and_then(|at| self.since(at, self.shutdown)), None, None]
            }
        };
        let of_intent = match room.intent {
            Intent::Keep => None,
            Intent::Allocated { until } => self.since(until, Span::ZERO),
            Intent::Draining { since, .. } => self.since(since, deadlines.draining),
            // Half a minute is what the core waits before an object is deleted once more.
            Intent::Stopping { since, .. } => self.since(since, self.shutdown + Span::from_secs(30)),
        };
        let of_match = match (deadlines.occupied, room.occupied_since) {
            (Some(limit), Some(began)) => self.since(began, limit),
            (None, _) | (_, None) => None,
        };
        let all = of_stage.into_iter().chain([of_intent, of_match]);
        all.flatten().min()
    }

    /// When more than `limit` has passed since `from`, if it has not yet.
    fn since(&self, from: Timestamp, limit: Span) -> Option<Timestamp> {
        let at = from + limit + TICK;
        (at > self.now).then_some(at)
    }

    /// When a room may have been silent for more than `limit`, if it was not yet: at once with the next heartbeat,
    /// which adds what passed since the last one.
    fn silent_for(&self, room: &Room, limit: Span) -> Option<Timestamp> {
        let silence = room.reports.silence(self.witness.total);
        let unsaid = self.witness.last.map_or(Span::ZERO, |last| self.now.since(last));
        (silence <= limit).then(|| self.now + ((limit - silence) - unsaid.min(Witness::GAP)) + TICK)
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
        next_witnessed(room, now, Span::from_secs(now.unsigned_abs() - 100))
    }

    fn next_witnessed(room: Room, now: i64, witnessed: Span) -> Option<Timestamp> {
        let clocks = Clocks {
            deadlines: &Deadlines::default(),
            shutdown: Span::from_secs(10),
            witness: Witness {
                last: Some(at(now)),
                total: witnessed,
            },
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
        assert_eq!(
            next(starting.clone(), 230),
            Some(at(230) + TICK),
            "not over at its very time"
        );
        assert_eq!(next(starting.clone(), 240), None);
        let half = Span::from_secs(50);
        assert_eq!(next_witnessed(starting.clone(), 240, half), Some(at(310) + TICK));
        starting.intent = Intent::Allocated { until: at(150) };
        assert_eq!(next(starting, 120), Some(at(150) + TICK));
    }
}
