//! The bundled example room as a real process of the local cluster, speaking to an HTTP server on loopback.
#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

#[path = "shared/eventually_async.rs"]
mod eventually;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::put;
use axum::{Json, Router};
use maestro::cluster::contract;
use maestro::cluster::local::{Config, Local, Program};
use maestro::cluster::{Cluster, Object, Order, Usage};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::room::Phase;
use maestro_core::scheduler::{PortRange, Scheduler};
use maestro_core::time::Span;
use serde_json::{Value, json};

use eventually::{PATIENCE, eventually};

/// What rooms said, and what they are told.
#[derive(Default)]
struct Heard {
    /// Each status once per change.
    words: Mutex<Vec<String>>,
    is_draining: AtomicBool,
}

async fn hear(
    State(heard): State<Arc<Heard>>,
    Path((_scheduler, _room, _route)): Path<(String, String, String)>,
    Json(report): Json<Value>,
) -> Json<Value> {
    let word = report["status"].as_str().unwrap().to_owned();
    let mut words = heard.words.lock().unwrap();
    if words.last() != Some(&word) {
        words.push(word);
    }
    Json(json!({ "success": true, "draining": heard.is_draining.load(Ordering::SeqCst) }))
}

/// One example room that has reported ready.
struct Stage {
    heard: Arc<Heard>,
    local: Local,
    scheduler: Scheduler,
    room: RoomId,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn set(ports: u16, args: &[&str]) -> Self {
        let heard = Arc::new(Heard::default());
        let router = Router::new().route("/scheduler/{scheduler}/rooms/{room}/{route}", put(hear));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api_url = format!("http://{}", listener.local_addr().unwrap());
        let router = router.with_state(heard.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async { axum::serve(listener, router).await.unwrap() });
        });
        let folder = tempfile::tempdir().unwrap();
        let local = Local::new(Config {
            folder: folder.path().to_owned(),
            ports: PortRange {
                start: ports,
                end: ports + 49,
            },
            advertise_host: "127.0.0.1".to_owned(),
            api_url,
            program: Program::Example {
                args: ["--ready-after", "0s", "--ping-every", "100ms"]
                    .iter()
                    .chain(args)
                    .map(|a| (*a).to_owned())
                    .collect(),
            },
            survive: false,
            log_bytes: 1 << 20,
            measure_every: Duration::from_millis(250),
            maestro: PathBuf::from(env!("CARGO_BIN_EXE_maestro")),
            host_env: BTreeMap::new(),
        })
        .unwrap();
        let scheduler = contract::scheduler(&SchedulerName::parse("hello").unwrap(), Vec::new());
        let room = RoomId::new(&scheduler.name, 1);
        let order = Order {
            room: room.clone(),
            version: Version::FIRST,
            token: "secret".to_owned(),
            avoid: Vec::new(),
        };
        local.create(&scheduler, &order).await.unwrap();
        let stage = Self {
            heard,
            local,
            scheduler,
            room,
            _folder: folder,
        };
        stage.hears(&["ready"]).await;
        stage
    }

    fn words(&self) -> Vec<String> {
        self.heard.words.lock().unwrap().clone()
    }

    /// Waits until the room's first words are these.
    async fn hears(&self, words: &[&str]) {
        eventually(&format!("{words:?}"), PATIENCE, async || {
            let heard = self.words();
            assert!(
                heard.iter().zip(words).all(|(heard, word)| heard == word),
                "{heard:?} instead of {words:?}"
            );
            (heard.len() >= words.len()).then_some(())
        })
        .await;
    }

    async fn object(&self) -> Option<Object> {
        self.local.list(&self.scheduler.name).await.unwrap().pop()
    }

    /// Asks over TCP, as a matchmaker does.
    async fn ask(&self, line: &str) -> String {
        let port = self.object().await.unwrap().ports[0].port;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        writeln!(stream, "{line}").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    async fn usage(&self, what: &str, is_so: impl Fn(&Usage) -> bool) {
        eventually(what, PATIENCE, async || {
            self.local
                .usage(&self.scheduler.name)
                .await
                .unwrap()
                .into_iter()
                .find(|usage| is_so(usage))
        })
        .await;
    }
}

