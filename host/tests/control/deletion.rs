//! How a scheduler goes: its rooms in time, then all that is left of it, by whoever has its lease and by nobody else.

use maestro_core::report::Reported;
use maestro_core::time::Span;

use maestro::control::{Deleting, Error};
use maestro::registry::Registry;

use crate::world::{World, desired, name, run};

#[test]
fn a_deleted_scheduler_keeps_its_matches_to_the_end_and_then_leaves_nothing() {
    let mut world = World::new(desired(3, 10));
    world.live(5);
    let busy = world.yard.rooms().remove(0);
    world.report(&busy, Reported::Occupied);
    let since = world.now();
    world.set(|desired| desired.deleting = Some(Deleting { force: false, since }));
    world.live(30);
    assert_eq!(world.yard.rooms(), std::slice::from_ref(&busy));
    world.report(&busy, Reported::Ready);
    world.live(1);
    world.go();
    assert_eq!(world.yard.rooms(), []);
    assert_eq!(world.yard.calls()["remove"], 1);
    assert_eq!(world.rooms(), []);
}

#[test]
fn deletion_by_force_ends_matches_too() {
    let mut world = World::new(desired(2, 10));
    world.live(5);
    let busy = world.yard.rooms().remove(0);
    world.report(&busy, Reported::Occupied);
    let since = world.now();
    world.set(|desired| desired.deleting = Some(Deleting { force: true, since }));
    world.step();
    assert_eq!(world.yard.rooms(), []);
}

/// Another installation has the namespace: no room was ever made in it, and the scheduler must be able to go.
#[test]
fn a_scheduler_whose_place_is_somebody_elses_can_be_deleted() {
    let mut world = World::new(desired(2, 10));
    world.yard.take_away();
    world.live(5);
    assert_eq!(world.yard.rooms(), []);
    let since = world.now();
    world.set(|desired| desired.deleting = Some(Deleting { force: false, since }));
    world.go();
}

/// Somebody took the place of rooms that may be in a match: what is not seen is not given up for gone.
#[test]
fn rooms_in_a_place_that_became_somebody_elses_hold_the_deletion_up() {
    let mut world = World::new(desired(2, 10));
    world.live(5);
    let rooms = world.yard.rooms();
    world.report(&rooms[0], Reported::Occupied);
    world.yard.take_away();
    let since = world.now();
    world.set(|desired| desired.deleting = Some(Deleting { force: false, since }));
    world.live(30);
    assert_eq!(world.yard.calls().get("remove"), None);
    assert!(world.rooms().iter().any(|room| room.id == rooms[0]));
}

/// A worker that lost its lease may be the last to know, and somebody may have begun anew under the name.
#[test]
fn who_has_lost_the_lease_removes_nothing_of_the_cluster() {
    let mut world = World::new(desired(0, 10));
    // A renewal is behind it, and the next one is not due.
    world.live(7);
    let lease = Span::from_secs(15);
    let ours = run(world.registry.acquire(&name(), "first", lease));
    run(world.registry.release(&ours.unwrap().unwrap())).unwrap();
    let theirs = run(world.registry.acquire(&name(), "second", lease));
    assert!(theirs.unwrap().is_some());

    let since = world.now();
    world.set(|desired| desired.deleting = Some(Deleting { force: false, since }));
    world.yard.calls();
    let report = world.step();
    assert!(!report.removed && !report.holding);
    assert!(report.errors.iter().any(Error::is_fenced), "{:?}", report.errors);
    assert_eq!(world.yard.calls().get("remove"), None);
}
