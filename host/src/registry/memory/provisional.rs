//! Rooms that report without a valid token while nobody knows them, kept for a while in case they turn out to be
//! ours.
//!
//! After a loss the rooms go on reporting before the holder has found them again in the cluster. What came without
//! a valid token proves nothing by itself, so it is kept apart, bounded in number and time, and counts once its
//! room is found.

use std::collections::{BTreeMap, VecDeque};

use maestro_core::names::RoomId;
use maestro_core::room::Room;
use maestro_core::time::Timestamp;

use crate::registry::{PROVISIONAL_FOR, PROVISIONAL_MAX};

/// Rooms as their own reports make them out to be.
#[derive(Debug, Default)]
pub(super) struct Provisional {
    rooms: BTreeMap<RoomId, Room>,
    /// When each was first heard of, oldest first; one that was taken out stands in it until its time is over.
    order: VecDeque<(Timestamp, RoomId)>,
}

impl Provisional {
    /// The room of this name, made by `make` when it was not heard of yet; `None` when there is no place for it.
    pub(super) fn room(
        &mut self,
        id: &RoomId,
        now: Timestamp,
        make: impl FnOnce() -> Room,
    ) -> Option<&mut Room> {
        self.expire(now);
        if !self.rooms.contains_key(id) {
            if self.order.len() >= PROVISIONAL_MAX {
                return None;
            }
            self.order.push_back((now, id.clone()));
        }
        Some(self.rooms.entry(id.clone()).or_insert_with(make))
    }

    /// Takes out the room of this name.
    pub(super) fn take(&mut self, id: &RoomId, now: Timestamp) -> Option<Room> {
        self.expire(now);
        self.rooms.remove(id)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.rooms.clear();
        self.order.clear();
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.order.front()
            && now.since(*at) >= PROVISIONAL_FOR
            && let Some((at, id)) = self.order.pop_front()
        {
            // One that was taken out and came back is younger than this place of it.
            if self.rooms.get(&id).is_some_and(|room| room.reserved_at <= at) {
                self.rooms.remove(&id);
            }
        }
    }
}
