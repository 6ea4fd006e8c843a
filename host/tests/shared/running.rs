//! A running Maestro, for tests of whole programs: started, listened to, ended.
//!
//! The tests of the service and those of the command line both include this file, because neither package may depend
//! on the other; what only one of them needs stands in its own harness. Whoever needs only a part of it says so where it
//! is included.

#[path = "eventually.rs"]
mod eventually;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

pub(crate) use self::eventually::{PATIENCE, eventually};

/// A running Maestro; killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    /// Where its API is.
    pub(crate) url: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// Starts `maestro dev` from this binary, changed as `change` says, on a free port; waits until the API is up.
    pub(crate) fn start(maestro: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(maestro);
        command.args(["dev", "--plain", "--listen", "127.0.0.1:0"]);
        change(&mut command);
        Self::run(command)
    }

    /// Starts a Maestro that tells where its API is, and waits until that is up.
    pub(crate) fn run(command: Command) -> Self {
        Self::launch(command, "API on ")
    }

    /// Starts this command; waits until it tells an address, after this text in its log.
    pub(crate) fn launch(mut command: Command, before: &str) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = lines.clone();
        thread::spawn(move || {
            let lines = stderr.lines().map_while(Result::ok);
            lines.for_each(|line| seen.lock().unwrap().push(line));
        });
        let mut running = Self {
            child,
            url: String::new(),
            lines,
        };
        running.url = eventually("an address in the log", PATIENCE, || {
            assert!(running.ended().is_none(), "it ended:\n{}", running.log());
            let lines = running.lines.lock().unwrap();
            let mut urls = lines.iter().filter_map(|line| line.split_once(before));
            urls.next().map(|(_, url)| url.trim().to_owned())
        });
        running
    }

    /// Everything it logged so far.
    pub(crate) fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Sends it a signal; one that has ended already needs none.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            kill_process(Pid::from_child(&self.child), signal).unwrap();
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.kill().is_ok() && self.child.wait().is_err() {
            eprintln!("maestro was killed and nobody can tell how it ended");
        }
    }
}

/// The binary of another package of the workspace, which lies beside `ours`; built when it is not there yet, because
/// tests of one package alone leave out the others. Package and binary have one name.
pub(crate) fn sibling(ours: &str, name: &str) -> PathBuf {
    let path = Path::new(ours).with_file_name(name);
    if !path.is_file() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--package", name])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
            .output()
            .unwrap();
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
    }
    path
}
