//! The wrapper by itself: what passes through it, how it ends, and what it refuses.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::harness::{Dev, PATIENCE, eventually, file};

/// `maestro wrap` with these arguments.
fn wrap(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maestro"));
    command.arg("wrap").args(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A Maestro with one room that never reports, which the wrapper under test reports for.
struct Stage {
    dev: Dev,
    room: String,
    environment: Vec<(String, String)>,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn set() -> Self {
        let text = "name: arena\ngame: test\nimage: none\nautoscaling: {min: 1, max: 1}\n";
        let (folder, path) = file("arena.yaml", text);
        let dev = Dev::start(&["--room", "sleep 600", &path]);
        let environment = eventually("the room's environment", PATIENCE, || {
            let process = dev.room_processes().pop()?;
            let text = std::fs::read_to_string(format!("/proc/{process}/environ")).ok()?;
            let variables = text.split('\0').filter_map(|variable| variable.split_once('='));
            let ours = variables.filter(|(name, _)| name.starts_with("MAESTRO_"));
            Some(
                ours.map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect::<Vec<_>>(),
            )
        });
        let room = environment.iter().find(|(name, _)| name == "MAESTRO_ROOM_ID");
        Self {
            room: room.unwrap().1.clone(),
            dev,
            environment,
            _folder: folder,
        }
    }

    fn wrap(&self, arguments: &[&str]) -> Command {
        let mut command = wrap(arguments);
        command.envs(self.environment.iter().cloned());
        command
    }

    fn is_in(&self, state: &str) {
        eventually(&format!("the room is {state}"), PATIENCE, || {
            (self.dev.in_state("arena", state) == [self.room.as_str()]).then_some(())
        });
    }

    /// Waits until the room is stopping, or has: it would run for ever, had it not said that it ends.
    fn is_leaving(&self) {
        eventually("the room is leaving", PATIENCE, || {
            let rooms = self.dev.rooms("arena");
            let stays = |room: &serde_json::Value| {
                room["roomId"] == self.room.as_str() && room["state"] != "stopping"
            };
            (!rooms.iter().any(stays)).then_some(())
        });
    }
}

/// The first line of its output, which is there once the program is.
fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    line.trim_end().to_owned()
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

fn is_running(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
    })
}

fn refused(output: &Output, code: i32, parts: &[&str]) {
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{words}");
    for part in parts {
        assert!(words.contains(part), "{part:?} is missing:\n{words}");
    }
}

#[test]
fn sigterm_is_passed_on_told_and_the_exit_code_kept() {
    let stage = Stage::set();
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT")] {
        let script = format!(
            "trap 'echo saving; sleep 0.2; echo saved; exit 7' {name}; echo begun; while true; do sleep 0.05; done"
        );
        let wrapped = ["--ready-when", "log:begun", "--", "sh", "-c", &script];
        let mut child = stage.wrap(&wrapped).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        assert_eq!(lines.next().unwrap(), "begun");
        // For the second wrapper the room has said its last word already.
        if signal == Signal::TERM {
            stage.is_in("ready");
        }
        kill_process(pid(child.id()), signal).unwrap();
        assert_eq!(lines.collect::<Vec<_>>(), ["saving", "saved"]);
        assert_eq!(child.wait().unwrap().code(), Some(7));
        stage.is_leaving();
    }
    assert!(stage.dev.terminate().success());
}

#[test]
fn a_program_that_is_killed_is_told_as_a_shell_tells_it_and_takes_its_group_along() {
    let stage = Stage::set();
    let script = "sleep 600 & echo $!; kill -SEGV $$";
    let mut child = stage.wrap(&["--", "sh", "-c", script]).spawn().unwrap();
    let left = first_line(&mut child);
    let output = child.wait_with_output().unwrap();
    refused(&output, 139, &["SIGSEGV"]);
    eventually("what it left is gone", PATIENCE, || {
        (!is_running(&left)).then_some(())
    });
    assert!(stage.dev.terminate().success());
}

#[test]
fn a_killed_wrapper_takes_the_program_along() {
    let stage = Stage::set();
    let mut child = stage
        .wrap(&[
            "--",
            "sh",
            "-c",
            "trap '' TERM; echo $$; while true; do sleep 0.05; done",
        ])
        .spawn()
        .unwrap();
    let program = first_line(&mut child);
    assert!(is_running(&program));
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the program is gone", PATIENCE, || {
        (!is_running(&program)).then_some(())
    });
    assert!(stage.dev.terminate().success());
}

#[test]
fn output_and_input_pass_through_byte_for_byte() {
    let stage = Stage::set();
    let mut child = stage
        .wrap(&[
            "--ready-when",
            "log:nothing",
            "--",
            "sh",
            "-c",
            "cat; printf 'er\\377r' >&2",
        ])
        .spawn()
        .unwrap();
    let mut input: Vec<u8> = b"one\r\n\n\xff\xfe\0 two\n".to_vec();
    input.extend(std::iter::repeat_n(b'x', 1_000_000));
    let mut stdin = child.stdin.take().unwrap();
    let told = input.clone();
    let teller = std::thread::spawn(move || stdin.write_all(&told));
    let mut out = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    teller.join().unwrap().unwrap();
    assert!(out == input, "{} bytes instead of {}", out.len(), input.len());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(output.stderr.ends_with(b"er\xffr"), "{:?}", output.stderr);
    assert!(stage.dev.terminate().success());
}

#[test]
fn a_program_that_is_not_there_and_a_port_that_is_not_there_are_named() {
    let stage = Stage::set();
    let output = stage.wrap(&["--", "/nowhere/game-server"]).output().unwrap();
    refused(&output, 127, &["/nowhere/game-server could not be started"]);
    let output = stage
        .wrap(&["--ready-when", "port", "--", "true"])
        .output()
        .unwrap();
    refused(&output, 125, &["MAESTRO_PORT_", "--ready-when log:"]);
    assert!(stage.dev.terminate().success());
}

#[test]
fn without_maestro_it_says_what_is_missing_and_what_to_type() {
    let arguments = ["--ready-when", "log:^Done in", "--", "./my-server"];
    let output = wrap(&arguments).env_clear().output().unwrap();
    refused(
        &output,
        125,
        &[
            "MAESTRO_SCHEDULER_NAME, MAESTRO_ROOM_ID, MAESTRO_API_URL and MAESTRO_ROOM_TOKEN",
            r#"maestro dev --room 'maestro wrap --ready-when "log:^Done in" -- ./my-server' my.yaml"#,
            "maestro dev init my.yaml",
        ],
    );
    let mut partly = wrap(&arguments);
    partly.env_clear().env("MAESTRO_ROOM_ID", "arena-00000001");
    refused(
        &partly.output().unwrap(),
        125,
        &["MAESTRO_SCHEDULER_NAME, MAESTRO_API_URL, MAESTRO_ROOM_TOKEN not set"],
    );
}

#[test]
fn a_bad_pattern_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    let begin = ["--", "touch", begun.to_str().unwrap()];
    for (options, parts) in [
        (
            ["--ready-when", "log:Done ("].as_slice(),
            ["--ready-when", "Done (\n", "     ^"].as_slice(),
        ),
        (
            &["--occupied-when", "log:+", "--idle-when", "log:left"],
            &["--occupied-when", "repetition"],
        ),
        (&["--occupied-when", "log:joined"], &["--idle-when"]),
        (&["--idle-when", "log:left"], &["--occupied-when"]),
        (&["--ready-when", "soon"], &["`port`, `log:`"]),
    ] {
        refused(&wrap(&[options, &begin].concat()).output().unwrap(), 2, parts);
    }
    assert!(!begun.exists());
}
