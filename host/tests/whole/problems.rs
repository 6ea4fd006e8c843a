//! What goes wrong at the start is told in words that help, and nothing is left behind.

use std::process::{Command, Stdio};

use super::harness::{Dev, PATIENCE, cli, eventually, file, room_processes};

fn dev(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_maestro"))
        .arg("dev")
        .arg("--plain")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_bad_document_is_told_whole_before_anything_starts() {
    let text = "name: Arena\ngame: test\nimage: none\nautoscalin: {min: 5, max: 2}\n";
    let (_folder, path) = file("arena.yaml", text);
    let (code, words) = dev(&[&path, "--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(1));
    for part in ["arena.yaml:1:", "arena.yaml:4:", "autoscaling"] {
        assert!(words.contains(part), "{part} is missing:\n{words}");
    }
}

#[test]
fn a_file_that_is_not_there_and_a_busy_port_are_named() {
    let (code, words) = dev(&["/nowhere/arena.yaml"]);
    assert!(
        code == Some(1) && words.contains("/nowhere/arena.yaml"),
        "{words}"
    );

    let (code, words) = dev(&["--listen", "localhost"]);
    assert!(
        code == Some(2) && words.contains("localhost:0"),
        "a port is missing: {words}"
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, words) = dev(&["--listen", &address]);
    assert!(
        code == Some(1) && words.contains(&address) && words.contains("--listen"),
        "{words}"
    );
}

#[test]
fn the_command_line_says_when_nobody_answers_and_what_is_not_there() {
    let nobody = Command::new(cli())
        .args(["--url", "http://127.0.0.1:9", "get"])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert_eq!(nobody.status.code(), Some(4), "{words}");
    assert!(words.contains("maestro dev"), "{words}");

    let (_folder, path) = file(
        "idle.yaml",
        "name: idle\ngame: test\nimage: none\nautoscaling: {min: 0}\n",
    );
    let dev = Dev::start(&[&path, "--matches", "none"]);
    let unknown = dev.cli(&["status", "idel"]);
    let words = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(unknown.status.code(), Some(3), "{words}");
    assert!(words.contains("idle"), "the nearest name is missing: {words}");
    let json: serde_json::Value = serde_json::from_str(&dev.cli_ok(&["get", "-o", "json"])).unwrap();
    assert_eq!(json[0]["name"], "idle");
    assert!(dev.cli_ok(&["get", "idle"]).contains("name: idle"));
    assert!(dev.terminate().success());
}

#[test]
fn a_program_that_is_not_there_is_told_as_the_reason() {
    let text = "name: arena\ngame: test\nimage: none\nautoscaling: {min: 1, max: 2}\n";
    let (_folder, path) = file("arena.yaml", text);
    let dev = Dev::start(&[&path, "--room", "/nowhere/game-server --quiet"]);
    eventually("the missing program is named", PATIENCE, || {
        dev.log().contains("/nowhere/game-server").then_some(())
    });
    let url = dev.url.clone();
    assert!(dev.terminate().success());
    assert!(room_processes(&url).is_empty());
}

#[test]
fn a_room_without_a_program_is_refused_before_anything_starts() {
    for (room, reason) in [
        ("", "no program is named"),
        ("  ", "no program is named"),
        ("sh -c 'exit", "a quote is open"),
    ] {
        let (code, words) = dev(&["--room", room, "--listen", "127.0.0.1:0"]);
        assert_eq!(code, Some(2), "{room:?}: {words}");
        assert!(
            words.contains(reason) && words.contains("--room"),
            "{room:?}: {words}"
        );
    }
}

#[test]
fn rooms_that_end_at_once_are_told_once_with_their_last_words() {
    let text = "name: arena\ngame: test\nimage: none\nautoscaling: {min: 1, max: 2}\n";
    let (folder, path) = file("arena.yaml", text);
    let tries = folder.path().join("tries");
    let room = format!(
        "sh -c 'echo $MAESTRO_ROOM_ID >> {}; echo no licence; exit 3'",
        tries.display()
    );
    let dev = Dev::start(&[&path, "--room", &room]);
    eventually("the third room", PATIENCE, || {
        let rooms = std::fs::read_to_string(&tries).ok()?;
        (rooms.lines().count() == 3).then_some(())
    });
    let log = dev.log();
    let words = "ended with code 3 before it was ready: no licence; the next room is tried in ";
    assert_eq!(log.matches(words).count(), 1, "{log}");
    assert!(!log.contains("scheduler.name="), "the message names it:\n{log}");
    assert!(dev.terminate().success());
}

#[test]
fn deleting_a_scheduler_ends_its_rooms_and_it_is_gone() {
    let text = "name: arena\ngame: test\nimage: none\nports: [{name: game, containerPort: 1, protocol: TCP}]\n\
                shutdownTimeout: 5\nautoscaling: {min: 2, max: 2}\n";
    let (_idle_folder, idle) = file(
        "idle.yaml",
        "name: idle\ngame: test\nimage: none\nautoscaling: {min: 0}\n",
    );
    let dev = Dev::start(&[&idle, "--matches", "none"]);
    let (_folder, path) = file("arena.yaml", text);
    dev.cli_ok(&["create", &path]);
    eventually("two rooms", PATIENCE, || {
        (dev.in_state("arena", "ready").len() == 2).then_some(())
    });
    assert_eq!(
        dev.cli(&["create", &path]).status.code(),
        Some(1),
        "it exists already"
    );
    dev.cli_ok(&["delete", "arena", "--yes"]);
    eventually("it is gone", PATIENCE, || {
        (dev.cli(&["status", "arena"]).status.code() == Some(3)).then_some(())
    });
    eventually("its rooms are gone", PATIENCE, || {
        dev.room_processes().is_empty().then_some(())
    });
    assert!(dev.terminate().success());
}
