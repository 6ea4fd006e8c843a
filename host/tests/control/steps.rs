//! What a loop does step by step: rooms made, lost, adopted, spared, replaced, removed.

use std::collections::BTreeMap;

use futures::FutureExt;
use maestro_core::decision::{Actor, Rule};
use maestro_core::names::{PolicyName, RoomId, Version};
use maestro_core::report::Reported;
use maestro_core::room::{Stage, Use};
use maestro_core::scheduler::{Direction, Mode, PolicyRef, Trigger};
use maestro_core::time::Span;
use maestro_core::votes::Outcome as Vote;

use maestro::control::{Command, Desired, Error, Outcome, Scale, Scaled};
use maestro::registry::Registry;

use crate::world::{World, desired, is_ready, name, run, standing};

#[test]
fn a_new_scheduler_gets_its_minimum_in_its_first_step() {
    let mut world = World::new(desired(3, 10));
    let report = world.step();
    assert!(report.holding && report.errors.is_empty());
    assert_eq!(world.yard.rooms().len(), 3);
    let decision = &world.records[0].decision;
    assert_eq!((decision.actor.clone(), decision.wanted), (Actor::Loop, 3));
    assert_eq!(decision.plan, ["make 3 new rooms of v1.0"]);
    world.live(3);
    assert_eq!(world.count(is_ready), 3);
    assert_eq!(world.yard.rooms().len(), 3, "nothing was made twice");
}

#[test]
fn a_step_over_unchanged_rooms_makes_no_call_that_is_not_due() {
    let mut world = World::new(desired(3, 10));
    world.live(20);
    world.settle(Span::from_secs(1));
    world.yard.calls();
    for _ in 0..50 {
        world.pass(Span::from_ms(100));
        assert_eq!(world.step().errors.len(), 0);
    }
    assert!(world.yard.calls().get("list").is_none_or(|lists| *lists <= 1));
    for _ in 0..10 {
        world.pass(Span::from_secs(10));
        world.step();
    }
    assert_eq!(world.yard.calls(), BTreeMap::from([("list", 10)]));
}

/// What the store said when the loop began is older than what the loop decided since (issue 5).
#[test]
fn what_was_wanted_last_outlives_a_registry_that_loses_everything() {
    let mut world = World::new(Desired {
        last: Some(standing(3)),
        ..desired(1, 20)
    });
    world.live(5);
    world.control.order(Command {
        operation: "1".to_owned(),
        scale: Scale::To(7),
    });
    world.live(5);
    assert_eq!(world.count(is_ready), 7);
    let before = world.yard.rooms();

    let fence = run(world.registry.acquire(&name(), "first", Span::from_secs(15)));
    run(world.registry.remove(&fence.unwrap().unwrap())).unwrap();
    world.settle(Span::from_secs(1));
    for room in &before {
        world.report(room, Reported::Ready);
    }
    world.live(30);
    assert_eq!(world.yard.rooms(), before);
    assert_eq!(world.count(is_ready), 7);
}

#[test]
fn equal_holds_are_told_once_a_period() {
    let mut world = World::new(desired(2, 10));
    world.live(30);
    world.records.clear();
    world.live(60);
    assert!((5..=7).contains(&world.records.len()), "{}", world.records.len());
}

#[test]
fn a_room_that_crashes_is_deleted_forgotten_and_replaced() {
    let mut world = World::new(desired(2, 10));
    world.live(5);
    let victim = world.yard.rooms().remove(0);
    world.yard.crash(&victim, 1);
    world.control.cluster_changed();
    world.live(15);
    assert!(!world.yard.rooms().contains(&victim));
    assert!(!world.rooms().iter().any(|room| room.id == victim));
    assert_eq!(world.count(is_ready), 2);
}

#[test]
fn creation_that_is_refused_pauses_longer_each_time_and_says_why() {
    let mut world = World::new(desired(1, 10));
    world.yard.refuse(Some("no port is free"));
    world.settle(Span::from_secs(120));
    let creates = world.yard.calls()["create"];
    assert!((5..=12).contains(&creates), "{creates} creates in two minutes");
    let waits = &world.records.last().unwrap().decision.waits;
    assert!(
        waits.iter().any(|wait| wait.contains("no port is free")),
        "{waits:?}"
    );
    world.yard.refuse(None);
    world.live(70);
    assert_eq!(world.count(is_ready), 1);
    let waits = &world.records.last().unwrap().decision.waits;
    assert!(
        !waits.iter().any(|wait| wait.contains("no port is free")),
        "{waits:?}"
    );
}

