//! The registry as the holder of a lease remembers it: rooms, witnessed time, epoch.
//!
//! Kept up by changes since a cursor. A step that did not end leaves the mirror marked, and the next one reads
//! everything anew: a dropped future can lose no more than time.

use std::collections::BTreeMap;

use maestro_core::deadlines::Witness;
use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::room::Room;
use maestro_core::time::Timestamp;

use super::Error;
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
        scheduler: &SchedulerName,
    ) -> Result<(), Error> {
        let changes = registry.changes(scheduler, self.cursor).await;
        self.take(changes.map_err(Error::registry("read the rooms"))?);
        Ok(())
    }

    /// Takes over one room that an act gave back, so that the next act knows its revision.
    pub(super) fn put(&mut self, room: Room) {
        self.rooms.insert(room.id.clone(), room);
    }

    fn take(&mut self, changes: Changes) {
        if changes.complete {
            self.rooms.clear();
        }
        for room in changes.rooms {
            self.put(room);
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
