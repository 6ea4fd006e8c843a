//! How containers end, and why some never begin: no image, no such program; then out of memory, by themselves, by SIGTERM, and by SIGKILL when they do not listen.

use std::time::{Duration, Instant};

use super::stage::{PATIENCE, ROOM, Stage, eventually};

/// Rooms that do not leave when they are asked to, as games do that know nothing of it, and take so long to obey SIGTERM.
fn document(stop_seconds: &str, shutdown: u32) -> String {
    format!(
        "
game: test
image: {ROOM}
imagePullPolicy: Never
ports: [{{name: web, containerPort: 8080, protocol: TCP}}]
requests: {{cpu: 10m, memory: 16Mi}}
limits: {{memory: 64Mi}}
env: [{{name: ROOM_STOP_SECONDS, value: '{stop_seconds}'}}, {{name: ROOM_DRAINING, value: stay}}]
shutdownTimeout: {shutdown}
autoscaling: {{min: 1, max: 2}}
"
    )
}

/// What is told of a room that ended by itself, once another one stands in for it.
fn replaced(stage: &Stage, scheduler: &str, room: &str) -> String {
    eventually("the room is gone", PATIENCE, || {
        (stage.room(room)["state"] == "gone").then_some(())
    });
    let successor = stage.ready(scheduler, 1);
    assert_ne!(successor, [room]);
    stage.told(room)
}

#[test]
fn a_room_that_ends_by_itself_is_replaced_and_the_reason_is_told() {
    let stage = Stage::shared("ended");
    let scheduler = stage.create("room", &document("0", 5));
    let room = stage.ready(&scheduler, 1).remove(0);
    stage.end_by(&room, "/take/200");
    let told = replaced(&stage, &scheduler, &room);
    for part in ["OOMKilled", "exit code   137", "it ended by itself after"] {
        assert!(told.contains(part), "{told}");
    }
    let events = stage.cli_ok(&["events", &scheduler]);
    assert!(events.contains("OOMKilled"), "{events}");

    let room = stage.ready(&scheduler, 1).remove(0);
    stage.end_by(&room, "/exit/3");
    let told = replaced(&stage, &scheduler, &room);
    assert!(told.contains("exit code   3"), "{told}");
}

#[test]
fn a_room_that_cannot_begin_says_why_and_harms_no_other_scheduler() {
    let stage = Stage::shared("begins");
    let usual = document("0", 5);
    let no_image = stage.create("image", &usual.replace(ROOM, "maestro.test/missing:1"));
    let no_program = stage.create("program", &format!("{usual}cmd: [/missing]\n"));
    let well = stage.create("well", &usual);
    for (scheduler, reason) in [(&no_image, "ErrImageNeverPull"), (&no_program, "/missing")] {
        eventually(reason, PATIENCE, || {
            let rooms = stage.cli_ok(&["rooms", scheduler]);
            rooms.contains(reason).then_some(())
        });
    }
    stage.ready(&well, 1);
}

/// Takes one of two rooms away; tells how long it took to go, and its exit code.
fn takes_one_away(stage: &Stage, scheduler: &str, meanwhile: impl Fn(&str)) -> (Duration, Option<i64>) {
    stage.cli_ok(&["scale", scheduler, "--replicas", "2"]);
    stage.ready(scheduler, 2);
    stage.cli_ok(&["scale", scheduler, "--replicas", "1"]);
    let room = eventually("a room is being ended", PATIENCE, || {
        stage.in_state(scheduler, "stopping").pop()
    });
    let begun = Instant::now();
    meanwhile(&room);
    let end = eventually("it is gone", PATIENCE, || {
        Some(stage.room(&room)).filter(|room| room["state"] == "gone")
    });
    assert_eq!(end["reason"], "only 1 room is wanted");
    assert_eq!(stage.ready(scheduler, 1).len(), 1);
    (begun.elapsed(), end["exitCode"].as_i64())
}

#[test]
fn a_room_has_its_time_to_obey_sigterm_and_no_more() {
    let stage = Stage::shared("stopped");
    let obeys = stage.create("obeys", &document("3", 30));
    let ignores = stage.create("ignores", &document("never", 4));

    let (took, code) = takes_one_away(&stage, &obeys, |room| {
        eventually("it got the signal and says so", PATIENCE, || {
            let written = stage.cli_ok(&["logs", room]);
            written.contains("SIGTERM, stopping in 3 s").then_some(())
        });
        assert_eq!(stage.room(room)["status"], "terminating");
    });
    assert!(took > Duration::from_secs(2), "it was not let finish: {took:?}");
    assert!(
        took < Duration::from_secs(20),
        "its end was not noticed: {took:?}"
    );
    assert_eq!(code, Some(0));

    let (took, code) = takes_one_away(&stage, &ignores, |_| {});
    assert!(
        took > Duration::from_secs(3),
        "it had less than its time: {took:?}"
    );
    assert!(took < Duration::from_secs(20), "it was let live: {took:?}");
    assert_eq!(code, Some(137), "SIGKILL");
}
