//! Two APIs and three workers, each a process of its own, and the command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value as Stored;
use rustix::process::Signal;
use serde_json::Value;

use super::bed::{Bed, is_full};
use super::running::{PATIENCE, Running, eventually, sibling};
use super::world::World;

const MAESTRO: &str = env!("CARGO_BIN_EXE_maestro");

/// Workers that there are when nothing is wrong.
const WORKERS: usize = 3;

/// How soon what Redis lost of the copies is back: a few looks at the store, and far less than a minute, after which each is
/// written anew in any case.
const COPIED: Duration = Duration::from_secs(20);

/// Everything that runs.
pub(crate) struct Installation {
    pub(crate) bed: Bed,
    pub(crate) world: Arc<World>,
    pub(crate) apis: Vec<Running>,
    pub(crate) workers: Vec<Running>,
    key: String,
    cli: PathBuf,
    /// Logs of those that were ended.
    ended: Vec<String>,
    /// Workers that were killed while they acted.
    pub(crate) kills: usize,
}

/// How long a lease lasts here.
pub(crate) fn lease() -> Duration {
    Duration::from_secs(if is_full() { 15 } else { 9 })
}

impl Installation {
    /// Starts it all.
    pub(crate) fn start(bed: Bed) -> Self {
        let key = format!("{:016x}", rand::random::<u64>()).repeat(4);
        let migrated = Command::new(MAESTRO)
            .args(["migrate", "--database", &bed.database])
            .output()
            .unwrap();
        assert!(migrated.status.success(), "{migrated:?}");
        let apis: Vec<Running> = (0..2).map(|_| api(&bed, &key)).collect();
        let addresses = [host(&apis[0].url), host(&apis[1].url)];
        let world = World::begin(bed.client.clone(), &bed.run, addresses);
        let mut this = Self {
            cli: sibling(MAESTRO, "maestro-cli"),
            bed,
            world,
            apis,
            workers: Vec::new(),
            key,
            ended: Vec::new(),
            kills: 0,
        };
        this.staff();
        this
    }

    /// Starts as many workers as are missing.
    pub(crate) fn staff(&mut self) {
        while self.workers.len() < WORKERS {
            self.hire();
        }
    }

    /// Starts a worker.
    pub(crate) fn hire(&mut self) {
        let mut command = role("worker", &self.bed, &self.key);
        command.args(["--rooms-url", &self.apis[0].url]);
        command.args(["--lease", &format!("{}s", lease().as_secs())]);
        // Few at once, so that it takes a while to make many rooms, in which something can happen.
        command.args(["--kube-burst", "20"]);
        self.workers
            .push(Running::launch(command, "health and figures on "));
    }

    /// Ends an API the hard way, and starts another one in its place.
    pub(crate) fn replace_api(&mut self, which: usize) {
        let mut gone = std::mem::replace(&mut self.apis[which], api(&self.bed, &self.key));
        gone.signal(Signal::KILL);
        self.ended.push(gone.log());
        let addresses = [host(&self.apis[0].url), host(&self.apis[1].url)];
        self.world.set_apis(addresses);
    }

    /// Takes a worker out of those that work, to do with it what a test likes.
    pub(crate) fn take(&mut self, which: usize) -> Running {
        self.workers.remove(which)
    }

    /// Keeps the log of a process that ended.
    pub(crate) fn bury(&mut self, gone: &Running) {
        self.ended.push(gone.log());
    }

    /// Everything that was logged.
    pub(crate) fn logs(&self) -> String {
        let apis = self.apis.iter().map(|api| ("api", api.log()));
        let workers = self
            .workers
            .iter()
            .map(|worker| ("worker", format!("pid {}\n{}", worker.child.id(), worker.log())));
        let ended = self.ended.iter().map(|log| ("ended", log.clone()));
        let all = apis.chain(workers).chain(ended);
        all.map(|(what, log)| format!("--- {what}\n{log}\n")).collect()
    }

