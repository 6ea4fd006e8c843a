//! Starts `maestro dev` on a free port, talks to it, and leaves no process behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Looks until `check` gives something, for at most `deadline`; fails with `what` was waited for.
pub(crate) fn eventually<T>(what: &str, deadline: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// How long anything may take here. Generous, because two cores may be shared with a compiler.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running `maestro dev`.
pub(crate) struct Dev {
    child: Child,
    /// Where its API is.
    pub url: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Dev {
    /// Starts it with these arguments on a free port and waits until the API is up.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_maestro"))
            .args(["dev", "--plain", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = lines.clone();
        thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .for_each(|line| seen.lock().unwrap().push(line))
        });
        let mut dev = Self {
            child,
            url: String::new(),
            lines,
        };
        dev.url = eventually("the API's address in the log", PATIENCE, || {
            assert!(
                dev.child.try_wait().unwrap().is_none(),
                "it ended:\n{}",
                dev.log()
            );
            let lines = dev.lines.lock().unwrap();
            lines
                .iter()
                .find_map(|line| Some(line.split_once("API on ")?.1.trim().to_owned()))
        });
        dev
    }

    /// Everything it logged so far.
    pub(crate) fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
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
        kill_process(self.pid(), Signal::TERM).unwrap();
        eventually("maestro ends after SIGTERM", PATIENCE, || {
            self.child.try_wait().unwrap()
        })
    }

    /// Ends it the hard way.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            // A failed test: rooms of its own are ended by id too, those with `--data` would go on otherwise.
            let rooms = self.room_processes();
            if self.child.kill().is_ok() && self.child.wait().is_ok() {
                end(&rooms);
            }
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

/// The command line's binary beside ours, where tests of the whole workspace have built it.
pub(crate) fn cli() -> &'static Path {
    static CLI: OnceLock<PathBuf> = OnceLock::new();
    CLI.get_or_init(|| {
        let beside = Path::new(env!("CARGO_BIN_EXE_maestro")).with_file_name("maestro-cli");
        if !beside.is_file() {
            // Tests of this package alone leave it out.
            let built = Command::new(env!("CARGO"))
                .args(["build", "--release", "--locked", "--package", "maestro-cli"])
                .current_dir(root())
                .output()
                .unwrap();
            assert!(
                built.status.success(),
                "{}",
                String::from_utf8_lossy(&built.stderr)
            );
        }
        beside
    })
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
