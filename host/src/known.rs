//! The schedulers that the API knows, so that a ping never asks the store.
//!
//! Filled by whoever reads the store anyway: the supervisor at each look, and the API after each of its own changes.
//! A copy may be seconds old; it says which schedulers there are and how their rooms are judged, never what should be.
//! Names that the store has not are remembered for a moment too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use maestro_core::names::SchedulerName;
use maestro_core::scheduler::Scheduler;
use maestro_wire::document;

use crate::store::schedulers::{State, Stored};

/// How long it is remembered that the store has not a scheduler: as long as one that another process created may
/// stay unknown here.
const ABSENT_FOR: Duration = Duration::from_secs(1);

/// Most names remembered as absent; beyond them each is asked for anew, at the rate that the API allows.
const ABSENT: usize = 1_000;

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
    table: RwLock<Table>,
    /// Whether the store did not answer when all were read last.
    is_store_away: AtomicBool,
}

#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<SchedulerName, Arc<Entry>>,
    /// What was put or forgotten since the present list was begun, so that the list may say otherwise of it.
    newer: BTreeSet<SchedulerName>,
    /// When the store was found to have no scheduler of this name.
    absent: BTreeMap<SchedulerName, Instant>,
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

impl Unreadable {
    /// Whose document it is.
    pub fn scheduler(&self) -> &SchedulerName {
        &self.name
    }
}

impl Known {
    /// One scheduler.
    pub fn get(&self, name: &SchedulerName) -> Option<Arc<Entry>> {
        self.read().entries.get(name).cloned()
    }

    /// The names of all.
    pub fn names(&self) -> Vec<SchedulerName> {
        self.read().entries.keys().cloned().collect()
    }

    /// What the store said of each, by name.
    pub fn stored(&self) -> Vec<Stored> {
        let table = self.read();
        table.entries.values().map(|entry| entry.stored.clone()).collect()
    }

    /// Adds or replaces one scheduler.
    pub fn put(&self, entry: Entry) -> Arc<Entry> {
        let (name, entry) = (entry.stored.name.clone(), Arc::new(entry));
        let mut table = self.write();
        table.absent.remove(&name);
        table.newer.insert(name.clone());
        table.entries.insert(name, Arc::clone(&entry));
        entry
    }

    /// Forgets a scheduler that was deleted; one that was created under its name since stays.
    pub fn forget(&self, name: &SchedulerName) {
        let mut table = self.write();
        let is_live = |entry: &Arc<Entry>| entry.stored.state == State::Live;
        if !table.entries.get(name).is_some_and(is_live) {
            table.entries.remove(name);
            table.newer.insert(name.clone());
        }
    }

    /// Takes down that the store has no scheduler of this name.
    pub fn miss(&self, name: &SchedulerName, now: Instant) {
        let absent = &mut self.write().absent;
        absent.retain(|_, since| is_fresh(*since, now));
        if absent.len() < ABSENT {
            absent.insert(name.clone(), now);
        }
    }

    /// Whether the store had no scheduler of this name a moment ago.
    pub fn is_absent(&self, name: &SchedulerName, now: Instant) -> bool {
        let since = self.read().absent.get(name).copied();
        since.is_some_and(|since| is_fresh(since, now))
    }

    /// Takes down whether the store answers.
    pub fn note_store(&self, is_away: bool) {
        self.is_store_away.store(is_away, Ordering::Relaxed);
    }

    /// Whether the store did not answer a moment ago, so that whoever can do without it does not wait for it.
    pub fn is_store_away(&self) -> bool {
        self.is_store_away.load(Ordering::Relaxed)
    }

    /// Says that a list of all schedulers is about to be read, for [`Self::replace`]; one list at a time.
    pub fn begin_list(&self) {
        self.write().newer.clear();
    }

    /// Takes over what the store had: what it had not is forgotten, what did not change is not read again, and what
    /// changed here since the list was begun stays. Schedulers that can't be read are left out and come back.
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
        let mut table = self.write();
        for name in &table.newer {
            match table.entries.get(name) {
                Some(entry) => entries.insert(name.clone(), Arc::clone(entry)),
                None => entries.remove(name),
            };
        }
        table.entries = entries;
        unreadable
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_fresh(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < ABSENT_FOR
}

#[cfg(test)]
mod tests {
    use maestro_core::names::Version;
    use maestro_core::time::Timestamp;

    use super::*;
    use crate::store::schedulers::ManagedBy;
    use crate::store::versions::Release;

    fn name(text: &str) -> SchedulerName {
        SchedulerName::parse(text).unwrap()
    }

    fn stored(text: &str, state: State) -> Stored {
        let at = Timestamp::from_ms(1);
        Stored {
            name: name(text),
            game: "test".to_owned(),
            managed_by: ManagedBy::Api,
            state,
            active: Release {
                version: Version::FIRST,
                document: format!("name: {text}\ngame: test\nimage: a\nautoscaling: {{min: 1}}\n"),
                digests: BTreeMap::new(),
                created_at: at,
            },
            created_at: at,
            updated_at: at,
            scale_in_paused_at: None,
        }
    }

    const DELETING: State = State::Deleting { force: false };

    #[test]
    fn a_list_says_nothing_of_what_was_created_or_deleted_since_it_was_begun() {
        let known = Known::default();
        known.begin_list();
        let first = [stored("deleted", DELETING), stored("old", State::Live)];
        assert!(known.replace(&first).is_empty());
        known.begin_list();
        known.put(Entry::read(stored("new", State::Live)).unwrap());
        known.forget(&name("deleted"));
        known.replace(&first);
        assert_eq!(known.names(), [name("new"), name("old")]);
        known.begin_list();
        known.replace(&[stored("new", State::Live)]);
        assert_eq!(known.names(), [name("new")], "the next list has the last word");
    }

    #[test]
    fn a_scheduler_created_under_the_name_of_a_deleted_one_is_not_forgotten() {
        let known = Known::default();
        known.put(Entry::read(stored("pong", DELETING)).unwrap());
        known.forget(&name("pong"));
        assert_eq!(known.names(), []);
        known.put(Entry::read(stored("pong", State::Live)).unwrap());
        known.forget(&name("pong"));
        assert_eq!(known.names(), [name("pong")]);
    }

    #[test]
    fn what_the_store_had_not_is_remembered_for_a_second_or_until_it_is_created() {
        let (known, start) = (Known::default(), Instant::now());
        known.miss(&name("pong"), start);
        known.miss(&name("ping"), start);
        assert!(known.is_absent(&name("pong"), start) && !known.is_absent(&name("other"), start));
        known.put(Entry::read(stored("pong", State::Live)).unwrap());
        assert!(!known.is_absent(&name("pong"), start));
        assert!(!known.is_absent(&name("ping"), start + ABSENT_FOR));
        for n in 0..2 * ABSENT {
            known.miss(&name(&format!("made-up-{n}")), start);
        }
        assert_eq!(known.read().absent.len(), ABSENT);
    }
}
