//! A cluster whose calls are counted, timed, and part of the trace of whoever makes them.

use std::sync::Arc;

use async_trait::async_trait;
use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::scheduler::Scheduler;
use maestro_core::time::Span;
use tokio::sync::Notify;
use tracing::Instrument;

use super::{Cluster, Error, Nodes, Object, Order, Usage};
use crate::metrics::{Call, Dependency, Metrics, Outcome};
use crate::telemetry;

/// A cluster, and where its calls are counted.
pub struct Observed {
    inner: Arc<dyn Cluster>,
    metrics: Arc<Metrics>,
}

impl Observed {
    /// Counts the calls of `inner`.
    pub fn new(inner: Arc<dyn Cluster>, metrics: Arc<Metrics>) -> Self {
        Self { inner, metrics }
    }

    async fn count<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let begun = Call::begin(Dependency::Cluster, name);
        let result = call.instrument(telemetry::call(Dependency::Cluster, name)).await;
        self.metrics.call(begun, outcome(&result));
        result
    }
}

fn outcome<T>(result: &Result<T, Error>) -> Outcome {
    match result {
        Ok(_) => Outcome::Ok,
        Err(Error::Unavailable { .. }) => Outcome::Failed,
        // None of these says that the cluster is away.
        Err(
            Error::Refused { .. }
            | Error::Exhausted { .. }
            | Error::Forbidden { .. }
            | Error::Foreign(_)
            | Error::UnknownRoom(_)
            | Error::Crowded,
        ) => Outcome::Refused,
    }
}

#[async_trait]
impl Cluster for Observed {
    async fn list(&self, scheduler: &SchedulerName) -> Result<Vec<Object>, Error> {
        self.count("list", self.inner.list(scheduler)).await
    }

    async fn create(&self, scheduler: &Scheduler, order: &Order) -> Result<(), Error> {
        self.count("create", self.inner.create(scheduler, order)).await
    }

    async fn expose(&self, scheduler: &Scheduler, room: &RoomId) -> Result<(), Error> {
        self.count("expose", self.inner.expose(scheduler, room)).await
    }

    async fn delete(
        &self,
        scheduler: &SchedulerName,
        room: &RoomId,
        uid: &str,
        grace: Span,
    ) -> Result<(), Error> {
        self.count("delete", self.inner.delete(scheduler, room, uid, grace))
            .await
    }

    async fn usage(&self, scheduler: &SchedulerName) -> Result<Vec<Usage>, Error> {
        self.count("usage", self.inner.usage(scheduler)).await
    }

    async fn logs(
        &self,
        scheduler: &SchedulerName,
        room: &RoomId,
        lines: usize,
        previous: bool,
    ) -> Result<String, Error> {
        self.count("logs", self.inner.logs(scheduler, room, lines, previous))
            .await
    }

    async fn remove(&self, scheduler: &SchedulerName) -> Result<(), Error> {
        self.count("remove", self.inner.remove(scheduler)).await
    }

    fn has_turn(&self) -> bool {
        self.inner.has_turn()
    }

    fn nodes(&self) -> Arc<Nodes> {
        self.inner.nodes()
    }

    fn nudges(&self, scheduler: &SchedulerName) -> Arc<Notify> {
        self.inner.nudges(scheduler)
    }
}
