//! Decisions that wait while the database is away.

use std::collections::VecDeque;

use maestro_core::time::Timestamp;

use super::{Dropped, Entry, Reason, Table};
use crate::store::{Error, Store};

/// A bounded queue of decisions in front of the journal. When it is full the oldest one goes, and the journal is
/// told of the gap as soon as it can be written.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<Entry>,
    lost: Option<Dropped>,
}

impl Outbox {
    /// Most decisions that wait: 300 schedulers of a worker for over five minutes, in some ten megabytes.
    pub const CAPACITY: usize = 10_000;

    /// Decisions that are written in one transaction, so that a long queue doesn't hold the writer for seconds.
    const BATCH: usize = 200;

    /// Adds a decision; drops the oldest one when the queue is full.
    pub fn push(&mut self, entry: Entry) {
        if self.waiting.len() >= Self::CAPACITY
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.lose(&oldest);
        }
        self.waiting.push_back(entry);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many were dropped since the journal was last told.
    pub fn lost(&self) -> u64 {
        self.lost.as_ref().map_or(0, |lost| lost.records)
    }

    /// Writes what waits, oldest first. After an error everything not yet written still waits.
    pub async fn flush(&mut self, store: &Store, now: Timestamp) -> Result<usize, Error> {
        let mut written = 0;
        if let Some(lost) = &self.lost {
            store.note_dropped(lost, now).await?;
            self.lost = None;
        }
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(Self::BATCH);
            store.append(&self.waiting.make_contiguous()[..count]).await?;
            self.waiting.drain(..count);
            written += count;
        }
        Ok(written)
    }

    fn lose(&mut self, entry: &Entry) {
        let bytes = u64::try_from(entry.bytes.len()).unwrap_or(u64::MAX);
        let lost = self.lost.get_or_insert(Dropped {
            table: Table::Journal,
            reason: Reason::Outage,
            since: entry.at,
            until: entry.at,
            records: 0,
            bytes: 0,
        });
        lost.records += 1;
        lost.bytes = lost.bytes.saturating_add(bytes);
        lost.until = lost.until.max(entry.at);
    }
}
