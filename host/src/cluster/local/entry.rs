//! One room as the keeper, the meter and the callers share it. Nothing here asks the system about a process: the
//! rooms' lock is held meanwhile.

use std::time::{Duration, Instant};

use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::room::Phase;
use maestro_core::time::Timestamp;

use super::handle::{End, Kin, Process};
use super::record::Record;
use super::{Config, NODE, Object, Usage, process};

/// The end of a room whose time to end is beyond what a clock can count.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// One room.
pub(super) struct Entry {
    pub(super) record: Record,
    pub(super) process: Process,
    pub(super) kin: Kin,
    pub(super) life: Life,
    pub(super) usage: Option<Usage>,
}

/// How far a room's life has come.
#[derive(Clone, Debug)]
pub(super) enum Life {
    Running,
    /// It is being deleted.
    Ending {
        kill_at: Instant,
    },
    /// Its process ended; it is kept until somebody deletes it.
    Ended {
        at: Timestamp,
        end: End,
        reason: String,
    },
}

/// What it takes to ask the system about a room.
pub(super) struct Pulse {
    pub(super) scheduler: SchedulerName,
    pub(super) room: RoomId,
    pub(super) process: Process,
    pub(super) kin: Kin,
    /// When it is to be killed, if it is being deleted.
    pub(super) kill_at: Option<Instant>,
}

impl Entry {
    pub(super) fn object(&self, config: &Config) -> Object {
        let phase = match &self.life {
            Life::Running | Life::Ending { .. } => Phase::Running {
                since: self.record.created_at,
            },
            Life::Ended { at, end, reason } => Phase::Exited {
                at: *at,
                code: match end {
                    End::Code(code) => Some(*code),
                    End::Signal(_) | End::Untold => None,
                },
                reason: reason.clone(),
            },
        };
        let is_there = self.is_running();
        Object {
            room: self.record.room.clone(),
            uid: self.process.to_string(),
            version: self.record.version,
            phase,
            deleting: matches!(self.life, Life::Ending { .. }),
            node: Some(NODE.to_owned()),
            addresses: if is_there {
                vec![process::address(&config.advertise_host)]
            } else {
                Vec::new()
            },
            ports: if is_there {
                self.record.ports.clone()
            } else {
                Vec::new()
            },
            exposed: true,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        match self.life {
            Life::Running | Life::Ending { .. } => true,
            Life::Ended { .. } => false,
        }
    }

    /// What it takes to look after its process; `None` once that has ended.
    pub(super) fn pulse(&self) -> Option<Pulse> {
        let kill_at = match self.life {
            Life::Running => None,
            Life::Ending { kill_at } => Some(kill_at),
            Life::Ended { .. } => return None,
        };
        Some(Pulse {
            scheduler: self.record.scheduler.clone(),
            room: self.record.room.clone(),
            process: self.process,
            kin: self.kin,
            kill_at,
        })
    }

    /// Sees to it that the room is killed no later than `grace` from now. Whoever calls asks the process that comes
    /// back to end; one that was asked before, or is killed at once, is not asked.
    pub(super) fn end_within(&mut self, grace: Duration) -> Option<(Process, Kin)> {
        let now = Instant::now();
        let kill_at = now.checked_add(grace).unwrap_or_else(|| now + FAR);
        match self.life {
            Life::Running => {
                self.life = Life::Ending { kill_at };
                (!grace.is_zero()).then_some((self.process, self.kin))
            }
            Life::Ending { kill_at: before } => {
                self.life = Life::Ending {
                    kill_at: before.min(kill_at),
                };
                None
            }
            Life::Ended { .. } => None,
        }
    }
}
