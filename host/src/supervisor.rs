//! Keeps one running loop for each scheduler of the store.
//!
//! Polling the store is the truth, a nudge only makes it sooner. The supervisor never waits for a loop: it hands over
//! what should be and what was asked for by hand, and the runner of each loop tells the store what came of it.

mod desired;
mod journal;
mod evidence;
mod complaints;
mod runner;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use maestro_core::names::SchedulerName;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::control::{Clock, Command, Control, Deps, Desired, Scale};
use crate::known::Known;
use crate::store::operations::{self, Input};
use crate::store::schedulers::Stored;
use crate::store::{self, Store};
use crate::tasks::{Kind, Tasks};

pub use journal::{Item, Journal};

/// Time between two looks at the store when nothing says that it changed.
const POLL: Duration = Duration::from_secs(5);

/// Commands by hand that may wait for one loop. A loop takes them within a step, so that more than a few mean that
/// somebody sends them in a circle; those wait in the store.
const COMMANDS: usize = 16;

/// What the supervisor works with.
#[derive(Clone)]
pub struct Supervisor {
    /// What should be.
    pub store: Store,
    /// Policies.
    pub catalog: Arc<Catalog>,
    /// What each loop works with; only the seed differs between loops.
    pub deps: Deps,
    /// This machine's time of day, for what is stored.
    pub wall: Clock,
    /// What the API knows of schedulers; kept fresh here, where the store is read anyway.
    pub known: Arc<Known>,
    /// Where loops run.
    pub tasks: Tasks,
    /// Wakes when the store changed.
    pub changed: Arc<Notify>,
    /// Where records go.
    pub journal: mpsc::Sender<Item>,
}

/// One running loop, seen from here.
struct Running {
    desired: watch::Sender<Arc<Desired>>,
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    /// What `desired` was made from.
    made_from: Stored,
    /// Whether a policy could not be loaded, so that it is tried again.
    is_incomplete: bool,
    /// Operations that were handed over already.
    handed: BTreeSet<u64>,
}

