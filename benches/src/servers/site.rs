//! An installation for one bench: a database, names in Redis and in Kubernetes, and roles that run.

use std::env;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

use super::cluster;
use crate::process::{Process, maestro};

/// Lines that are passed on of what goes wrong.
const TELL: usize = 10;

static TOLD: AtomicUsize = AtomicUsize::new(0);

/// An installation, and how its servers are reached.
pub(crate) struct Site {
    /// Where the names of everything begin.
    pub(crate) name: String,
    pub(crate) kubernetes: kube::Client,
    pub(crate) redis: String,
    postgres: String,
    settings: Vec<(&'static str, String)>,
    folder: TempDir,
}

/// Runs a bench in an installation of its own, and removes that whatever came of it.
pub(crate) fn with(bench: impl AsyncFnOnce(&Site) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let site = Site::open().await?;
        let done = bench(&site).await;
        let removed = site.remove().await;
        done.and(removed)
    })
}

impl Site {
    async fn open() -> Result<Self> {
        let kubeconfig = PathBuf::from(variable("MAESTRO_TESTBED_KUBECONFIG")?);
        let (postgres, redis) = (
            variable("MAESTRO_TESTBED_POSTGRES")?,
            variable("MAESTRO_TESTBED_REDIS")?,
        );
        let millis = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let name = format!("b{:07x}", millis & 0xfff_ffff);
        let mut admin = PgConnection::connect(&postgres).await?;
        admin
            .execute(AssertSqlSafe(format!("create database {name}")))
            .await?;
        let (path, query) = postgres.split_once('?').unwrap_or((&postgres, ""));
        let (server, _) = path
            .rsplit_once('/')
            .context("the address of PostgreSQL names a database")?;
        let settings = vec![
            ("MAESTRO_DATABASE", format!("{server}/{name}?{query}")),
            ("MAESTRO_REDIS", redis.clone()),
            ("MAESTRO_REDIS_PREFIX", name.clone()),
            ("MAESTRO_KEY", "07".repeat(32)),
            ("MAESTRO_KUBECONFIG", kubeconfig.display().to_string()),
            ("MAESTRO_ROOMS_URL", "http://127.0.0.1:9".to_owned()),
            ("MAESTRO_LISTEN", "127.0.0.1:0".to_owned()),
        ];
        let site = Self {
            kubernetes: cluster::client(&kubeconfig).await?,
            name,
            redis,
            postgres,
            settings,
            folder: tempfile::tempdir()?,
        };
        let mut migrate = maestro()?;
        let migrated = migrate.arg("migrate").envs(site.settings.clone()).output()?;
        anyhow::ensure!(
            migrated.status.success(),
            "maestro migrate: {}",
            String::from_utf8_lossy(&migrated.stderr)
        );
        Ok(site)
    }

    /// Starts a role, with these options more.
    pub(crate) fn start(&self, role: &str, options: &[&str]) -> Result<Process> {
        let mut command = maestro()?;
        command
            .arg(role)
            .args(options)
            .envs(self.settings.clone())
            .env("XDG_CACHE_HOME", self.folder.path());
        let started = Process::start(&mut command, |line| {
            // What goes wrong makes figures worthless. One of them is enough to know that.
            let is_trouble = line.contains("WARN") || line.contains("ERROR");
            if is_trouble && TOLD.fetch_add(1, Ordering::Relaxed) < TELL {
                eprintln!("{line}");
            }
        });
        started.with_context(|| format!("maestro {role}"))
    }

    /// A worker that its budget of calls to the API server does not slow down. To be used for one scheduler: many at once
    /// would ask for so much that everything is late.
    pub(crate) fn worker(&self) -> Result<Process> {
        self.start("worker", &["--kube-calls", "10000", "--kube-burst", "10000"])
    }

    /// Transactions that the database has seen, as it counts them: some seconds late.
    pub(crate) async fn transactions(&self) -> Result<i64> {
        let mut admin = PgConnection::connect(&self.postgres).await?;
        let query = "select xact_commit from pg_stat_database where datname = $1";
        let count = sqlx::query_scalar(query).bind(&self.name);
        Ok(count.fetch_one(&mut admin).await?)
    }

    /// Calls of scripts that Redis has seen.
    pub(crate) async fn scripts(&self) -> Result<u64> {
        let mut redis = self.redis().await?;
        let text: String = redis::cmd("INFO")
            .arg("commandstats")
            .query_async(&mut redis)
            .await?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        let count = line.and_then(|rest| rest.split(',').next()).unwrap_or("0");
        Ok(count.parse()?)
    }

    /// A connection to Redis with nothing of Maestro's.
    pub(crate) async fn redis(&self) -> Result<redis::aio::MultiplexedConnection> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(10)))
            .set_response_timeout(Some(Duration::from_secs(10)));
        let client = redis::Client::open(self.redis.as_str())?;
        Ok(client
            .get_multiplexed_async_connection_with_config(&config)
            .await?)
    }

    async fn remove(self) -> Result<()> {
        cluster::clear(&self.kubernetes, &self.name).await?;
        let mut redis = self.redis().await?;
        let pattern = format!("{}:*", self.name);
        let mut at = 0_u64;
        loop {
            let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(at)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(1_000)
                .query_async(&mut redis)
                .await?;
            if !keys.is_empty() {
                let () = redis::cmd("UNLINK").arg(keys).query_async(&mut redis).await?;
            }
            if next == 0 {
                break;
            }
            at = next;
        }
        let mut admin = PgConnection::connect(&self.postgres).await?;
        let drop = format!("drop database {} with (force)", self.name);
        admin.execute(AssertSqlSafe(drop)).await?;
        Ok(())
    }
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set: source \"$(deploy/testbed/up)\" first"))
}
