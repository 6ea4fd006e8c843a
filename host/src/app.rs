//! Wires an installation's parts together in one process: the API, the loops, or both.
//!
//! Nothing is decided here, and nothing is opened: which store, registry and cluster it is, the caller says.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use maestro_core::scheduler::PortRange;
use maestro_core::time::{Span, Timestamp};
use maestro_engine::{Compiler, Engine, Evaluator};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::api::{self, Api, Heads, Key, Operators};
use crate::catalog::Catalog;
use crate::cluster::{self, Cluster};
use crate::control;
use crate::metrics::Metrics;
use crate::registry::{self, Registry, clock};
use crate::store::Store;
use crate::supervisor::{Journal, Supervisor};
use crate::tasks::{Kind, Tasks, blocking};

/// The longest that loops and requests may take to end.
pub const STOP: Duration = Duration::from_secs(5);

/// Of that, how long the journal waits for what loops say last; the rest is for writing it.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// The longest that the API may take to finish requests once everything else has ended.
pub const FAREWELL: Duration = Duration::from_secs(2);

/// What an installation is made of.
#[derive(Clone)]
pub struct Parts {
    /// What should be.
    pub store: Store,
    /// What rooms say.
    pub registry: Arc<dyn Registry>,
    /// Where rooms run.
    pub cluster: Arc<dyn Cluster>,
    /// What rooms' tokens are made from.
    pub key: [u8; 32],
    /// Who may call operators' routes.
    pub operators: Operators,
    /// Where is counted what happens.
    pub metrics: Arc<Metrics>,
    /// The ports of nodes that rooms can have; `None` where rooms run elsewhere than on Kubernetes.
    pub node_ports: Option<PortRange>,
    /// Bounds and times of the loops.
    pub control: control::Settings,
    /// This binary, for its hidden verbs.
    pub maestro: PathBuf,
    /// Where compiled policies are kept.
    pub policy_cache: PathBuf,
}

/// A process of an installation.
pub struct App {
    /// What the API works with.
    pub api: Api,
    /// Loops, journal and whatever else acts on rooms; ends first.
    pub acting: Tasks,
    /// The API and its heartbeat; ends last, so that ending rooms can say so.
    pub serving: Tasks,
    control: control::Settings,
}

impl App {
    /// Makes everything ready; nothing is served and no loop runs yet.
    pub async fn new(parts: Parts) -> Result<Self> {
        let config = maestro_engine::Config {
            cache_dir: parts.policy_cache,
            compiler: Compiler {
                program: parts.maestro,
                args: vec!["compile-policy".into()],
            },
        };
        let metrics = parts.metrics;
        let store = parts.store.metered(&metrics);
        let registry = registry::observed::Observed::new(parts.registry, Arc::clone(&metrics));
        let cluster = cluster::observed::Observed::new(parts.cluster, Arc::clone(&metrics));
        let engine = blocking(move || Engine::new(config)).await?;
        let catalog = Arc::new(Catalog::new(engine, store.clone()).await?);
        let api = Api {
            store,
            registry: Arc::new(registry),
            cluster: Arc::new(cluster),
            catalog,
            known: Arc::default(),
            limits: Arc::default(),
            watchers: Arc::default(),
            key: Key::new(parts.key),
            wall: clock::system(),
            changed: Arc::new(Notify::new()),
            cap: parts.control.cap,
            measure_every: parts.control.min_period,
            node_ports: parts.node_ports,
            operators: parts.operators,
            metrics,
            probe: Arc::default(),
        };
        Ok(Self {
            api,
            acting: Tasks::new(),
            serving: Tasks::new(),
            control: parts.control,
        })
    }

    /// Runs the loops of this worker's schedulers until the installation is shut down.
    pub fn work(&self) -> Result<()> {
        let (api, acting) = (&self.api, &self.acting);
        let (journal, records) = Journal::new(api.store.clone(), Arc::clone(&api.wall));
        let journal = journal.metered(Arc::clone(&api.metrics));
        acting.spawn(Kind::Journal, journal.run(acting.stop_token(), LAST_WORDS));
        let supervisor = Supervisor {
            store: api.store.clone(),
            catalog: Arc::clone(&api.catalog),
            deps: control::Deps {
                registry: Arc::clone(&api.registry),
                cluster: Arc::clone(&api.cluster),
                evaluator: Evaluator::pool()?.observed(api.metrics.of_policies()),
                holder: format!("{}-{:08x}", host(), rand::random::<u32>()),
                seed: 0,
                token: api.token_maker(),
                clock: monotonic(),
                drained: control::Drained::default(),
                settings: self.control.clone(),
            },
            wall: Arc::clone(&api.wall),
            known: Arc::clone(&api.known),
            tasks: acting.clone(),
            changed: Arc::clone(&api.changed),
            journal: records,
            metrics: Arc::clone(&api.metrics),
        };
        acting.spawn(Kind::Supervisor, supervisor.run(acting.stop_token()));
        Ok(())
    }

    /// Tells the registry that an API hears rooms, until the installation is shut down.
    pub fn beat(&self) {
        let (registry, stop) = (Arc::clone(&self.api.registry), self.serving.stop_token());
        self.serving.spawn(Kind::Heartbeat, heartbeat(registry, stop));
    }

    /// Serves these routes on `listener` until the installation is shut down.
    pub fn serve(&self, listener: TcpListener, routes: axum::Router) {
        let (watchers, tasks) = (Arc::clone(&self.api.watchers), self.serving.clone());
        self.serving.spawn(Kind::Api, async move {
            let ended = api::serve(listener, routes, Heads::default(), tasks).await;
            watchers.end();
            ended
        });
    }

    /// Ends the API.
    pub async fn stop_serving(&self) {
        // Whoever never finishes a request does not make a failure of it.
        if let Err(late) = self.serving.stop(FAREWELL).await {
            tracing::warn!("connections were cut off: {late}");
        }
    }
}

/// What this process is called among workers: the machine's name, which in a pod is the pod's, and the process.
fn host() -> String {
    let name = sysinfo::System::host_name().unwrap_or_else(|_| "worker".to_owned());
    let plain = name.chars().map(|c| if c.is_ascii_graphic() { c } else { '-' });
    format!("{}-{}", plain.take(80).collect::<String>(), std::process::id())
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
pub fn monotonic() -> control::Clock {
    let (start, first) = (Instant::now(), (clock::system())());
    Arc::new(move || {
        let elapsed = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_ms(first.ms()) + Span::from_ms(elapsed)
    })
}