impl Supervisor {
    /// Keeps loops running until `stop`; ends at once then, because the loops stop by the same token.
    pub async fn run(self, stop: CancellationToken) -> Result<(), store::Error> {
        let mut running = BTreeMap::new();
        let mut told = BTreeSet::new();
        let mut is_away = false;
        loop {
            match self.look(&mut running, &mut told).await {
                Ok(()) => is_away = false,
                // Loops go on with what they have; the same outage is told once.
                Err(error) if !is_away => {
                    is_away = true;
                    tracing::warn!(
                        "the store does not answer, schedulers go on as they are: {}",
                        chain(&error)
                    );
                }
                Err(_same) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.changed.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Fails when the store does; a scheduler that can't be kept for a reason of its own is told once, in `told`, and
    /// the others go on.
    async fn look(
        &self,
        running: &mut BTreeMap<SchedulerName, Running>,
        told: &mut BTreeSet<String>,
    ) -> Result<(), store::Error> {
        let schedulers = self.store.schedulers().await?;
        let mut failures: BTreeSet<String> = self
            .known
            .replace(&schedulers)
            .iter()
            .map(ToString::to_string)
            .collect();
        running.retain(|name, this| {
            // A loop that ended (the scheduler is deleted, or it panicked) has dropped its receivers.
            let is_alive = !this.commands.is_closed();
            let is_stored = schedulers.iter().any(|stored| stored.name == *name);
            if !is_stored {
                this.stop.cancel();
            }
            is_alive && is_stored
        });
        for stored in schedulers
            .into_iter()
            .filter(|stored| self.known.get(&stored.name).is_some())
        {
            match self.keep(running, stored).await {
                Ok(()) => {}
                Err(error) if error.is_outage() => return Err(error),
                Err(error) => {
                    failures.insert(chain(&error));
                }
            }
        }
        failures
            .difference(told)
            .for_each(|failure| tracing::error!("{failure}"));
        *told = failures;
        Ok(())
    }

    async fn keep(
        &self,
        running: &mut BTreeMap<SchedulerName, Running>,
        stored: Stored,
    ) -> Result<(), store::Error> {
        let name = stored.name.clone();
        let this = match running.entry(name.clone()) {
            Entry::Occupied(entry) => {
                let this = entry.into_mut();
                if this.made_from != stored || this.is_incomplete {
                    self.replace(this, stored).await?;
                }
                this
            }
            Entry::Vacant(entry) => entry.insert(self.start(stored).await?),
        };
        self.hand_over(&name, this).await
    }

    async fn start(&self, stored: Stored) -> Result<Running, store::Error> {
        let (desired, is_incomplete) = desired::make(self, &stored).await?;
        let desired = Arc::new(desired);
        let (desired_tx, desired_rx) = watch::channel(Arc::clone(&desired));
        let (commands_tx, commands_rx) = mpsc::channel(COMMANDS);
        let stop = self.tasks.stop_token().child_token();
        let deps = Deps {
            seed: rand::random(),
            ..self.deps.clone()
        };
        let runner = runner::Runner {
            control: Control::new(deps.clone(), desired),
            name: stored.name.clone(),
            deps,
            desired: desired_rx,
            commands: commands_rx,
            store: self.store.clone(),
            wall: Arc::clone(&self.wall),
            journal: self.journal.clone(),
        };
        self.tasks
            .spawn(Kind::Loop(stored.name.to_string()), runner.run(stop.clone()));
        Ok(Running {
            desired: desired_tx,
            commands: commands_tx,
            stop,
            made_from: stored,
            is_incomplete,
            handed: BTreeSet::new(),
        })
    }

    async fn replace(&self, this: &mut Running, stored: Stored) -> Result<(), store::Error> {
        let (desired, is_incomplete) = desired::make(self, &stored).await?;
        // A policy tried again in vain is no news; the loop would take heart, and try at once what keeps failing.
        let is_news = this.made_from != stored || loaded(&desired) != loaded(&this.desired.borrow());
        if is_news {
            this.desired.send_replace(Arc::new(desired));
        }
        this.made_from = stored;
        this.is_incomplete = is_incomplete;
        Ok(())
    }

    /// Gives what was asked for by hand to the loop, each operation once; the runner writes what came of it.
    async fn hand_over(&self, name: &SchedulerName, this: &mut Running) -> Result<(), store::Error> {
        let open = self.store.open_operations(name).await?;
        this.handed
            .retain(|id| open.iter().any(|operation| operation.id == *id));
        for operation in open {
            let Input::Scale { wanted } = operation.input else {
                self.follow(name, this, &operation).await?;
                continue;
            };
            let command = Command {
                operation: operation.id.to_string(),
                scale: Scale::To(wanted),
            };
            if this.handed.contains(&operation.id) || this.commands.try_send(command).is_err() {
                // Full: it stays in the store and is handed over at the next look.
                continue;
            }
            this.handed.insert(operation.id);
        }
        Ok(())
    }

    /// Writes how far the rooms are on their way to a scheduler's version. Deletions end with the scheduler's row.
    async fn follow(
        &self,
        name: &SchedulerName,
        this: &Running,
        operation: &operations::Operation,
    ) -> Result<(), store::Error> {
        let version = match operation.input {
            Input::Create { version } | Input::Update { to: version, .. } => version,
            Input::Scale { .. } | Input::Delete { .. } => return Ok(()),
        };
        let Ok(rooms) = self.deps.registry.rooms(name).await else {
            return Ok(());
        };
        let step = desired::progress(
            &rooms,
            version,
            this.made_from.active.version,
            &this.desired.borrow(),
        );
        if step.state == operation.state && step.progress == operation.progress {
            return Ok(());
        }
        match self.store.advance(operation.id, &step, (self.wall)()).await {
            // Somebody else ended it in the meantime, which is as good.
            Ok(()) | Err(store::Error::OperationOver(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// How many of its policies can be asked.
fn loaded(desired: &Desired) -> usize {
    desired.policies.values().filter(|policy| policy.is_ok()).count()
}

/// An error with its causes, for a log line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
