//! The copies of definitions that this worker keeps in the registry, for whoever starts while the store is away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use maestro_core::names::SchedulerName;

use crate::registry::Registry;
use crate::store::copy;
use crate::store::schedulers::Stored;

/// Copies are written anew after this time: a registry that failed over may have an older one.
const AGAIN: Duration = Duration::from_secs(60);

/// The copies that this worker wrote.
#[derive(Default)]
pub(super) struct Copies {
    written: BTreeMap<SchedulerName, (Stored, Instant)>,
}

impl Copies {
    /// Begins a look: forgets what is no longer kept here, and what the registry lost meanwhile.
    pub(super) async fn begin(&mut self, registry: &dyn Registry, is_ours: impl Fn(&SchedulerName) -> bool) {
        self.written.retain(|name, _| is_ours(name));
        if self.written.is_empty() {
            return;
        }
        match registry.copied().await {
            Ok(copied) => self.written.retain(|name, _| copied.contains(name)),
            // It is asked again at the next look.
            Err(error) => tracing::debug!("which copies there are was not told: {error}"),
        }
    }

    /// Has a copy of a scheduler in the registry. One that can't be written is tried again at the next look.
    pub(super) async fn keep(&mut self, registry: &dyn Registry, stored: &Stored) {
        let is_fresh = |(written, at): &(Stored, Instant)| written == stored && at.elapsed() < AGAIN;
        if self.written.get(&stored.name).is_some_and(is_fresh) {
            return;
        }
        match registry
            .keep_copy(&stored.name, Some(&copy::encode(stored)))
            .await
        {
            Ok(()) => {
                let name = stored.name.clone();
                self.written.insert(name, (stored.clone(), Instant::now()));
            }
            Err(error) => {
                tracing::debug!(scheduler.name = %stored.name, "{}: no copy was kept: {error}", stored.name);
            }
        }
    }
}
