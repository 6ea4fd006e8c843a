//! Nodes that are left under a loop.

use maestro::cluster::Standing;
use maestro::control::{DRAINED, DrainedNodes};
use maestro_core::report::Reported;
use maestro_core::room::Room;
use maestro_core::time::Span;

use crate::world::{World, desired, is_ready};

fn cordoned() -> Standing {
    Standing::Leaving {
        why: "is cordoned".to_owned(),
    }
}

/// Three rooms on the node `yard`, the first of them in a match.
fn three() -> (World, Vec<Room>) {
    let mut world = World::new(desired(3, 10));
    world.yard.set_node("yard", Standing::Open);
    world.live(5);
    let rooms = world.rooms();
    assert_eq!(world.count(is_ready), 3);
    world.report(&rooms[0].id, Reported::Occupied);
    world.live(1);
    (world, rooms)
}

fn on_yard(world: &World) -> Vec<Room> {
    let rooms = world.rooms().into_iter();
    rooms
        .filter(|room| room.node.as_deref() == Some("yard"))
        .collect()
}

#[test]
fn rooms_on_a_cordoned_node_are_replaced_first_and_the_decision_says_so() {
    let (mut world, rooms) = three();
    world.yard.place_on("elsewhere");
    world.yard.set_node("yard", cordoned());
    let busy = &rooms[0].id;
    world.records.clear();
    for _ in 0..40 {
        world.live(1);
        let serving = world.count(|room| room.reports.status().is_some() && !room.is_asked_to_leave());
        assert!(serving >= 3, "{serving}");
    }
    let lines: Vec<String> = world
        .records
        .drain(..)
        .flat_map(|record| record.decision.plan.into_iter().chain(record.decision.waits))
        .collect();
    let told = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(told("to leave: its node yard is cordoned"), "{lines:?}");
    assert!(
        told("Node yard is cordoned: 1 room has to finish its match"),
        "{lines:?}"
    );
    let left = on_yard(&world);
    assert_eq!(
        left.iter().map(|room| &room.id).collect::<Vec<_>>(),
        [busy],
        "its match goes on"
    );
    world.report(busy, Reported::Ready);
    world.live(20);
    assert_eq!(on_yard(&world), []);
    assert_eq!(world.count(is_ready), 3);
}

#[test]
fn a_node_that_somebody_drains_is_left_and_new_rooms_are_told_to_stay_away() {
    let (mut world, rooms) = three();
    let since = world.now();
    world
        .drained
        .set(DrainedNodes::from([("yard".to_owned(), since)]));
    world.yard.place_on("elsewhere");
    world.live(2);
    assert!(
        on_yard(&world)
            .iter()
            .all(|room| room.leaving.as_deref() == Some(DRAINED))
    );
    assert_eq!(world.yard.avoided(), ["yard"]);
    world.drained.set(DrainedNodes::new());
    world.live(2);
    let busy = world.rooms().into_iter().find(|room| room.id == rooms[0].id);
    assert_eq!(busy.and_then(|room| room.leaving), None, "it stays after all");
}

#[test]
fn whoever_takes_over_and_knows_no_node_yet_goes_on_with_what_is_known() {
    let (mut world, rooms) = three();
    world.yard.set_node("yard", cordoned());
    world.live(2);
    world.yard.forget_nodes();
    world.control = world.rival("second");
    world.pass(Span::from_secs(16));
    world.live(5);
    let busy = world.rooms().into_iter().find(|room| room.id == rooms[0].id);
    assert_eq!(busy.and_then(|room| room.leaving).as_deref(), Some("is cordoned"));
}