#[test]
fn rooms_that_end_before_they_are_ready_are_not_made_in_a_circle() {
    let mut world = World::new(desired(3, 10));
    for _ in 0..120 {
        for room in world.yard.rooms() {
            world.yard.crash(&room, 127);
        }
        world.control.cluster_changed();
        world.settle(Span::from_secs(1));
    }
    let creates = world.yard.calls()["create"];
    assert!(creates <= 30, "{creates} creates in two minutes");
    let waits = &world.records.last().unwrap().decision.waits;
    assert!(
        waits.iter().any(|wait| wait.contains("ended with code 127")),
        "{waits:?}"
    );
}

#[test]
fn a_manual_scale_is_done_once_and_within_bounds() {
    let mut world = World::new(desired(2, 5));
    world.live(5);
    world.control.order(Command {
        operation: "7".to_owned(),
        scale: Scale::Up(10),
    });
    world.live(5);
    let result = Ok(Scaled { asked: 12, wanted: 5 });
    assert_eq!(
        world.outcomes,
        [Outcome {
            operation: "7".to_owned(),
            result
        }]
    );
    let decision = world
        .records
        .iter()
        .map(|r| &r.decision)
        .find(|d| d.actor == Actor::Manual)
        .unwrap();
    assert!(decision.clamps.iter().any(|clamp| clamp.rule == Rule::Max));
    assert_eq!(world.count(is_ready), 5);
}

#[test]
fn scaling_down_drains_idle_rooms_and_spares_those_in_a_match() {
    let mut world = World::new(desired(1, 10));
    world.live(2);
    world.control.order(Command {
        operation: "1".to_owned(),
        scale: Scale::To(4),
    });
    world.live(5);
    let busy: Vec<RoomId> = world.rooms().iter().take(2).map(|room| room.id.clone()).collect();
    for room in &busy {
        world.report(room, Reported::Occupied);
    }
    world.live(1);
    world.control.order(Command {
        operation: "2".to_owned(),
        scale: Scale::To(0),
    });
    world.live(30);
    assert_eq!(
        world.yard.rooms(),
        busy,
        "both matches go on, and nothing else does"
    );
    assert_eq!(world.outcomes[1].result, Ok(Scaled { asked: 0, wanted: 2 }));
}

#[test]
fn a_trigger_that_can_not_be_asked_forbids_scaling_down() {
    let mut wanted = desired(1, 10);
    wanted.last = Some(standing(4));
    wanted.scheduler.autoscaling.triggers.push(Trigger {
        id: "up[0]".to_owned(),
        direction: Direction::Up,
        policy: PolicyRef {
            name: PolicyName::parse("room").unwrap(),
            version: None,
        },
        parameters: "{}".to_owned(),
        window: Span::from_secs(60),
        mode: Mode::Active,
    });
    let why = "nobody deployed it".to_owned();
    wanted.policies.insert("up[0]".to_owned(), Err(why));
    let mut world = World::new(wanted);
    world.live(30);
    assert_eq!(world.count(is_ready), 4, "the last decision's number came back");
    let decision = &world.records.last().unwrap().decision;
    let Vote::Failed { class, message } = &decision.ballots[0].outcome else {
        panic!("{decision:?}");
    };
    assert_eq!(
        (class.as_str(), message.as_str()),
        ("unresolved", "nobody deployed it")
    );
}

#[test]
fn a_second_loop_waits_and_takes_over_what_is() {
    let mut world = World::new(desired(3, 10));
    world.live(5);
    let mut rival = world.rival("second");
    let report = run(rival.step(world.now()));
    assert!(!report.holding);
    let before = world.yard.rooms();
    run(world.control.release()).unwrap();
    world.pass(report.next_at.since(world.now()));
    world.control = rival;
    assert!(world.step().holding);
    world.live(10);
    assert_eq!(
        world.yard.rooms(),
        before,
        "nothing was made or ended by the change"
    );
    let mut first = world.rival("first again");
    assert!(!run(first.step(world.now())).holding);
}

#[test]
fn a_holder_whose_lease_ran_out_does_nothing_before_it_has_it_again() {
    let mut world = World::new(desired(3, 10));
    world.live(5);
    world.pass(Span::from_secs(20));
    let mut rival = world.rival("second");
    assert!(run(rival.step(world.now())).holding);
    world.yard.calls();
    assert!(!world.step().holding);
    assert_eq!(world.yard.calls(), BTreeMap::new());
}

