//! Ends of rooms that wait for the store; bounded, so that an outage takes no more memory than this.

use std::collections::VecDeque;

use maestro_core::names::SchedulerName;
use maestro_core::room::End;

use crate::store::{self, Store};

/// Most ends that wait: all rooms of a scheduler at its default cap, twice. More of them in one outage are a crash loop,
/// and the newest say why.
const CAPACITY: usize = 2_000;

/// Ends that are written in one transaction.
const BATCH: usize = 200;

/// A bounded queue of ends in front of the store; when it is full, the oldest go.
#[derive(Debug, Default)]
pub(super) struct Ends {
    waiting: VecDeque<(SchedulerName, End)>,
    dropped: usize,
}

impl Ends {
    /// Adds ends; gives how many others went for them.
    pub(super) fn push(&mut self, scheduler: &SchedulerName, ends: Vec<End>) -> usize {
        let ends = ends.into_iter().map(|end| (scheduler.clone(), end));
        self.waiting.extend(ends);
        let excess = self.waiting.len().saturating_sub(CAPACITY);
        self.waiting.drain(..excess);
        self.dropped += excess;
        excess
    }

    /// Writes what waits, oldest first. After an error everything not yet written still waits.
    pub(super) async fn flush(&mut self, store: &Store) -> Result<(), store::Error> {
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(BATCH);
            store
                .append_ends(&self.waiting.make_contiguous()[..count])
                .await?;
            self.waiting.drain(..count);
        }
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            tracing::warn!(
                "more rooms ended than wait for the store at once: the ends of {dropped} rooms were not written down"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use maestro_core::names::{RoomId, Version};
    use maestro_core::room::Room;
    use maestro_core::time::{Span, Timestamp};

    use super::*;

    fn end(suffix: u32) -> (SchedulerName, End) {
        let scheduler = SchedulerName::parse("pong").unwrap();
        let (id, at) = (RoomId::new(&scheduler, suffix), Timestamp::from_ms(1_000));
        let room = Room::reserved(id, Version::FIRST, at, Span::ZERO);
        (scheduler, room.end(at))
    }

    #[tokio::test]
    async fn what_is_too_much_goes_oldest_first() {
        let store = Store::in_memory().await.unwrap();
        let mut ends = Ends::default();
        let most = u32::try_from(CAPACITY).unwrap();
        for suffix in 0..most + 3 {
            let (scheduler, end) = end(suffix);
            ends.push(&scheduler, vec![end]);
        }
        assert_eq!((ends.waiting.len(), ends.dropped), (CAPACITY, 3));
        ends.flush(&store).await.unwrap();
        assert_eq!((ends.waiting.len(), ends.dropped), (0, 0));
        for (suffix, is_kept) in [(2, false), (3, true), (most + 2, true)] {
            let (scheduler, end) = end(suffix);
            let found = store.room_end(&scheduler, &end.room).await.unwrap();
            assert_eq!(found, is_kept.then_some(end), "{suffix}");
        }
    }
}
