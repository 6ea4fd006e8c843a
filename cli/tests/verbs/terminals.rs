//! What only a terminal gets: colours, tables that fit, questions, lines that are drawn over. `script`, which every
//! Linux has, gives the program one.
#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::ARENA;
use super::beside::{CLI, Dev, Following};

/// A line of shell, about to run on a terminal.
fn terminal(dev: &Dev, line: &str) -> Command {
    let line = format!("stty cols 60 rows 24; {}", line.replace("maestro-cli", CLI));
    let mut command = Command::new("script");
    command
        .args([
            "--quiet",
            "--return",
            "--echo",
            "never",
            "--command",
            &line,
            "/dev/null",
        ])
        .env("MAESTRO_URL", dev.url())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped());
    command
}

/// Runs it with `typed` typed; gives all that appeared, and the exit code.
fn on_terminal(dev: &Dev, line: &str, typed: &str, variables: &[(&str, &str)]) -> (String, i32) {
    let mut child = terminal(dev, line)
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Held open until the end: the end of what is typed would be the end of the terminal.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(typed.as_bytes()).unwrap();
    let mut out = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut out).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    (out.replace("\r\n", "\n"), code)
}

#[test]
fn a_terminal_gets_colours_that_fit_and_is_asked() {
    let dev = Dev::start(&[]);
    dev.ok(&["create", &dev.file("arena.yaml", ARENA)]);
    dev.ok(&["wait", "arena", "--for", "ready"]);
    let (listed, code) = on_terminal(&dev, "maestro-cli rooms arena", "", &[]);
    assert_eq!(code, 0, "{listed}");
    assert!(listed.contains("\x1b["), "{listed:?}");
    let (plain, _) = on_terminal(&dev, "maestro-cli rooms arena", "", &[("NO_COLOR", "1")]);
    assert!(plain.starts_with("ROOM ") && !plain.contains('\x1b'), "{plain:?}");
    let widest = plain.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(60), "{widest:?}: {plain}");
    let (error, code) = on_terminal(&dev, "maestro-cli status aren", "", &[]);
    assert_eq!(code, 3, "{error}");
    assert!(error.starts_with("\x1b[31merror:\x1b[0m "), "{error:?}");

    let top = Following::of(&mut terminal(&dev, "maestro-cli top"));
    top.says("A\r\x1b[J\x1b[36m2 schedulers; 2 rooms ready, 0 occupied");
    let watch = Following::of(&mut terminal(&dev, "maestro-cli watch arena"));
    watch.says("A\r\x1b[J\x1b[36marena v1.0 of the game test, in-sync\x1b[0m");
    watch.says("\x1b[32m░\x1b[0m ready");
    watch.says("\x1b[33m▲▼\x1b[0m decisions");
    drop((top, watch));

    let (asked, code) = on_terminal(&dev, "maestro-cli delete arena", "n\n", &[]);
    assert_eq!(code, 1, "{asked}");
    assert!(
        asked.contains("delete arena? rooms in a match finish it first. [y/N]")
            && asked.contains("nothing was deleted"),
        "{asked:?}"
    );
    assert_eq!(dev.run(&["status", "arena"]).code, 0);
    let (asked, code) = on_terminal(&dev, "maestro-cli delete nobody", "", &[]);
    assert_eq!(code, 3, "{asked}");
    assert!(
        asked.contains("there is no scheduler `nobody`")
            && asked.contains("which there are: maestro-cli get")
            && !asked.contains("[y/N]"),
        "{asked:?}"
    );
    let (asked, code) = on_terminal(&dev, "maestro-cli delete arena", "y\n", &[]);
    assert_eq!(code, 0, "{asked}");
    dev.ok(&["wait", "arena", "--for", "gone"]);
}

#[test]
fn a_call_that_takes_long_shows_that_something_goes_on() {
    let dev = Dev::start(&[]);
    let line = "maestro-cli wait idle --for gone --timeout 2";
    let (waited, code) = on_terminal(&dev, line, "", &[]);
    assert_eq!(code, 1, "{waited}");
    assert!(waited.contains("⠙ waiting for idle to be gone"), "{waited:?}");
    let last = waited.rsplit("\r\x1b[2K").next().unwrap();
    assert!(
        last.starts_with("\x1b[31merror:"),
        "it leaves no trace: {waited:?}"
    );
}
