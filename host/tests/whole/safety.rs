//! What `maestro dev` refuses to do, and what this machine may refuse it: each is told with a way out.

use std::fs;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::harness::{Dev, PATIENCE, eventually, file};

const IDLE: &str = "name: idle\ngame: test\nimage: none\nautoscaling: {min: 0}\n";

/// Runs `maestro dev` where it can't start, and answers what it said.
fn refused(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_maestro"))
        .args(["dev", "--plain", "--matches", "none"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    words
}

#[test]
fn an_address_that_others_reach_needs_a_word_more() {
    let words = refused(&["--listen", "0.0.0.0:0"]);
    assert!(
        words.contains("--insecure") && words.contains("127.0.0.1"),
        "{words}"
    );

    let (_folder, path) = file("idle.yaml", IDLE);
    // A later --listen stands for the harness's own.
    let dev = Dev::start_changed(|command| {
        let program = command.get_program().to_owned();
        *command = Command::new(program);
        command.args(["dev", "--plain", "--listen", "0.0.0.0:0", "--insecure", &path]);
    });
    assert!(dev.terminate().success());
}

#[test]
fn a_data_folder_in_use_is_refused_with_its_holder() {
    let (_folder, path) = file("idle.yaml", IDLE);
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let first = Dev::start(&[&path, "--data", data]);
    let address = first.url.trim_start_matches("http://").to_owned();
    // On the same port too: the folder is what the two should not share.
    for listen in ["127.0.0.1:0", &address] {
        let words = refused(&[&path, "--data", data, "--listen", listen]);
        let who = format!("(process {}, since 20", first.id());
        for part in [data, &who, &format!("API on {address})"), "--data"] {
            assert!(words.contains(part), "{part} is missing:\n{words}");
        }
    }
    assert!(first.terminate().success());
    let again = Dev::start(&[&path, "--data", data]);
    assert!(again.terminate().success());
}

#[test]
fn a_data_folder_that_cannot_be_used_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::write(&taken, "").unwrap();
    let words = refused(&["--data", taken.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert!(
        words.contains("there is a file where it") && words.contains("name another folder with --data"),
        "{words}"
    );
    // Not as a scheduler's problem, nor after the API was up.
    assert!(!words.contains("API on"), "{words}");
}

#[test]
fn a_port_range_that_is_used_up_is_told_once() {
    let text = "name: arena\ngame: test\nimage: none\nports: [{name: game, containerPort: 1, protocol: TCP}]\n\
                portRange: {start: 28990, end: 28991}\nshutdownTimeout: 5\nautoscaling: {min: 3, max: 3}\n";
    let (_folder, path) = file("arena.yaml", text);
    let dev = Dev::start(&[&path, "--matches", "none"]);
    let told = "no port of 28990-28991 is left";
    eventually("the range is told", PATIENCE, || {
        dev.log().contains(told).then_some(())
    });
    assert!(dev.log().contains("give a wider `portRange`"), "{}", dev.log());
    eventually("the decision says so too", PATIENCE, || {
        dev.cli_ok(&["explain", "arena", "-n", "1"])
            .contains(told)
            .then_some(())
    });
    assert_eq!(dev.log().matches(told).count(), 1, "{}", dev.log());
    assert!(dev.terminate().success());
}

#[test]
fn too_many_open_files_are_told_and_passing() {
    let text = "name: arena\ngame: test\nimage: none\nautoscaling: {min: 1, max: 1}\n";
    let (folder, path) = file("arena.yaml", text);
    let [hold, begun] = ["hold", "begun"].map(|name| folder.path().join(name));
    fs::write(&hold, "").unwrap();
    let script = format!(
        "echo >> {}; while [ -e {} ]; do sleep 0.05; done",
        begun.display(),
        hold.display()
    );
    let dev = Dev::start(&[&path, "--room", &format!("sh -c '{script}'")]);
    let rooms = || fs::read_to_string(&begun).map_or(0, |text| text.lines().count());
    eventually("a room", PATIENCE, || (rooms() == 1).then_some(()));

    let maestro = Pid::from_raw(i32::try_from(dev.id()).unwrap());
    let set = |limit: Rlimit| prlimit(maestro, Resource::Nofile, limit).unwrap();
    let few = Rlimit {
        current: Some(3),
        maximum: rustix::process::getrlimit(Resource::Nofile).maximum,
    };
    let before = set(few);
    // The room ends, and the next one can't begin.
    fs::remove_file(&hold).unwrap();
    eventually("the limit is told", PATIENCE, || {
        let log = dev.log();
        (log.contains("not hold more than 3 files open") && log.contains("ulimit -n")).then_some(())
    });
    let failed = rooms();
    fs::write(&hold, "").unwrap();
    set(before);
    eventually("the next room", PATIENCE, || (rooms() > failed).then_some(()));
    assert!(dev.terminate().success());
}

#[test]
fn too_few_files_to_start_with_are_told_with_a_way_out() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 8; exec \"$0\" dev --plain --listen 127.0.0.1:0"])
        .arg(env!("CARGO_BIN_EXE_maestro"))
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.contains("more than 8 files open") && words.contains("ulimit -n"),
        "{words}"
    );
}
