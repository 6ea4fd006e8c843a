//! Game servers that know nothing of Maestro: scripts, and this very test binary where a script can't listen.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

use super::harness::{PATIENCE, eventually};

/// A program that says each line that it is told through a pipe; after `!` it says the rest as an error.
pub(crate) struct Parrot {
    folder: tempfile::TempDir,
}

impl Parrot {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let parrot = Self { folder };
        let made = Command::new("mkfifo").arg(parrot.pipe()).status().unwrap();
        assert!(made.success());
        parrot
    }

    /// What starts it.
    pub(crate) fn command(&self) -> String {
        let script = self.folder.path().join("parrot.sh");
        // Open for reading and writing, so that it goes on when the teller has gone.
        let text = "exec 3<>\"$1\"\necho begun\nwhile read -r line <&3; do\n\
                    case \"$line\" in\n!*) echo \"${line#!}\" >&2;;\n*) echo \"$line\";;\nesac\ndone\n";
        fs::write(&script, text).unwrap();
        format!("sh {} {}", script.display(), self.pipe().display())
    }

    /// Lets it say this; waits until it listens.
    pub(crate) fn tell(&self, line: &str) {
        let mut pipe = fs::OpenOptions::new().write(true).open(self.pipe()).unwrap();
        writeln!(pipe, "{line}").unwrap();
    }

    fn pipe(&self) -> PathBuf {
        self.folder.path().join("pipe")
    }
}

/// The command that makes a program of a test below.
pub(crate) fn role(name: &str) -> String {
    let binary = std::env::current_exe().unwrap();
    format!("{} --exact --nocapture programs::{name}", binary.display())
}

/// What a role is told by the document's `env`; the test that it also is has nothing to do without.
const GATE: &str = "TEST_GATE";

/// The document's `env` for a role: the file that it waits for.
pub(crate) fn gate(file: &Path) -> String {
    format!("env: [{{name: {GATE}, value: {}}}]", file.display())
}

fn wait_for_gate() -> Option<()> {
    let gate = PathBuf::from(std::env::var_os(GATE)?);
    println!("waits at the gate");
    eventually("the gate opens", PATIENCE, || gate.exists().then_some(()));
    Some(())
}

fn game_port() -> u16 {
    std::env::var("MAESTRO_PORT_GAME").unwrap().parse().unwrap()
}

#[test]
fn tcp_listener() {
    if wait_for_gate().is_some() {
        let listener = TcpListener::bind(("127.0.0.1", game_port())).unwrap();
        // Whoever connects would be a player; nobody should.
        let (_, player) = listener.accept().unwrap();
        println!("player {player}");
    }
}

#[test]
fn udp_listener() {
    if wait_for_gate().is_some() {
        let socket = UdpSocket::bind(("0.0.0.0", game_port())).unwrap();
        let (_, player) = socket.recv_from(&mut [0]).unwrap();
        println!("player {player}");
    }
}

#[test]
fn one_that_counts_sigterm() {
    let Some(gate) = std::env::var_os(GATE) else {
        return;
    };
    let mut signals = Signals::new([SIGTERM]).unwrap();
    thread::spawn(move || signals.forever().for_each(|_| println!("asked to end")));
    println!("counting");
    // It takes its time, so that it could be asked again.
    eventually("the gate opens", PATIENCE, || {
        Path::new(&gate).exists().then_some(())
    });
}
