//! Wrapped programs as rooms: when they are ready, in a match, drained, and ended.

use std::fs;
use std::time::Duration;

use super::harness::{Dev, PATIENCE, eventually, file, room_processes};
use super::programs::{Parrot, gate, role};

/// One room with these further keys.
fn document(keys: &str) -> (tempfile::TempDir, String) {
    let text = format!(
        "name: arena\ngame: test\nimage: none\nshutdownTimeout: 30\nautoscaling: {{min: 1, max: 4}}\n{keys}\n"
    );
    file("arena.yaml", &text)
}

// Ranges of their own: another test's Maestro may give the same port away while no program listens there yet.
const TCP: &str =
    "portRange: {start: 22600, end: 22619}\nports: [{name: game, containerPort: 1, protocol: TCP}]";
const UDP: &str =
    "portRange: {start: 22620, end: 22639}\nports: [{name: game, containerPort: 1, protocol: UDP}]";

/// A Maestro whose scheduler can be deleted: it was created beside the file that `maestro dev` needs.
fn deletable(wrapped: &str, path: &str) -> Dev {
    let (_folder, idle) = file(
        "idle.yaml",
        "name: idle\ngame: test\nimage: none\nautoscaling: {min: 0}\n",
    );
    let dev = Dev::start(&["--room", wrapped, &idle]);
    dev.cli_ok(&["create", path]);
    dev
}

/// Waits until the only room is in this state.
fn room_in(dev: &Dev, state: &str) -> String {
    eventually(&format!("a room is {state}"), PATIENCE, || {
        dev.in_state("arena", state).pop()
    })
}

/// Waits until the room wrote this.
fn wrote(dev: &Dev, room: &str, words: &str) {
    eventually(&format!("{room} writes {words:?}"), PATIENCE, || {
        dev.cli_ok(&["logs", room]).contains(words).then_some(())
    });
}

fn end(dev: Dev) {
    let url = dev.url.clone();
    assert!(dev.terminate().success());
    assert!(
        room_processes(&url).is_empty(),
        "no process of a room is left behind"
    );
}

#[test]
fn a_program_that_ends_before_it_is_ready_is_told_once_and_tried_less_and_less_often() {
    let (folder, path) = document("");
    let tries = folder.path().join("tries");
    let program = format!("echo >> {}; echo no licence; exit 3", tries.display());
    let dev = Dev::start(&["--room", &format!("maestro wrap -- sh -c '{program}'"), &path]);
    eventually("the third room", PATIENCE, || {
        let tries = fs::read_to_string(&tries).ok()?;
        (tries.lines().count() == 3).then_some(())
    });
    let log = dev.log();
    let words = "ended with code 3 before it was ready: no licence; the next room is tried in ";
    assert_eq!(log.matches(words).count(), 1, "{log}");
    eventually("the decision says what it waits for, and why", PATIENCE, || {
        let told = dev.cli_ok(&["explain", "arena", "-n", "1"]);
        (told.contains("New rooms are tried again in ")
            && told.contains("code 3 before it was ready: no licence"))
        .then_some(())
    });
    end(dev);
}

fn becomes_ready_by_port(ports: &str, program: &str) {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    let (_folder, path) = document(&format!("{ports}\n{}", gate(&open)));
    let dev = Dev::start(&["--room", &format!("maestro wrap -- {}", role(program)), &path]);
    let room = room_in(&dev, "starting");
    wrote(&dev, &room, "waits at the gate");
    // It says so after it has looked at the port many times.
    wrote(&dev, &room, "still waiting for port");
    assert_eq!(dev.in_state("arena", "starting"), [room.as_str()]);
    fs::write(&open, "").unwrap();
    assert_eq!(room_in(&dev, "ready"), room);
    let written = dev.cli_ok(&["logs", &room]);
    assert!(
        !written.contains("player"),
        "looking at a port is no connection:\n{written}"
    );
    end(dev);
}

#[test]
fn a_room_is_ready_when_its_tcp_port_is_open() {
    becomes_ready_by_port(TCP, "tcp_listener");
}

#[test]
fn a_room_is_ready_when_its_udp_port_is_open() {
    becomes_ready_by_port(UDP, "udp_listener");
}

