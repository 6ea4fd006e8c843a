//! The live table on a real terminal: what it shows, what its keys do, and that the terminal is put back.
//!
//! `script`, which every Linux has, makes the terminal; what is written to it are keys.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use super::harness::{PATIENCE, eventually, file, room_processes};

/// Notes the modes of the terminal, runs the command, notes how it ended, and the modes again.
const SCRIPT: &str = r#"
# Ctrl-C is for Maestro alone.
trap : INT
stty rows 50 cols 120
stty -g > "$NOTES/before"
COMMAND
echo $? > "$NOTES/code"
stty -g > "$NOTES/after"
"#;

/// A terminal in which a command runs.
pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    notes: tempfile::TempDir,
}

impl Terminal {
    fn start(arguments: &str) -> Self {
        let maestro = env!("CARGO_BIN_EXE_maestro");
        Self::run(&format!("{maestro} dev --listen 127.0.0.1:0 {arguments}"), |_| ())
    }

    /// Runs this line of a shell.
    pub(crate) fn run(line: &str, change: impl FnOnce(&mut Command)) -> Self {
        let notes = tempfile::tempdir().unwrap();
        let script = notes.path().join("run.sh");
        fs::write(&script, SCRIPT.replace("COMMAND", line)).unwrap();
        let mut command = Command::new("script");
        command
            .arg("-qec")
            .arg(format!("sh {}", script.display()))
            .arg("/dev/null")
            .env("NOTES", notes.path());
        change(&mut command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let seen = shown.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(count @ 1..) = out.read(&mut bytes) {
                seen.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self {
            keys: child.stdin.take().unwrap(),
            child,
            shown,
            notes,
        }
    }

    /// All that was shown so far, without what moves the cursor and colours the text.
    pub(crate) fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned();
        let sequences = regex::Regex::new("\x1b\\[[0-9;?]*[A-Za-z]").unwrap();
        sequences.replace_all(&text, "").into_owned()
    }

    fn shows(&self, words: &str) {
        eventually(&format!("{words:?} on the terminal"), PATIENCE, || {
            self.shown().contains(words).then_some(())
        });
    }

    pub(crate) fn press(&mut self, key: u8) {
        self.keys.write_all(&[key]).unwrap();
        self.keys.flush().unwrap();
    }

    fn note(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.notes.path().join(name)).ok()?;
        text.ends_with('\n').then(|| text.trim().to_owned())
    }

    pub(crate) fn ends_with_the_terminal_as_it_was(&self) {
        let after = eventually("its end", PATIENCE, || self.note("after"));
        assert_eq!(Some(after), self.note("before"), "the terminal is not put back");
        assert_eq!(self.note("code").as_deref(), Some("0"), "{}", self.shown());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Maestro ends with its terminal, and rooms with it.
        if self.child.kill().is_ok() && self.child.wait().is_err() {
            eprintln!("nobody can tell how the terminal ended");
        }
    }
}

#[test]
fn keys_explain_rush_kill_pause_and_quit_and_the_terminal_is_put_back() {
    let mut terminal = Terminal::start("");
    terminal.shows("keys   e explain");
    // Rooms run, and a decision is written down.
    terminal.shows("o ready");
    terminal.shows("  last   ");
    terminal.press(b'e');
    terminal.shows("What there was");
    terminal.press(b'm');
    terminal.shows("twice as many matches for 30 s");
    terminal.press(b'k');
    terminal.shows("was killed (SIGKILL)");
    terminal.shows("failed hello-");
    assert!(
        terminal.shown().contains("s ago: SIGKILL"),
        "{}",
        terminal.shown()
    );
    terminal.press(b'p');
    terminal.shows("hello: no policy takes rooms away until p is pressed again");
    terminal.shows("  paused scaling down, by hand since 2");
    terminal.press(b'p');
    terminal.shows("hello: policies may take rooms away again");
    terminal.press(b'q');
    terminal.ends_with_the_terminal_as_it_was();
}

#[test]
fn ctrl_c_ends_it_and_the_terminal_is_put_back() {
    let mut terminal = Terminal::start("--matches none");
    terminal.shows("keys   e explain");
    terminal.press(b'm');
    terminal.shows("no matches are simulated here");
    terminal.press(3);
    terminal.ends_with_the_terminal_as_it_was();
}

#[test]
fn a_room_that_keeps_failing_shows_its_code_its_last_words_and_the_pause() {
    let (_folder, path) = file(
        "arena.yaml",
        "name: arena\ngame: test\nimage: none\nautoscaling: {min: 1, max: 2}\n",
    );
    let room = "sh -c \"echo no licence; exit 3\"";
    let mut terminal = Terminal::start(&format!("{path} --room '{room}'"));
    terminal.shows("next   New rooms are tried again in ");
    terminal.shows("ended with code 3 before it was ready: no licence");
    terminal.shows("failed arena-");
    terminal.shows("s ago: exit code 3: no licence");
    let shown = terminal.shown();
    let (_, url) = shown.split_once("API on ").unwrap();
    let url: String = url.chars().take_while(|c| c.is_ascii_graphic()).collect();
    terminal.press(b'q');
    terminal.ends_with_the_terminal_as_it_was();
    assert!(room_processes(&url).is_empty());
}
