//! Who works, and which schedulers are therefore this worker's to keep.
//!
//! Each worker says three times a second that it is there, and is taken for gone after two thirds of a lease: its
//! schedulers are then begun by others before its leases end, so that they wait for those and for nothing else. A worker
//! that ends says so, and its schedulers move within a second. That somebody is gone counts once it was seen twice: from
//! an emptied registry whoever asks first would be told that it is alone.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use maestro_core::names::SchedulerName;
use maestro_core::placement;
use maestro_core::time::Span;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::chain;
use crate::registry::Registry;

/// Time between two words of a worker.
const EVERY: Duration = Duration::from_millis(300);

/// How long a worker that ends waits for the registry to take that.
const FAREWELL: Duration = Duration::from_millis(500);

/// Who works, as this worker knows.
pub(super) struct Roster {
    me: String,
    /// Empty until the registry answered once: nothing is begun before.
    members: BTreeSet<String>,
    seen: watch::Receiver<BTreeSet<String>>,
}

/// Says again and again that this worker is there, and hears who else is. A task of its own, so that a look at a store
/// that takes its time makes no worker seem gone.
pub(super) struct Calls {
    registry: Arc<dyn Registry>,
    me: String,
    ttl: Span,
    seen: watch::Sender<BTreeSet<String>>,
    /// Whether somebody was not there last time who was before.
    is_doubted: bool,
    /// Whether the registry did not answer last time.
    is_away: bool,
}

/// A worker called `me`, whose leases last for `lease`; the calls are to be run.
pub(super) fn roster(registry: Arc<dyn Registry>, me: String, lease: Span) -> (Roster, Calls) {
    let (tx, rx) = watch::channel(BTreeSet::new());
    let calls = Calls {
        registry,
        me: me.clone(),
        ttl: Span::from_ms(lease.ms() / 3 * 2),
        seen: tx,
        is_doubted: false,
        is_away: false,
    };
    let roster = Roster {
        me,
        members: BTreeSet::new(),
        seen: rx,
    };
    (roster, calls)
}

impl Calls {
    /// Calls until `stop`, and says then that this worker goes.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.leave().await;
                    return Ok(());
                }
                () = self.call(&mut ticks) => {}
            }
        }
    }

    /// While the registry is away, those who were there last are.
    async fn call(&mut self, ticks: &mut Interval) {
        ticks.tick().await;
        match self.registry.join(&self.me, self.ttl).await {
            Ok(members) => {
                self.is_away = false;
                let is_lacking = !self.seen.borrow().is_subset(&members);
                if is_lacking && !std::mem::replace(&mut self.is_doubted, true) {
                    return;
                }
                self.is_doubted = false;
                self.seen.send_if_modified(|seen| {
                    let is_news = *seen != members;
                    if is_news {
                        tell(&self.me, seen, &members);
                        *seen = members;
                    }
                    is_news
                });
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_away, true) {
                    tracing::warn!("the registry does not answer, nobody can act: {}", chain(&error));
                }
            }
        }
    }

    async fn leave(&self) {
        match timeout(FAREWELL, self.registry.leave(&self.me)).await {
            Ok(Ok(())) => {}
            // The others find out by its silence.
            Ok(Err(error)) => tracing::warn!("the other workers were not told of the end: {}", chain(&error)),
            Err(_late) => {
                tracing::warn!("the other workers were not told of the end: the registry does not answer")
            }
        }
    }
}

fn tell(me: &str, before: &BTreeSet<String>, now: &BTreeSet<String>) {
    for came in now.difference(before).filter(|member| *member != me) {
        tracing::info!("worker {came} is there");
    }
    for gone in before.difference(now) {
        tracing::info!("worker {gone} is gone");
    }
}

impl Roster {
    /// Waits until others came or went. A future that is dropped loses nothing.
    pub(super) async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            // The calls have ended, as everything is about to.
            pending::<()>().await;
        }
        self.members = self.seen.borrow_and_update().clone();
    }

    /// Whether this worker is to keep the scheduler's loop.
    pub(super) fn is_ours(&self, scheduler: &SchedulerName) -> bool {
        placement::keeper(scheduler, self.members.iter().map(String::as_str)) == Some(self.me.as_str())
    }
}
