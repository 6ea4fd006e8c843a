//! Rooms that ended by themselves and not well, for whoever watches; and how one that watches makes one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::time::Timestamp;

use super::handle::End;
use super::{Error, Local, keeper};

/// A room that ended by itself, with another code than 0 or by a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The room.
    pub room: RoomId,
    /// When that was noticed.
    pub at: Timestamp,
    /// How it ended, and the last line of its output.
    pub how: String,
}

/// The last failure of each scheduler.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<BTreeMap<SchedulerName, Failure>>);

impl Failures {
    /// Takes down the end of a room that nobody asked to end.
    pub(super) fn note(&self, scheduler: &SchedulerName, room: &RoomId, at: Timestamp, last: &Last) {
        if last.end == End::Code(0) {
            return;
        }
        let line = match last.line.as_str() {
            "" => String::new(),
            line => format!(": {line}"),
        };
        let failure = Failure {
            room: room.clone(),
            at,
            how: format!("{}{line}", last.end),
        };
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.insert(scheduler.clone(), failure);
    }

    /// Forgets a scheduler that was removed.
    pub(super) fn forget(&self, scheduler: &SchedulerName) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(scheduler);
    }
}

/// How a room's process ended, and the last line of its output.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) end: End,
    pub(super) line: String,
}

impl Last {
    /// What is told beside the exit code, where there is one.
    pub(super) fn reason(&self) -> String {
        match (self.end, self.line.is_empty()) {
            (End::Code(_), false) => self.line.clone(),
            (_, false) => format!("{}; {}", self.end, self.line),
            (End::Code(0), true) => String::new(),
            (_, true) => self.end.to_string(),
        }
    }
}

impl Local {
    /// The last room of this scheduler that ended by itself and not well.
    pub fn last_failure(&self, scheduler: &SchedulerName) -> Option<Failure> {
        let failures = &self.shared.failures.0;
        let failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(scheduler).cloned()
    }

    /// Ends a room as a crash would: its process is killed, and nobody is told.
    pub async fn crash(&self, room: &RoomId) -> Result<(), Error> {
        let room = room.clone();
        self.keep(|reply| keeper::Task::Crash { room, reply }).await
    }
}
