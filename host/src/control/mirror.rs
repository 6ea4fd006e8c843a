//! The registry as the holder of a lease remembers it: rooms, witnessed time, epoch.
//!
//! Kept up by changes since a cursor. A step that did not end leaves the mirror marked, and the next one reads
//! everything anew: a dropped future can lose no more than time.

use std::collections::{BTreeMap, BTreeSet};

use maestro_core::deadlines::{self, Watch, Witness};
use maestro_core::names::RoomId;
use maestro_core::room::{End, Room};
use maestro_core::scheduler::Scheduler;
use maestro_core::time::{Span, Timestamp};

use super::survey::{self, Survey};
use super::{Error, wake};
use crate::registry::{Changes, Cursor, Registry};

/// What the registry holds of one scheduler.
#[derive(Debug)]
pub(super) struct Mirror {
    /// Rooms by name.
    pub(super) rooms: BTreeMap<RoomId, Room>,
    /// The registry's time at the last reading.
    pub(super) now: Timestamp,
    /// Witnessed time.
    pub(super) witness: Witness,
    /// When the present epoch was written; `None` while recovering.
    pub(super) epoch: Option<Timestamp>,
    /// Whether the registry has a state of this scheduler's.
    pub(super) has_state: bool,
    /// Ends of rooms that were noticed and not told yet, oldest first.
    pub(super) ends: Vec<End>,
    /// How long ago the oldest change of a room's status was told that came since this was taken last.
    pub(super) heard: Option<Span>,
    /// Rooms that are still here and whose end was noticed.
    ended: BTreeSet<RoomId>,
    cursor: Cursor,
    /// Whether anything changed that is derived from the rooms, since this was asked last.
    has_news: bool,
}

impl Mirror {
    pub(super) fn new() -> Self {
        Self {
            rooms: BTreeMap::new(),
            now: Timestamp::default(),
            witness: Witness::default(),
            epoch: None,
            has_state: false,
            ends: Vec::new(),
            heard: None,
            ended: BTreeSet::new(),
            cursor: Cursor::START,
            has_news: true,
        }
    }

    /// Makes the next reading read everything.
    pub(super) fn distrust(&mut self) {
        self.cursor = Cursor::START;
    }

    /// Reads what changed since the last reading.
    pub(super) async fn refresh(
        &mut self,
        registry: &dyn Registry,
        scheduler: &Scheduler,
        survey: Option<&mut Survey>,
    ) -> Result<(), Error> {
        let changes = registry.changes(&scheduler.name, self.cursor).await;
        let changes = changes.map_err(Error::registry("read the rooms"))?;
        self.take(changes, scheduler, survey);
        Ok(())
    }

    /// Takes down that a room has ended, once.
    fn note_end(&mut self, room: &Room, now: Timestamp) {
        match room.has_ended() {
            true if self.ended.insert(room.id.clone()) => self.ends.push(room.end(now)),
            true => {}
            false => _ = self.ended.remove(&room.id),
        }
    }

