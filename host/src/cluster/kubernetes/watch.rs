//! One watch per scheduler that somebody waits for; it says that something changed, and the list says what. And the one
//! of all nodes.
//!
//! Nothing is cached here: a stale cache is the mother of rooms that are deleted twice and of rooms that nobody deletes.
//! A watch lives as long as anybody holds what [`Hints::of`] gave out, so it moves with the lease. What is remembered is on
//! which nodes a scheduler's pods were at its last list (the watches are told metadata only, which has no node), so that
//! news of a node wakes those whom it concerns, and not each loop of the process at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};
use kube::api::{ListParams, WatchEvent, WatchParams};
use maestro_core::names::SchedulerName;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::call::Caller;
use super::failure::Failure;
use super::label;
use super::node::Watched;
use crate::metrics::Metrics;

/// After this the server ends a watch, and it is taken up where it ended.
pub(super) const SESSION: Duration = Duration::from_secs(240);

/// After this a watch in which not even a bookmark comes is taken for dead. Bookmarks come about once a minute.
pub(super) const SILENCE: Duration = Duration::from_secs(255);

/// Pauses between two tries to watch, from the first to the longest.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Nodes that are kept of each scheduler. One with rooms on more than these has a part in most of what happens to nodes, and
/// is woken by all of it; 300 schedulers with so many are some 5 MB.
const KEPT: usize = 256;

/// Who waits for changes of which scheduler.
#[derive(Default)]
pub(super) struct Hints {
    waiting: Mutex<BTreeMap<SchedulerName, Waiter>>,
    grown: Notify,
    let_in: Notify,
}

/// One who waits.
struct Waiter {
    notify: Weak<Notify>,
    /// The nodes of the scheduler's pods at its last list; `None` before that, and where they are more than are kept.
    nodes: Option<BTreeSet<String>>,
}

impl Waiter {
    fn is_there(&self) -> bool {
        self.notify.strong_count() > 0
    }
}

impl Hints {
    /// What wakes whoever waits for changes of this scheduler.
    pub(super) fn of(&self, scheduler: &SchedulerName) -> Arc<Notify> {
        let mut waiting = self.waiting();
        if let Some(notify) = waiting.get(scheduler).and_then(|waiter| waiter.notify.upgrade()) {
            return notify;
        }
        let notify = Arc::default();
        let waiter = Waiter {
            notify: Arc::downgrade(&notify),
            nodes: None,
        };
        waiting.insert(scheduler.clone(), waiter);
        self.grown.notify_one();
        notify
    }

    /// Wakes whoever waits; `false` if nobody does any more.
    pub(super) fn wake(&self, scheduler: &SchedulerName) -> bool {
        let waiting = self.waiting();
        let notify = waiting.get(scheduler).and_then(|waiter| waiter.notify.upgrade());
        notify.inspect(|notify| notify.notify_one()).is_some()
    }

    /// Tells watches that were refused that rights were given somewhere.
    pub(super) fn let_in(&self) {
        self.let_in.notify_waiters();
    }

    /// Takes down on which nodes a scheduler's pods are, as a list showed.
    pub(super) fn note_nodes(&self, scheduler: &SchedulerName, nodes: &BTreeSet<&str>) {
        if let Some(waiter) = self.waiting().get_mut(scheduler) {
            let kept = || nodes.iter().map(|node| (*node).to_owned()).collect();
            waiter.nodes = (nodes.len() <= KEPT).then(kept);
        }
    }

    /// Wakes all who wait for schedulers with pods on one of these nodes, or for such of which that is not known.
    pub(super) fn wake_on(&self, nodes: &BTreeSet<&str>) {
        let is_on_any = |kept: &BTreeSet<String>| kept.iter().any(|node| nodes.contains(node.as_str()));
        for waiter in self.waiting().values() {
            let is_concerned = waiter.nodes.as_ref().is_none_or(is_on_any) && !nodes.is_empty();
            if let Some(notify) = waiter.notify.upgrade().filter(|_| is_concerned) {
                notify.notify_one();
            }
        }
    }

    fn is_awaited(&self, scheduler: &SchedulerName) -> bool {
        self.waiting().get(scheduler).is_some_and(Waiter::is_there)
    }

