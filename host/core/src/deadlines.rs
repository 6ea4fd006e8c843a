//! Witnessed time and mass silence: which deadlines of which rooms are over.
//!
//! A ping deadline counts only spans in which an API was up and the registry took writes, so that an outage of
//! ours never looks like the death of a room.

use crate::time::{Span, Timestamp};

/// Adds up witnessed time: the sum of gaps between heartbeats of the room API, each gap counted up to
/// [`Witness::GAP`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// The last heartbeat.
    pub last: Option<Timestamp>,
    /// Time witnessed so far.
    pub total: Span,
}

impl Witness {
    /// The longest gap between two heartbeats that still counts as witnessed. Heartbeats come each second; three
    /// leave room for a busy machine.
    pub const GAP: Span = Span::from_secs(3);

    /// Takes a heartbeat at `now`.
    pub fn beat(&mut self, now: Timestamp) {
        if let Some(last) = self.last {
            let gap = now.since(last);
            if gap <= Self::GAP {
                self.total += gap;
            }
        }
        self.last = Some(now);
    }
}
