//! What is known of schedulers in this process, kept fresh from the store; from the copies in the registry where the store
//! has not answered yet.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maestro_core::names::SchedulerName;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{POLL, chain};
use crate::known::{Known, Unreadable};
use crate::registry::Registry;
use crate::store::schedulers::Stored;
use crate::store::{self, Store, copy};

/// Copies are written anew after this time: the registry may have lost them.
const AGAIN: Duration = Duration::from_secs(60);

/// Reads definitions into what is known.
pub struct Definitions {
    store: Store,
    registry: Arc<dyn Registry>,
    known: Arc<Known>,
    /// Whether anything was read, from wherever.
    has_read: bool,
}

impl Definitions {
    /// Reads from `store`, and from `registry` for as long as that has not answered.
    pub fn new(store: Store, registry: Arc<dyn Registry>, known: Arc<Known>) -> Self {
        Self {
            store,
            registry,
            known,
            has_read: false,
        }
    }

    /// Takes over what the store has. Fails when the store does; then what was known stays known, and at the start the
    /// copies are taken. Schedulers that can't be read are left out and come back.
    pub async fn read(&mut self) -> Result<Vec<Unreadable>, store::Error> {
        self.known.begin_list();
        let read = self.store.schedulers().await;
        self.known
            .note_store(read.as_ref().is_err_and(store::Error::is_outage));
        match read {
            Ok(schedulers) => {
                self.has_read = true;
                Ok(self.known.replace(&schedulers))
            }
            Err(error) if error.is_outage() && !self.has_read => {
                self.read_copies().await;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn read_copies(&mut self) {
        let copies = match self.registry.copies().await {
            Ok(copies) => copies,
            Err(error) => {
                tracing::warn!(
                    "neither the store nor the registry says which schedulers there are: {}",
                    chain(&error)
                );
                return;
            }
        };
        let mut schedulers: Vec<Stored> = Vec::new();
        for (name, bytes) in copies {
            match copy::decode(&bytes) {
                Ok(stored) => schedulers.push(stored),
                Err(error) => {
                    tracing::error!(scheduler.name = %name, "{name}: its copy in the registry can't be read: {error}");
                }
            }
        }
        tracing::warn!(
            "the store does not answer; going on with {} schedulers as the registry has them",
            schedulers.len()
        );
        for unreadable in self.known.replace(&schedulers) {
            tracing::error!(scheduler.name = %unreadable.scheduler(), "{unreadable}");
        }
        self.has_read = true;
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

/// The copies that this worker wrote.
#[derive(Default)]
pub(super) struct Copies {
    written: BTreeMap<SchedulerName, (Stored, Instant)>,
}

impl Copies {
    /// Has a copy of a scheduler in the registry, for whoever starts while the store is away. One that can't be written
    /// is tried again at the next look.
    pub(super) async fn keep(&mut self, registry: &dyn Registry, stored: &Stored) {
        let is_fresh = |(written, at): &(Stored, Instant)| written == stored && at.elapsed() < AGAIN;
        if self.written.get(&stored.name).is_some_and(is_fresh) {
            return;
        }
        match registry
            .keep_copy(&stored.name, Some(&copy::encode(stored)))
            .await
        {
            Ok(()) => {
                let name = stored.name.clone();
                self.written.insert(name, (stored.clone(), Instant::now()));
            }
            Err(error) => {
                tracing::debug!(scheduler.name = %stored.name, "{}: no copy was kept: {error}", stored.name);
            }
        }
    }

    /// Forgets what is no longer kept here.
    pub(super) fn retain(&mut self, is_ours: impl Fn(&SchedulerName) -> bool) {
        self.written.retain(|name, _| is_ours(name));
    }
}
