//! `maestro dev init`, and the hint for rooms that say nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::harness::{Dev, PATIENCE, agent, eventually, file};

fn dev(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_maestro"))
        .arg("dev")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn init_writes_a_document_once_and_says_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hello.yaml");
    let first = dev(folder.path(), &["init"]);
    assert!(first.status.success() && words(&first).contains("    maestro dev hello.yaml\n"));
    let text = fs::read_to_string(&path).unwrap();

    fs::write(&path, "mine").unwrap();
    let second = dev(folder.path(), &["init"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(words(&second).contains("hello.yaml is there already") && words(&second).contains("--force"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");

    assert!(dev(folder.path(), &["init", "--force"]).status.success());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let shown = dev(folder.path(), &["init", "-"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), text);
    let lost = dev(folder.path(), &["init", "nowhere/my.yaml"]);
    assert!(
        lost.status.code() == Some(1) && words(&lost).contains("nowhere/my.yaml"),
        "{}",
        words(&lost)
    );
}

#[test]
fn what_init_writes_runs_as_the_quick_scheduler() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.yaml");
    let path = path.to_str().unwrap();
    assert!(dev(folder.path(), &["init", path]).status.success());
    let dev = Dev::start(&["--matches", "none", path]);
    eventually("its rooms are ready", PATIENCE, || {
        (dev.in_state("hello", "ready").len() == 3).then_some(())
    });
    assert!(dev.terminate().success());
}

#[test]
fn a_file_may_be_called_init() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("init"), "nmae: arena\n").unwrap();
    for arguments in [["./init"].as_slice(), &["--plain", "init"]] {
        let output = dev(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(words(&output).contains("init:1:1"), "{}", words(&output));
    }
}

#[test]
fn rooms_that_say_nothing_are_told_of_once_with_a_request_that_works() {
    let text = "name: arena\ngame: test\nimage: none\nautoscaling: {min: 2, max: 2}\n";
    let (_folder, path) = file("arena.yaml", text);
    let dev = Dev::start(&["--room", "sleep 600", &path]);
    let hint = eventually("the hint", PATIENCE, || {
        let log = dev.log();
        log.lines().find(|line| line.contains("curl ")).map(str::to_owned)
    });
    let (_, request) = hint.split_once("curl ").unwrap();
    let room = request.split('/').nth(6).unwrap();
    let token = dev.room_processes().into_iter().find_map(|process| {
        let text = fs::read_to_string(format!("/proc/{process}/environ")).unwrap();
        let value = |name: &str| {
            text.split('\0')
                .find_map(|variable| variable.strip_prefix(name))
                .map(str::to_owned)
        };
        (value("MAESTRO_ROOM_ID=")? == room).then(|| value("MAESTRO_ROOM_TOKEN="))?
    });

    // The shell reads the request as it would for curl, which need not be there.
    let shell = Command::new("sh")
        .args(["-c", &format!("printf '%s\\n' {request}")])
        .env("MAESTRO_ROOM_TOKEN", token.unwrap())
        .output()
        .unwrap();
    let arguments = String::from_utf8(shell.stdout).unwrap();
    let arguments: Vec<&str> = arguments.lines().collect();
    let ["-X", "PUT", url, "-H", header, "-d", body] = arguments.as_slice() else {
        panic!("{arguments:?}");
    };
    let (name, value) = header.split_once(": ").unwrap();
    let answer = agent().put(*url).header(name, value).send(*body).unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    eventually("the room is ready", PATIENCE, || {
        (dev.in_state("arena", "ready") == [room]).then_some(())
    });
    assert_eq!(dev.log().matches("curl ").count(), 1);
    assert!(dev.terminate().success());
}
