//! The schedulers that the API knows, so that a ping never asks the store.
//!
//! Filled by whoever reads the store anyway: the supervisor at each look, and the API after each of its own changes.
//! A copy may be seconds old; it says which schedulers there are and how their rooms are judged, never what should be.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use maestro_core::names::SchedulerName;
use maestro_core::scheduler::Scheduler;
use maestro_wire::document;

use crate::store::schedulers::Stored;

/// A scheduler as the store had it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its specification.
    pub scheduler: Scheduler,
    /// What the store says of it.
    pub stored: Stored,
}

/// Schedulers by name.
#[derive(Debug, Default)]
pub struct Known {
    entries: RwLock<BTreeMap<SchedulerName, Arc<Entry>>>,
}

/// A stored document that this release can't read.
#[derive(Debug, thiserror::Error)]
#[error("scheduler {name} {version} is stored with a document that can't be read: {reason}")]
pub struct Unreadable {
    name: SchedulerName,
    version: maestro_core::names::Version,
    reason: String,
}

impl Entry {
    /// Reads the stored document.
    pub fn read(stored: Stored) -> Result<Self, Unreadable> {
        let unreadable = |reason: String| Unreadable {
            name: stored.name.clone(),
            version: stored.active.version,
            reason,
        };
        let documents =
            document::read(&stored.active.document).map_err(|found| unreadable(found.to_string()))?;
        let scheduler = documents
            .into_iter()
            .map(|read| read.scheduler)
            .find(|read| read.name == stored.name);
        match scheduler {
            Some(scheduler) => Ok(Self { scheduler, stored }),
            None => Err(unreadable("it holds another scheduler".to_owned())),
        }
    }
}

impl Known {
    /// One scheduler.
    pub fn get(&self, name: &SchedulerName) -> Option<Arc<Entry>> {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// Adds or replaces one scheduler.
    pub fn put(&self, entry: Entry) -> Arc<Entry> {
        let entry = Arc::new(entry);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.insert(entry.stored.name.clone(), Arc::clone(&entry));
        entry
    }

    /// Takes over what the store has: what it has not is forgotten, what did not change is not read again. Schedulers
    /// that can't be read are left out and come back.
    pub fn replace(&self, all: &[Stored]) -> Vec<Unreadable> {
        let mut unreadable = Vec::new();
        let mut entries = BTreeMap::new();
        for stored in all {
            match self.get(&stored.name).filter(|known| known.stored == *stored) {
                Some(known) => {
                    entries.insert(stored.name.clone(), known);
                }
                None => match Entry::read(stored.clone()) {
                    Ok(entry) => {
                        entries.insert(stored.name.clone(), Arc::new(entry));
                    }
                    Err(error) => unreadable.push(error),
                },
            }
        }
        *self.entries.write().unwrap_or_else(PoisonError::into_inner) = entries;
        unreadable
    }
}