    /// Process id of who holds the lease of a scheduler, as Redis has it.
    pub(crate) fn holder(&self, scheduler: &str) -> Option<u32> {
        let key = format!("{}:{{{scheduler}}}:meta", self.bed.prefix());
        let Ok(Stored::Array(fields)) = self.bed.try_redis(&["HMGET", &key, "holder", "until"]) else {
            return None;
        };
        let text = |value: &Stored| {
            redis::from_redis_value::<Option<String>>(value.clone())
                .ok()
                .flatten()
        };
        let (holder, until) = (text(fields.first()?)?, text(fields.get(1)?)?);
        let is_over = until.parse::<f64>().unwrap() < super::room::now_ms() as f64;
        let process = holder.rsplit('-').nth(1)?.parse().ok()?;
        (!is_over).then_some(process)
    }

    /// Waits until Redis has a copy of the scheduler, which workers notice with their next look.
    pub(crate) fn copied(&self, scheduler: &str) {
        let key = format!("{}:copies", self.bed.prefix());
        eventually("the copy is back", COPIED, || {
            let answer = self.bed.try_redis(&["HEXISTS", &key, scheduler]);
            (answer.ok()? == Stored::Int(1)).then_some(())
        });
    }

    /// Which worker acts for a scheduler.
    pub(crate) fn acting(&self, scheduler: &str) -> usize {
        eventually("somebody holds the lease", PATIENCE, || {
            let process = self.holder(scheduler)?;
            self.workers
                .iter()
                .position(|worker| worker.child.id() == process)
        })
    }

    /// How long it takes until somebody else than this process holds the lease.
    pub(crate) fn taken_over(&self, scheduler: &str, from: u32, since: Instant) -> Duration {
        eventually("another worker holds the lease", PATIENCE, || {
            self.holder(scheduler)
                .is_some_and(|process| process != from)
                .then(|| since.elapsed())
        })
    }

    /// A body from one of the APIs.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.try_get(0, path)
            .unwrap_or_else(|(status, text)| panic!("{path}: {status}: {text}"))
    }

    /// The same from this one, which may refuse.
    pub(crate) fn try_get(&self, which: usize, path: &str) -> Result<Value, (u16, String)> {
        let url = format!("{}{path}", self.apis[which].url);
        let mut response = agent().get(url).call().map_err(|error| (0, error.to_string()))?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().unwrap_or_default();
        match (status, serde_json::from_str(&text)) {
            (200, Ok(body)) => Ok(body),
            _ => Err((status, text)),
        }
    }

    /// All rooms of a scheduler, as this API tells.
    pub(crate) fn rooms(&self, which: usize, scheduler: &str) -> Result<Vec<Value>, (u16, String)> {
        let mut rooms = Vec::new();
        for status in ["creating", "ready", "occupied", "terminating"] {
            let path = format!("/scheduler/{scheduler}/rooms/status/{status}?limit=1000");
            rooms.extend(
                self.try_get(which, &path)?
                    .as_array()
                    .cloned()
                    .unwrap_or_default(),
            );
        }
        Ok(rooms)
    }

    /// What `maestro-cli` prints; it must succeed.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let output = self.try_cli(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "maestro-cli {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `maestro-cli`.
    pub(crate) fn try_cli(&self, arguments: &[&str]) -> Output {
        Command::new(&self.cli)
            .args(["--url", &self.apis[0].url])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Creates a scheduler from a document.
    pub(crate) fn create(&self, document: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path: &Path = &folder.path().join("scheduler.yaml");
        std::fs::write(path, document).unwrap();
        self.cli(&["create", path.to_str().unwrap()]);
    }

    /// Ends all processes as an operator does; each must end well.
    pub(crate) fn end(mut self) -> Bed {
        let all: Vec<Running> = self.workers.drain(..).chain(self.apis.drain(..)).collect();
        for mut process in all {
            process.signal(Signal::TERM);
            let ended = eventually("it ends after SIGTERM", PATIENCE, || process.ended());
            assert!(ended.success(), "{ended}:\n{}", process.log());
        }
        self.bed
    }
}

fn api(bed: &Bed, key: &str) -> Running {
    Running::launch(role("api", bed, key), "API on ")
}

fn role(verb: &str, bed: &Bed, key: &str) -> Command {
    let mut command = Command::new(MAESTRO);
    command.args([verb, "--listen", "127.0.0.1:0", "--insecure", "--key", key]);
    command.args(["--database", &bed.database, "--redis", &bed.redis]);
    command.args(["--redis-prefix", &bed.prefix(), "--kubeconfig", &bed.account]);
    command
}

/// Host and port of a URL.
fn host(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into()
}
