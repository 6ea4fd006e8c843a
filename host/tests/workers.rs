//! Several workers of one installation: each scheduler is one's at a time, and never nobody's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "shared/eventually_async.rs"]
mod eventually;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maestro::catalog::Catalog;
use maestro::cluster::local::{self, Local, Program};
use maestro::control;
use maestro::known::Known;
use maestro::registry::{Cursor, Memory, Registry, clock};
use maestro::store::Store;
use maestro::store::schedulers::{Draft, ManagedBy};
use maestro::supervisor::{Definitions, Follower, Journal, Supervisor};
use maestro::tasks::{Kind, Tasks};
use maestro_core::names::SchedulerName;
use maestro_core::placement;
use maestro_engine::{Compiler, Engine, Evaluator};
use maestro_wire::document;
use tempfile::TempDir;
use tokio::sync::Notify;

use eventually::{PATIENCE, eventually};

/// What the workers of an installation share.
struct Installation {
    store: Store,
    registry: Arc<Memory>,
    cluster: Arc<Local>,
    catalog: Arc<Catalog>,
    folder: TempDir,
}

struct Worker {
    tasks: Tasks,
    changed: Arc<Notify>,
    known: Arc<Known>,
}

impl Installation {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let maestro = Path::new(env!("CARGO_BIN_EXE_maestro"));
        let cluster = Local::new(local::Config {
            folder: folder.path().to_owned(),
            ports: local::PORTS,
            advertise_host: "127.0.0.1".to_owned(),
            api_url: "http://127.0.0.1:9".to_owned(),
            program: Program::Document,
            survive: false,
            log_bytes: 1 << 20,
            measure_every: Duration::from_secs(1),
            maestro: maestro.into(),
            host_env: BTreeMap::new(),
        });
        let engine = Engine::new(maestro_engine::Config {
            cache_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies"),
            compiler: Compiler {
                program: maestro.to_owned(),
                args: vec!["compile-policy".to_owned()],
            },
        });
        let store = open(&folder).await;
        Self {
            catalog: Arc::new(Catalog::new(engine.unwrap(), store.clone()).await.unwrap()),
            store,
            registry: Arc::new(Memory::new(clock::system())),
            cluster: Arc::new(cluster.unwrap()),
            folder,
        }
    }

    /// Begins a worker on this store, which may be another one than the installation's.
    fn work(&self, name: &str, store: &Store) -> Worker {
        let tasks = Tasks::new();
        let (journal, records) = Journal::new(store.clone(), clock::system());
        tasks.spawn(Kind::Journal, journal.run(tasks.stop_token(), PATIENCE));
        let supervisor = Supervisor {
            store: store.clone(),
            catalog: self.catalog.clone(),
            deps: control::Deps {
                registry: self.registry.clone(),
                cluster: self.cluster.clone(),
                evaluator: Evaluator::pool().unwrap(),
                holder: name.to_owned(),
                seed: 0,
                token: Arc::new(|_, _| String::new()),
                clock: clock::system(),
                drained: control::Drained::default(),
                settings: control::Settings::default(),
            },
            wall: clock::system(),
            known: Arc::default(),
            tasks: tasks.clone(),
            changed: Arc::new(Notify::new()),
            journal: records,
            metrics: Arc::default(),
        };
        let worker = Worker {
            tasks: tasks.clone(),
            changed: supervisor.changed.clone(),
            known: supervisor.known.clone(),
        };
        tasks.spawn(Kind::Supervisor, supervisor.run(tasks.stop_token()));
        worker
    }

    async fn put(&self, name: &SchedulerName) {
        let text = format!("name: {name}\ngame: test\nimage: none\nautoscaling: {{min: 0, max: 2}}\n");
        let read = document::read(&text).unwrap().remove(0);
        let draft = Draft {
            scheduler: &read.scheduler,
            document: &text,
            digests: &BTreeMap::new(),
            deployed: &[],
            managed_by: ManagedBy::Api,
        };
        let now = (clock::system())();
        self.store.create_scheduler(&draft, now).await.unwrap();
    }

    /// Whether somebody has this scheduler's lease.
    async fn is_held(&self, scheduler: &SchedulerName) -> bool {
        let lease = control::Settings::default().lease;
        match self.registry.acquire(scheduler, "nobody", lease).await.unwrap() {
            Some(taken) => {
                self.registry.release(&taken).await.unwrap();
                false
            }
            None => true,
        }
    }

    /// Whether `holder` is the one who has it.
    async fn is_held_by(&self, holder: &str, scheduler: &SchedulerName) -> bool {
        let lease = control::Settings::default().lease;
        // Renews it, as its holder does.
        self.is_held(scheduler).await
            && self
                .registry
                .acquire(scheduler, holder, lease)
                .await
                .unwrap()
                .is_some()
    }

    /// Waits until each scheduler has its copy.
    async fn copied(&self) {
        eventually("each scheduler has a copy", PATIENCE, async || {
            let copied = self.registry.copied().await.unwrap();
            (copied.len() == names().len()).then_some(())
        })
        .await;
    }

    async fn wanted(&self, scheduler: &SchedulerName) -> Option<u32> {
        let changes = self.registry.changes(scheduler, Cursor::START).await.unwrap();
        changes.standing.map(|standing| standing.wanted)
    }
}

/// The installation's store over connections of its own, as another process has.
async fn open(folder: &TempDir) -> Store {
    Store::open(&folder.path().join("maestro.db")).await.unwrap()
}