#[test]
fn an_unreachable_cluster_stops_nothing_but_what_needs_it() {
    let mut world = World::new(desired(2, 10));
    world.live(15);
    world.yard.set_away(true);
    world.records.clear();
    world.pass(Span::from_secs(10));
    let report = world.step();
    assert!(report.holding && !report.samples.is_empty());
    assert!(report.errors.iter().all(Error::is_retryable));
    assert_eq!(report.errors.len(), 1);
    assert_eq!(world.records.len(), 1, "votes go on");
    world.yard.set_away(false);
    world.live(5);
    assert_eq!(world.count(is_ready), 2);
}

#[test]
fn rooms_found_after_a_loss_are_adopted_protected_and_counted() {
    let mut lost = desired(1, 10);
    lost.last = Some(standing(3));
    let mut world = World::new(lost);
    for suffix in 0..3 {
        world.yard.put(RoomId::new(&name(), suffix), Version::FIRST);
    }
    world.step();
    assert_eq!(world.count(|room| room.usage() == Use::Unknown), 3);
    world.settle(Span::from_secs(5));
    assert_eq!(world.yard.rooms().len(), 3, "no second fleet");
    assert!(world.records.last().unwrap().decision.recovering);
    for room in world.yard.rooms() {
        world.report(&room, Reported::Ready);
    }
    world.live(12);
    assert_eq!(world.count(is_ready), 3);
    assert!(!world.records.last().unwrap().decision.recovering);
}

#[test]
fn a_step_dropped_at_any_call_to_the_cluster_leaves_no_room_too_many_or_too_few() {
    for call in 0..12 {
        let mut world = World::new(desired(3, 10));
        world.yard.hang_at(call);
        for _ in 0..30 {
            // A step that hangs is dropped here.
            drop(world.control.step(world.now()).now_or_never());
            world.pass(Span::from_secs(1));
        }
        world.yard.hang_never();
        world.live(15);
        assert_eq!(world.count(is_ready), 3, "dropped at call {call}");
        assert_eq!(world.yard.rooms().len(), 3, "dropped at call {call}");
    }
}

#[test]
fn what_rooms_use_is_not_measured_while_no_policy_reads_it() {
    let mut world = World::new(desired(2, 10));
    world.live(60);
    assert_eq!(world.yard.calls().get("usage"), None);
}

#[test]
fn a_new_major_version_replaces_rooms_and_spares_matches() {
    let mut world = World::new(desired(5, 10));
    world.live(5);
    let busy = world.yard.rooms().remove(0);
    world.report(&busy, Reported::Occupied);
    world.live(2);
    let next = Version::FIRST.next_major();
    world.set(|desired| desired.version = next);
    for _ in 0..120 {
        world.live(1);
        let serving = world.count(|room| {
            matches!(room.usage(), Use::Idle | Use::Occupied) && room.stage() == Stage::Running
        });
        assert!(
            serving >= 4,
            "{serving} rooms serve, a fifth fewer than wanted at most"
        );
    }
    let old: Vec<RoomId> = world
        .rooms()
        .into_iter()
        .filter(|r| r.version != next)
        .map(|r| r.id)
        .collect();
    assert_eq!(old, [busy]);
}

#[test]
fn a_room_too_many_is_asked_to_leave_as_soon_as_its_match_ends() {
    let mut world = World::new(desired(6, 6));
    world.live(5);
    let rooms = world.rooms();
    for room in &rooms {
        world.report(&room.id, Reported::Occupied);
    }
    world.settle(Span::from_secs(2));
    world.set(|desired| {
        desired.scheduler.autoscaling.min = 3;
        desired.scheduler.autoscaling.max = Some(3);
    });
    world.settle(Span::from_secs(5));
    assert_eq!(world.count(|room| room.stage() == Stage::Draining), 0);
    world.report(&rooms[0].id, Reported::Ready);
    world.settle(Span::from_secs(1));
    assert_eq!(world.count(|room| room.stage() == Stage::Draining), 1);
}

#[test]
fn rooms_that_end_soon_after_they_are_ready_are_made_anew_less_and_less_often() {
    let mut world = World::new(desired(1, 1));
    world.live(15);
    world.yard.calls();
    for _ in 0..60 {
        for room in world.rooms() {
            if matches!(room.stage(), Stage::Starting | Stage::Running) {
                world.report(&room.id, Reported::Ready);
                world.yard.crash(&room.id, 7);
                world.control.cluster_changed();
            }
        }
        world.settle(Span::from_secs(1));
    }
    let made = world.yard.calls()["create"];
    assert!((4..=8).contains(&made), "{made} rooms in a minute");
}
