//! A registry whose calls are counted, timed, and part of the trace of whoever makes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::placement::Reach;
use maestro_core::room::{Revision, Room};
use maestro_core::time::{Span, Timestamp};
use tokio::sync::Notify;
use tracing::Instrument;

use super::{Act, Call, Changes, Cursor, Error, Fence, Receipt, Registry, Seen, State, Terms};
use crate::metrics::{self, Dependency, Metrics, Outcome};
use crate::telemetry;

/// A registry, and where its calls are counted.
pub struct Observed {
    inner: Arc<dyn Registry>,
    metrics: Arc<Metrics>,
}

impl Observed {
    /// Counts the calls of `inner`.
    pub fn new(inner: Arc<dyn Registry>, metrics: Arc<Metrics>) -> Self {
        Self { inner, metrics }
    }

    async fn count<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let begun = metrics::Call::begin(Dependency::Registry, name);
        let result = call.instrument(telemetry::call(Dependency::Registry, name)).await;
        self.metrics.call(begun, outcome(&result));
        result
    }
}

fn outcome<T>(result: &Result<T, Error>) -> Outcome {
    match result {
        Ok(_) => Outcome::Ok,
        Err(Error::Unavailable { .. }) => Outcome::Failed,
        Err(
            Error::UnknownRoom(_)
            | Error::Moved { .. }
            | Error::Refused { .. }
            | Error::Fenced { .. }
            | Error::Full { .. },
        ) => Outcome::Refused,
    }
}

#[async_trait]
impl Registry for Observed {
    async fn report(&self, scheduler: &SchedulerName, room: &RoomId, call: Call) -> Result<Receipt, Error> {
        self.count("report", self.inner.report(scheduler, room, call))
            .await
    }

    async fn allocate(&self, scheduler: &SchedulerName, terms: Terms) -> Result<Option<Room>, Error> {
        let result = self
            .count("allocate", self.inner.allocate(scheduler, terms))
            .await;
        let word = match &result {
            Ok(Some(_)) => "allocated",
            Ok(None) => "none",
            Err(_) => "error",
        };
        self.metrics.allocation(scheduler.as_str(), word);
        result
    }

    async fn room(&self, scheduler: &SchedulerName, room: &RoomId) -> Result<Option<Room>, Error> {
        self.count("room", self.inner.room(scheduler, room)).await
    }

    async fn rooms(&self, scheduler: &SchedulerName) -> Result<Vec<Room>, Error> {
        self.count("rooms", self.inner.rooms(scheduler)).await
    }

    async fn beat(&self) -> Result<(), Error> {
        self.count("beat", self.inner.beat()).await
    }

    async fn acquire(
        &self,
        scheduler: &SchedulerName,
        holder: &str,
        lease: Span,
    ) -> Result<Option<Fence>, Error> {
        self.count("acquire", self.inner.acquire(scheduler, holder, lease))
            .await
    }

    async fn release(&self, fence: &Fence) -> Result<(), Error> {
        self.count("release", self.inner.release(fence)).await
    }

    async fn changes(&self, scheduler: &SchedulerName, since: Cursor) -> Result<Changes, Error> {
        self.count("changes", self.inner.changes(scheduler, since)).await
    }

    async fn state(&self, scheduler: &SchedulerName) -> Result<Option<State>, Error> {
        self.count("state", self.inner.state(scheduler)).await
    }

    async fn reserve(&self, fence: &Fence, rooms: &[(RoomId, Version)], most: u32) -> Result<(), Error> {
        self.count("reserve", self.inner.reserve(fence, rooms, most))
            .await
    }

    async fn adopt(&self, fence: &Fence, rooms: &[(RoomId, Version)]) -> Result<(), Error> {
        self.count("adopt", self.inner.adopt(fence, rooms)).await
    }

    async fn act(&self, fence: &Fence, room: &RoomId, revision: Revision, act: Act) -> Result<Room, Error> {
        self.count("act", self.inner.act(fence, room, revision, act))
            .await
    }

    async fn observe(&self, fence: &Fence, room: &RoomId, seen: Seen) -> Result<(), Error> {
        self.count("observe", self.inner.observe(fence, room, seen)).await
    }

    async fn save(&self, fence: &Fence, state: &State) -> Result<(), Error> {
        self.count("save", self.inner.save(fence, state)).await
    }

    async fn set_epoch(&self, fence: &Fence, epoch: Option<Timestamp>) -> Result<(), Error> {
        self.count("set_epoch", self.inner.set_epoch(fence, epoch)).await
    }

    async fn remove(&self, fence: &Fence) -> Result<(), Error> {
        self.count("remove", self.inner.remove(fence)).await
    }

    async fn join(&self, member: &str, reach: Reach, ttl: Span) -> Result<BTreeMap<String, Reach>, Error> {
        self.count("join", self.inner.join(member, reach, ttl)).await
    }

    async fn leave(&self, member: &str) -> Result<(), Error> {
        self.count("leave", self.inner.leave(member)).await
    }

    async fn keep_copy(&self, scheduler: &SchedulerName, copy: Option<&[u8]>) -> Result<(), Error> {
        self.count("keep_copy", self.inner.keep_copy(scheduler, copy))
            .await
    }

    async fn copied(&self) -> Result<BTreeSet<SchedulerName>, Error> {
        self.count("copied", self.inner.copied()).await
    }

    async fn copies(&self) -> Result<BTreeMap<SchedulerName, Vec<u8>>, Error> {
        self.count("copies", self.inner.copies()).await
    }

    fn nudges(&self, scheduler: &SchedulerName) -> Arc<Notify> {
        self.inner.nudges(scheduler)
    }

    fn nudge(&self, scheduler: &SchedulerName) {
        self.inner.nudge(scheduler);
    }
}