fn names() -> Vec<SchedulerName> {
    let name = |n| SchedulerName::parse(&format!("game-{n}")).unwrap();
    (0..12).map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedulers_are_shared_out_and_move_at_once_when_a_worker_ends() {
    let installation = Installation::new().await;
    for name in names() {
        installation.put(&name).await;
    }
    let theirs = open(&installation.folder).await;
    let (one, two) = (
        installation.work("one", &installation.store),
        installation.work("two", &theirs),
    );
    // Each holds its own, which the names of workers and scheduler say, and the other does not.
    for name in names() {
        let keeper = placement::keeper(&name, ["one", "two"]).unwrap();
        eventually("its keeper runs its loop", PATIENCE, async || {
            installation.wanted(&name).await?;
            installation.is_held_by(keeper, &name).await.then_some(())
        })
        .await;
    }
    one.tasks.stop(PATIENCE).await.unwrap();
    for name in names() {
        let now = (clock::system())();
        installation.store.request_scale(&name, 1, now).await.unwrap();
    }
    two.changed.notify_one();
    // None of the leases ran out meanwhile: they last longer than the patience of this.
    eventually(
        "the other one acts for all",
        Duration::from_secs(10),
        async || {
            for name in names() {
                if installation.wanted(&name).await != Some(1) {
                    two.changed.notify_one();
                    return None;
                }
            }
            Some(())
        },
    )
    .await;
    two.tasks.stop(PATIENCE).await.unwrap();
}

/// Nobody listens there.
fn away() -> Store {
    use maestro::store::postgres;
    let away = postgres::Config::parse("postgres://nobody@127.0.0.1:1/none", 4).unwrap();
    Store::on_server(away).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_and_an_api_that_start_while_the_store_is_away_go_on_from_copies() {
    let installation = Installation::new().await;
    for name in names() {
        installation.put(&name).await;
    }
    let first = installation.work("first", &installation.store);
    installation.copied().await;
    first.tasks.stop(PATIENCE).await.unwrap();

    let second = installation.work("second", &away());
    for name in names() {
        eventually("the scheduler is kept again", PATIENCE, async || {
            installation.is_held(&name).await.then_some(())
        })
        .await;
    }
    assert_eq!(second.known.names(), sorted());
    second.tasks.stop(PATIENCE).await.unwrap();

    let (known, tasks) = (Arc::<Known>::default(), Tasks::new());
    let follower = Follower {
        definitions: Definitions::new(away(), installation.registry.clone(), known.clone()),
        changed: Arc::new(Notify::new()),
    };
    tasks.spawn(Kind::Follower, follower.run(tasks.stop_token()));
    eventually("the API knows all schedulers", PATIENCE, async || {
        (known.names() == sorted()).then_some(())
    })
    .await;
    tasks.stop(PATIENCE).await.unwrap();
}

/// A registry that was emptied gets its copies back with the next look, and so does whoever began in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_that_the_registry_lost_come_back_at_once() {
    let installation = Installation::new().await;
    for name in names() {
        installation.put(&name).await;
    }
    let first = installation.work("first", &installation.store);
    installation.copied().await;
    for name in names() {
        installation.registry.keep_copy(&name, None).await.unwrap();
    }
    let (known, since) = (Arc::<Known>::default(), Instant::now());
    let mut late = Definitions::new(away(), installation.registry.clone(), known.clone());
    assert!(late.read().await.is_err());
    installation.copied().await;
    let took = since.elapsed();
    // Far less than the minute after which each is written anew in any case.
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(late.read().await.is_err());
    assert_eq!(known.names(), sorted());
    first.tasks.stop(PATIENCE).await.unwrap();
}

/// Takes a minute, because nothing moves for a store that is away for less.
#[cfg(feature = "testbed")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_without_the_store_kept_is_kept_by_one_that_has_it() {
    let installation = Installation::new().await;
    for name in names() {
        installation.put(&name).await;
    }
    let theirs = open(&installation.folder).await;
    let (one, two) = (
        installation.work("one", &installation.store),
        installation.work("two", &theirs),
    );
    let is_theirs = |name: &SchedulerName| placement::keeper(name, ["one", "two"]) == Some("two");
    let share: Vec<SchedulerName> = names().into_iter().filter(is_theirs).collect();
    for name in &share {
        eventually("the other one keeps its share", PATIENCE, async || {
            installation.wanted(name).await?;
            installation.is_held_by("two", name).await.then_some(())
        })
        .await;
    }
    theirs.close().await.unwrap();

    // It hears neither of what is created from now on, nor of what is asked for.
    let mut made_up = (0..).map(|n| SchedulerName::parse(&format!("new-{n}")).unwrap());
    let new = made_up.find(is_theirs).unwrap();
    installation.put(&new).await;
    for name in share.iter().chain([&new]) {
        let now = (clock::system())();
        installation.store.request_scale(name, 1, now).await.unwrap();
    }
    eventually("the new scheduler has a room", 3 * PATIENCE, async || {
        let rooms = installation.registry.rooms(&new).await.unwrap();
        (!rooms.is_empty()).then_some(())
    })
    .await;
    for name in share.iter().chain([&new]) {
        eventually("the one with the store acts for it", PATIENCE, async || {
            (installation.wanted(name).await == Some(1)).then_some(())
        })
        .await;
        assert!(installation.is_held_by("one", name).await, "{name}");
    }
    two.tasks.stop(PATIENCE).await.unwrap();
    one.tasks.stop(PATIENCE).await.unwrap();
}

fn sorted() -> Vec<SchedulerName> {
    let mut names = names();
    names.sort();
    names
}
