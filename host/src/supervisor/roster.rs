//! Who works, and which schedulers are therefore this worker's to keep.
//!
//! Each worker says three times a second that it is there, and is taken for gone after two thirds of a lease: its
//! schedulers are then begun by others before its leases end, so that they wait for those and for nothing else. A worker
//! that ends says so, and its schedulers move within a second. That somebody is gone counts once it was seen twice: from
//! an emptied registry whoever asks first would be told that it is alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use maestro_core::names::SchedulerName;
use maestro_core::placement;
use maestro_core::time::Span;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::chain;
use crate::registry::Registry;

/// Time between two words of a worker.
const EVERY: Duration = Duration::from_millis(300);

/// How long a worker that ends waits for the registry to take that.
const FAREWELL: Duration = Duration::from_millis(500);

/// Who works, as this worker knows.
pub(super) struct Roster {
    registry: Arc<dyn Registry>,
    me: String,
    ttl: Span,
    ticks: Interval,
    /// Empty until the registry answered once: nothing is begun before.
    members: BTreeSet<String>,
    /// Whether somebody was not there last time who was before.
    is_doubted: bool,
    /// Whether the registry did not answer last time.
    is_away: bool,
}

impl Roster {
    /// A worker called `me`, whose leases last for `lease`.
    pub(super) fn new(registry: Arc<dyn Registry>, me: String, lease: Span) -> Self {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            registry,
            me,
            ttl: Span::from_ms(lease.ms() / 3 * 2),
            ticks,
            members: BTreeSet::new(),
            is_doubted: false,
            is_away: false,
        }
    }

    /// Says again and again that this worker is there, until others came or went. While the registry is away, those
    /// who were there last are. A future that is dropped loses nothing.
    pub(super) async fn changed(&mut self) {
        loop {
            self.ticks.tick().await;
            match self.registry.join(&self.me, self.ttl).await {
                Ok(members) => {
                    self.is_away = false;
                    let is_lacking = !self.members.is_subset(&members);
                    if is_lacking && !std::mem::replace(&mut self.is_doubted, true) {
                        continue;
                    }
                    self.is_doubted = false;
                    if members != self.members {
                        self.tell(&members);
                        self.members = members;
                        return;
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.is_away, true) {
                        tracing::warn!("the registry does not answer, nobody can act: {}", chain(&error));
                    }
                }
            }
        }
    }

    /// Says that this worker goes.
    pub(super) async fn leave(&self) {
        match timeout(FAREWELL, self.registry.leave(&self.me)).await {
            Ok(Ok(())) => {}
            // The others find out by its silence.
            Ok(Err(error)) => tracing::warn!("the other workers were not told of the end: {}", chain(&error)),
            Err(_late) => {
                tracing::warn!("the other workers were not told of the end: the registry does not answer")
            }
        }
    }

    /// Whether this worker is to keep the scheduler's loop.
    pub(super) fn is_ours(&self, scheduler: &SchedulerName) -> bool {
        placement::keeper(scheduler, self.members.iter().map(String::as_str)) == Some(self.me.as_str())
    }

    fn tell(&self, now: &BTreeSet<String>) {
        for came in now.difference(&self.members).filter(|member| **member != self.me) {
            tracing::info!("worker {came} is there");
        }
        for gone in self.members.difference(now) {
            tracing::info!("worker {gone} is gone");
        }
    }
}
