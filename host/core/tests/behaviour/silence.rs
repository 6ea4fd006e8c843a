//! Deadlines: witnessed time, mass silence, and which deadline ends what.

use maestro_core::deadlines::{Overdue, Place, Witness};
use maestro_core::guard::Bounds;
use maestro_core::plan::Action;
use maestro_core::report::Reported;
use maestro_core::room::{Health, Phase};
use maestro_core::time::{Span, Timestamp};
use proptest::prelude::*;

use crate::world::World;

fn world(rooms: u32) -> World {
    let mut world = World::new(Bounds {
        min: rooms,
        max: None,
        cap: 100,
    });
    world.settle();
    world
}

fn mute(world: &mut World, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        let id = world.id(number);
        world.muted.insert(id);
    }
}

fn overdue(world: &World, number: u32) -> Option<Overdue> {
    world.watch().overdue(&world.rooms[&world.id(number)])
}

fn place(world: &World, number: u32) -> Place {
    world.watch().place(&world.rooms[&world.id(number)])
}

/// Time passes in which nobody could have reported.
fn blackout(world: &mut World, span: Span) {
    world.now = world.now + span;
}

#[test]
fn gap_longer_than_three_seconds_is_not_witnessed() {
    let mut witness = Witness::default();
    for ms in [0, 1_000, 4_000, 9_000, 10_000, 8_000, 9_000] {
        witness.beat(Timestamp::from_ms(ms));
    }
    assert_eq!(witness.total, Span::from_secs(1 + 3 + 1 + 1));
}

#[test]
fn silence_while_we_were_away_is_no_silence() {
    let mut world = world(2);
    mute(&mut world, [1]);
    blackout(&mut world, Span::from_secs(3_000));
    world.wait(Span::from_secs(60));
    assert_eq!(place(&world, 1), Place::Ready);
    world.wait(Span::from_secs(60));
    assert_eq!(overdue(&world, 1), Some(Overdue::Ping(world.deadlines.ping)));
}

#[test]
fn starting_room_that_could_not_report_is_not_late() {
    let mut world = world(1);
    world.bounds.min = 2;
    world.step();
    blackout(&mut world, Span::from_secs(3_000));
    world.wait(Span::from_secs(100));
    assert_eq!(overdue(&world, 2), None);
    world.wait(Span::from_secs(30));
    let limit = world.deadlines.initialization;
    assert_eq!(overdue(&world, 2), Some(Overdue::Initialization(limit)));
}

#[test]
fn protected_silent_room_is_replaced_and_kept_until_it_is_lost() {
    let mut world = world(2);
    world.report(1, Reported::Occupied);
    mute(&mut world, [1]);
    world.wait(Span::from_secs(100));
    assert_eq!((place(&world, 1), overdue(&world, 1)), (Place::Silent, None));
    world.wait(Span::from_secs(3_490));
    assert_eq!(overdue(&world, 1), None);
    world.wait(Span::from_secs(20));
    assert_eq!(overdue(&world, 1), Some(Overdue::Lost(world.deadlines.lost)));
}

#[test]
fn occupied_deadline_ends_the_match_that_is_known_to_go_on() {
    let mut world = world(2);
    world.deadlines.occupied = Some(Span::from_secs(300));
    world.report(1, Reported::Occupied);
    world.wait(Span::from_secs(295));
    assert_eq!(overdue(&world, 1), None);
    world.wait(Span::from_secs(20));
    assert_eq!(overdue(&world, 1), Some(Overdue::Occupied(Span::from_secs(300))));
}

#[test]
fn deadline_of_one_match_does_not_end_the_next() {
    let mut world = world(2);
    world.deadlines.occupied = Some(Span::from_secs(300));
    world.report(1, Reported::Occupied);
    world.wait(Span::from_secs(200));
    world.report(1, Reported::Ready);
    world.report(1, Reported::Occupied);
    world.wait(Span::from_secs(200));
    assert_eq!(overdue(&world, 1), None);
    // What was decided on the first match is refused on the second.
    let mut stale = world.rooms[&world.id(1)].clone();
    stale.revision = maestro_core::room::Revision(stale.revision.0 - 1);
    let stop = Action::Stop {
        room: stale.id.clone(),
        revision: stale.revision,
        unheard_since: None,
        reason: "its match has taken too long".to_owned(),
    };
    let plan = maestro_core::plan::Plan {
        actions: vec![stop],
        mass_silence: false,
    };
    world.apply(&plan);
    assert_eq!(place(&world, 1), Place::Occupied);
}

#[test]
fn after_an_outage_the_occupied_deadline_waits_for_a_word_of_the_room() {
    let mut world = world(2);
    world.deadlines.occupied = Some(Span::from_secs(300));
    world.report(1, Reported::Occupied);
    blackout(&mut world, Span::from_secs(1_000));
    // It may be in another match by now.
    assert_eq!(overdue(&world, 1), None);
    world.report(1, Reported::Occupied);
    assert_eq!(overdue(&world, 1), Some(Overdue::Occupied(Span::from_secs(300))));
}

#[test]
fn three_of_ten_are_mass_silence_and_two_are_not() {
    for (silent, is_mass) in [(2, false), (3, true), (10, true)] {
        let mut world = world(10);
        mute(&mut world, 1..=silent);
        world.wait(Span::from_secs(100));
        let watch = world.watch();
        assert_eq!(watch.mass_silence(), is_mass, "{silent} of ten");
        let expected = if is_mass { Place::Ready } else { Place::Silent };
        assert_eq!(watch.place(&world.rooms[&world.id(1)]), expected);
        assert_eq!(watch.health(&world.rooms[&world.id(1)]), Health::Silent);
    }
}

