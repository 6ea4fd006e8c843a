//! A room that is dead stays explainable; and a pause of scaling down outlives Maestro.

use serde_json::Value;

use super::harness::{Dev, PATIENCE, eventually, file};

const ARENA: &str = "name: arena\ngame: test\nimage: none\nautoscaling: {min: 1, max: 2}\n";

#[test]
fn a_room_that_ended_is_told_with_its_code_and_its_last_words() {
    let (_folder, path) = file("arena.yaml", ARENA);
    let room = "sh -c 'echo loading; echo no licence; exit 3'";
    let dev = Dev::start(&[&path, "--room", room]);
    // The second end shows that the first room is no longer there.
    let ends = eventually("the ends of two rooms", PATIENCE, || {
        let page = dev.get("/scheduler/arena/events?kind=room");
        let events = page["events"].as_array()?.clone();
        (events.len() >= 2).then_some(events)
    });
    let oldest = ends.last().unwrap();
    assert_eq!(oldest["name"], "roomEnded");
    assert_eq!(oldest["metadata"]["exitCode"], 3);
    assert_eq!(oldest["metadata"]["lastWords"], "no licence");
    let id = oldest["roomId"].as_str().unwrap();
    assert!(!dev.rooms("arena").iter().any(|room| room["roomId"] == id));

    let told = dev.cli_ok(&["room", id]);
    assert!(told.starts_with(&format!("{id} is gone (failed)\n")), "{told}");
    for line in [
        "exit code   3\n",
        "last words  no licence\n",
        "reason      it ended by itself after ",
    ] {
        assert!(told.contains(line), "{line} is missing:\n{told}");
    }
    let json: Value = serde_json::from_str(&dev.cli_ok(&["room", id, "-o", "json"])).unwrap();
    assert_eq!((&json["state"], &json["exitCode"]), (&"gone".into(), &3.into()));
    assert_eq!(dev.cli(&["room", "arena-00000000"]).status.code(), Some(3));

    // While it is so, the decision says it too.
    let words = "ended with code 3 before it was ready: no licence";
    let explained = dev.cli_ok(&["explain", "arena"]);
    assert!(explained.contains(words), "{explained}");
    assert!(dev.terminate().success());
}

#[test]
fn a_pause_of_scaling_down_is_kept_over_a_restart() {
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
    eventually("the scheduler", PATIENCE, || {
        dev.cli(&["scale-in", "pause", "arena"])
            .status
            .success()
            .then_some(())
    });
    let paused = |dev: &Dev| {
        let told = dev.cli_ok(&["status", "arena"]);
        let line = told.lines().find(|line| line.starts_with("paused  "));
        line.map(str::to_owned)
    };
    let before = paused(&dev).unwrap();
    assert!(
        before.contains("scaling down is paused by hand since "),
        "{before}"
    );
    dev.kill();

    let dev = Dev::start(&arguments);
    let after = eventually("the scheduler is back", PATIENCE, || {
        dev.cli(&["status", "arena"])
            .status
            .success()
            .then(|| paused(&dev))
    });
    assert_eq!(after, Some(before));
    eventually("a decision that tells of it", PATIENCE, || {
        let told = dev.cli_ok(&["explain", "arena"]);
        told.contains("Scaling down is paused by hand since ")
            .then_some(())
    });
    let resumed = dev.cli_ok(&["scale-in", "resume", "arena"]);
    assert_eq!(resumed, "arena: policies may take rooms away\n");
    assert_eq!(paused(&dev), None);
    assert!(dev.terminate().success());
}
