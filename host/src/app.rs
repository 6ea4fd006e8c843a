//! The embedded installation: SQLite, the in-process registry and local processes, wired together.
//!
//! Nothing is decided here. What runs where is said once, so that a test can build the same thing on a free port
//! and stop it at will.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use maestro_core::time::{Span, Timestamp};
use maestro_engine::{Compiler, Engine, Evaluator};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::api::{self, Api, Heads, Key};
use crate::catalog::Catalog;
use crate::cluster::Cluster;
use crate::cluster::local::{self, Ending, Local, Program};
use crate::control;
use crate::registry::Registry;
use crate::registry::clock;
use crate::registry::memory::Memory;
use crate::store::Store;
use crate::supervisor::{Journal, Supervisor};
use crate::tasks::{Kind, Tasks, blocking};

/// The longest that loops and requests may take to end.
const STOP: Duration = Duration::from_secs(5);

/// Of that, how long the journal waits for what loops say last; the rest is for writing it.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// The longest that the API may take to finish requests once everything else has ended.
const FAREWELL: Duration = Duration::from_secs(2);

/// The bound of a room's output file.
const LOG_BYTES: u64 = 4 * 1024 * 1024;

/// How an embedded installation is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything is kept.
    pub data: PathBuf,
    /// Whether rooms outlive a Maestro that is killed.
    pub survive: bool,
    /// What runs in a room.
    pub program: Program,
    /// Where rooms reach the API.
    pub url: String,
    /// Most rooms of one scheduler.
    pub cap: u32,
    /// The least time between two looks of a policy.
    pub min_period: Span,
    /// This binary, for its hidden verbs.
    pub maestro: PathBuf,
    /// Where compiled policies are kept.
    pub policy_cache: PathBuf,
    /// What rooms see of our own environment.
    pub room_environment: BTreeMap<String, String>,
}

/// An embedded installation.
pub struct App {
    /// What the API works with.
    pub api: Api,
    /// What should be.
    pub store: Store,
    /// What rooms say.
    pub registry: Arc<dyn Registry>,
    /// Where rooms run.
    pub cluster: Arc<Local>,
    /// Loops, journal and whatever else acts on rooms; ends first.
    pub acting: Tasks,
    /// The API and its heartbeat; ends last, so that ending rooms can say so.
    pub serving: Tasks,
}

impl App {
    /// Opens everything and starts the loops; the API is not served yet.
    pub async fn build(settings: Settings) -> Result<Self> {
        let folder = settings.data.clone();
        let key = blocking(move || prepare(&folder)).await?;
        let store = Store::open(&settings.data.join("maestro.db")).await?;
        let wall = clock::system();
        let registry: Arc<dyn Registry> = Arc::new(Memory::new(monotonic()));
        let (local, config) = (local_config(&settings), engine_config(&settings));
        let cluster = Arc::new(blocking(move || Local::new(local)).await?);
        let engine = blocking(move || Engine::new(config)).await?;
        let catalog = Arc::new(Catalog::new(engine, store.clone()).await?);
        let changed = Arc::new(Notify::new());
        let api = Api {
            store: store.clone(),
            registry: Arc::clone(&registry),
            cluster: Arc::clone(&cluster) as Arc<dyn Cluster>,
            catalog: Arc::clone(&catalog),
            known: Arc::default(),
            limits: Arc::default(),
            watchers: Arc::default(),
            key: Key::new(key),
            wall: Arc::clone(&wall),
            changed: Arc::clone(&changed),
            cap: settings.cap,
        };
        let acting = Tasks::new();
        let (journal, records) = Journal::new(store.clone(), Arc::clone(&wall));
        acting.spawn(Kind::Journal, journal.run(acting.stop_token(), LAST_WORDS));
        let supervisor = Supervisor {
            store: store.clone(),
            catalog,
            deps: control::Deps {
                registry: Arc::clone(&registry),
                cluster: Arc::clone(&cluster) as Arc<dyn Cluster>,
                evaluator: Evaluator::pool()?,
                holder: format!("{}-{:08x}", std::process::id(), rand::random::<u32>()),
                seed: 0,
                token: api.token_maker(),
                clock: monotonic(),
                drained: control::Drained::default(),
                settings: control::Settings {
                    cap: settings.cap,
                    min_period: settings.min_period,
                    ..control::Settings::default()
                },
            },
            wall,
            known: Arc::clone(&api.known),
            tasks: acting.clone(),
            changed,
            journal: records,
        };
        acting.spawn(Kind::Supervisor, supervisor.run(acting.stop_token()));
        Ok(Self {
            api,
            store,
            registry,
            cluster,
            acting,
            serving: Tasks::new(),
        })
    }

