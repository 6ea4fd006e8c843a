//! What is known of schedulers in this process, kept fresh from the store; from the copies in the registry where the store
//! has not answered yet.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use maestro_core::names::SchedulerName;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{POLL, chain};
use crate::known::{Known, Unreadable};
use crate::registry::Registry;
use crate::store::schedulers::Stored;
use crate::store::{self, Store, copy};

/// Reads definitions into what is known.
pub struct Definitions {
    store: Store,
    registry: Arc<dyn Registry>,
    known: Arc<Known>,
    /// Whether the store answered since this process began.
    has_answered: bool,
    /// What was told of copies: the same is told once.
    told: BTreeSet<String>,
}

impl Definitions {
    /// Reads from `store`, and from `registry` for as long as that has not answered.
    pub fn new(store: Store, registry: Arc<dyn Registry>, known: Arc<Known>) -> Self {
        Self {
            store,
            registry,
            known,
            has_answered: false,
            told: BTreeSet::new(),
        }
    }

    /// Takes over what the store has. Fails when the store does; then what was known stays known, and while the store has
    /// not answered at all the copies are added. Schedulers that can't be read are left out and come back.
    pub async fn read(&mut self) -> Result<Vec<Unreadable>, store::Error> {
        self.known.begin_list();
        let read = self.store.schedulers().await;
        self.known
            .note_store(read.as_ref().is_err_and(store::Error::is_outage));
        match read {
            Ok(schedulers) => {
                self.has_answered = true;
                self.told.clear();
                Ok(self.known.replace(&schedulers))
            }
            Err(error) if error.is_outage() && !self.has_answered => {
                self.read_copies().await;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// At each look anew: a registry that lost the copies gets them back from workers that have them in memory.
    async fn read_copies(&mut self) {
        let copies = match self.registry.copies().await {
            Ok(copies) => copies,
            Err(error) => {
                return self.warn(format!(
                    "neither the store nor the registry says which schedulers there are: {}",
                    chain(&error)
                ));
            }
        };
        // Nothing is deleted without the store: what has no copy any more is still there.
        let known = self.known.stored().into_iter();
        let mut schedulers: BTreeMap<SchedulerName, Stored> =
            known.map(|stored| (stored.name.clone(), stored)).collect();
        for (name, bytes) in copies {
            match copy::decode(&bytes) {
                Ok(stored) => {
                    schedulers.insert(name, stored);
                }
                Err(error) => self.warn(format!("{name}: its copy in the registry can't be read: {error}")),
            }
        }
        self.warn(format!(
            "the store does not answer; going on with {} schedulers as the registry has them",
            schedulers.len()
        ));
        let schedulers: Vec<Stored> = schedulers.into_values().collect();
        for unreadable in self.known.replace(&schedulers) {
            self.warn(unreadable.to_string());
        }
    }

    fn warn(&mut self, line: String) {
        if !self.told.contains(&line) {
            tracing::warn!("{line}");
            self.told.insert(line);
        }
    }
}

/// Keeps what an API knows fresh where no supervisor does.
pub struct Follower {
    /// What reads.
    pub definitions: Definitions,
    /// Wakes when the store changed.
    pub changed: Arc<Notify>,
}

impl Follower {
    /// Reads until `stop`.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut polls = interval(POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_away = false;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.changed.notified() => {}
                _ = polls.tick() => {}
            }
            match self.definitions.read().await {
                // Workers tell of those that can't be read.
                Ok(_unreadable) => is_away = false,
                Err(error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(
                            "the store does not answer, changes are refused: {}",
                            chain(&error)
                        );
                    }
                }
            }
        }
    }
}
