//! The loop of one scheduler: observe, measure, judge, decide, plan, apply.
//!
//! [`Control::step`] is one turn of it over the two ports. It spawns nothing and has no timer of its own: whoever
//! calls it (the runner in `tasks.rs`, the simulator) brings the time and is told when to come back. Its future
//! may be dropped at any await: what it remembers is marked while it runs, and a step that finds the mark reads
//! everything anew. It acts only while it holds the scheduler's lease, and every act names what it was decided on.
//!
//! Two clocks: `now` is this process's own and rules leases and waiting; every time in a room, a window or a
//! decision is the registry's.

mod apply;
mod backoff;
mod decide;
mod grounds;
mod judge;
mod lease;
mod measure;
mod mirror;
mod observe;
mod places;
mod recovery;
mod step;
mod survey;
mod wake;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use maestro_core::decision::{Counts, Decision};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::room::End;
use maestro_core::scheduler::Scheduler;
use maestro_core::time::{Span, Timestamp};
use maestro_engine::{Evaluator, Policy};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::cluster::{self, Cluster};
use crate::registry::{self, Registry, Standing, State};

pub use backoff::LONGEST_PAUSE;
pub use judge::Evidence;
pub use measure::is_usage;
pub use places::{DRAINED, Drained, DrainedNodes};

/// Makes the token that a room proves itself with.
pub type TokenMaker = Arc<dyn Fn(&SchedulerName, &RoomId) -> String + Send + Sync>;

/// This process's own clock, never set back; looked at before each call to the cluster.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a loop works with.
#[derive(Clone)]
pub struct Deps {
    /// What rooms say.
    pub registry: Arc<dyn Registry>,
    /// Where rooms run.
    pub cluster: Arc<dyn Cluster>,
    /// What asks policies.
    pub evaluator: Evaluator,
    /// This process's name among the holders of leases.
    pub holder: String,
    /// Seeds the names of new rooms.
    pub seed: u64,
    /// Makes rooms' tokens.
    pub token: TokenMaker,
    /// This process's own clock.
    pub clock: Clock,
    /// The nodes that people drain.
    pub drained: Drained,
    /// Bounds and times.
    pub settings: Settings,
}

/// Bounds and times of a loop, the same for all schedulers of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Never more rooms of one scheduler than this.
    pub cap: u32,
    /// How long a lease lasts.
    pub lease: Span,
    /// The longest that one call to the cluster takes; the adapters keep it.
    pub cluster_timeout: Span,
    /// The least time between two samples of the grid, and between two looks of a policy while nothing changes.
    pub min_period: Span,
    /// Time between two lists of the cluster when nothing says that it changed.
    pub list_every: Span,
    /// Most rooms that one plan reserves, and drains.
    pub budget: u32,
    /// How long rooms in a match may hold up the deletion of their scheduler.
    pub deletion: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cap: 1_000,
            lease: Span::from_secs(15),
            // Renewed at a third, a lease has at least 15 − 5 − 2 = 8 s left: a call fits in.
            cluster_timeout: Span::from_secs(5),
            min_period: maestro_core::window::LEAST_PERIOD,
            list_every: Span::from_secs(10),
            budget: 50,
            deletion: Span::from_secs(3_600),
        }
    }
}

/// What should be.
#[derive(Clone)]
pub struct Desired {
    /// The specification.
    pub scheduler: Scheduler,
    /// Its version.
    pub version: Version,
    /// What each trigger asks, by its id; or why there is nothing to ask.
    pub policies: BTreeMap<String, Result<Policy, String>>,
    /// Set while the scheduler is being deleted.
    pub deleting: Option<Deleting>,
    /// Since when scaling down is paused by hand; `None` while it is not.
    pub scale_in_paused: Option<Timestamp>,
    /// What the decisions in the store came to when this was made, in case the registry loses it before this loop has
    /// made any itself.
    pub last: Option<Standing>,
}

