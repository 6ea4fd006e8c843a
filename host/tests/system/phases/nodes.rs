//! Nodes that fall silent, are lost with their rooms, or are drained.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::room::Room;
use crate::running::{PATIENCE, eventually};
use crate::stage::{Stage, outage};

/// What makes a simulated node not ready.
const NOT_READY: &str = "node-not-ready.stage.kwok.x-k8s.io";

fn patch(stage: &Stage, node: &str, what: Value) {
    let nodes: Api<Node> = Api::all(stage.installation.bed.client.clone());
    let (what, params) = (Patch::Merge(what), PatchParams::default());
    let patched = nodes.patch(node, &params, &what);
    stage.installation.bed.runtime.block_on(patched).unwrap();
}

fn is_ready(stage: &Stage, node: &str) -> bool {
    let nodes: Api<Node> = Api::all(stage.installation.bed.client.clone());
    let node = stage.installation.bed.runtime.block_on(nodes.get(node)).unwrap();
    let mut conditions = node
        .status
        .and_then(|status| status.conditions)
        .into_iter()
        .flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn node(room: &Room) -> Option<String> {
    room.now.lock().unwrap().node.clone()
}

/// Rooms by node, and how many of them are in a match.
fn by_node(stage: &Stage) -> BTreeMap<String, (usize, usize)> {
    let mut nodes: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for room in stage.installation.world.rooms(&stage.arena) {
        let now = room.now.lock().unwrap();
        if let Some(node) = now.node.clone().filter(|_| !now.is_ending) {
            let (rooms, busy) = nodes.entry(node).or_default();
            *rooms += 1;
            *busy += usize::from(now.in_match);
        }
    }
    nodes
}

pub(super) fn not_ready(stage: &mut Stage) {
    stage.at_least(35);
    let wanted = stage.count();
    let nodes = by_node(stage);
    // One with both kinds of rooms, and with fewer than would be mass silence, for which nothing is given up.
    let (lost, _) = nodes
        .iter()
        .filter(|(_, (rooms, busy))| 0 < *busy && busy < rooms && 6 * rooms <= wanted)
        .max_by_key(|(_, (rooms, _))| *rooms)
        .unwrap();
    patch(stage, lost, json!({"metadata": {"labels": {NOT_READY: "true"}}}));
    eventually("the node is not ready", PATIENCE, || {
        (!is_ready(stage, lost)).then_some(())
    });
    let before = stage.installation.world.standing(&stage.arena);
    stage.installation.check_for(outage());
    let after = stage.installation.world.standing(&stage.arena);
    assert_eq!(
        before, after,
        "a node that is not ready is no reason to end rooms that ping"
    );

    let rooms = stage.installation.world.rooms(&stage.arena);
    let (there, _): (Vec<_>, Vec<_>) = rooms
        .into_iter()
        .partition(|room| node(room).as_ref() == Some(lost));
    let (busy, idle): (Vec<_>, Vec<_>) = there.iter().partition(|room| room.now.lock().unwrap().in_match);
    for room in &there {
        room.now.lock().unwrap().is_mute = true;
    }
    eventually("idle rooms of a lost node are given up", PATIENCE, || {
        stage.installation.check();
        let is_gone = |room: &&&std::sync::Arc<Room>| room.now.lock().unwrap().is_ending;
        (idle.iter().filter(is_gone).count() == idle.len()).then_some(())
    });
    eventually("they are replaced", PATIENCE, || {
        stage.installation.check();
        (stage.count() >= wanted + busy.len()).then_some(())
    });
    assert!(
        busy.iter().all(|room| !room.now.lock().unwrap().is_ending),
        "a match may go on although nobody hears of it"
    );
    patch(stage, lost, json!({"metadata": {"labels": {NOT_READY: null}}}));
    for room in &there {
        room.now.lock().unwrap().is_mute = false;
    }
    stage.installation.settled(&stage.arena, wanted);
}

/// The simulated nodes but the last ones; half of them go, some by Maestro's own word and some by Kubernetes'.
pub(super) fn drained(stage: &mut Stage) {
    stage.at_least(35);
    let wanted = stage.count();
    let drained: Vec<String> = (1..=5).map(|number| format!("kwok-{number}")).collect();
    let is_there = |room: &Room| node(room).is_some_and(|node| drained.contains(&node));
    let on_them = || {
        let rooms = stage.installation.world.rooms(&stage.arena).into_iter();
        let there = rooms.filter(|room| is_there(room) && !room.now.lock().unwrap().is_ending);
        there.partition::<Vec<_>, _>(|room| room.now.lock().unwrap().in_match)
    };
    let (busy, idle) = on_them();
    println!(
        "  on half the nodes {} rooms are in a match and {} idle",
        busy.len(),
        idle.len()
    );
    let (by_us, cordoned) = drained.split_at(2);
    for node in by_us {
        stage.installation.cli(&["drain-node", node]);
    }
    for node in cordoned {
        patch(stage, node, json!({"spec": {"unschedulable": true}}));
    }
    eventually("no idle room is left there", 2 * PATIENCE, || {
        stage.installation.check();
        on_them().1.is_empty().then_some(())
    });
    assert!(!on_them().0.is_empty(), "matches went with the nodes");
    // Matches end one by one; new ones begin elsewhere.
    eventually("no room is left there", 2 * PATIENCE, || {
        stage.installation.check();
        let Some(one) = on_them().0.pop() else {
            return on_them().1.is_empty().then_some(());
        };
        stage
            .installation
            .world
            .end_matches(&stage.arena, |room| room.identity.name == one.identity.name);
        None
    });
    stage.installation.settled(&stage.arena, wanted);
    for node in by_us {
        stage
            .installation
            .cli(&["drain-node", node, "--wait", "--timeout", "10s"]);
        stage.installation.cli(&["drain-node", node, "--undo"]);
    }
    for node in cordoned {
        patch(stage, node, json!({"spec": {"unschedulable": null}}));
    }
    stage.installation.check_for(Duration::from_secs(1));
    stage.installation.settled(&stage.arena, wanted);
}
