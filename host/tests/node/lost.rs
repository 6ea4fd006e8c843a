//! A machine dies. Nobody can tell from outside whether its rooms play on, so those in a match are left alone for as long
//! as their owner said, and those that hold none are replaced.

use std::time::{Duration, Instant};

use super::stage::{LONG, ROOM, Stage, eventually, kubectl, server, testbed};

const PING: u64 = 6;
const LOST: u64 = 40;

fn document() -> String {
    format!(
        "
game: test
image: {ROOM}
imagePullPolicy: Never
ports: [{{name: web, containerPort: 8080, protocol: TCP}}]
requests: {{cpu: 10m, memory: 16Mi}}
pingTimeout: {PING}
lostTimeout: {LOST}
initializationTimeout: 300
shutdownTimeout: 5
autoscaling: {{min: 2}}
"
    )
}

/// Takes the node away, and brings it back for the other tests whatever comes.
struct Outage;

impl Outage {
    fn begin() -> Self {
        server("node", "stop");
        Self
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        server("node", "start");
    }
}

fn condition_of_node() -> String {
    let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    kubectl(&["get", "node", &testbed("NODE"), "-o", ready]).unwrap()
}

/// Whether the pod is there and nobody asked for its deletion.
fn is_kept(scheduler: &str, room: &str) -> bool {
    let deletion = "jsonpath={.metadata.deletionTimestamp}";
    kubectl(&["get", "pod", room, "-n", scheduler, "-o", deletion]).is_ok_and(|at| at.is_empty())
}

#[test]
fn a_lost_node_ends_no_match_before_its_time_and_its_rooms_are_replaced() {
    let stage = Stage::alone("lost");
    let scheduler = stage.create("rooms", &document());
    let rooms = stage.ready(&scheduler, 2);
    let (playing, idle) = (&rooms[0], &rooms[1]);
    stage.ask(playing, "/become/occupied");
    eventually("it is in a match", LONG, || {
        stage.in_state(&scheduler, "occupied").pop()
    });

    let outage = Outage::begin();
    let begun = Instant::now();
    eventually("the idle room is given up, and why is told", LONG, || {
        let told = stage.told(idle);
        told.contains(&format!("it holds no match and was silent for {PING} s"))
            .then_some(())
    });
    eventually("two rooms stand in for the silent ones", LONG, || {
        (stage.in_state(&scheduler, "starting").len() == 2).then_some(())
    });
    eventually("the node is taken for lost", LONG, || {
        (condition_of_node() == "Unknown").then_some(())
    });
    let told = stage.told(playing);
    assert!(told.contains("is occupied (silent)"), "{told}");

    // Neither Kubernetes nor Maestro touches it until then.
    eventually("the match is given up", LONG, || {
        (!is_kept(&scheduler, playing)).then_some(())
    });
    let waited = begun.elapsed();
    // The last ping came up to a second before the outage, which itself took a moment to make.
    assert!(waited > Duration::from_secs(LOST - 3), "after {waited:?}");
    let told = stage.told(playing);
    assert!(
        told.contains(&format!("nothing was heard of it for {LOST} s")),
        "{told}"
    );

    drop(outage);
    let successors = stage.ready(&scheduler, 2);
    for room in [playing, idle] {
        assert!(!successors.contains(room), "{room} came back from the dead");
        eventually("it is gone for good", LONG, || {
            (stage.room(room)["state"] == "gone").then_some(())
        });
    }
}
