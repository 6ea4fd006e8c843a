//! Starts `maestro dev` on a free port, talks to it, and leaves no process behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub(crate) use super::running::{PATIENCE, eventually};
use super::running::{Running, sibling};

const MAESTRO: &str = env!("CARGO_BIN_EXE_maestro");

/// A running `maestro dev`.
pub(crate) struct Dev {
    running: Running,
    /// Where its API is.
    pub url: String,
}

impl Dev {
    /// Starts it with these arguments on a free port and waits until the API is up.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_changed(|command| {
            command.args(arguments);
        })
    }

    /// The same, with whatever else is to be changed.
    pub(crate) fn start_changed(change: impl FnOnce(&mut Command)) -> Self {
        let running = Running::start(Path::new(MAESTRO), change);
        Self {
            url: running.url.clone(),
            running,
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.running.child.id()
    }

    /// Everything it logged so far.
    pub(crate) fn log(&self) -> String {
        self.running.log()
    }

    /// A body from the API.
    pub(crate) fn get(&self, path: &str) -> Value {
        let mut response = agent().get(format!("{}{path}", self.url)).call().unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// All rooms of a scheduler.
    pub(crate) fn rooms(&self, scheduler: &str) -> Vec<Value> {
        let pages = ["creating", "ready", "occupied", "terminating"].map(|status| {
            let path = format!("/scheduler/{scheduler}/rooms/status/{status}?limit=500");
            self.get(&path).as_array().cloned().unwrap_or_default()
        });
        pages.concat()
    }

    /// Names of a scheduler's rooms in this exact state.
    pub(crate) fn in_state(&self, scheduler: &str, state: &str) -> Vec<String> {
        let rooms = self.rooms(scheduler);
        let matching = rooms.iter().filter(|room| room["state"] == state);
        matching
            .map(|room| room["roomId"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Runs `maestro-cli` against it.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        Command::new(cli())
            .args(["--url", &self.url])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What `maestro-cli` prints; it must succeed.
    pub(crate) fn cli_ok(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "maestro-cli {arguments:?}: {stderr}\n{}",
            self.log()
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Process ids of its rooms, by what only they have in their environment.
    pub(crate) fn room_processes(&self) -> Vec<u32> {
        room_processes(&self.url)
    }

    /// Asks it to end, and waits.
    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        self.signal(Signal::TERM);
        eventually("maestro ends after SIGTERM", PATIENCE, || self.ended())
    }

    /// Ends it the hard way.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        eventually("maestro is killed", PATIENCE, || self.ended());
    }

    /// Sends it a signal.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.running.signal(signal);
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.running.ended()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // A failed test: rooms of its own are ended by id too, those with `--data` would go on otherwise.
            let rooms = self.room_processes();
            self.signal(Signal::KILL);
            end(&rooms);
        }
    }
}

/// Ends processes by their ids.
pub(crate) fn end(processes: &[u32]) {
    for id in processes {
        if let Some(pid) = i32::try_from(*id).ok().and_then(Pid::from_raw)
            && kill_process(pid, Signal::KILL).is_err()
        {
            // It ended by itself.
        }
    }
}

/// Process ids of rooms that were told this URL.
pub(crate) fn room_processes(url: &str) -> Vec<u32> {
    let mark = format!("MAESTRO_API_URL={url}\0");
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        let mark = mark.as_bytes();
        environment.windows(mark.len()).any(|part| part == mark)
    })
    .collect()
}

/// The command line's binary.
pub(crate) fn cli() -> &'static Path {
    static CLI: OnceLock<PathBuf> = OnceLock::new();
    CLI.get_or_init(|| sibling(MAESTRO, "maestro-cli"))
}

/// The workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Calls that take errors as answers.
pub(crate) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

/// A file with this text in a folder of its own.
pub(crate) fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}