#[test]
fn a_fifth_is_not_over_a_fifth() {
    let mut world = world(15);
    mute(&mut world, 1..=3);
    world.wait(Span::from_secs(100));
    assert!(!world.watch().mass_silence());
}

#[test]
fn rooms_that_fell_silent_one_after_another_are_no_mass() {
    let mut world = world(10);
    for number in 1..=4 {
        mute(&mut world, [number]);
        world.wait(Span::from_secs(100));
    }
    assert_eq!(world.counts().silent, 4);
    assert!(!world.watch().mass_silence());
}

#[test]
fn mass_silence_ends_nobody_and_builds_no_second_fleet() {
    let mut world = world(10);
    world.report(1, Reported::Occupied);
    world.deadlines.occupied = Some(Span::from_secs(300));
    mute(&mut world, 1..=10);
    world.wait(Span::from_secs(100));
    for _ in 0..50 {
        let plan = world.plan();
        assert_eq!(plan.to_string(), "");
        assert!(plan.mass_silence);
        world.wait(Span::from_secs(100));
    }
}

#[test]
fn in_mass_silence_a_room_whose_process_does_not_run_is_replaced() {
    let mut world = world(10);
    mute(&mut world, 1..=5);
    let id = world.id(1);
    let pending = Phase::Pending {
        reason: "node lost".to_owned(),
    };
    world.show(&id, pending);
    world.wait(Span::from_secs(100));
    assert_eq!(
        (place(&world, 1), place(&world, 2)),
        (Place::Silent, Place::Ready)
    );
}

/// A machine is dead, and Kubernetes says so: its rooms are replaced, however many they are, and those in a match are
/// kept until they are lost.
#[test]
fn rooms_of_a_lost_node_are_no_mass() {
    let mut world = world(10);
    world.report(1, Reported::Occupied);
    let there: Vec<u32> = (1..=6).collect();
    for number in &there {
        world.room(*number).node = Some("node-b".to_owned());
    }
    mute(&mut world, there);
    world.lose_node("node-b");
    world.wait(Span::from_secs(100));
    assert!(!world.watch().mass_silence());
    let ping = Some(Overdue::Ping(world.deadlines.ping));
    assert_eq!((overdue(&world, 1), overdue(&world, 2)), (None, ping));
    assert_eq!(
        (place(&world, 1), place(&world, 2)),
        (Place::Silent, Place::Silent)
    );
    world.wait(world.deadlines.lost);
    assert_eq!(overdue(&world, 1), Some(Overdue::Lost(world.deadlines.lost)));
}

/// It pings still: what the cluster says of its machine changes nothing.
#[test]
fn a_room_that_is_heard_of_is_well_on_a_lost_node() {
    let mut world = world(10);
    mute(&mut world, 2..=5);
    world.room(1).node = Some("node-b".to_owned());
    world.lose_node("node-b");
    world.wait(Span::from_secs(100));
    assert_eq!(place(&world, 1), Place::Ready);
    assert_eq!(world.watch().mass_silent(), 4);
}

#[test]
fn draining_room_that_is_silent_is_ended_at_its_deadline_only() {
    let mut world = world(2);
    let now = world.now;
    world.room(1).drain("no longer wanted", now).unwrap();
    mute(&mut world, [1]);
    world.wait(Span::from_secs(115));
    assert_eq!(overdue(&world, 1), None);
    world.wait(Span::from_secs(15));
    assert_eq!(
        overdue(&world, 1),
        Some(Overdue::Draining(world.deadlines.draining))
    );
    // One in a match is not ended for that.
    world.report(1, Reported::Occupied);
    world.wait(Span::from_secs(500));
    assert_eq!(overdue(&world, 1), None);
}

#[test]
fn room_that_says_it_ends_has_its_shutdown_time_even_while_it_pings() {
    let mut world = world(2);
    world.report(1, Reported::Terminating);
    world.wait(Span::from_secs(25));
    assert_eq!(overdue(&world, 1), None);
    world.wait(Span::from_secs(10));
    assert!(matches!(overdue(&world, 1), Some(Overdue::Shutdown(_))));
    world.report(2, Reported::Terminated);
    assert_eq!(overdue(&world, 2), Some(Overdue::Left));
}

proptest! {
    #[test]
    fn a_beat_is_a_whole_multiple_that_lies_ahead(ms in -100_000_i64..100_000, every in 0_u64..20_000) {
        let (now, every) = (Timestamp::from_ms(ms), Span::from_ms(every));
        let beat = now.beat_after(every);
        prop_assert!(beat > now && beat <= now + every.max(Span::from_ms(1)));
        prop_assert_eq!(beat.ms() % i64::try_from(every.ms().max(1)).unwrap(), 0);
    }

    #[test]
    fn witnessed_time_never_runs_ahead_of_the_clock(gaps in proptest::collection::vec(0..10_000_u64, 1..50)) {
        let mut witness = Witness::default();
        let mut now = Timestamp::from_ms(0);
        witness.beat(now);
        for gap in &gaps {
            now = now + Span::from_ms(*gap);
            witness.beat(now);
        }
        let counted: u64 = gaps.iter().filter(|gap| **gap <= 3_000).sum();
        prop_assert_eq!(witness.total, Span::from_ms(counted));
    }
}
