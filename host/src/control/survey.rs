//! What a look over all rooms brought, good until something changes or a deadline comes.
//!
//! At rest, a step costs what changed since the last one and not what there is: of ten thousand rooms that only go on
//! pinging, or in which matches begin and end, nothing is counted, planned or sorted anew.

use maestro_core::deadlines::{Place, Watch};
use maestro_core::decision::Counts;
use maestro_core::room::{Intent, Phase, Room, Stage, Use};
use maestro_core::scheduler::Deadlines;
use maestro_core::time::{Span, Timestamp};

use super::wake::Clocks;

/// All rooms at one time, summed up.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) counts: Counts,
    pub(super) mass_silence: bool,
    /// The first deadline of any room that was ahead, by the registry's clock. Signs of life only move deadlines
    /// away, so that none comes sooner.
    pub(super) deadline: Option<Timestamp>,
    /// Whether each room can be judged by itself: none is silent together with others, of another version, on a node
    /// that is being left, or not yet reachable.
    pub(super) is_plain: bool,
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

    /// Takes in what happened to one room, as it was seen by `then` and is seen by `now`, and answers whether that was
    /// all: the room counts as available before and after, and there is nothing to do about it. Then a plan that had
    /// nothing to do has nothing to do still.
    pub(super) fn take_in(
        &mut self,
        (before, then): (&Room, &Watch<'_>),
        (after, now): (&Room, &Watch<'_>),
        clocks: &Clocks<'_>,
    ) -> bool {
        let (Some(from), Some(to)) = (available(before, then), available(after, now)) else {
            return false;
        };
        if !self.is_plain || before.version != after.version || after.leaving.is_some() {
            return false;
        }
        for (place, sign) in [(from, -1), (to, 1)] {
            if let Some(count) = self.counts.count_mut(place) {
                *count = count.saturating_add_signed(sign);
            }
        }
        let deadline = clocks.deadline_of(after);
        self.deadline = [self.deadline, deadline].into_iter().flatten().min();
        true
    }
}

/// The place of a room that runs, is available, and about which there is nothing to do.
fn available(room: &Room, watch: &Watch<'_>) -> Option<Place> {
    let is_left_alone = matches!(room.intent, Intent::Keep | Intent::Allocated { .. })
        && matches!(room.phase, Phase::Running { .. })
        && matches!(room.stage(), Stage::Starting | Stage::Running)
        && watch.overdue(room).is_none()
        && !watch.is_allocation_over(room);
    let place = watch.place(room);
    let is_available = matches!(
        place,
        Place::Starting | Place::Ready | Place::Allocated | Place::Occupied
    );
    (is_left_alone && is_available).then_some(place)
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
        && before.leaving == after.leaving
        && before.node_lost == after.node_lost
        && before.addresses == after.addresses
        && before.ports == after.ports
}

#[cfg(test)]
mod tests {
    use maestro_core::deadlines::Witness;
    use maestro_core::names::{RoomId, SchedulerName, Version};
    use maestro_core::report::{Report, Reported};
    use maestro_core::room::Creation;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

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

    #[test]
    fn what_was_taken_in_room_by_room_is_what_a_look_over_all_shows() {
        let scheduler = SchedulerName::parse("pong").unwrap();
        let deadlines = Deadlines {
            occupied: Some(Span::from_secs(40)),
            ..Deadlines::default()
        };
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut rooms: Vec<Room> = (0..20)
                .map(|suffix| {
                    let mut room =
                        Room::reserved(RoomId::new(&scheduler, suffix), Version::FIRST, at(0), Span::ZERO);
                    room.phase = Phase::Running { since: at(0) };
                    room.creation = Creation::Confirmed { at: at(0) };
                    room
                })
                .collect();
            let mut kept: Option<Survey> = None;
            let mut taken = 0;
            for secs in 1..120 {
                let (then, now) = (clocks(&deadlines, secs - 1), clocks(&deadlines, secs));
                let place = random.random_range(0..rooms.len());
                let status = match random.random_range(0..10) {
                    0 => Reported::Terminating,
                    1..=4 => Reported::Occupied,
                    _ => Reported::Ready,
                };
                let after = told(&rooms[place], status, secs);
                let (seen_then, seen_now) = (watch(&[], &then), watch(&[], &now));
                let is_kept = kept.as_mut().is_some_and(|survey| {
                    survey.take_in((&rooms[place], &seen_then), (&after, &seen_now), &now)
                        && survey.holds_at(now.now)
                });
                rooms[place] = after;
                let fresh = survey(&rooms, &now);
                if let (true, Some(kept)) = (is_kept, &kept) {
                    taken += 1;
                    assert_eq!(kept.counts, fresh.counts, "seed {seed}, {secs} s");
                    assert!(kept.deadline <= fresh.deadline, "seed {seed}, {secs} s");
                } else {
                    kept = Some(fresh);
                }
            }
            assert!(taken > 10, "seed {seed}: {taken} were taken in");
        }
    }

    fn clocks(deadlines: &Deadlines, secs: i64) -> Clocks<'_> {
        Clocks {
            deadlines,
            shutdown: Span::from_secs(10),
            witness: Witness {
                last: Some(at(secs)),
                total: Span::from_secs(secs.unsigned_abs()),
            },
            now: at(secs),
        }
    }

    fn watch<'a>(rooms: &[Room], clocks: &Clocks<'a>) -> Watch<'a> {
        let (witnessed, now) = (clocks.witness.total, clocks.now);
        let clocks_of_core = maestro_core::deadlines::Clocks { witnessed, now };
        Watch::over(rooms, clocks.deadlines, clocks.shutdown, clocks_of_core)
    }

    fn survey(rooms: &[Room], clocks: &Clocks<'_>) -> Survey {
        let watch = watch(rooms, clocks);
        Survey {
            counts: Counts::of(rooms, &watch),
            mass_silence: watch.mass_silence(),
            deadline: clocks.next_deadline(rooms.iter()),
            is_plain: !watch.mass_silence(),
            idle_on: None,
        }
    }
}
