//! A `maestro dev` beside the test, on a free port; it ends with the test, and its rooms with it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use super::running::{PATIENCE, eventually};
use super::running::{Running, sibling};

/// The program that is tested.
pub(crate) const CLI: &str = env!("CARGO_BIN_EXE_maestro-cli");

/// A scheduler without rooms, so that Maestro has something to know and nothing to do.
const IDLE: &str = "name: idle\ngame: test\nimage: none\nautoscaling: {min: 0}\n";

/// What a run of the program left.
pub(crate) struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the program against the Maestro at `url`.
pub(crate) fn run(url: &str, arguments: &[&str]) -> Ran {
    ended(command(url, arguments).stdin(Stdio::null()))
}

/// The same; `text` comes from stdin.
pub(crate) fn run_with(url: &str, arguments: &[&str], text: &str) -> Ran {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    ended(command(url, arguments).stdin(fs::File::open(file.path()).unwrap()))
}

/// The program, about to run against the Maestro at `url`.
pub(crate) fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(CLI);
    command.args(arguments).env("MAESTRO_URL", url);
    command
}

/// Runs a command to its end.
pub(crate) fn ended(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running `maestro dev`.
pub(crate) struct Dev {
    running: Running,
    folder: TempDir,
}

impl Dev {
    /// Starts it with the scheduler `idle` and these documents, and waits until the API is up.
    pub(crate) fn start(documents: &[(&str, &str)]) -> Self {
        static MAESTRO: OnceLock<PathBuf> = OnceLock::new();
        let maestro = MAESTRO.get_or_init(|| sibling(CLI, "maestro"));
        let folder = tempfile::tempdir().unwrap();
        let running = Running::start(maestro, |command| {
            command.args(["--matches", "none"]);
            for (name, text) in [("idle.yaml", IDLE)].iter().chain(documents) {
                command.arg(write(&folder, name, text));
            }
        });
        let dev = Self { running, folder };
        eventually("the scheduler `idle`", PATIENCE, || {
            (dev.run(&["status", "idle"]).code == 0).then_some(())
        });
        dev
    }

    /// Where its API is.
    pub(crate) fn url(&self) -> &str {
        &self.running.url
    }

    /// Everything it logged so far.
    pub(crate) fn log(&self) -> String {
        self.running.log()
    }

    /// A file beside its documents.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        write(&self.folder, name, content)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(self.url(), arguments)
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
        if !thread::panicking() {
            self.running.signal(Signal::TERM);
            eventually("maestro ends after SIGTERM", PATIENCE, || self.running.ended());
        }
    }
}

/// A verb that goes on until it is told to stop; killed when dropped.
pub(crate) struct Following {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    talk: Arc<Mutex<Vec<String>>>,
}

impl Following {
    /// Starts it and reads along.
    pub(crate) fn start(url: &str, arguments: &[&str]) -> Self {
        Self::of(command(url, arguments).stdin(Stdio::null()))
    }

    /// The same with any command.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = gathered(child.stdout.take().unwrap());
        let talk = gathered(child.stderr.take().unwrap());
        Self { child, lines, talk }
    }

    /// What it printed so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until it said something with these words on stderr, for the `nth` time.
    pub(crate) fn tells(&self, words: &str, nth: usize) {
        eventually(words, PATIENCE, || {
            let talk = self.talk.lock().unwrap();
            let told = talk.iter().filter(|line| line.contains(words)).count();
            (told >= nth).then_some(())
        });
    }

    /// Its exit code, once it has ended.
    pub(crate) fn code(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().and_then(|status| status.code())
    }

    /// Waits until it printed a line with these words.
    pub(crate) fn says(&self, words: &str) {
        eventually(words, PATIENCE, || {
            self.lines().iter().any(|line| line.contains(words)).then_some(())
        });
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if self.child.kill().is_ok() && self.child.wait().is_err() {
            eprintln!("it was killed and nobody can tell how it ended");
        }
    }
}

/// The lines that come, as they come.
fn gathered(from: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = lines.clone();
    thread::spawn(move || {
        let lines = BufReader::new(from).lines().map_while(Result::ok);
        lines.for_each(|line| seen.lock().unwrap().push(line));
    });
    lines
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Something that listens and is no Maestro: whatever it is asked, it answers this. Gives its URL.
pub(crate) fn stranger(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let asked = BufReader::new(&stream).lines().map_while(Result::ok);
            // Up to the empty line; nobody sends it a body.
            asked.take_while(|line| !line.is_empty()).for_each(drop);
            if stream.write_all(answer.as_bytes()).is_err() {
                // Whoever asked has gone.
            }
        }
    });
    url
}