#[test]
fn lines_of_output_make_a_room_ready_occupied_and_idle() {
    let parrot = Parrot::new();
    let (_folder, path) = document("");
    let room = format!(
        "maestro wrap --ready-when 'log:^Done \\(' --occupied-when 'log:joined' --idle-when 'log:left$' -- {}",
        parrot.command()
    );
    let dev = deletable(&room, &path);
    let room = room_in(&dev, "starting");
    parrot.tell("not Done (yet)");
    wrote(&dev, &room, "not Done (yet)");
    assert_eq!(dev.in_state("arena", "starting"), [room.as_str()]);
    parrot.tell("Done (3.2 s)");
    assert_eq!(room_in(&dev, "ready"), room);
    parrot.tell("ada joined");
    assert_eq!(room_in(&dev, "occupied"), room);
    // Standard error counts too.
    parrot.tell("!ada left");
    assert_eq!(room_in(&dev, "ready"), room);

    // Asked to drain in a match, it is left alone until the match is over, and the program is told nothing.
    parrot.tell("bob joined");
    assert_eq!(room_in(&dev, "occupied"), room);
    dev.cli_ok(&["delete", "arena", "--yes"]);
    assert_eq!(room_in(&dev, "draining-occupied"), room);
    parrot.tell("bob is still here");
    wrote(&dev, &room, "bob is still here");
    assert_eq!(dev.in_state("arena", "draining-occupied"), [room.as_str()]);
    parrot.tell("bob left");
    eventually("the room is gone, and its program with it", PATIENCE, || {
        dev.room_processes().is_empty().then_some(())
    });
    end(dev);
}

#[test]
fn a_room_without_ports_is_ready_after_a_time() {
    let (_folder, path) = document("");
    let dev = Dev::start(&[
        "--room",
        "maestro wrap --ready-when after:300ms -- sleep 600",
        &path,
    ]);
    room_in(&dev, "ready");
    end(dev);
    // Unless told otherwise, after the time that is said.
    let dev = Dev::start(&["--room", "maestro wrap -- sleep 600", &path]);
    let room = room_in(&dev, "ready");
    wrote(&dev, &room, "ready after 5 s");
    wrote(&dev, &room, "without --occupied-when");
    end(dev);
}

#[test]
fn a_program_is_asked_to_end_once() {
    let folder = tempfile::tempdir().unwrap();
    let may_end = folder.path().join("may-end");
    let (_folder, path) = document(&gate(&may_end));
    let wrapped = format!(
        "maestro wrap --ready-when log:counting -- {}",
        role("one_that_counts_sigterm")
    );
    let dev = deletable(&wrapped, &path);
    let room = room_in(&dev, "ready");
    dev.cli_ok(&["delete", "arena", "--yes"]);
    room_in(&dev, "stopping");
    wrote(&dev, &room, "asked to end");
    let written = dev.cli_ok(&["logs", &room]);
    assert_eq!(written.matches("asked to end").count(), 1, "{written}");
    fs::write(&may_end, "").unwrap();
    eventually("the room is gone", PATIENCE, || {
        dev.room_processes().is_empty().then_some(())
    });
    end(dev);
}

#[test]
fn what_does_not_end_in_time_is_killed_with_all_that_it_started() {
    let text = "name: arena\ngame: test\nimage: none\nshutdownTimeout: 1\nautoscaling: {min: 1, max: 4}\n";
    let (_folder, path) = file("arena.yaml", text);
    let script = "trap \"\" TERM; sleep 600 & sleep 600 & echo begun; while true; do wait; done";
    let wrapped = format!("maestro wrap --ready-when log:begun -- sh -c '{script}'");
    let dev = deletable(&wrapped, &path);
    room_in(&dev, "ready");
    assert_eq!(
        dev.room_processes().len(),
        4,
        "wrapper, shell, and two that ignore SIGTERM too"
    );
    dev.cli_ok(&["delete", "arena", "--yes"]);
    eventually("all of them are gone", Duration::from_secs(30), || {
        dev.room_processes().is_empty().then_some(())
    });
    end(dev);
}