    /// Schedulers that somebody waits for.
    fn awaited(&self) -> Vec<SchedulerName> {
        let mut waiting = self.waiting();
        waiting.retain(|_, waiter| waiter.is_there());
        waiting.keys().cloned().collect()
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<SchedulerName, Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches what is waited for. To be run beside the cluster that it came with; without it there are no nudges, and
/// changes are found by the periodic list.
pub struct Watches {
    pub(super) caller: Arc<Caller>,
    pub(super) hints: Arc<Hints>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) nodes: Arc<Watched>,
}

impl Watches {
    /// The same, telling how the watches go.
    pub fn metered(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Watches until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut followed = BTreeSet::new();
        let mut under_way = FuturesUnordered::new();
        let mut nodes = std::pin::pin!(self.nodes.follow(&self.caller, &self.hints));
        loop {
            for scheduler in self.hints.awaited() {
                if followed.insert(scheduler.clone()) {
                    under_way.push(self.follow(scheduler));
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.hints.grown.notified() => {}
                never = &mut nodes => match never {},
                Some(scheduler) = under_way.next(), if !under_way.is_empty() => {
                    followed.remove(&scheduler);
                }
            }
        }
    }

    /// Watches one scheduler for as long as somebody waits.
    async fn follow(&self, scheduler: SchedulerName) -> SchedulerName {
        let mut place = None;
        let mut pause = PAUSES.0;
        while self.hints.is_awaited(&scheduler) {
            match self.session(&scheduler, &mut place).await {
                Ok(()) => pause = PAUSES.0,
                Err(failure) => {
                    self.metrics.watch(&scheduler, false);
                    tracing::debug!(scheduler.name = %scheduler, "watching {scheduler} is interrupted: {failure}");
                    if failure.is_gone() {
                        place = None;
                    }
                    // Whoever waits goes by lists until there is a watch again.
                    self.hints.wake(&scheduler);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES.1),
                        () = self.hints.let_in.notified() => pause = PAUSES.0,
                    }
                }
            }
        }
        scheduler
    }

    /// One watch, from `place` in the history of changes, or from now; `place` follows it.
    async fn session(&self, scheduler: &SchedulerName, place: &mut Option<String>) -> Result<(), Failure> {
        let pods = self.caller.pods(scheduler);
        let selector = label::selector(scheduler);
        let from = match place.take() {
            Some(known) => known,
            None => {
                let params = ListParams::default().labels(&selector).limit(1);
                let list = self.caller.call(pods.list_metadata(&params)).await?;
                // Whatever happened before is news to whoever waits.
                self.hints.wake(scheduler);
                list.metadata.resource_version.unwrap_or_default()
            }
        };
        *place = Some(from.clone());
        let seconds = u32::try_from(SESSION.as_secs()).unwrap_or(u32::MAX);
        let params = WatchParams::default().labels(&selector).timeout(seconds);
        let events = self.caller.call(pods.watch_metadata(&params, &from)).await?;
        let mut events = std::pin::pin!(events);
        loop {
            // Connected, or told something just now.
            self.metrics.watch(scheduler, true);
            let event = tokio::time::timeout(SILENCE, events.try_next()).await;
            let version = match event.map_err(|_| Failure::late(SILENCE))?? {
                None => return Ok(()),
                Some(WatchEvent::Added(pod) | WatchEvent::Modified(pod) | WatchEvent::Deleted(pod)) => {
                    if !self.hints.wake(scheduler) {
                        return Ok(());
                    }
                    pod.metadata.resource_version
                }
                Some(WatchEvent::Bookmark(bookmark)) => Some(bookmark.metadata.resource_version),
                Some(WatchEvent::Error(status)) => return Err(Failure::Answer(status)),
            };
            if version.is_some() {
                *place = version;
            }
            if !self.hints.is_awaited(scheduler) {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_scheduler_is_watched_while_somebody_waits() {
        let hints = Hints::default();
        let (pong, ping) = (
            SchedulerName::parse("pong").unwrap(),
            SchedulerName::parse("ping").unwrap(),
        );
        let first = hints.of(&pong);
        let second = hints.of(&pong);
        assert!(Arc::ptr_eq(&first, &second));
        let other = hints.of(&ping);
        assert_eq!(hints.awaited(), [ping.clone(), pong.clone()]);
        drop(first);
        assert!(hints.wake(&pong), "one of two still waits");
        drop(second);
        assert!(!hints.wake(&pong) && !hints.is_awaited(&pong));
        assert_eq!(hints.awaited(), [ping]);
        drop(other);
        assert_eq!(hints.awaited(), []);
    }

    #[test]
    fn news_of_nodes_wake_those_with_pods_there_and_those_of_whom_nothing_is_known() {
        let hints = Hints::default();
        let name = |name: &str| SchedulerName::parse(name).unwrap();
        let names = ["pong", "ping", "new", "wide"].map(name);
        let waits = names.each_ref().map(|name| hints.of(name));
        let many: Vec<String> = (0..=KEPT).map(|number| format!("wide-{number}")).collect();
        hints.note_nodes(&names[0], &["a", "b"].into());
        hints.note_nodes(&names[1], &["c"].into());
        hints.note_nodes(&names[3], &many.iter().map(String::as_str).collect());
        hints.note_nodes(&name("unknown"), &["a"].into());
        let check = |nodes: &[&str], expected: [bool; 4]| {
            hints.wake_on(&nodes.iter().copied().collect());
            let woken = waits
                .each_ref()
                .map(|notify| notify.notified().now_or_never().is_some());
            assert_eq!(woken, expected, "{nodes:?}");
        };
        check(&["a"], [true, false, true, true]);
        check(&["b", "c"], [true, true, true, true]);
        check(&["d"], [false, false, true, true]);
        check(&[], [false; 4]);
        // By its next list it is elsewhere, and the new one has no pods at all.
        hints.note_nodes(&names[0], &["d"].into());
        hints.note_nodes(&names[2], &BTreeSet::new());
        check(&["a"], [false, false, false, true]);
        check(&["d"], [true, false, false, true]);
    }
}
