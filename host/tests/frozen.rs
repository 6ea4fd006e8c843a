//! A PostgreSQL server that freezes with its connections open: whatever a call is at then, it ends, and what the next one
//! writes after the thaw is kept.
//!
//! A proxy of this test's own stands between the store and the testbed's server. Frozen it takes what comes, passes nothing on
//! and closes nothing, as a network does that swallows everything, or a server that is stopped.
#![cfg(feature = "testbed")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "shared/database.rs"]
mod database;

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use maestro::store::samples::Segment;
use maestro::store::{Error, Store, postgres};
use maestro_core::names::SchedulerName;
use maestro_core::time::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use database::Database;

/// The longest that a call may take here: every moment to freeze at costs so long, and a call of a server that works has to do
/// with it, on two cores that may be shared with a compiler.
const LIMIT: Duration = Duration::from_secs(2);

/// Within this a call has ended whose limit is that, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether the proxy is frozen, and what makes it so.
struct Ice {
    is_frozen: watch::Sender<bool>,
    /// It freezes when this is on its way.
    word: Mutex<Option<&'static str>>,
}

impl Ice {
    fn new() -> Self {
        Self {
            is_frozen: watch::Sender::new(false),
            word: Mutex::new(None),
        }
    }

    /// Passes on what comes over all connections.
    async fn pass_all(self: Arc<Self>, listener: TcpListener, server: String) {
        while let Ok((client, _)) = listener.accept().await {
            let (ice, server) = (Arc::clone(&self), server.clone());
            tokio::spawn(async move {
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = TcpStream::connect(server).await.unwrap().into_split();
                // A side that is gone ends its own direction.
                drop(tokio::join!(
                    ice.pass(from_client, to_server),
                    ice.pass(from_server, to_client)
                ));
            });
        }
    }

    async fn pass(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let count = from.read(&mut bytes).await?;
            if count == 0 {
                return to.shutdown().await;
            }
            self.hear(&bytes[..count]);
            self.thawed().await;
            to.write_all(&bytes[..count]).await?;
        }
    }

    /// Freezes if this is what it was told to freeze at.
    fn hear(&self, bytes: &[u8]) {
        let mut word = self.word.lock().unwrap();
        let is_said = |word: &&str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
        if word.as_ref().is_some_and(is_said) {
            *word = None;
            self.is_frozen.send_replace(true);
        }
    }

    async fn thawed(&self) {
        let mut is_frozen = self.is_frozen.subscribe();
        let waited = is_frozen.wait_for(|is_frozen| !is_frozen).await;
        assert!(waited.is_ok(), "who says so lives as long as this");
    }

    /// Freezes at once, or as soon as this word is on its way, which is then held back.
    fn freeze(&self, at: Option<&'static str>) {
        match at {
            Some(_) => *self.word.lock().unwrap() = at,
            None => {
                self.is_frozen.send_replace(true);
            }
        }
    }

    fn thaw(&self) {
        self.is_frozen.send_replace(false);
    }
}

/// A server, by a proxy and without.
struct Bench {
    database: Database,
    ice: Arc<Ice>,
    /// Where the proxy is.
    place: String,
    /// A store that does not know the proxy.
    plain: Store,
}

impl Bench {
    async fn new() -> Self {
        let database = Database::new().await;
        let plain = postgres::Config::parse(&database.place, 4).unwrap();
        let plain = Store::on_server(plain).unwrap();
        plain.migrate().await.unwrap();

        let (user, rest) = database.place.split_once('@').unwrap();
        let (server, rest) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = format!("{user}@{}/{rest}", listener.local_addr().unwrap());
        let ice = Arc::new(Ice::new());
        tokio::spawn(Arc::clone(&ice).pass_all(listener, server.to_owned()));
        Self {
            database,
            ice,
            place,
            plain,
        }
    }

    /// A store behind the proxy. Statements are spelled out only once over each connection, so that each moment gets one of its
    /// own.
    fn store(&self) -> Store {
        let config = postgres::Config::parse(&self.place, 4).unwrap();
        Store::on_server(config.with_limit(LIMIT)).unwrap()
    }

    /// Freezes during this call, and thaws after its end.
    async fn freeze_during<T: Debug>(
        &self,
        at: Option<&'static str>,
        call: impl Future<Output = Result<T, Error>>,
    ) {
        self.ice.freeze(at);
        let ended = timeout(PATIENCE, call).await;
        let error = ended.expect("a call ends").expect_err("it had no answer");
        assert!(error.is_outage() && error.is_retryable(), "{at:?}: {error:?}");
        assert!(*self.ice.is_frozen.borrow(), "nobody said {at:?}: {error:?}");
        self.ice.thaw();
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn segment(ms: i64) -> Segment {
    Segment {
        since: at(ms),
        at: at(ms),
        bytes: vec![1],
    }
}

/// A call that is given up as it begins its transaction is the worst: the server begins it after the thaw, and nobody would
/// end it. So the next call is one without a transaction of its own, over the only connection that writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_ends_and_what_the_next_one_writes_is_kept() {
    let bench = Bench::new().await;
    let [before, after] = ["before", "after"].map(|name| SchedulerName::parse(name).unwrap());
    let moments = [
        // The connection is at rest, and tested before it is given out.
        None,
        Some("BEGIN"),
        Some("SET TRANSACTION"),
        Some("pg_advisory_xact_lock"),
        Some("INSERT"),
        Some("COMMIT"),
    ];
    for (ms, moment) in (0..).zip(moments) {
        let store = bench.store();
        store.append_segment(&before, &segment(ms)).await.unwrap();
        let node = format!("node-{ms}");
        let change = store.drain_node(&node, at(ms));
        bench.freeze_during(moment, change).await;
        store.append_segment(&after, &segment(ms)).await.unwrap();
        let kept = bench.plain.segments(&after, at(ms), at(ms)).await.unwrap();
        assert_eq!(kept, [segment(ms)], "{moment:?}");
    }
    bench.database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_ends_and_the_next_one_sees_what_there_is() {
    let bench = Bench::new().await;
    bench.plain.drain_node("one", at(1)).await.unwrap();
    let moments = [
        None,
        Some("BEGIN"),
        Some("REPEATABLE READ"),
        Some("FROM \"schedulers\""),
    ];
    for moment in moments {
        let store = bench.store();
        store.ping().await.unwrap();
        bench.freeze_during(moment, store.schedulers()).await;
        assert_eq!(store.schedulers().await.unwrap(), [], "{moment:?}");
        assert_eq!(store.drained_nodes().await.unwrap().len(), 1, "{moment:?}");
    }
    bench.database.remove().await;
}
