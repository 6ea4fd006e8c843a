//! The registry as the holder of a lease remembers it: rooms, witnessed time, epoch.
//!
//! Kept up by changes since a cursor. A step that did not end leaves the mirror marked, and the next one reads
//! everything anew: a dropped future can lose no more than time.

use std::collections::BTreeMap;

use maestro_core::deadlines::{self, Watch, Witness};
use maestro_core::names::RoomId;
use maestro_core::room::Room;
use maestro_core::scheduler::Scheduler;
use maestro_core::time::Timestamp;

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
            self.rooms.insert(room.id.clone(), room);
        }
        for id in changes.removed {
            self.rooms.remove(&id);
        }
        self.cursor = changes.cursor;
        self.now = changes.now;
        self.witness = changes.witness;
        self.epoch = changes.epoch;
        self.has_state = changes.standing.is_some();
    }
}
