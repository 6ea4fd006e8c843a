//! Keeps one running loop for each scheduler of the store that this worker is to keep.
//!
//! Which those are follows from who works and has the store (`roster`), without a word between workers; the lease says who
//! may act. Polling the store is the truth, a nudge only makes it sooner. The supervisor never waits for a loop, nor for a
//! policy: it hands over what should be, once that is loaded, and what was asked for by hand, and the runner of each loop
//! tells the store what came of it.

mod roster;
mod definitions;
mod copies;
mod loading;
mod desired;
mod runner;
mod journal;
mod ends;
mod evidence;
mod complaints;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maestro_core::names::SchedulerName;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::control::{Clock, Command, Control, Deps, Desired, Scale};
use crate::known::{self, Known};
use crate::metrics::{Dependency, Metrics};
use crate::store::operations::{Input, Operation};
use crate::store::{self, Store};
use crate::tasks::{Kind, Tasks};
use copies::Copies;
use loading::{Loaded, Loading};
use roster::{Roster, roster};

pub use definitions::{Definitions, Follower};
pub use journal::{Item, Journal};

/// Time between two looks at the store when nothing says that it changed.
const POLL: Duration = Duration::from_secs(5);

/// The longest that the store keeps a look waiting, and that a look goes through the schedulers, each of which the registry
/// may keep waiting: other workers' schedulers may become this one's meanwhile.
const LONGEST: Duration = store::postgres::LIMIT;

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
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// What the supervisor remembers between two looks.
struct Keeper {
    supervisor: Supervisor,
    running: BTreeMap<SchedulerName, Running>,
    loading: Loading,
    definitions: Definitions,
    roster: Roster,
    copies: Copies,
    /// Why a scheduler can't be kept, as it was told last: the same is told once.
    told: BTreeMap<SchedulerName, String>,
    /// Whether the store did not answer the last look.
    is_away: bool,
}

/// One running loop, seen from here.
struct Running {
    desired: watch::Sender<Arc<Desired>>,
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    /// What `desired` was made from.
    made_from: Arc<known::Entry>,
    /// Operations that were handed over already.
    handed: BTreeSet<u64>,
}

