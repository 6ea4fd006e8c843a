//! Who is to be woken when a scheduler's rooms change, and by which channel.
//!
//! A nudge is a message without content on the scheduler's channel, heard over the same connection that everything
//! else goes over: whoever reads after it was subscribed misses nothing, because the connection keeps the order. A bell
//! that nobody holds any more is dropped, and its channel with the next subscription.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::script::Slot;

/// The bells of this process. They are as many as it runs loops.
#[derive(Debug, Default)]
pub(super) struct Bells {
    bells: Mutex<BTreeMap<String, Bell>>,
    /// Counts what makes connections look again whether they are subscribed to the right channels.
    version: AtomicU64,
}

#[derive(Debug)]
struct Bell {
    notify: Arc<Notify>,
    slot: Slot,
}

impl Bells {
    /// The bell of `channel`.
    pub(super) fn bell(&self, channel: String, slot: Slot) -> Arc<Notify> {
        let mut bells = self.lock();
        if let Some(bell) = bells.get(&channel) {
            return Arc::clone(&bell.notify);
        }
        bells.retain(|_, bell| Arc::strong_count(&bell.notify) > 1);
        let notify = Arc::new(Notify::new());
        let bell = Bell {
            notify: Arc::clone(&notify),
            slot,
        };
        bells.insert(channel, bell);
        drop(bells);
        self.look_again();
        notify
    }

    /// Rings the bell of `channel`; says whether there is one.
    pub(super) fn ring(&self, channel: &str) -> bool {
        match self.lock().get(channel) {
            Some(bell) => {
                bell.notify.notify_one();
                true
            }
            None => false,
        }
    }

    /// The channels that a node is to be listened to for.
    pub(super) fn channels(&self, is_there: impl Fn(Slot) -> bool) -> BTreeSet<String> {
        let bells = self.lock();
        let there = bells.iter().filter(|(_, bell)| is_there(bell.slot));
        there.map(|(channel, _)| channel.clone()).collect()
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Makes every connection compare its subscriptions with what they should be.
    pub(super) fn look_again(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bell>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bells_that_nobody_holds_are_dropped() {
        let bells = Bells::default();
        let kept = bells.bell("kept".to_owned(), Slot(1));
        drop(bells.bell("left".to_owned(), Slot(1)));
        let before = bells.version();
        let other = bells.bell("other".to_owned(), Slot(2));
        assert!(bells.version() > before, "connections look again");
        let all = bells.channels(|_| true);
        assert_eq!(
            all.into_iter().collect::<Vec<_>>(),
            ["kept", "other"].map(String::from)
        );
        assert!(bells.ring("kept") && !bells.ring("left"));
        assert_eq!(bells.channels(|slot| slot == Slot(2)).len(), 1);
        drop((kept, other));
    }
}
