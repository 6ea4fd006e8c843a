//! The in-process registry keeps every promise of a registry.
#![expect(clippy::unwrap_used, reason = "a bench that can't be set up fails its test")]

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock};

use async_trait::async_trait;
use futures::FutureExt;
use maestro::registry::contract::{self, Harness, Outcome};
use maestro::registry::{Clock, Memory, Registry};
use maestro_core::time::{Span, Timestamp};
use tokio::sync::Notify;

struct Bench {
    now: Arc<AtomicI64>,
    registry: RwLock<Arc<Memory>>,
}

impl Bench {
    fn new() -> Self {
        let now = Arc::new(AtomicI64::new(1_700_000_000_000));
        let registry = RwLock::new(Arc::new(memory(&now)));
        Self { now, registry }
    }
}

fn memory(now: &Arc<AtomicI64>) -> Memory {
    let now = Arc::clone(now);
    let clock: Clock = Arc::new(move || Timestamp::from_ms(now.load(Ordering::SeqCst)));
    Memory::new(clock)
}

#[async_trait]
impl Harness for Bench {
    fn registry(&self) -> Arc<dyn Registry> {
        self.registry.read().unwrap().clone()
    }

    fn pass(&self, span: Span) {
        let ms = i64::try_from(span.ms()).unwrap();
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    async fn lose(&self) {
        *self.registry.write().unwrap() = Arc::new(memory(&self.now));
    }

    async fn is_woken(&self, nudges: &Notify) -> bool {
        nudges.notified().now_or_never().is_some()
    }
}

macro_rules! promises {
    ($($check:ident in $part:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() -> Outcome {
                contract::$check(&Bench::new()).await
            }
        )*
    };
}

maestro::registry_checks!(promises);

/// They leave each other alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_them_one_after_the_other() -> Outcome {
    contract::all(&Bench::new()).await
}
