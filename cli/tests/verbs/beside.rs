//! A `maestro dev` beside the test, on a free port; it ends with the test, and its rooms with it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// The program that is tested.
pub(crate) const CLI: &str = env!("CARGO_BIN_EXE_maestro-cli");

/// How long anything may take here. Generous, because two cores may be shared with a compiler.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A scheduler without rooms, so that Maestro has something to know and nothing to do.
const IDLE: &str = "name: idle\ngame: test\nimage: none\nautoscaling: {min: 0}\n";

/// Looks until `check` gives something, for at most `deadline`; fails with `what` was waited for.
pub(crate) fn eventually<T>(what: &str, deadline: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What a run of the program left.
pub(crate) struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the program against the Maestro at `url`.
pub(crate) fn run(url: &str, arguments: &[&str]) -> Ran {
    let output = Command::new(CLI)
        .args(arguments)
        .env("MAESTRO_URL", url)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running `maestro dev`.
pub(crate) struct Dev {
    child: Child,
    url: String,
    lines: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
}

impl Dev {
    /// Starts it with the scheduler `idle` and these documents, and waits until the API is up.
    pub(crate) fn start(documents: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(maestro());
        command.args(["dev", "--plain", "--matches", "none", "--listen", "127.0.0.1:0"]);
        for (name, text) in [("idle.yaml", IDLE)].iter().chain(documents) {
            command.arg(write(&folder, name, text));
        }
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
        let mut dev = Self {
            child,
            url: String::new(),
            lines,
            folder,
        };
        dev.url = eventually("the API's address in the log", PATIENCE, || {
            assert!(
                dev.child.try_wait().unwrap().is_none(),
                "it ended:\n{}",
                dev.log()
            );
            let lines = dev.lines.lock().unwrap();
            let mut urls = lines.iter().filter_map(|line| line.split_once("API on "));
            urls.next().map(|(_, url)| url.trim().to_owned())
        });
        eventually("the scheduler `idle`", PATIENCE, || {
            (dev.run(&["status", "idle"]).code == 0).then_some(())
        });
        dev
    }

    /// Everything it logged so far.
    pub(crate) fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// A file beside its documents.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        write(&self.folder, name, content)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(&self.url, arguments)
    }

    /// What the program prints; it must succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}\n{}", ran.err, self.log());
        ran.out
    }

    /// The same with `-o json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // The first signal ends rooms gracefully; without `--data` none can outlive Maestro, however it ends.
        let is_asked = kill_process(Pid::from_child(&self.child), Signal::TERM).is_ok();
        if is_asked && !thread::panicking() {
            eventually("maestro ends after SIGTERM", PATIENCE, || {
                self.child.try_wait().ok()?
            });
            return;
        }
        if self.child.kill().is_ok() && self.child.wait().is_err() {
            eprintln!("maestro was killed and nobody can tell how it ended");
        }
    }
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The service's binary, which lies beside ours; built when it is not there yet.
fn maestro() -> &'static Path {
    static MAESTRO: OnceLock<PathBuf> = OnceLock::new();
    MAESTRO.get_or_init(|| {
        let path = Path::new(CLI).with_file_name("maestro");
        if !path.exists() {
            let built = Command::new(env!("CARGO"))
                .args(["build", "--release", "--locked", "--package", "maestro"])
                .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&built.stderr);
            assert!(built.status.success(), "{told}");
        }
        path
    })
}