    /// Whether anything changed that is derived from the rooms, since this was asked last.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Takes changes over, into the survey as well as it can.
    fn take(&mut self, changes: Changes, scheduler: &Scheduler, mut survey: Option<&mut Survey>) {
        let (deadlines, shutdown) = (&scheduler.deadlines, scheduler.template.shutdown);
        let watch = |witness: Witness, now| {
            let witnessed = witness.total;
            Watch::over([], deadlines, shutdown, deadlines::Clocks { witnessed, now })
        };
        let (then, now) = (watch(self.witness, self.now), watch(changes.witness, changes.now));
        let clocks = wake::Clocks {
            deadlines,
            shutdown,
            witness: changes.witness,
            now: changes.now,
        };
        if changes.complete {
            self.rooms.clear();
        }
        self.has_news |= changes.complete || !changes.removed.is_empty();
        for room in changes.rooms {
            let before = self.rooms.get(&room.id);
            let is_no_news = before.is_some_and(|before| {
                survey::is_only_fresher(before, &room, deadlines, self.witness.total)
                    || survey
                        .as_mut()
                        .is_some_and(|survey| survey.take_in((before, &then), (&room, &now), &clocks))
            });
            self.has_news |= !is_no_news;
            if let Some(told_at) = before.and_then(|before| told_at(before, &room)) {
                self.heard = self.heard.max(Some(changes.now.since(told_at)));
            }
            self.note_end(&room, changes.now);
            self.rooms.insert(room.id.clone(), room);
        }
        if changes.complete {
            // What is missing may be lost, and running all the same.
            self.ended.retain(|id| self.rooms.contains_key(id));
        }
        for id in changes.removed {
            let Some(room) = self.rooms.remove(&id) else {
                continue;
            };
            if !self.ended.remove(&id) {
                // It was given up before it ever ran.
                self.ends.push(room.end(changes.now));
            }
        }
        self.cursor = changes.cursor;
        self.now = changes.now;
        self.witness = changes.witness;
        self.epoch = changes.epoch;
        self.has_state = changes.standing.is_some();
    }
}

/// When the room told that it does something else than before.
fn told_at(before: &Room, after: &Room) -> Option<Timestamp> {
    let last = after.reports.last?;
    let is_news = before
        .reports
        .last
        .is_none_or(|then| (then.since, then.status) != (last.since, last.status));
    is_news.then_some(last.since)
}

#[cfg(test)]
mod tests {
    use maestro_core::names::Version;
    use maestro_core::room::{Creation, Phase};
    use maestro_wire::document;

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_ms(secs * 1_000)
    }

    fn room(suffix: u32, phase: Phase) -> Room {
        let id = RoomId::parse(&format!("pong-{suffix:08x}")).unwrap();
        let mut room = Room::reserved(id, Version::FIRST, at(1), Span::ZERO);
        (room.creation, room.phase) = (Creation::Confirmed { at: at(1) }, phase);
        room
    }

    fn changes(rooms: Vec<Room>, removed: &[u32], complete: bool) -> Changes {
        let removed = removed.iter().map(|suffix| room(*suffix, Phase::Unseen).id);
        Changes {
            removed: removed.collect(),
            rooms,
            complete,
            cursor: Cursor::START,
            now: at(9),
            witness: Witness::default(),
            epoch: None,
            standing: None,
        }
    }

    #[test]
    fn an_end_is_noticed_once_and_a_loss_is_no_end() {
        let document = "name: pong\ngame: test\nimage: a\nautoscaling: {min: 1}\n";
        let scheduler = document::read(document).unwrap().remove(0).scheduler;
        let mut mirror = Mirror::new();
        let mut check = |changes: Changes, expected: &[u32]| {
            mirror.take(changes, &scheduler, None);
            let ends = std::mem::take(&mut mirror.ends);
            let names: Vec<RoomId> = ends.into_iter().map(|end| end.room).collect();
            let expected: Vec<RoomId> = expected.iter().map(|id| room(*id, Phase::Unseen).id).collect();
            assert_eq!(names, expected);
        };
        let running = |suffix| room(suffix, Phase::Running { since: at(2) });
        let ended = |suffix| room(suffix, Phase::Absent { at: at(3) });
        check(changes(vec![running(1), running(2), running(3)], &[], true), &[]);
        check(changes(vec![ended(1)], &[], false), &[1]);
        check(changes(vec![ended(1)], &[], false), &[]);
        // Read anew, as after a step that was dropped.
        check(changes(vec![ended(1), running(2), running(3)], &[], true), &[]);
        check(changes(vec![ended(2)], &[1], false), &[2]);
        check(changes(vec![], &[2, 3], false), &[3]);
        check(changes(vec![running(4)], &[], false), &[]);
        check(changes(vec![], &[], true), &[]);
        // The name was in use before.
        check(changes(vec![ended(1)], &[], false), &[1]);
    }
}
