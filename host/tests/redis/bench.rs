//! A registry on a real server, with names of its own there, so that tests run beside each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use maestro::registry::contract::Harness;
use maestro::registry::redis::{Config, Redis};
use maestro::registry::{Call, Cursor, Fence, Registry, Seen};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::report::{Report, Reported};
use maestro_core::room::{Address, OpenPort, Phase};
use maestro_core::scheduler::Protocol;
use maestro_core::time::{Span, Timestamp};
use tokio::sync::Notify;

/// As long as anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Most rooms that a test has.
pub(crate) const MOST: u32 = 5_000;

/// Longer than any test takes.
pub(crate) const LEASE: Span = Span::from_secs(100_000);

/// A registry under test.
pub(crate) struct Bench {
    pub(crate) redis: Arc<Redis>,
    pub(crate) config: Config,
    pub(crate) offset: Arc<AtomicI64>,
    /// Schedulers on every node. What is sent to their bells arrives after all that was sent before.
    last: Vec<(SchedulerName, Arc<Notify>)>,
}

/// The addresses in a variable that the testbed sets.
pub(crate) fn addresses(variable: &str) -> Vec<String> {
    let text = std::env::var(variable);
    let text = text.unwrap_or_else(|_| panic!("{variable} is not set: run `deploy/testbed/up`"));
    text.split(',').map(str::to_owned).collect()
}

/// Names that no other test has, and no earlier run.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
    format!(
        "test-{}-{now}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

impl Bench {
    pub(crate) async fn single() -> Self {
        Self::at(Config::new(addresses("MAESTRO_TESTBED_REDIS"))).await
    }

    pub(crate) async fn cluster() -> Self {
        Self::at(Config::new(addresses("MAESTRO_TESTBED_REDIS_CLUSTER"))).await
    }

    pub(crate) async fn at(config: Config) -> Self {
        let offset = Arc::new(AtomicI64::new(0));
        let config = Config {
            prefix: prefix(),
            ..config
        };
        let redis = Redis::connect_at(config.clone(), Arc::clone(&offset)).await;
        let redis = Arc::new(redis.expect("the testbed's servers are up"));
        // So many names lie on all of three nodes.
        let names = (0..24).map(|number| name(&format!("last-{number}")));
        let mut last = Vec::new();
        for name in names {
            let bell = redis.nudges(&name);
            // A call subscribes.
            redis.rooms(&name).await.expect("it is up");
            last.push((name, bell));
        }
        Self {
            redis,
            config,
            offset,
            last,
        }
    }

    /// What another process has.
    pub(crate) async fn another(&self) -> Redis {
        let redis = Redis::connect_at(self.config.clone(), Arc::clone(&self.offset)).await;
        redis.expect("the first one is connected")
    }

    /// All keys of this bench, on all nodes.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for url in &self.config.urls {
            let mut node = plain(url).await;
            keys.extend(scan(&mut node, &self.config.prefix).await);
        }
        keys.sort_unstable();
        keys
    }
}

#[async_trait]
impl Harness for Bench {
    fn registry(&self) -> Arc<dyn Registry> {
        Arc::<Redis>::clone(&self.redis)
    }

    fn pass(&self, span: Span) {
        let ms = i64::try_from(span.ms()).unwrap();
        self.offset.fetch_add(ms, Ordering::SeqCst);
    }

    async fn lose(&self) {
        for url in &self.config.urls {
            let mut node = plain(url).await;
            for key in scan(&mut node, &self.config.prefix).await {
                let () = redis::cmd("UNLINK")
                    .arg(key)
                    .query_async(&mut node)
                    .await
                    .unwrap();
            }
        }
    }

    async fn is_woken(&self, nudges: &Notify) -> bool {
        for (name, _) in &self.last {
            self.redis.nudge(name);
        }
        for (name, bell) in &self.last {
            let rung = tokio::time::timeout(PATIENCE, bell.notified()).await;
            assert!(rung.is_ok(), "{name} was not woken");
        }
        nudges.notified().now_or_never().is_some()
    }
}

/// A connection to one server, without anything of ours.
pub(crate) async fn plain(url: &str) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(url).unwrap();
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .unwrap()
}

async fn scan(node: &mut redis::aio::MultiplexedConnection, prefix: &str) -> Vec<String> {
    let (mut cursor, mut keys) = (0_u64, Vec::new());
    loop {
        let (next, found): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(format!("{prefix}:*"))
            .arg("COUNT")
            .arg(1_000)
            .query_async(node)
            .await
            .unwrap();
        keys.extend(found);
        if next == 0 {
            return keys;
        }
        cursor = next;
    }
}

/// Looks again and again until there is something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

pub(crate) fn name(text: &str) -> SchedulerName {
    SchedulerName::parse(text).unwrap()
}

pub(crate) fn report(status: Reported, sent_at: Timestamp) -> Call {
    Call::Report {
        report: Report {
            status,
            sent_at,
            metadata: Some("{\"map\":\"a\"}".to_owned()),
            running_matches: None,
            capacity: None,
        },
        authentic: true,
        version: Version::FIRST,
    }
}

pub(crate) fn running() -> Seen {
    Seen {
        phase: Phase::Running {
            since: Timestamp::from_ms(1),
        },
        node: None,
        leaving: None,
        node_lost: false,
        addresses: vec![Address {
            kind: "InternalIP".to_owned(),
            family: "IPv4".to_owned(),
            host: "127.0.0.1".to_owned(),
        }],
        ports: vec![OpenPort {
            name: "game".to_owned(),
            protocol: Protocol::Udp,
            port: 5_000,
        }],
    }
}

/// A scheduler with so many rooms that are ready and reachable, and its lease.
pub(crate) async fn fleet(redis: &Redis, scheduler: &SchedulerName, rooms: u32) -> (Fence, Vec<RoomId>) {
    let fence = redis.acquire(scheduler, "test", LEASE).await.unwrap().unwrap();
    let now = redis.changes(scheduler, Cursor::START).await.unwrap().now;
    redis.set_epoch(&fence, Some(now)).await.unwrap();
    let ids: Vec<RoomId> = (0..rooms).map(|suffix| RoomId::new(scheduler, suffix)).collect();
    let names: Vec<_> = ids.iter().map(|id| (id.clone(), Version::FIRST)).collect();
    redis.reserve(&fence, &names, MOST).await.unwrap();
    for id in &ids {
        redis.observe(&fence, id, running()).await.unwrap();
        redis
            .report(scheduler, id, report(Reported::Ready, now))
            .await
            .unwrap();
    }
    (fence, ids)
}
