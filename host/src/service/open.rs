//! Opens what a role needs: store, registry, cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use maestro_core::time::Span;
use tokio::time::sleep;

use super::needs::{Needs, RegistryNeed, StoreNeed};
use crate::app::{Parts, monotonic};
use crate::cluster::kubernetes::{self, Kubernetes, Watches};
use crate::config;
use crate::config::settings::{Secret, Settings};
use crate::control;
use crate::folder::{self, holder::Holder};
use crate::metrics::Metrics;
use crate::registry::{ConnectError, Memory, Redis, RedisConfig, Registry, clock};
use crate::store::{self, Store};
use crate::supervisor::chain;
use crate::tasks::blocking;

/// Time between two tries to reach a Redis that does not answer.
const AGAIN: Duration = Duration::from_secs(2);

/// How long one act on the cluster may take: less than what a loop reckons with.
const ACT: Duration = Duration::from_millis(4_500);

/// Time between two lists of rooms whose watch says nothing: what a hint that got lost costs. A list is two calls, so that
/// ten seconds would be most of what a scheduler at rest costs; a watch that is interrupted asks for lists by itself.
const LIST_EVERY: Span = Span::from_secs(60);

/// What was opened.
pub(super) struct Opened {
    /// What an installation is made of.
    pub(super) parts: Parts,
    /// Watches over the cluster, which somebody has to run.
    pub(super) watches: Watches,
    /// The data folder's lock, to be kept until the end.
    pub(super) holder: Option<Holder>,
}

/// Opens everything; waits for a Redis that is away.
pub(super) async fn open(settings: &Settings, needs: Needs, metrics: Arc<Metrics>) -> Result<Opened> {
    let (holder, kept) = match needs.data.clone() {
        Some(folder) => {
            let (holder, key) = blocking(move || hold(&folder)).await?;
            (Some(holder), Some(key))
        }
        None => (None, None),
    };
    let config = kubernetes::Config {
        access: needs.access.clone(),
        installation: settings.installation.clone(),
        api_url: needs.rooms_url.clone(),
        timeout: ACT,
        calls_per_second: settings.kube_calls,
        calls_at_once: settings.kube_burst,
    };
    let cluster = Kubernetes::new(config).await;
    let (cluster, watches) =
        cluster.context("outside of a cluster, --kubeconfig FILE says how Kubernetes is reached")?;
    let store = open_store(&needs).await?;
    let registry = open_registry(settings, needs.registry).await?;
    let parts = Parts {
        store,
        registry,
        cluster: Arc::new(cluster),
        key: needs.key.or(kept).context("there is no key")?,
        operators: needs.operators,
        metrics: Arc::clone(&metrics),
        node_ports: Some(settings.node_ports),
        control: control::Settings {
            cap: settings.max_rooms,
            lease: Span::from_ms(u64::try_from(settings.lease.as_millis()).unwrap_or(u64::MAX)),
            list_every: LIST_EVERY,
            ..control::Settings::default()
        },
        maestro: std::env::current_exe().context("can't find this program's own file")?,
        policy_cache: settings.policy_cache.clone().unwrap_or_else(config::policy_cache),
    };
    Ok(Opened {
        parts,
        watches: watches.metered(metrics),
        holder,
    })
}

/// Takes the folder for this process alone: what is kept in memory beside it is nobody else's.
fn hold(folder: &Path) -> Result<(Holder, [u8; 32])> {
    let holder = Holder::take(folder, (clock::system())())?;
    Ok((holder, folder::prepare(folder)?))
}

/// A server that is away keeps nobody from starting; one whose tables are older than this release does.
async fn open_store(needs: &Needs) -> Result<Store> {
    let config = match (&needs.store, &needs.data) {
        (StoreNeed::Server(config), _) => config,
        (StoreNeed::Folder, Some(folder)) => {
            return Ok(Store::open(&folder.join(folder::DATABASE)).await?);
        }
        (StoreNeed::Folder, None) => bail!("there is nowhere to keep anything; add --data DIR"),
    };
    let store = Store::on_server((**config).clone())?;
    match store.standing().await {
        Ok(standing) if standing.pending.is_empty() => {}
        Ok(standing) => bail!(
            "the database's tables are not what this release needs ({}); run `maestro migrate` first",
            standing.pending.join(", ")
        ),
        Err(error) if error.is_outage() => {
            tracing::warn!("starting without the database: {}", chain(&error));
        }
        Err(error) => return Err(store::Error::into(error)),
    }
    Ok(store)
}

async fn open_registry(settings: &Settings, need: RegistryNeed) -> Result<Arc<dyn Registry>> {
    let urls = match need {
        RegistryNeed::Memory => return Ok(Arc::new(Memory::new(monotonic()))),
        RegistryNeed::Redis(urls) => urls,
    };
    let config = RedisConfig {
        prefix: settings.redis_prefix.clone(),
        authorities: settings.redis_ca.as_ref().map(authorities).transpose()?,
        ..RedisConfig::new(urls.iter().map(Secret::reveal).map(str::to_owned).collect())
    };
    let mut is_told = false;
    loop {
        match Redis::connect(config.clone()).await {
            Ok(redis) => return Ok(Arc::new(redis)),
            Err(error @ ConnectError::Unreachable { .. }) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!("{}; trying until it answers", chain(&error));
                }
                sleep(AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn authorities(file: &PathBuf) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("can't read {}", file.display()))
}
