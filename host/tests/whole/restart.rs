//! What becomes of rooms when Maestro itself is killed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::harness::{Dev, PATIENCE, end, eventually, file, room_processes};
use super::hello::begin_match;

const ARENA: &str = "
name: arena
game: test
image: none
ports: [{name: game, containerPort: 5050, protocol: TCP}]
shutdownTimeout: 5
autoscaling: {min: 3, max: 6}
";

#[test]
fn without_data_rooms_die_with_maestro() {
    let (_folder, path) = file("arena.yaml", ARENA);
    let dev = Dev::start(&[&path, "--matches", "none"]);
    eventually("three rooms", PATIENCE, || {
        (dev.in_state("arena", "ready").len() == 3).then_some(())
    });
    let url = dev.url.clone();
    assert!(room_processes(&url).len() >= 3);
    dev.kill();
    eventually("every room's process ends", PATIENCE, || {
        room_processes(&url).is_empty().then_some(())
    });
}

#[test]
fn with_data_rooms_survive_a_kill_and_are_adopted() {
    let (_folder, path) = file("arena.yaml", ARENA);
    let data = tempfile::tempdir().unwrap();
    let arguments = [
        path.as_str(),
        "--matches",
        "none",
        "--data",
        data.path().to_str().unwrap(),
    ];
    let dev = Dev::start(&arguments);
    let before = eventually("three rooms", PATIENCE, || {
        let ready = dev.in_state("arena", "ready");
        (ready.len() == 3).then_some(ready)
    });
    begin_match(&dev, &before[0], Duration::from_secs(300));
    eventually("the match is known", PATIENCE, || {
        (dev.in_state("arena", "occupied").len() == 1).then_some(())
    });
    let url = dev.url.clone();
    let processes: BTreeSet<u32> = room_processes(&url).into_iter().collect();
    dev.kill();
    let survivors: BTreeSet<u32> = room_processes(&url).into_iter().collect();
    assert_eq!(survivors, processes, "rooms did not survive");

    let dev = Dev::start(&arguments);
    eventually(
        "the same rooms are back with what they are doing",
        PATIENCE,
        || {
            let rooms = dev.rooms("arena");
            let names: BTreeSet<&str> = rooms
                .iter()
                .map(|room| room["roomId"].as_str().unwrap())
                .collect();
            let expected: BTreeSet<&str> = before.iter().map(String::as_str).collect();
            let in_match = rooms.iter().find(|room| room["roomId"] == before[0].as_str())?;
            (names == expected
                && in_match["state"] == "occupied"
                && dev.in_state("arena", "ready").len() == 2)
                .then_some(())
        },
    );
    assert_eq!(
        room_processes(&url).into_iter().collect::<BTreeSet<_>>(),
        processes,
        "{}",
        dev.log()
    );
    assert!(dev.terminate().success());
    let left = room_processes(&url);
    end(&left);
    assert!(left.is_empty(), "rooms were left behind");
}

#[test]
fn a_scheduler_left_in_deletion_is_created_again_from_its_file_once_it_is_gone() {
    let (_folder, path) = file("arena.yaml", ARENA);
    let data = tempfile::tempdir().unwrap();
    let data = ["--matches", "none", "--data", data.path().to_str().unwrap()];
    let (_idle_folder, idle) = file(
        "idle.yaml",
        "name: idle\ngame: test\nimage: none\nautoscaling: {min: 0}\n",
    );
    let dev = Dev::start(&[&[idle.as_str()] as &[&str], &data].concat());
    dev.cli_ok(&["create", &path]);
    let ready = eventually("a ready room", PATIENCE, || dev.in_state("arena", "ready").pop());
    // A match holds the deletion up.
    begin_match(&dev, &ready, Duration::from_secs(300));
    eventually("the match is known", PATIENCE, || {
        (dev.in_state("arena", "occupied").len() == 1).then_some(())
    });
    dev.cli_ok(&["delete", "arena", "--yes"]);
    dev.kill();

    let dev = Dev::start(&[&[path.as_str()] as &[&str], &data].concat());
    eventually("the deletion is told", PATIENCE, || {
        dev.log()
            .contains("WARN arena of an earlier run is being deleted")
            .then_some(())
    });
    assert!(!dev.log().contains("ERROR"), "{}", dev.log());
    dev.cli_ok(&["delete", "arena", "--force", "--yes"]);
    eventually("the file is applied", PATIENCE, || {
        dev.log().contains("arena: created as v1.0").then_some(())
    });
    eventually("its rooms", PATIENCE, || {
        (dev.in_state("arena", "ready").len() == 3).then_some(())
    });
    assert!(dev.terminate().success());
}