/// How a scheduler is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleting {
    /// Whether rooms in a match go at once too.
    pub force: bool,
    /// When it was asked for.
    pub since: Timestamp,
}

/// Something that was asked for by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The operation in the store that waits for its outcome.
    pub operation: String,
    /// What was asked for.
    pub scale: Scale,
}

/// A change of the wanted number by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// So many in all. Doing it twice is harmless.
    To(u32),
    /// So many more.
    Up(u32),
    /// So many fewer.
    Down(u32),
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The operation.
    pub operation: String,
    /// What it came to; or why nothing was done.
    pub result: Result<Scaled, String>,
}

/// What a scaling by hand came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// The number of rooms that was asked for.
    pub asked: u32,
    /// `wanted` from now on, within the scheduler's bounds.
    pub wanted: u32,
}

/// A decision with what it was made from, for the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The decision.
    pub decision: Decision,
    /// What each policy was shown and left behind, in the order of the ballots that came of it.
    pub evidence: Vec<Evidence>,
}

/// What came of one step.
#[derive(Debug)]
pub struct StepReport {
    /// Whether this loop holds the scheduler's lease.
    pub holding: bool,
    /// What was decided, oldest first: at most one, and those of steps that were dropped before they could tell.
    pub records: Vec<Record>,
    /// Samples taken since the last report, oldest first.
    pub samples: Vec<maestro_core::window::Sample>,
    /// Values of other metrics taken since the last report: name, time, value.
    pub values: Vec<(&'static str, Timestamp, f64)>,
    /// What became of commands.
    pub outcomes: Vec<Outcome>,
    /// Rooms whose end was noticed since the last report, oldest first.
    pub ends: Vec<End>,
    /// What keeps rooms from being created, for as long as none has succeeded since.
    pub trouble: Option<Trouble>,
    /// How the scheduler stands, where this step knows.
    pub stand: Option<Stand>,
    /// How long ago, by the registry's clock when it was read, the oldest change of a room's status was told that this
    /// step took in.
    pub heard: Option<Span>,
    /// When to step again at the latest.
    pub next_at: Timestamp,
    /// Whether the scheduler was being deleted and nothing is left of it.
    pub removed: bool,
    /// What went wrong on the way.
    pub errors: Vec<Error>,
}

/// How a scheduler stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Its rooms.
    pub counts: Counts,
    /// What is wanted.
    pub wanted: u32,
    /// Whether the registry is recovering.
    pub recovering: bool,
    /// Whether over a fifth of the rooms fell silent at once.
    pub mass_silence: bool,
}

/// Why rooms can't be created, or end before they are ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The first failure of the last try.
    pub reason: String,
    /// Time left to the next try.
    pub next_in: Span,
}

/// What can go wrong in a step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call to the registry.
    #[error("failed to {doing}")]
    Registry {
        /// What the call was for.
        doing: &'static str,
        /// Why.
        #[source]
        cause: registry::Error,
    },
    /// A call to the cluster.
    #[error("failed to {doing}")]
    Cluster {
        /// What the call was for.
        doing: &'static str,
        /// Why.
        #[source]
        cause: cluster::Error,
    },
}

impl Error {
    fn registry(doing: &'static str) -> impl FnOnce(registry::Error) -> Self {
        move |cause| Self::Registry { doing, cause }
    }

    fn cluster(doing: &'static str) -> impl FnOnce(cluster::Error) -> Self {
        move |cause| Self::Cluster { doing, cause }
    }

    /// Whether somebody else holds the lease.
    pub fn is_fenced(&self) -> bool {
        match self {
            Self::Registry { cause, .. } => matches!(cause, registry::Error::Fenced { .. }),
            Self::Cluster { .. } => false,
        }
    }

