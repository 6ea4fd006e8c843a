//! Makes what loops go by, of all schedulers beside each other: a policy that takes long to compile holds up its own
//! scheduler and no other.
//!
//! Each making is a task, so that it goes on while the supervisor looks: one that stood still with a connection of the
//! store in its hand would keep the supervisor waiting for that. How many policies are loaded at once is the catalog's
//! to bound.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use maestro_core::names::SchedulerName;
use tokio::sync::Notify;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::desired;
use crate::catalog::Catalog;
use crate::control::Desired;
use crate::known::Entry;
use crate::store::{self, Store};
use crate::tasks::{Kind, Tasks};

/// What is being made, by scheduler.
#[derive(Default)]
pub(super) struct Loading {
    makings: BTreeMap<SchedulerName, Making>,
    /// Rings when something was made.
    made: Arc<Notify>,
}

struct Making {
    from: Arc<Entry>,
    desired: oneshot::Receiver<Result<Desired, store::Error>>,
}

/// What was made.
pub(super) struct Loaded {
    /// From what.
    pub entry: Arc<Entry>,
    /// What the loop goes by.
    pub desired: Result<Desired, store::Error>,
}

impl Loading {
    /// Begins, unless the same is being made already. What is being made from an older entry is given up. Without a store,
    /// because that is away, nothing waits for it.
    pub(super) fn begin(
        &mut self,
        (store, catalog): (Option<&Store>, &Arc<Catalog>),
        tasks: &Tasks,
        entry: Arc<Entry>,
    ) {
        let name = entry.stored.name.clone();
        let before = self.makings.get(&name);
        if before.is_some_and(|making| making.from.stored == entry.stored) {
            return;
        }
        let (mut tx, rx) = oneshot::channel();
        let (store, catalog, from) = (store.cloned(), Arc::clone(catalog), Arc::clone(&entry));
        let (stop, made) = (tasks.stop_token(), Arc::clone(&self.made));
        tasks.spawn(Kind::Loading(name.to_string()), async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tx.closed() => {}
                desired = desired::make(store.as_ref(), &catalog, &from) => {
                    // Nobody waits for it any more, if it can't be sent.
                    drop(tx.send(desired));
                    made.notify_one();
                }
            }
            Ok::<(), Infallible>(())
        });
        let making = Making {
            from: entry,
            desired: rx,
        };
        self.makings.insert(name, making);
    }

    /// The next that is made; waits while there is none. Nothing is lost when it is dropped while it waits.
    pub(super) async fn next(&mut self) -> Loaded {
        loop {
            if let Some(loaded) = self.take() {
                return loaded;
            }
            self.made.notified().await;
        }
    }

    fn take(&mut self) -> Option<Loaded> {
        let mut loaded = None;
        self.makings.retain(|_, making| {
            if loaded.is_some() {
                return true;
            }
            match making.desired.try_recv() {
                Ok(desired) => {
                    let entry = Arc::clone(&making.from);
                    loaded = Some(Loaded { entry, desired });
                    false
                }
                Err(TryRecvError::Empty) => true,
                // It panicked, and the log says so; the next look begins it again.
                Err(TryRecvError::Closed) => false,
            }
        });
        loaded
    }
}
