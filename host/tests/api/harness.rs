//! The API behind a listener on loopback, with a clock that only the test moves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use maestro::api::{Api, Heads, Key, Operators, router, serve};
use maestro::catalog::Catalog;
use maestro::cluster::local::{self, Local, Program};
use maestro::registry::memory::Memory;
use maestro::registry::{Act, Fence, Registry, Seen, State};
use maestro::store::Store;
use maestro::tasks::{Kind, Tasks};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::room::{Address, OpenPort, Phase, Room};
use maestro_core::scheduler::Protocol;
use maestro_core::time::{Span, Timestamp};
use maestro_engine::{Compiler, Engine};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::client::{Answer, Request, request};

/// The time at which each test begins.
pub const START: i64 = 1_700_000_000_000;

/// A small scheduler.
pub const PONG: &str = "name: pong\ngame: pong\nimage: pong:1\nautoscaling: {min: 2, max: 10}\n";

/// Everything behind the API.
pub struct Host {
    pub api: Api,
    pub registry: Arc<Memory>,
    pub address: SocketAddr,
    now: Arc<AtomicI64>,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

impl Host {
    /// Starts it with nothing in it.
    pub async fn start() -> Self {
        Self::start_with(Heads::default()).await
    }

    /// The same with another limit for the heads of requests.
    pub async fn start_with(heads: Heads) -> Self {
        Self::start_as(heads, |_| {}).await
    }

    /// Another listener, beside the first, with these routes.
    pub async fn listen(&self, app: Router) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = serve(listener, app, Heads::default(), self.tasks.clone());
        self.tasks.spawn(Kind::Api, serving);
        address
    }

    /// The same, changed before it is served.
    pub async fn start_as(heads: Heads, change: impl FnOnce(&mut Api)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(START));
        let clock = now.clone();
        let clock: maestro::control::Clock =
            Arc::new(move || Timestamp::from_ms(clock.load(Ordering::Relaxed)));
        let registry = Arc::new(Memory::new(clock.clone()));
        let store = Store::in_memory().await.unwrap();
        let catalog = Catalog::new(engine(), store.clone()).await.unwrap();
        let mut api = Api {
            catalog: Arc::new(catalog),
            store,
            registry: registry.clone(),
            cluster: Arc::new(cluster(folder.path())),
            known: Arc::default(),
            key: Key::new([7; 32]),
            wall: clock,
            changed: Arc::default(),
            cap: 50,
            measure_every: Span::from_secs(10),
            node_ports: None,
            limits: Arc::default(),
            watchers: Arc::default(),
            operators: Operators::default(),
            metrics: Arc::default(),
            probe: Arc::default(),
        };
        change(&mut api);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = Tasks::new();
        let (app, watchers, serving) = (router(api.clone()), api.watchers.clone(), tasks.clone());
        tasks.spawn(Kind::Api, async move {
            let ended = serve(listener, app, heads, serving).await;
            watchers.end();
            ended
        });
        Self {
            api,
            registry,
            address,
            now,
            tasks,
            _folder: folder,
        }
    }

    /// Starts it with `pong` in it.
    pub async fn with_pong() -> Self {
        let host = Self::start().await;
        host.send(request("POST /scheduler").body(PONG)).await.ok();
        host
    }

    pub async fn send(&self, request: Request) -> Answer {
        request.send(self.address).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.send(request(&format!("GET {path}"))).await.ok()
    }

    /// What a room of `pong` sends, at the present.
    pub async fn report(&self, room: &RoomId, status: &str) -> Value {
        let call = request(&format!("PUT /scheduler/pong/rooms/{room}/ping"));
        let timestamp = self.now.load(Ordering::Relaxed);
        self.send(call.json(&json!({ "status": status, "timestamp": timestamp })))
            .await
            .ok()
    }

    pub fn pass(&self, span: Span) {
        let ms = i64::try_from(span.ms()).unwrap();
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    pub async fn stop(self) {
        self.tasks.stop(Duration::from_secs(30)).await.unwrap();
    }

    /// The lease of `pong`, as its loop would hold it.
    pub async fn lease(&self) -> Fence {
        let lease = Span::from_secs(15);
        let fence = self.registry.acquire(&pong(), "test", lease).await.unwrap();
        let fence = fence.unwrap();
        let epoch = Timestamp::from_ms(START);
        self.registry.set_epoch(&fence, Some(epoch)).await.unwrap();
        fence
    }

    /// A room of `pong` whose process runs and that can be reached.
    pub async fn room(&self, suffix: u32) -> RoomId {
        let (room, fence) = (RoomId::new(&pong(), suffix), self.lease().await);
        let rooms = [(room.clone(), Version::FIRST)];
        self.registry.reserve(&fence, &rooms, 1_000).await.unwrap();
        for act in [Act::BeginCreate, Act::ConfirmCreate] {
            self.act(&room, act).await;
        }
        let seen = Seen {
            phase: Phase::Running {
                since: Timestamp::from_ms(START),
            },
            node: Some("local".to_owned()),
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
                port: 20_000,
            }],
        };
        self.registry.observe(&fence, &room, seen).await.unwrap();
        room
    }

    /// Changes a room as the loop would.
    pub async fn act(&self, room: &RoomId, act: Act) -> Room {
        let fence = self.lease().await;
        let now = self.registry.room(&pong(), room).await.unwrap().unwrap();
        self.registry.act(&fence, room, now.revision, act).await.unwrap()
    }

    /// What the loop keeps of `pong`.
    pub async fn wanted(&self, wanted: u32) {
        let fence = self.lease().await;
        let state = State {
            wanted,
            ..State::default()
        };
        self.registry.save(&fence, &state).await.unwrap();
    }
}

pub fn pong() -> SchedulerName {
    SchedulerName::parse("pong").unwrap()
}

pub fn engine() -> Arc<Engine> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies");
    let config = maestro_engine::Config {
        cache_dir: cache,
        compiler: Compiler {
            program: env!("CARGO_BIN_EXE_maestro").into(),
            args: vec!["compile-policy".to_owned()],
        },
    };
    Engine::new(config).unwrap()
}

fn cluster(folder: &Path) -> Local {
    let config = local::Config {
        folder: folder.join("rooms"),
        ports: local::PORTS,
        advertise_host: "127.0.0.1".to_owned(),
        api_url: "http://127.0.0.1:9".to_owned(),
        program: Program::Document,
        survive: false,
        log_bytes: 1 << 20,
        measure_every: Duration::from_secs(1),
        maestro: env!("CARGO_BIN_EXE_maestro").into(),
        host_env: BTreeMap::new(),
    };
    Local::new(config).unwrap()
}
