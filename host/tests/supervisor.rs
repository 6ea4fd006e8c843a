//! One scheduler that can't be kept, beside others that can.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use maestro::catalog::Catalog;
use maestro::cluster::local::{self, Local, Program};
use maestro::control;
use maestro::registry::clock;
use maestro::registry::memory::Memory;
use maestro::registry::{Cursor, Registry};
use maestro::store::Store;
use maestro::store::schedulers::{Draft, ManagedBy};
use maestro::supervisor::{Journal, Supervisor};
use maestro::tasks::{Kind, Tasks};
use maestro_core::names::SchedulerName;
use maestro_engine::{Compiler, Engine, Evaluator};
use maestro_wire::document;
use tokio::sync::Notify;

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
        managed_by: ManagedBy::Api,
    };
    store.create_scheduler(&draft, (clock::system())()).await.unwrap();
}

async fn supervisor(folder: &Path, store: &Store, tasks: &Tasks) -> (Supervisor, Arc<Memory>) {
    let engine = Engine::new(maestro_engine::Config {
        cache_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies"),
        compiler: Compiler {
            program: maestro().into(),
            args: vec!["compile-policy".into()],
        },
    });
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
        catalog: Arc::new(Catalog::new(engine.unwrap(), store.clone()).await.unwrap()),
        deps: control::Deps {
            registry: registry.clone(),
            cluster: Arc::new(Local::new(cluster).unwrap()),
            evaluator: Evaluator::pool().unwrap(),
            holder: "test".to_owned(),
            seed: 0,
            token: Arc::new(|_, _| String::new()),
            clock: clock::system(),
            settings: control::Settings::default(),
        },
        wall: clock::system(),
        known: Arc::default(),
        tasks: tasks.clone(),
        changed: Arc::new(Notify::new()),
        journal: records,
    };
    (supervisor, registry)
}

#[tokio::test]
async fn one_unreadable_document_keeps_no_other_scheduler_from_its_loop() {
    let (folder, tasks) = (tempfile::tempdir().unwrap(), Tasks::new());
    let store = Store::in_memory().await.unwrap();
    put(&store, "broken", "of another release").await;
    put(&store, "pong", &text("pong")).await;
    let (supervisor, registry) = supervisor(folder.path(), &store, &tasks).await;
    tasks.spawn(Kind::Supervisor, supervisor.run(tasks.stop_token()));
    let decided = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            let pong = registry.changes(&name("pong"), Cursor::START).await.unwrap();
            if pong.state.is_some() {
                return;
            }
        }
    };
    let decided = tokio::time::timeout(Duration::from_secs(30), decided).await;
    assert!(decided.is_ok(), "the loop of pong never began");
    let broken = registry.changes(&name("broken"), Cursor::START).await.unwrap();
    assert_eq!(broken.state, None);
    tasks.stop(Duration::from_secs(30)).await.unwrap();
}
