//! Schedulers beside each other: one that can't be kept, one whose policy takes its time, one that is deleted.

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
use std::time::Duration;

use maestro::catalog::Catalog;
use maestro::cluster::local::{self, Local, Program};
use maestro::control;
use maestro::registry::clock;
use maestro::registry::memory::Memory;
use maestro::registry::{Call, Cursor, Registry, Standing};
use maestro::store::Store;
use maestro::store::policies::Deployed;
use maestro::store::schedulers::{Draft, ManagedBy};
use maestro::supervisor::{Journal, Supervisor};
use maestro::tasks::{Kind, Tasks};
use maestro_core::names::{Digest, PolicyName, RoomId, SchedulerName, Version};
use maestro_core::report::{Report, Reported};
use maestro_core::time::Span;
use maestro_engine::{Compiler, Engine, Evaluator, package};
use maestro_wire::document;
use rustix::fs::{FileType, Mode, OFlags};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use eventually::{PATIENCE, eventually};

fn maestro() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_maestro"))
}

fn text(name: &str) -> String {
    format!("name: {name}\ngame: test\nimage: none\nautoscaling: {{min: 0, max: 2}}\n")
}

fn name(name: &str) -> SchedulerName {
    SchedulerName::parse(name).unwrap()
}

/// Stores a scheduler with this document, whatever it says.
async fn put(store: &Store, name: &str, document: &str) {
    let read = document::read(&text(name)).unwrap().remove(0);
    let draft = Draft {
        scheduler: &read.scheduler,
        document,
        digests: &BTreeMap::new(),
        deployed: &[],
        managed_by: ManagedBy::Api,
    };
    store.create_scheduler(&draft, (clock::system())()).await.unwrap();
}

fn engine(program: &Path, args: &[&str]) -> Arc<Engine> {
    let config = maestro_engine::Config {
        cache_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies"),
        compiler: Compiler {
            program: program.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        },
    };
    Engine::new(config).unwrap()
}

fn proper_engine() -> Arc<Engine> {
    engine(maestro(), &["compile-policy"])
}

async fn supervisor(
    folder: &Path,
    store: &Store,
    tasks: &Tasks,
    engine: Arc<Engine>,
) -> (Supervisor, Arc<Memory>) {
    let registry = Arc::new(Memory::new(clock::system()));
    let cluster = local::Config {
        folder: folder.to_owned(),
        ports: local::PORTS,
        advertise_host: "127.0.0.1".to_owned(),
        api_url: "http://127.0.0.1:9".to_owned(),
        program: Program::Document,
        survive: false,
        log_bytes: 1 << 20,
        measure_every: Duration::from_secs(1),
        maestro: maestro().into(),
        host_env: BTreeMap::new(),
    };
    let (journal, records) = Journal::new(store.clone(), clock::system());
    let patience = Duration::from_secs(10);
    tasks.spawn(Kind::Journal, journal.run(tasks.stop_token(), patience));
    let supervisor = Supervisor {
        store: store.clone(),
        catalog: Arc::new(Catalog::new(engine, store.clone()).await.unwrap()),
        deps: control::Deps {
            registry: registry.clone(),
            cluster: Arc::new(Local::new(cluster).unwrap()),
            evaluator: Evaluator::pool().unwrap(),
            holder: "test".to_owned(),
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
    (supervisor, registry)
}

/// What the loop of a scheduler keeps; `None` before its first step.
async fn state(registry: &Memory, scheduler: &str) -> Option<Standing> {
    let changes = registry.changes(&name(scheduler), Cursor::START).await.unwrap();
    changes.standing
}

#[tokio::test]
async fn one_unreadable_document_keeps_no_other_scheduler_from_its_loop() {
    let (folder, tasks) = (tempfile::tempdir().unwrap(), Tasks::new());
    let store = Store::in_memory().await.unwrap();
    put(&store, "broken", "of another release").await;
    put(&store, "pong", &text("pong")).await;
    let (supervisor, registry) = supervisor(folder.path(), &store, &tasks, proper_engine()).await;
    tasks.spawn(Kind::Supervisor, supervisor.run(tasks.stop_token()));
    eventually("the loop of pong", PATIENCE, async || {
        state(&registry, "pong").await
    })
    .await;
    assert_eq!(state(&registry, "broken").await, None);
    tasks.stop(Duration::from_secs(30)).await.unwrap();
}

/// A policy that no other test compiles, so that no compiled code of it is kept.
fn unheard_of() -> (Deployed, Vec<u8>) {
    let own = format!("1.0.0-{:016x}", rand::random::<u64>());
    let module = format!(
        r#"(module (memory (export "memory") 2)
             (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16384))
             (func (export "maestro:policy/policy@0.1.0#validate") (param i32 i32) (result i32) (i32.const 64))
             (func (export "maestro:policy/policy@0.1.0#evaluate") (param i32) (result i32) unreachable)
             (@custom "maestro-policy" "{{\"name\":\"deep\",\"version\":\"{own}\",\"summary\":\"Deep.\",\"inputs\":[],\"parameters\":{{}}}}"))"#
    );
    let component = package::wrap(&wat::parse_str(module).unwrap()).unwrap();
    let deployed = Deployed {
        name: PolicyName::parse("deep").unwrap(),
        version: own,
        digest: Digest(Sha256::digest(&component).into()),
        class: "native".to_owned(),
        manifest: "{}".to_owned(),
        deployed_at: (clock::system())(),
        size: component.len() as u64,
    };
    (deployed, component)
}