    /// Whether our own bound on calls of the cluster left no turn for it.
    pub fn is_crowded(&self) -> bool {
        match self {
            Self::Registry { .. } => false,
            Self::Cluster { cause, .. } => cause.is_crowded(),
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Registry { cause, .. } => cause.is_retryable(),
            Self::Cluster { cause, .. } => cause.is_retryable(),
        }
    }
}

/// The loop of one scheduler.
pub struct Control {
    deps: Deps,
    desired: Arc<Desired>,
    commands: VecDeque<Command>,
    lease: lease::Lease,
    mirror: mirror::Mirror,
    view: observe::View,
    /// What the rooms come to; `None` once that may have changed.
    survey: Option<survey::Survey>,
    recovery: recovery::Recovery,
    /// The scheduler's state, newer than the registry's copy; `None` until it is known after a take-over.
    state: Option<State>,
    /// What the last state of ours came to; forgotten once somebody else holds the lease. The store's word is as old as
    /// this loop.
    stood: Option<Standing>,
    /// Whether the registry has it as it stands.
    is_saved: bool,
    /// Whether the registry has had any state of ours since the take-over, so that its absence is a loss.
    has_saved: bool,
    /// What was done by hand and is not in the registry yet.
    unsaved: Vec<(Command, Outcome)>,
    meter: measure::Meter,
    judge: judge::Judge,
    creation: backoff::Backoff,
    deletions: apply::Deletions,
    /// Until when a create that was not answered may still happen.
    doubt_until: Option<Timestamp>,
    /// The newest record that was told, and when.
    last_record: Option<(Timestamp, Decision)>,
    told: Told,
    names: StdRng,
    /// Set while a step runs; found set by the next one when it was dropped.
    is_midway: bool,
}

/// What has happened and was not reported yet; outlives a dropped step.
#[derive(Default)]
struct Told {
    records: Vec<Record>,
    samples: Vec<maestro_core::window::Sample>,
    values: Vec<(&'static str, Timestamp, f64)>,
    outcomes: Vec<Outcome>,
    ends: Vec<End>,
    errors: Vec<Error>,
    removed: bool,
}

impl Control {
    /// A loop that knows nothing yet.
    pub fn new(deps: Deps, desired: Arc<Desired>) -> Self {
        Self {
            lease: lease::Lease::new(deps.settings.lease),
            view: observe::View::new(deps.settings.list_every),
            names: StdRng::seed_from_u64(deps.seed),
            commands: VecDeque::new(),
            mirror: mirror::Mirror::new(),
            survey: None,
            recovery: recovery::Recovery::default(),
            state: None,
            stood: None,
            is_saved: false,
            has_saved: false,
            unsaved: Vec::new(),
            meter: measure::Meter::default(),
            judge: judge::Judge::default(),
            creation: backoff::Backoff::default(),
            deletions: apply::Deletions::default(),
            doubt_until: None,
            last_record: None,
            told: Told::default(),
            is_midway: false,
            deps,
            desired,
        }
    }

    /// The scheduler's name.
    pub fn scheduler(&self) -> &SchedulerName {
        &self.desired.scheduler.name
    }

    /// Replaces what should be; the next step goes by it.
    pub fn set_desired(&mut self, desired: Arc<Desired>) {
        if self.desired.scheduler != desired.scheduler {
            // What failed may have been the specification.
            self.creation.reset();
        }
        self.desired = desired;
        self.survey = None;
        self.judge.hurry();
    }

    /// Queues something asked for by hand; the outcome comes in the report of a later step.
    pub fn order(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    /// Takes the hint that something changed in the cluster.
    pub fn cluster_changed(&mut self) {
        self.view.nudge();
    }

    /// Gives the lease back, so that a successor need not wait for its end.
    pub async fn release(&mut self) -> Result<(), Error> {
        let Some(fence) = self.lease.take() else {
            return Ok(());
        };
        let released = self.deps.registry.release(&fence).await;
        released.map_err(Error::registry("give the lease back"))
    }
}