impl Supervisor {
    /// Keeps loops running until `stop`; the loops stop by the same token.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let (registry, known) = (Arc::clone(&self.deps.registry), Arc::clone(&self.known));
        let (holder, lease) = (self.deps.holder.clone(), self.deps.settings.lease);
        let (roster, calls) = roster(Arc::clone(&registry), holder, lease);
        self.tasks.spawn(Kind::Roster, calls.run(stop.clone()));
        let mut keeper = Keeper {
            definitions: Definitions::new(self.store.clone(), registry, known),
            roster,
            copies: Copies::default(),
            supervisor: self,
            running: BTreeMap::new(),
            loading: Loading::default(),
            told: BTreeMap::new(),
            is_away: false,
        };
        let mut polls = interval(POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = keeper.roster.changed() => keeper.place_in_time().await,
                loaded = keeper.loading.next() => keeper.settle(loaded),
                () = keeper.supervisor.changed.notified() => keeper.look().await,
                _ = polls.tick() => keeper.look().await,
            }
        }
    }

    fn start(&self, entry: Arc<known::Entry>, desired: Desired) -> Running {
        let name = entry.stored.name.clone();
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
            name: name.clone(),
            deps,
            desired: desired_rx,
            commands: commands_rx,
            store: self.store.clone(),
            wall: Arc::clone(&self.wall),
            known: Arc::clone(&self.known),
            changed: Arc::clone(&self.changed),
            journal: self.journal.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        self.tasks
            .spawn(Kind::Loop(name.to_string()), runner.run(stop.clone()));
        Running {
            desired: desired_tx,
            commands: commands_tx,
            stop,
            made_from: entry,
            handed: BTreeSet::new(),
        }
    }

    /// Gives what was asked for by hand to the loop, each operation once; the runner writes what came of it.
    async fn hand_over(
        &self,
        name: &SchedulerName,
        this: &mut Running,
        open: Vec<Operation>,
    ) -> Result<(), store::Error> {
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
        operation: &Operation,
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
            this.made_from.stored.active.version,
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

impl Keeper {
    /// Fails nowhere: a scheduler that can't be kept for a reason of its own is told of, and the others go on.
    async fn look(&mut self) {
        let read = self.definitions.read().await;
        let metrics = &self.supervisor.metrics;
        metrics.answered(Dependency::Store, read.is_ok());
        let looked = match read {
            Ok(unreadable) => {
                for unreadable in unreadable {
                    self.tell(unreadable.scheduler(), unreadable.to_string());
                }
                self.look_for_drained().await
            }
            Err(error) => Err(error),
        };
        self.roster.looked(&looked, Instant::now());
        match looked {
            Ok(()) => self.is_away = false,
            Err(error) => self.miss(&error),
        }
        // From what is known, if need be: who works may have changed.
        self.place_in_time().await;
    }

    /// Places what can be placed in time; the others have their turn at the next look.
    async fn place_in_time(&mut self) {
        if timeout(LONGEST, self.place()).await.is_err() {
            // Whoever does not answer is told of where it is asked.
            tracing::debug!("a look at the schedulers took too long and was given up");
        }
    }

    /// Tells loops which nodes people drain.
    async fn look_for_drained(&mut self) -> Result<(), store::Error> {
        let drained = self.supervisor.store.drained_nodes().await?;
        let deps = &self.supervisor.deps;
        if deps.drained.set(drained) {
            // Their rooms are to get no further match from now on.
            for name in self.running.keys() {
                deps.registry.nudge(name);
            }
        }
        Ok(())
    }

    /// Takes down that the store does not answer. Loops go on with what they have; the same outage is told once.
    fn miss(&mut self, error: &store::Error) {
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::warn!(
                "the store does not answer, schedulers go on as they are: {}",
                chain(error)
            );
        }
    }

    /// Has a loop running for each scheduler that is this worker's to keep, and for no other.
    async fn place(&mut self) {
        let known = Arc::clone(&self.supervisor.known);
        let all: BTreeSet<SchedulerName> = known.names().into_iter().collect();
        self.told.retain(|name, _| all.contains(name));
        let ours: BTreeSet<&SchedulerName> = all.iter().filter(|name| self.roster.is_ours(name)).collect();
        self.running.retain(|name, this| {
            if !ours.contains(name) {
                this.stop.cancel();
            }
            // A loop that ended (its scheduler is another worker's or is deleted, or it panicked) has dropped its
            // receivers. Until then there is none beside it.
            !this.commands.is_closed()
        });
        let registry = Arc::clone(&self.supervisor.deps.registry);
        self.copies
            .begin(registry.as_ref(), |name| ours.contains(name))
            .await;
        // For all at once: a question for each would be most of what a worker at rest asks.
        let mut open = match self.is_away {
            // What was asked for is still there when it answers.
            true => None,
            false => match self.supervisor.store.all_open_operations().await {
                Ok(open) => Some(open),
                Err(error) => {
                    self.miss(&error);
                    None
                }
            },
        };
        for entry in ours.into_iter().filter_map(|name| known.get(name)) {
            let name = entry.stored.name.clone();
            self.copies.keep(registry.as_ref(), &entry.stored).await;
            let open = open
                .as_mut()
                .map(|open| open.remove(&name).unwrap_or_else(|| Ok(Vec::new())));
            match self.keep(entry, open.transpose()).await {
                Ok(()) => {}
                Err(error) if error.is_outage() => self.miss(&error),
                Err(error) => self.tell(&name, chain(&error)),
            }
        }
    }

    /// `open` is what was asked for by hand, if the store says it.
    async fn keep(
        &mut self,
        entry: Arc<known::Entry>,
        open: Result<Option<Vec<Operation>>, store::Error>,
    ) -> Result<(), store::Error> {
        let supervisor = &self.supervisor;
        let store = (!self.is_away).then_some(&supervisor.store);
        let (with, tasks) = ((store, &supervisor.catalog), &supervisor.tasks);
        let name = entry.stored.name.clone();
        let Some(this) = self.running.get_mut(&name) else {
            self.loading.begin(with, tasks, entry);
            return Ok(());
        };
        if this.stop.is_cancelled() {
            // It ends; the next one begins at a later look.
            return Ok(());
        }
        // A policy that could not be loaded is tried again.
        let is_complete = desired::failures(&this.desired.borrow()).is_empty();
        if this.made_from.stored != entry.stored || !is_complete {
            self.loading.begin(with, tasks, entry);
        }
        match open? {
            // One scheduler after the other would wait for it.
            Some(_) if self.is_away => Ok(()),
            Some(open) => supervisor.hand_over(&name, this, open).await,
            None => Ok(()),
        }
    }

    /// Gives a loop what it goes by from now on; begins it when there is none.
    fn settle(&mut self, loaded: Loaded) {
        let Loaded { entry, desired } = loaded;
        let name = entry.stored.name.clone();
        let desired = match desired {
            Ok(desired) => desired,
            Err(error) => return self.tell(&name, chain(&error)),
        };
        if self.supervisor.known.get(&name).is_none() || !self.roster.is_ours(&name) {
            // Removed in the meantime, or another worker's.
            return;
        }
        self.told.remove(&name);
        let before = self.running.get(&name).map(|this| this.desired.borrow().clone());
        for trouble in desired::news(&desired, before.as_deref()) {
            tracing::warn!(scheduler.name = %name, "{name}: {trouble}");
        }
        match self.running.get_mut(&name) {
            Some(this) if this.stop.is_cancelled() => {}
            Some(this) => this.replace(entry, desired),
            None => {
                let this = self.supervisor.start(entry, desired);
                self.running.insert(name, this);
                // What was asked for by hand before there was a loop is handed over at a look.
                self.supervisor.changed.notify_one();
            }
        }
    }

    fn tell(&mut self, name: &SchedulerName, reason: String) {
        if self.told.get(name) != Some(&reason) {
            tracing::error!(scheduler.name = %name, "{reason}");
            self.told.insert(name.clone(), reason);
        }
    }
}

impl Running {
    fn replace(&mut self, entry: Arc<known::Entry>, desired: Desired) {
        // A policy tried again in vain is no news; the loop would take heart, and try at once what keeps failing.
        let is_news = self.made_from.stored != entry.stored
            || desired::failures(&desired) != desired::failures(&self.desired.borrow());
        if is_news {
            self.desired.send_replace(Arc::new(desired));
        }
        self.made_from = entry;
    }
}

/// An error with its causes, for a line to people. Each is said once: some errors repeat their cause in their own text.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}