#[tokio::test]
async fn a_policy_that_takes_long_to_compile_holds_up_its_own_scheduler_and_no_other() {
    let (folder, tasks) = (tempfile::tempdir().unwrap(), Tasks::new());
    let store = Store::in_memory().await.unwrap();
    let (deployed, component) = unheard_of();
    store.deploy_policy(&deployed, &component).await.unwrap();
    let deep =
        "name: deep\ngame: test\nimage: none\nautoscaling: {min: 0, max: 2, policies: [{type: deep}]}\n";
    put(&store, "deep", deep).await;
    put(&store, "pong", &text("pong")).await;
    // Once there is a gate, the compiler waits until somebody opens its other end and closes it.
    let gate = folder.path().join("gate");
    let (path, maestro) = (gate.display(), maestro().display());
    let compiler = format!("if [ -p {path} ]; then read -r line < {path}; fi; exec {maestro} compile-policy");
    let engine = engine(Path::new("/bin/sh"), &["-c", &compiler]);
    let (supervisor, registry) = supervisor(folder.path(), &store, &tasks, engine).await;
    rustix::fs::mknodat(rustix::fs::CWD, &gate, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let changed = supervisor.changed.clone();
    tasks.spawn(Kind::Supervisor, supervisor.run(tasks.stop_token()));

    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
    let open = async || rustix::fs::open(&gate, flags, Mode::empty()).ok();
    let opened = eventually("the compiler waits", PATIENCE, open).await;
    eventually("the loop of pong", PATIENCE, async || {
        state(&registry, "pong").await
    })
    .await;
    let before = registry.changes(&name("pong"), Cursor::START).await.unwrap();
    store
        .request_scale(&name("pong"), 1, (clock::system())())
        .await
        .unwrap();
    changed.notify_one();
    eventually("pong is scaled by hand", PATIENCE, async || {
        let state = state(&registry, "pong").await?;
        (state.wanted == 1).then_some(())
    })
    .await;
    assert_eq!(before.standing.unwrap().wanted, 0);
    assert_eq!(
        state(&registry, "deep").await,
        None,
        "its policy is still compiled"
    );

    drop(opened);
    eventually("the loop of deep", PATIENCE, async || {
        state(&registry, "deep").await
    })
    .await;
    tasks.stop(Duration::from_secs(30)).await.unwrap();
}

#[tokio::test]
async fn nothing_is_known_of_a_scheduler_once_it_is_deleted() {
    let (folder, tasks) = (tempfile::tempdir().unwrap(), Tasks::new());
    let store = Store::in_memory().await.unwrap();
    put(&store, "pong", &text("pong")).await;
    let (supervisor, registry) = supervisor(folder.path(), &store, &tasks, proper_engine()).await;
    let (known, changed) = (supervisor.known.clone(), supervisor.changed.clone());
    tasks.spawn(Kind::Supervisor, supervisor.run(tasks.stop_token()));
    eventually("the recovery of pong ends", PATIENCE, async || {
        let changes = registry.changes(&name("pong"), Cursor::START).await.unwrap();
        changes.epoch
    })
    .await;
    assert!(known.get(&name("pong")).is_some());

    let now = (clock::system())();
    let asked = store
        .delete_scheduler(&name("pong"), &ManagedBy::Api, false, now)
        .await;
    asked.unwrap();
    changed.notify_one();
    // A room that goes on calling for as long as the API would let it.
    let room = RoomId::new(&name("pong"), 1);
    let calls = async {
        while known.get(&name("pong")).is_some() {
            let call = Call::Report {
                report: Report {
                    status: Reported::Ready,
                    sent_at: now,
                    metadata: None,
                    running_matches: None,
                    capacity: None,
                },
                authentic: true,
                version: Version::FIRST,
            };
            // Refused while the scheduler is there, because all its rooms are known.
            drop(registry.report(&name("pong"), &room, call).await);
            tokio::task::yield_now().await;
        }
    };
    let forgotten = tokio::time::timeout(Duration::from_secs(30), calls).await;
    forgotten.expect("a scheduler without rooms is deleted at once");
    assert_eq!(store.scheduler(&name("pong")).await.unwrap(), None);
    eventually("the room that called late is gone", PATIENCE, async || {
        let rooms = registry.rooms(&name("pong")).await.unwrap();
        rooms.is_empty().then_some(())
    })
    .await;
    assert_eq!(state(&registry, "pong").await, None);

    // One of the same name begins anew.
    put(&store, "pong", &text("pong")).await;
    changed.notify_one();
    eventually("the loop of the new pong", PATIENCE, async || {
        state(&registry, "pong").await
    })
    .await;
    tasks.stop(Duration::from_secs(30)).await.unwrap();
}

#[tokio::test]
async fn what_is_told_of_a_scheduler_comes_and_goes_with_its_loop() {
    let (folder, tasks) = (tempfile::tempdir().unwrap(), Tasks::new());
    let store = Store::in_memory().await.unwrap();
    put(&store, "pong", &text("pong")).await;
    let (supervisor, registry) = supervisor(folder.path(), &store, &tasks, proper_engine()).await;
    let (metrics, changed) = (supervisor.metrics.clone(), supervisor.changed.clone());
    // Somebody else's lease: its loop stands by, and only says so.
    let lease = Span::from_secs(3);
    let elsewhere = registry.acquire(&name("pong"), "elsewhere", lease).await.unwrap();
    assert!(elsewhere.is_some());
    tasks.spawn(Kind::Supervisor, supervisor.run(tasks.stop_token()));
    let of = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains("scheduler=\"pong\""));
        lines.map(str::to_owned).collect()
    };
    let first = eventually("the loop of pong stands by", PATIENCE, async || {
        let told = of(&metrics.text());
        (!told.is_empty()).then_some(told)
    })
    .await;
    assert!(
        first.contains(&"maestro_lease_held{scheduler=\"pong\"} 0.0".to_owned()),
        "{first:?}"
    );
    assert_eq!(first.len(), 2, "{first:?}");
    let told = eventually("it takes the lease over", PATIENCE, async || {
        let told = of(&metrics.text());
        let has = |line: &str| told.iter().any(|told| told == line);
        (has("maestro_lease_held{scheduler=\"pong\"} 1.0")
            && has("maestro_decisions_total{scheduler=\"pong\",outcome=\"hold\"} 1"))
        .then_some(told)
    })
    .await;
    for line in [
        "maestro_rooms{scheduler=\"pong\",state=\"ready\"} 0.0",
        "maestro_rooms_wanted{scheduler=\"pong\"} 0.0",
        "maestro_rooms_min{scheduler=\"pong\"} 0.0",
        "maestro_scale_in_paused{scheduler=\"pong\"} 0.0",
    ] {
        assert!(told.iter().any(|told| told == line), "{line} in {told:?}");
    }
    assert!(metrics.text().contains("\nmaestro_loops 1\n"));
    assert_eq!(
        metrics.stuck(Duration::ZERO, std::time::Instant::now()),
        Vec::<String>::new()
    );

    let now = (clock::system())();
    let pong = name("pong");
    let asked = store.delete_scheduler(&pong, &ManagedBy::Api, true, now);
    asked.await.unwrap();
    changed.notify_one();
    eventually("nothing is told of it", PATIENCE, async || {
        of(&metrics.text()).is_empty().then_some(())
    })
    .await;
    assert!(metrics.text().contains("\nmaestro_loops 0\n"));
    tasks.stop(Duration::from_secs(30)).await.unwrap();
}
