//! The embedded installation: SQLite, the in-process registry and local processes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use maestro_core::time::Span;

use crate::api::Operators;
use crate::app::{App, Parts, STOP, monotonic};
use crate::cluster::local::{self, Ending, Local, Program};
use crate::control;
use crate::folder;
use crate::registry::Memory;
use crate::store::Store;
use crate::tasks::blocking;

/// The bound of a room's output file.
const LOG_BYTES: u64 = 4 * 1024 * 1024;

/// How an embedded installation is set up.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Where everything is kept.
    pub(super) data: PathBuf,
    /// Whether rooms outlive a Maestro that is killed.
    pub(super) survive: bool,
    /// What runs in a room.
    pub(super) program: Program,
    /// Where rooms reach the API.
    pub(super) url: String,
    /// Most rooms of one scheduler.
    pub(super) cap: u32,
    /// The least time between two looks of a policy.
    pub(super) min_period: Span,
    /// This binary, for its hidden verbs.
    pub(super) maestro: PathBuf,
    /// Where compiled policies are kept.
    pub(super) policy_cache: PathBuf,
    /// What rooms see of our own environment.
    pub(super) room_environment: BTreeMap<String, String>,
}

/// An embedded installation.
pub(super) struct Embedded {
    /// The API and the loops.
    pub(super) app: App,
    /// Where rooms run.
    pub(super) cluster: Arc<Local>,
}

impl Embedded {
    /// Opens everything and starts the loops; the API is not served yet.
    pub(super) async fn begin(settings: Settings) -> Result<Self> {
        let folder = settings.data.clone();
        let key = blocking(move || folder::prepare(&folder)).await?;
        let local = local_config(&settings);
        let store = Store::open(&settings.data.join(folder::DATABASE)).await?;
        let cluster = Arc::new(blocking(move || Local::new(local)).await?);
        let app = App::new(Parts {
            store,
            registry: Arc::new(Memory::new(monotonic())),
            cluster: cluster.clone(),
            key,
            // Whoever reaches it may do what they want: `dev` listens on loopback, or was told --insecure.
            operators: Operators::default(),
            metrics: Arc::default(),
            control: control::Settings {
                cap: settings.cap,
                min_period: settings.min_period,
                ..control::Settings::default()
            },
            maestro: settings.maestro,
            policy_cache: settings.policy_cache,
        });
        let app = app.await?;
        app.work()?;
        Ok(Self { app, cluster })
    }

    /// Ends loops, then rooms, then the API. A future that is dropped midway can be called again with
    /// [`Ending::Immediate`].
    pub(super) async fn shutdown(&self, ending: Ending) -> Result<()> {
        let acted = self.app.acting.stop(STOP).await;
        self.cluster.shutdown(ending).await;
        self.write_ends().await;
        self.app.stop_serving().await;
        self.app.api.store.clone().close().await?;
        acted.map_err(anyhow::Error::msg)
    }

    /// Writes down that rooms ended with Maestro: no loop is left that would see it.
    async fn write_ends(&self) {
        let now = (self.app.api.wall)();
        for stored in self.app.api.store.schedulers().await.unwrap_or_default() {
            let rooms = self
                .app
                .api
                .registry
                .rooms(&stored.name)
                .await
                .unwrap_or_default();
            let running = rooms.into_iter().filter(|room| !room.has_ended());
            let ends: Vec<_> = running
                .map(|mut room| {
                    // One that was asked to go before keeps that reason.
                    room.stop("Maestro was ended", None, now).ok();
                    (stored.name.clone(), room.end(now))
                })
                .collect();
            if let Err(error) = self.app.api.store.append_ends(&ends).await {
                tracing::warn!(scheduler.name = %stored.name, "how rooms of {} ended was not written down: {error}", stored.name);
            }
        }
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
