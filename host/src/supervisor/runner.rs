//! Runs the loop of one scheduler: brings it the time and everything that wakes it, and passes on what it tells.

use std::sync::Arc;
use std::time::{Duration, Instant};

use maestro_core::explain;
use maestro_core::names::SchedulerName;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::complaints::Complaints;
use super::{Item, chain};
use crate::control::{Clock, Command, Control, Deps, Desired, Outcome, StepReport};
use crate::known::Known;
use crate::metrics::Metrics;
use crate::registry::NUDGE_SPACING;
use crate::store::operations::{State, Step};
use crate::store::{self, Store};
use crate::telemetry;

/// The least time between two steps. A burst of reports is one step, and a report is answered well within half a
/// second.
const BREATH: Duration = Duration::from_millis(20);

/// The least time between the beginnings of two steps that rooms ask for.
const SPACING: Duration = Duration::from_millis(NUDGE_SPACING.ms());

/// Runs one loop.
pub(super) struct Runner {
    pub control: Control,
    pub name: SchedulerName,
    pub deps: Deps,
    pub desired: watch::Receiver<Arc<Desired>>,
    pub commands: mpsc::Receiver<Command>,
    pub store: Store,
    pub wall: Clock,
    pub known: Arc<Known>,
    pub changed: Arc<Notify>,
    pub journal: mpsc::Sender<Item>,
    pub metrics: Arc<Metrics>,
}

impl Runner {
    /// Steps until `stop`, or until nothing is left of the scheduler; gives the lease back then.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), store::Error> {
        let room_changes = self.deps.registry.nudges(&self.name);
        let cluster_changes = self.deps.cluster.nudges(&self.name);
        let mut complaints = Complaints::default();
        let told = self.metrics.enter(&self.name);
        while !stop.is_cancelled() {
            let begun = tokio::time::Instant::now();
            let span = telemetry::step(&self.name);
            let turn = told.begin();
            let step = self.control.step((self.deps.clock)());
            let report = step.instrument(span.clone()).await;
            told.end(turn, &report, &self.desired.borrow());
            let (next_at, is_removed) = (report.next_at, report.removed);
            if !report.records.is_empty() || !report.errors.is_empty() {
                telemetry::keep(&span);
            }
            self.tell(report, &mut complaints).instrument(span).await;
            if is_removed {
                self.remove().await?;
                break;
            }
            let wait = Duration::from_millis(next_at.since((self.deps.clock)()).ms()).max(BREATH);
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Ok(()) = self.desired.changed() => {
                    let desired = Arc::clone(&self.desired.borrow_and_update());
                    self.control.set_desired(desired);
                    complaints.forget();
                }
                Some(command) = self.commands.recv() => self.control.order(command),
                () = cluster_changes.notified() => self.control.cluster_changed(),
                () = breathe(room_changes.notified(), begun + SPACING) => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        if let Err(error) = self.control.release().await {
            // Whoever comes next waits for the end of the lease instead.
            tracing::warn!(scheduler.name = %self.name, "{}: {}", self.name, chain(&error));
        }
        Ok(())
    }

    /// Takes the scheduler out of the store, and what is left of it out of everything else; unless somebody made another of its
    /// name meanwhile, of which nothing is ours to remove.
    async fn remove(&mut self) -> Result<(), store::Error> {
        match self.store.remove_scheduler(&self.name, (self.wall)()).await? {
            true => {
                self.sweep().await;
                tracing::info!(scheduler.name = %self.name, "{}: deleted", self.name);
            }
            // An answer that was lost: it is gone, and what is left of it is ours to sweep.
            false if self.store.scheduler(&self.name).await?.is_none() => self.sweep().await,
            false => {
                tracing::info!(scheduler.name = %self.name, "{}: it is not being deleted any more", self.name);
            }
        }
        // From here on this is no loop any more: one of the same name may begin.
        self.commands.close();
        self.changed.notify_one();
        Ok(())
    }

    /// Leaves nothing of a removed scheduler. A room's call that came after the registry removed it may have begun it
    /// there anew, as after a loss; once it is no longer known, no further one does.
    async fn sweep(&mut self) {
        self.known.forget(&self.name);
        let Deps {
            registry,
            holder,
            settings,
            ..
        } = &self.deps;
        if let Err(error) = registry.keep_copy(&self.name, None).await {
            tracing::warn!(scheduler.name = %self.name, "{}: its copy stays in the registry: {}", self.name, chain(&error));
        }
        let removed = match registry.acquire(&self.name, holder, settings.lease).await {
            Ok(Some(fence)) => registry.remove(&fence).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::warn!(scheduler.name = %self.name, "{}: {}", self.name, chain(&error));
        }
    }

    async fn tell(&mut self, report: StepReport, complaints: &mut Complaints) {
        for complaint in complaints.of(&self.name, &report, Instant::now()) {
            tracing::warn!(scheduler.name = %self.name, "{}: {complaint}", self.name);
        }
        for record in report.records {
            let decision = &record.decision;
            if decision.wanted != decision.before {
                let summary = explain::summary(decision);
                tracing::info!(scheduler.name = %self.name, "{}: {summary}", self.name);
            }
            let item = Item::Record {
                scheduler: self.name.clone(),
                record: Box::new(record),
            };
            self.record(item);
        }
        if !report.samples.is_empty() || !report.values.is_empty() {
            let scheduler = self.name.clone();
            self.record(Item::Samples {
                scheduler,
                samples: report.samples,
                values: report.values,
            });
        }
        if !report.ends.is_empty() {
            let (scheduler, ends) = (self.name.clone(), report.ends);
            self.record(Item::Ends { scheduler, ends });
        }
        for outcome in &report.outcomes {
            self.answer(outcome).await;
        }
    }

    fn record(&self, item: Item) {
        if self.journal.try_send(item).is_err() {
            self.metrics.journal_dropped("queue", 1);
            // The journal's own queue is bounded too, and it says how much it dropped; here it is only behind.
            tracing::warn!(scheduler.name = %self.name, "{}: the journal is behind, a record was dropped", self.name);
        }
    }

    async fn answer(&self, outcome: &Outcome) {
        let Ok(id) = outcome.operation.parse() else { return };
        let step = match &outcome.result {
            Ok(scaled) => Step {
                state: State::Finished,
                progress: 10_000,
                description: match scaled.asked == scaled.wanted {
                    true => format!("wanted is {}", scaled.wanted),
                    false => format!("wanted is {}, {} were asked for", scaled.wanted, scaled.asked),
                },
                error: None,
            },
            Err(reason) => Step {
                state: State::Error,
                progress: 0,
                description: "nothing was done".to_owned(),
                error: Some(reason.clone()),
            },
        };
        match self.store.advance(id, &step, (self.wall)()).await {
            Ok(()) | Err(store::Error::OperationOver(_)) => {}
            Err(error) => {
                tracing::warn!(scheduler.name = %self.name, "{}: operation {id}: {}", self.name, chain(&error));
            }
        }
    }
}

/// Waits for a change and then a moment longer, so that changes that come together are answered together; at least
/// until `earliest`.
async fn breathe(change: impl Future<Output = ()>, earliest: tokio::time::Instant) {
    change.await;
    let soon = tokio::time::Instant::now() + BREATH;
    tokio::time::sleep_until(soon.max(earliest)).await;
}
