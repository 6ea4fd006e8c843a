//! Nodes: which room goes first, and rooms on a node that is being left.

use maestro_core::names::{RoomId, Version};
use maestro_core::report::Reported;
use maestro_core::room::Room;
use maestro_core::time::Span;
use maestro_core::victim;

use crate::plans::{bounds, check, settled};
use crate::world::World;

#[test]
fn victims_are_failed_then_starting_then_silent_then_ready_on_the_emptiest_node() {
    let mut world = settled(6);
    for (number, node) in [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "b"), (6, "c")] {
        world.room(number).node = Some(node.to_owned());
    }
    // 2 has been silent for long, 7 is starting, 8 is reserved, 9 has been starting for too long.
    let muted = world.id(2);
    world.muted.insert(muted);
    world.wanted = 7;
    let plan = world.plan();
    world.apply(&plan);
    world.wait(Span::from_secs(130));
    let late = world.id(7);
    for number in [8, 9] {
        let id = world.id(number);
        let room = Room::reserved(id.clone(), Version::FIRST, world.now, world.witness.total);
        world.rooms.insert(id, room);
    }
    let now = world.now;
    world.room(9).begin_create().unwrap();
    world.room(9).confirm_create(now);
    let watch = world.watch();
    let order: Vec<RoomId> = victim::order(world.rooms.values(), &watch)
        .into_iter()
        .map(|room| room.id.clone())
        .collect();
    let expected: Vec<RoomId> = [8, 9, 2, 6, 4, 5, 1, 3].map(|number| world.id(number)).to_vec();
    assert_eq!(order[0], late);
    assert_eq!(order[1..], expected);
}

#[test]
fn rooms_leave_a_node_only_once_others_are_ready_elsewhere() {
    let mut world = settled(10);
    for number in 1..=4 {
        world.report(number, Reported::Occupied);
    }
    world.leave("node-a", Some("is cordoned"));
    assert!(world.rooms.values().all(|room| !room.is_allocatable()));
    for round in 0..40 {
        let plan = world.plan();
        check(&world, &plan);
        world.apply(&plan);
        let counts = world.counts();
        assert!(counts.ready + counts.busy() >= 10, "{counts:?} in round {round}");
        assert!(counts.available() <= 16, "{counts:?} in round {round}");
        if round == 20 {
            assert_eq!(counts.occupied + counts.draining, 4, "nobody else is left there");
            (1..=4).for_each(|number| world.report(number, Reported::Ready));
        }
        world.start();
        world.wait(Span::from_secs(10));
        world.sweep();
    }
    let is_elsewhere = |room: &Room| room.node.as_deref() == Some("node-b");
    assert!(world.rooms.values().all(is_elsewhere));
    assert_eq!(world.counts().ready, 10);
}

#[test]
fn ready_rooms_stay_where_they_are_when_no_other_node_has_place() {
    let mut world = settled(10);
    for node in ["node-a", "node-b"] {
        world.leave(node, Some("is cordoned"));
    }
    for round in 0..50 {
        let plan = world.plan();
        check(&world, &plan);
        world.apply(&plan);
        world.start();
        world.wait(Span::from_secs(20));
        world.sweep();
        assert_eq!(world.counts().ready, 10, "in round {round}");
    }
    world.leave("node-b", None);
    world.settle();
    assert!(world.rooms.values().all(|room| room.leaving.is_none()));
    assert_eq!(world.counts().ready, 10);
}

#[test]
fn at_the_cap_rooms_leave_a_node_one_by_one_and_not_while_creation_is_held() {
    let mut world = World::new(bounds(5, 0, 5));
    world.settle();
    world.leave("node-a", Some("is cordoned"));
    world.creation_held = Some((world.now + Span::from_secs(60), "no ports are left".to_owned()));
    assert!(world.plan().actions.is_empty());
    world.wait(Span::from_secs(60));
    for round in 0..60 {
        let plan = world.plan();
        check(&world, &plan);
        world.apply(&plan);
        assert!(world.counts().ready >= 4, "{:?} in round {round}", world.counts());
        world.start();
        world.wait(Span::from_secs(10));
        world.sweep();
    }
    assert!(world.rooms.values().all(|room| room.leaving.is_none()));
    assert_eq!(world.counts().ready, 5);
}

#[test]
fn victims_come_from_nodes_that_are_being_left_first() {
    let mut world = settled(4);
    for (number, node, leaving) in [(1, "a", false), (2, "b", true), (3, "b", true), (4, "c", false)] {
        let room = world.room(number);
        room.node = Some(node.to_owned());
        room.leaving = leaving.then(|| "is cordoned".to_owned());
    }
    world.report(3, Reported::Occupied);
    let watch = world.watch();
    let order = victim::order(world.rooms.values(), &watch);
    let order: Vec<RoomId> = order.into_iter().map(|room| room.id.clone()).collect();
    assert_eq!(order, [2, 1, 4].map(|number| world.id(number)));
}
