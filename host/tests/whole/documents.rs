//! Real documents: the example and its JSON twin, a save while it runs, a major version.

use std::fs;

use super::harness::{Dev, PATIENCE, eventually, file, root};
use super::hello::begin_match;

fn example_runs(name: &str) {
    let path = root().join("deploy/examples").join(name);
    let dev = Dev::start(&[path.to_str().unwrap(), "--max-rooms", "5", "--matches", "none"]);
    eventually("the capped number of rooms is ready", PATIENCE, || {
        (dev.in_state("pong-free-for-all", "ready").len() == 5).then_some(())
    });
    let told = dev.cli_ok(&["explain", "pong-free-for-all", "-n", "20"]);
    assert!(
        told.contains('5') && told.contains("100"),
        "the cap is not told:\n{told}"
    );
    assert!(dev.terminate().success());
}

#[test]
fn the_example_document_runs_up_to_the_cap_which_is_told() {
    example_runs("pong.yaml");
}

#[test]
fn its_json_twin_runs_too() {
    example_runs("pong.json");
}

const FIRST: &str = "
name: arena
game: test
image: first
ports: [{name: game, containerPort: 5050, protocol: TCP}]
shutdownTimeout: 5
autoscaling: {min: 3, max: 6}
";

#[test]
fn a_saved_file_is_applied_and_a_bad_one_is_told_and_changes_nothing() {
    let (_folder, path) = file("arena.yaml", FIRST);
    let dev = Dev::start(&[&path, "--matches", "none"]);
    let ready = || dev.in_state("arena", "ready");
    let first = eventually("three rooms", PATIENCE, || {
        Some(ready()).filter(|rooms| rooms.len() == 3)
    });

    fs::write(&path, FIRST.replace("min: 3", "mni: 3")).unwrap();
    eventually(
        "the problem is told with its place and the nearest name",
        PATIENCE,
        || {
            let log = dev.log();
            (log.contains("arena.yaml:7:") && log.contains("mni") && log.contains("min")).then_some(())
        },
    );
    assert_eq!(dev.get("/scheduler/arena")["version"], "v1.0");

    // A minor version: more rooms, and the old ones stay.
    fs::write(&path, FIRST.replace("min: 3", "min: 4")).unwrap();
    let four = eventually("a fourth room", PATIENCE, || {
        Some(ready()).filter(|rooms| rooms.len() == 4)
    });
    assert_eq!(dev.get("/scheduler/arena")["version"], "v1.1");
    assert!(
        first.iter().all(|room| four.contains(room)),
        "a minor version replaced a room"
    );

    // A major version: idle rooms are replaced, the one in a match stays until it ends.
    begin_match(&dev, &first[0], std::time::Duration::from_secs(300));
    eventually("the match is known", PATIENCE, || {
        (dev.in_state("arena", "occupied").len() == 1).then_some(())
    });
    fs::write(&path, FIRST.replace("image: first", "image: second")).unwrap();
    eventually("all idle rooms are of the new version", PATIENCE, || {
        let rooms = dev.rooms("arena");
        let is_new =
            |room: &&serde_json::Value| room["schedulerVersion"] == "v2.0" && room["state"] == "ready";
        let old = rooms
            .iter()
            .filter(|room| room["schedulerVersion"] != "v2.0")
            .count();
        (rooms.iter().filter(is_new).count() >= 2 && old == 1).then_some(())
    });
    let in_match = dev.get(&format!("/scheduler/arena/rooms/{}", first[0]));
    assert_eq!(in_match["status"], "occupied", "{in_match}");
    assert!(dev.terminate().success());
}

#[test]
fn a_file_is_the_same_by_whatever_path_it_is_named() {
    let (folder, path) = file("arena.yaml", &FIRST.replace("min: 3", "min: 0"));
    let data = tempfile::tempdir().unwrap();
    for (name, told) in [
        ("arena.yaml", "created as v1.0"),
        ("./arena.yaml", "nothing changed, it stays v1.0"),
        (path.as_str(), "nothing changed, it stays v1.0"),
    ] {
        let dev = Dev::start_changed(|command| {
            command.current_dir(folder.path()).arg(name);
            command.arg("--data").arg(data.path());
        });
        eventually(told, PATIENCE, || dev.log().contains(told).then_some(()));
        assert!(dev.terminate().success());
    }
}
