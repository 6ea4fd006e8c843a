//! The order in which the rooms of one scheduler changed, so that a reader is told only what is new to it.
//!
//! Each room stands in it once, at its last change, so that its length is the number of rooms, however often they
//! ping. Removals are kept for a while; a reader that is older than the oldest one kept reads everything.

use std::collections::{BTreeMap, VecDeque};

use maestro_core::names::RoomId;
use maestro_core::time::Timestamp;

/// Removals kept. A reader comes each few seconds, and no step removes as many.
const REMOVALS: usize = 1_024;

/// The changes of one scheduler's rooms, in order.
#[derive(Debug)]
pub(super) struct Log {
    /// The position of the last change.
    head: u64,
    /// Readers before this one have missed removals.
    floor: u64,
    changed: BTreeMap<u64, RoomId>,
    removed: VecDeque<(u64, RoomId)>,
}

impl Log {
    /// An empty log. It begins at the time, in microseconds, so that a cursor of before a loss lies before it: no
    /// registry takes a change a microsecond.
    pub(super) fn new(now: Timestamp) -> Self {
        let head = micros(now).max(1);
        Self {
            head,
            floor: head,
            changed: BTreeMap::new(),
            removed: VecDeque::new(),
        }
    }

    /// The position of the last change.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Notes a change of `room`, whose last one was at `before`; answers the new one's position.
    pub(super) fn note(&mut self, room: &RoomId, before: Option<u64>) -> u64 {
        let id = before.and_then(|position| self.changed.remove(&position));
        self.head += 1;
        self.changed.insert(self.head, id.unwrap_or_else(|| room.clone()));
        self.head
    }

    /// Notes that `room`, whose last change was at `before`, is gone.
    pub(super) fn remove(&mut self, room: RoomId, before: u64) {
        self.changed.remove(&before);
        self.head += 1;
        self.removed.push_back((self.head, room));
        if self.removed.len() > REMOVALS
            && let Some((position, _)) = self.removed.pop_front()
        {
            self.floor = position;
        }
    }

    /// Whether a reader at `since` can be told just what is new.
    pub(super) fn reaches_back_to(&self, since: u64) -> bool {
        (self.floor..=self.head).contains(&since)
    }

    /// Rooms changed after `since`.
    pub(super) fn changed_since(&self, since: u64) -> impl Iterator<Item = &RoomId> {
        self.changed
            .range(since.saturating_add(1)..)
            .map(|(_, room)| room)
    }

    /// Rooms removed after `since`; some may have come back.
    pub(super) fn removed_since(&self, since: u64) -> impl Iterator<Item = &RoomId> {
        let newer = self.removed.iter().rev();
        newer
            .take_while(move |(position, _)| *position > since)
            .map(|(_, room)| room)
    }
}

/// A time in microseconds.
pub(super) fn micros(now: Timestamp) -> u64 {
    u64::try_from(now.ms()).unwrap_or(0).saturating_mul(1_000)
}