    /// Serves the API on `listener` until the installation is shut down.
    pub fn serve(&self, listener: TcpListener) {
        let stop = self.serving.stop_token();
        let router = api::router(self.api.clone());
        self.serving
            .spawn(Kind::Heartbeat, heartbeat(Arc::clone(&self.registry), stop));
        let (watchers, tasks) = (Arc::clone(&self.api.watchers), self.serving.clone());
        self.serving.spawn(Kind::Api, async move {
            let ended = api::serve(listener, router, Heads::default(), tasks).await;
            watchers.end();
            ended
        });
    }

    /// Ends loops, then rooms, then the API. A future that is dropped midway can be called again with
    /// [`Ending::Immediate`].
    pub async fn shutdown(&self, ending: Ending) -> Result<()> {
        let acted = self.acting.stop(STOP).await;
        self.cluster.shutdown(ending).await;
        self.write_ends().await;
        // Whoever never finishes a request does not make a failure of it.
        if let Err(late) = self.serving.stop(FAREWELL).await {
            tracing::warn!("connections were cut off: {late}");
        }
        self.store.clone().close().await?;
        acted.map_err(anyhow::Error::msg)
    }
}

impl App {
    /// Writes down that rooms ended with Maestro: no loop is left that would see it.
    async fn write_ends(&self) {
        let now = (self.api.wall)();
        for stored in self.store.schedulers().await.unwrap_or_default() {
            let rooms = self.registry.rooms(&stored.name).await.unwrap_or_default();
            let running = rooms.into_iter().filter(|room| !room.has_ended());
            let ends: Vec<_> = running
                .map(|mut room| {
                    // One that was asked to go before keeps that reason.
                    room.stop("Maestro was ended", None, now).ok();
                    (stored.name.clone(), room.end(now))
                })
                .collect();
            if let Err(error) = self.store.append_ends(&ends).await {
                tracing::warn!(scheduler.name = %stored.name, "how rooms of {} ended was not written down: {error}", stored.name);
            }
        }
    }
}

/// Makes the data folder and reads the installation's key, from which rooms' tokens are made; makes one at first.
fn prepare(folder: &Path) -> Result<[u8; 32]> {
    let shown = folder.display();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("can't make the data folder {shown}"))?;
    let path = folder.join("key");
    match fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            anyhow::anyhow!(
                "{} is damaged: expected 32 bytes; remove it, and rooms get new tokens",
                path.display()
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key: [u8; 32] = rand::random();
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .with_context(|| format!("can't write to the data folder {shown}"))?;
            file.write_all(&key)
                .with_context(|| format!("can't write {}", path.display()))?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}

fn local_config(settings: &Settings) -> local::Config {
    local::Config {
        folder: settings.data.join(local::FOLDER),
        ports: local::PORTS,
        advertise_host: "127.0.0.1".to_owned(),
        api_url: settings.url.clone(),
        program: settings.program.clone(),
        survive: settings.survive,
        log_bytes: LOG_BYTES,
        measure_every: Duration::from_secs(1),
        maestro: settings.maestro.clone(),
        host_env: settings.room_environment.clone(),
    }
}

fn engine_config(settings: &Settings) -> maestro_engine::Config {
    let compiler = Compiler {
        program: settings.maestro.clone(),
        args: vec!["compile-policy".into()],
    };
    maestro_engine::Config {
        cache_dir: settings.policy_cache.clone(),
        compiler,
    }
}

/// Tells the registry each second that an API hears rooms.
async fn heartbeat(registry: Arc<dyn Registry>, stop: CancellationToken) -> Result<(), Infallible> {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {
                if let Err(error) = registry.beat().await {
                    tracing::warn!("the registry did not take a heartbeat, silence is not counted: {error}");
                }
            }
        }
    }
}

/// A clock that starts at the time of day and is never set back.
fn monotonic() -> control::Clock {
    let (start, first) = (Instant::now(), (clock::system())());
    Arc::new(move || {
        let elapsed = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_ms(first.ms()) + Span::from_ms(elapsed)
    })
}
