//! How rooms end is told, each end once, whatever becomes of the step that notices it.

use futures::FutureExt;
use maestro_core::names::RoomId;
use maestro_core::report::Reported;
use maestro_core::room::{End, Health, Stage};
use maestro_core::time::Span;

use maestro::control::{Command, Scale};

use crate::world::{World, desired};

/// Lives for so long, and answers the ends that were told.
fn ends(world: &mut World, secs: u64) -> Vec<End> {
    let mut ends = Vec::new();
    for _ in 0..secs {
        for room in world.rooms() {
            if room.stage() == Stage::Starting || room.reports.last.is_some() {
                let status = room.reports.status().unwrap_or(Reported::Ready);
                world.report(&room.id, status);
            }
        }
        // As long as anything is due within the second.
        let end = world.now() + Span::from_secs(1);
        while world.now() < end {
            let mut report = world.step();
            ends.append(&mut report.ends);
            let wait = report.next_at.min(end).since(world.now());
            world.pass(wait);
        }
    }
    ends
}

fn rooms(ends: &[End]) -> Vec<&RoomId> {
    ends.iter().map(|end| &end.room).collect()
}

#[test]
fn a_crash_is_told_once_with_its_code() {
    let mut world = World::new(desired(2, 10));
    assert_eq!(ends(&mut world, 5), []);
    let victim = world.yard.rooms().remove(0);
    world.yard.crash(&victim, 7);
    world.control.cluster_changed();
    let told = ends(&mut world, 15);
    assert_eq!(rooms(&told), [&victim]);
    let end = &told[0];
    assert_eq!((end.code, end.health), (Some(7), Health::Failed));
    assert!(
        end.reason.starts_with("it ended by itself after "),
        "{}",
        end.reason
    );
    assert!(end.life_at.is_some() && end.node.is_some());
}

#[test]
fn rooms_that_are_not_wanted_any_more_end_for_that_reason() {
    let mut world = World::new(desired(1, 10));
    world.control.order(Command {
        operation: "1".to_owned(),
        scale: Scale::To(3),
    });
    ends(&mut world, 5);
    assert_eq!(world.yard.rooms().len(), 3);
    world.control.order(Command {
        operation: "2".to_owned(),
        scale: Scale::To(1),
    });
    let told = ends(&mut world, 20);
    assert_eq!(told.len(), 2);
    for end in told {
        assert_eq!(end.health, Health::Well);
        assert_eq!(end.reason, "only 1 room is wanted");
    }
}

#[test]
fn a_room_that_could_not_be_created_is_told_of_when_it_is_given_up() {
    let mut world = World::new(desired(1, 10));
    world.yard.refuse(Some("no port is free"));
    let told = ends(&mut world, 20);
    assert!(!told.is_empty());
    for end in told {
        assert_eq!(end.reason, "it could not be created in 3 tries");
    }
}

#[test]
fn an_end_that_a_dropped_step_noticed_is_told_by_a_later_one() {
    for call in 0..6 {
        let mut world = World::new(desired(2, 10));
        ends(&mut world, 5);
        let victim = world.yard.rooms().remove(0);
        world.yard.crash(&victim, 7);
        world.control.cluster_changed();
        world.yard.hang_next(call);
        let mut told = Vec::new();
        for _ in 0..5 {
            // A step that hangs is dropped here.
            if let Some(mut report) = world.control.step(world.now()).now_or_never() {
                told.append(&mut report.ends);
            }
            world.pass(Span::from_secs(1));
        }
        world.yard.hang_never();
        told.append(&mut ends(&mut world, 15));
        assert_eq!(rooms(&told), [&victim], "dropped at call {call}");
    }
}

#[test]
fn a_pause_of_scaling_down_is_no_reason_to_try_what_fails_any_sooner() {
    let mut world = World::new(desired(1, 10));
    world.yard.refuse(Some("no port is free"));
    world.settle(Span::from_secs(70));
    world.yard.calls();
    let now = world.now();
    world.set(|desired| desired.scale_in_paused = Some(now));
    world.settle(Span::from_secs(5));
    assert_eq!(world.yard.calls().get("create"), None);
    // Another document may be the remedy.
    world.set(|desired| desired.scheduler.autoscaling.min = 2);
    world.settle(Span::from_secs(1));
    assert!(world.yard.calls().contains_key("create"));
}