#[tokio::test]
async fn a_room_plays_the_match_it_is_asked_for_and_heeds_sigterm() {
    let stage = Stage::set(22_000, &[]).await;
    assert_eq!(stage.ask("match 400").await, "ok");
    assert_eq!(stage.ask("match 400").await, "no: the room is in a match");
    stage.hears(&["ready", "occupied", "ready"]).await;
    assert_eq!(stage.ask("dance").await, "no: expected `match MILLISECONDS`");
    assert_eq!(
        stage.ask("match 99999999999").await,
        "no: a match is no longer than a day"
    );

    let player = UdpSocket::bind("127.0.0.1:0").unwrap();
    player.set_read_timeout(Some(PATIENCE)).unwrap();
    let object = stage.object().await.unwrap();
    player
        .send_to(b"hello", ("127.0.0.1", object.ports[0].port))
        .unwrap();
    let mut echo = [0; 16];
    let length = player.recv(&mut echo).unwrap();
    assert_eq!(&echo[..length], b"hello");

    stage
        .local
        .delete(
            &stage.scheduler.name,
            &stage.room,
            &object.uid,
            Span::from_secs(3_600),
        )
        .await
        .unwrap();
    eventually("its end", PATIENCE, async || {
        stage.object().await.is_none().then_some(())
    })
    .await;
    assert_eq!(
        stage.words(),
        ["ready", "occupied", "ready", "terminating", "terminated"]
    );
}

#[tokio::test]
async fn a_drained_room_finishes_its_match_and_leaves_with_success() {
    let stage = Stage::set(22_050, &[]).await;
    assert_eq!(stage.ask("match 1500").await, "ok");
    stage.hears(&["ready", "occupied"]).await;
    stage.heard.is_draining.store(true, Ordering::SeqCst);
    eventually("it knows", PATIENCE, async || {
        (stage.ask("match 1").await == "no: the room is leaving").then_some(())
    })
    .await;
    assert_eq!(stage.words(), ["ready", "occupied"], "the match goes on");
    let phase = eventually("its end", PATIENCE, async || {
        stage
            .object()
            .await
            .map(|object| object.phase)
            .filter(|phase| matches!(phase, Phase::Exited { .. }))
    })
    .await;
    assert!(matches!(phase, Phase::Exited { code: Some(0), .. }), "{phase:?}");
    assert_eq!(stage.words(), ["ready", "occupied", "terminating", "terminated"]);
}

#[tokio::test]
async fn a_match_costs_what_was_asked_for_and_not_longer() {
    let stage = Stage::set(22_100, &["--burn-cpu", "0.6", "--hold-memory", "64MiB"]).await;
    let held = f64::from(64 << 20);
    stage
        .usage("an idle room's usage", |usage| {
            usage.cpu_milli < 100.0 && usage.memory_bytes < held
        })
        .await;
    assert_eq!(stage.ask("match 3000").await, "ok");
    // The machine may be busy with other things, so no exact figure is asked for.
    stage
        .usage("the match's usage", |usage| {
            usage.cpu_milli > 250.0 && usage.memory_bytes > held
        })
        .await;
    stage.hears(&["ready", "occupied", "ready"]).await;
    stage
        .usage("usage after it", |usage| {
            usage.cpu_milli < 100.0 && usage.memory_bytes < held
        })
        .await;
}

#[tokio::test]
async fn a_lone_room_draws_its_own_matches() {
    let stage = Stage::set(22_150, &["--matches", "20/s,50ms"]).await;
    stage
        .hears(&["ready", "occupied", "ready", "occupied", "ready"])
        .await;
}
