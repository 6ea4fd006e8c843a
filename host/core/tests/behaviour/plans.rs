//! Plans: what they never do, and that they come to an end.

use std::collections::BTreeSet;

use maestro_core::deadlines::{Overdue, Place};
use maestro_core::guard::Bounds;
use maestro_core::names::RoomId;
use maestro_core::plan::{Action, Deletion, Footing, Object, Plan};
use maestro_core::report::Reported;
use maestro_core::rollout::Share;
use maestro_core::room::{Creation, Intent, Room, Stage};
use maestro_core::time::Span;
use maestro_core::victim;
use proptest::prelude::*;

use crate::world::World;

pub(crate) fn bounds(min: u32, max: u32, cap: u32) -> Bounds {
    Bounds {
        min,
        max: Some(max),
        cap,
    }
}

pub(crate) fn settled(rooms: u32) -> World {
    let mut world = World::new(bounds(rooms, 0, 100));
    world.settle();
    world
}

/// Anything that can happen to a world between two steps.
#[derive(Clone, Debug)]
enum Event {
    Step,
    Start,
    Sweep,
    Wait(u64),
    Say(u32, Reported),
    Promise(u32),
    Mute(u32),
    Unmute(u32),
    Exit(u32),
    Want(u32),
    Release,
    CreatesFail(bool),
    Unexpose(u32),
    Cap(u32),
    Recovering(bool),
    Leave(u32, bool),
}

fn event() -> impl Strategy<Value = Event> {
    let room = || 1..30_u32;
    prop_oneof![
        8 => Just(Event::Step),
        5 => Just(Event::Start),
        5 => Just(Event::Sweep),
        3 => (1..50_u64).prop_map(Event::Wait),
        1 => (50..4_000_u64).prop_map(Event::Wait),
        8 => (room(), 0..4_usize).prop_map(|(room, status)| Event::Say(room, Reported::ALL[status])),
        6 => room().prop_map(|room| Event::Say(room, Reported::Occupied)),
        3 => room().prop_map(Event::Promise),
        3 => room().prop_map(Event::Mute),
        2 => room().prop_map(Event::Unmute),
        2 => room().prop_map(Event::Exit),
        4 => (0..15_u32).prop_map(Event::Want),
        1 => Just(Event::Release),
        1 => any::<bool>().prop_map(Event::CreatesFail),
        1 => room().prop_map(Event::Unexpose),
        1 => (3..20_u32).prop_map(Event::Cap),
        1 => any::<bool>().prop_map(Event::Recovering),
        2 => (0..2_u32, any::<bool>()).prop_map(|(node, leave)| Event::Leave(node, leave)),
    ]
}

fn happen(world: &mut World, event: &Event) {
    let known = |world: &World, number: u32| world.rooms.contains_key(&world.id(number));
    match event {
        Event::Step => {
            let plan = world.plan();
            check(world, &plan);
            world.apply(&plan);
            let again = world.plan();
            let (_, rest) = split(&again);
            // A name that was given up leaves its place under the cap only once it is known to be free; an old
            // room whose promise ran out may be asked to leave only then; and when one of many silent rooms is
            // ended because it had answered, the others may be too few to be excused.
            let has = |kind: fn(&Action) -> bool| plan.actions.iter().any(kind);
            let forgets = has(|action| matches!(action, Action::Forget { .. }));
            let expires = has(|action| matches!(action, Action::ExpireAllocation { .. }));
            let follows = |action: &&Action| match action {
                Action::Create { .. } => true,
                Action::Reserve { .. } => forgets || expires,
                Action::Drain { .. } => expires,
                _ => false,
            };
            let left: Vec<&Action> = rest.into_iter().filter(|action| !follows(action)).collect();
            let excused = world.creates_fail || plan.mass_silence;
            assert!(left.is_empty() || excused, "after {plan}\nstill {again}");
        }
        Event::Start => world.start(),
        Event::Sweep => world.sweep(),
        Event::Wait(seconds) => world.wait(Span::from_secs(*seconds)),
        Event::Say(number, status)
            if world.objects.contains_key(&world.id(*number)) && known(world, *number) =>
        {
            world.report(*number, *status);
        }
        Event::Promise(number) if known(world, *number) => {
            let until = world.now + Span::from_secs(60);
            // Refused for rooms that are not allocatable, as a matchmaker would be.
            let _refusal = world.room(*number).allocate(until);
        }
        Event::Mute(number) => {
            let id = world.id(*number);
            world.muted.insert(id);
        }
        Event::Unmute(number) => {
            let id = world.id(*number);
            world.muted.remove(&id);
        }
        Event::Exit(number) if world.objects.contains_key(&world.id(*number)) => world.exit(*number, 1, ""),
        Event::Want(count) => world.wanted = (*count).min(world.bounds.cap),
        Event::Release => world.version = world.version.next_major(),
        Event::Leave(node, leaves) => {
            let node = world.nodes[*node as usize].clone();
            world.leave(&node, leaves.then_some("is cordoned"));
        }
        Event::CreatesFail(fail) => world.creates_fail = *fail,
        Event::Unexpose(number) => {
            let id = world.id(*number);
            if let Some(object) = world.objects.get_mut(&id) {
                object.exposed = false;
            }
        }
        Event::Cap(cap) => {
            world.bounds.cap = *cap;
            world.wanted = world.wanted.min(*cap);
        }
        Event::Recovering(true) => world.footing = Footing::Recovering { listed: true },
        Event::Recovering(false) => world.footing = Footing::Sound,
        Event::Say(..) | Event::Promise(_) | Event::Exit(_) => {}
    }
}

/// A plan's actions on objects, which may be repeated until a list shows them done, and all others.
fn split(plan: &Plan) -> (Vec<&Action>, Vec<&Action>) {
    plan.actions
        .iter()
        .partition(|action| matches!(action, Action::Delete { .. }))
}

/// What no plan may do, whatever happened before.
pub(crate) fn check(world: &World, plan: &Plan) {
    let watch = world.watch();
    let share = Share::of(world.version, world.wanted);
    let is_old = |room: &Room| !share.keeps(room.version) || room.leaving.is_some();
    let has_old = world.rooms.values().any(is_old);
    let mut concerned = BTreeSet::new();
    let mut creates = BTreeSet::new();
    let mut reserved = 0;
    for action in &plan.actions {
        if let Some(id) = action.room()
            && !matches!(action, Action::Expose { .. })
        {
            assert!(concerned.insert(id.clone()), "two actions on {id} in\n{plan}");
        }
        match action {
            Action::Reserve { count, .. } => reserved += count,
            Action::Stop { room, revision, .. } => {
                let room = &world.rooms[room];
                assert_eq!(*revision, room.revision);
                assert_eq!(world.footing, Footing::Sound, "recovering, and {action}");
                check_stop(watch.overdue(room), room, action);
            }
            Action::Drain { room, revision, .. } => {
                let room = &world.rooms[room];
                assert_eq!(*revision, room.revision);
                assert_eq!(world.footing, Footing::Sound, "recovering, and {action}");
                assert!(!room.is_protected() || is_old(room), "{action} of {room:?}");
                assert_eq!(room.intent, Intent::Keep);
            }
            Action::Forget { room, .. } => assert_eq!(world.rooms[room].may_forget(), Ok(()), "{action}"),
            Action::Create { room, .. } => {
                creates.insert(room.clone());
                let creation = world.rooms[room].creation;
                assert!(
                    matches!(creation, Creation::Unconfirmed { tries } if tries < 3),
                    "{action}"
                );
            }
            Action::Delete { room } => {
                let stage = world.rooms[room].stage();
                assert!(matches!(stage, Stage::Stopping | Stage::Gone), "{action}");
            }
            Action::ExpireAllocation { .. } | Action::Expose { .. } => {}
        }
    }
    if reserved > 0 {
        let stays = |id: &RoomId| !concerned.contains(id) || creates.contains(id);
        let is_stranded = |id: &RoomId, room: &Room| {
            stays(id) && room.leaving.is_some() && watch.place(room) == Place::Ready
        };
        let stranded = world.rooms.iter().filter(|(id, room)| is_stranded(id, room));
        let stranded = u32::try_from(stranded.count()).unwrap();
        let surge = if has_old { share.surge.max(stranded) } else { 0 };
        let standing = world.rooms.iter().filter(|(id, room)| {
            let place = watch.place(room);
            let counts = matches!(
                place,
                Place::Starting | Place::Ready | Place::Allocated | Place::Occupied
            );
            counts && stays(id)
        });
        let after = u32::try_from(standing.count()).unwrap() + reserved;
        assert!(
            after <= world.wanted + surge,
            "{after} rooms for {} wanted:\n{plan}",
            world.wanted
        );
        let live = world
            .rooms
            .values()
            .filter(|room| room.stage() != Stage::Gone)
            .count();
        let live = u32::try_from(live).unwrap();
        assert!(live + reserved <= world.bounds.cap, "{live} live and\n{plan}");
    }
}

/// A protected room is ended by its owner's deadlines only; any other by a deadline, its answer, or before it began.
fn check_stop(overdue: Option<Overdue>, room: &Room, action: &Action) {
    match overdue {
        Some(Overdue::Lost(_) | Overdue::Occupied(_)) => {}
        Some(Overdue::Initialization(_) | Overdue::Draining(_) | Overdue::Shutdown(_) | Overdue::Left) => {
            assert!(!room.is_protected(), "{action} of {room:?}");
        }
        Some(Overdue::Ping(_)) | None => {
            assert!(!room.is_protected(), "{action} of {room:?}");
            assert!(
                room.has_answered_drain() || room.stage() == Stage::Starting,
                "{action} of {room:?}"
            );
        }
    }
}

/// Lets everything that stands in the way end: matches, silence, recovery, failing creates.
fn calm_down(world: &mut World) {
    world.muted.clear();
    world.leave("node-b", None);
    world.creates_fail = false;
    world.footing = Footing::Sound;
    world.bounds.cap = world.bounds.cap.max(world.wanted + 1);
    let playing: Vec<RoomId> = world.objects.keys().cloned().collect();
    for id in playing {
        if world
            .rooms
            .get(&id)
            .is_some_and(|room| room.reports.status().is_some())
        {
            world.say(&id, Reported::Ready);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn plans_keep_every_promise_and_come_to_an_end(
        wanted in 0..12_u32,
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(bounds(0, 0, 25));
        world.wanted = wanted;
        for event in &events {
            happen(&mut world, event);
        }
        calm_down(&mut world);
        let wanted = world.wanted;
        world.settle();
        // By then the promises have run out, and their rooms have said that they are ready.
        world.wait(Span::from_secs(70));
        world.wanted = wanted;
        world.settle();
        let counts = world.counts();
        prop_assert_eq!((counts.available(), counts.ready), (wanted, wanted));
        prop_assert_eq!(counts.draining + counts.stopping + counts.silent, 0);
        prop_assert!(world.rooms.values().all(|room| room.version.major == world.version.major));
        prop_assert!(world.objects.values().all(|object| object.exposed));
        prop_assert!(world.rooms.values().all(|room| room.leaving.is_none()));
    }

    #[test]
    fn no_protected_room_is_ever_a_victim(
        wanted in 1..12_u32,
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(bounds(0, 0, 25));
        world.wanted = wanted;
        for event in &events {
            happen(&mut world, event);
            let watch = world.watch();
            let order = victim::order(world.rooms.values(), &watch);
            prop_assert!(order.iter().all(|room| !room.is_protected() && room.intent == Intent::Keep));
        }
    }

    #[test]
    fn applying_a_plan_twice_is_harmless(
        wanted in 1..12_u32,
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(bounds(0, 0, 25));
        world.wanted = wanted;
        for event in &events {
            happen(&mut world, event);
        }
        // Names that are taken and creates that are tried are counted in the registry, so those are not repeated.
        let mut plan = world.plan();
        plan.actions
            .retain(|action| !matches!(action, Action::Reserve { .. } | Action::Create { .. }));
        world.apply(&plan);
        let (rooms, objects) = (world.rooms.clone(), world.objects.clone());
        world.apply(&plan);
        prop_assert_eq!(rooms, world.rooms);
        prop_assert_eq!(objects, world.objects);
    }

    #[test]
    fn number_in_a_match_never_falls_by_scaling_down(
        occupied in proptest::collection::btree_set(1..=10_u32, 0..10),
        wanted in 0..10_u32,
    ) {
        let mut world = settled(10);
        for number in &occupied {
            world.report(*number, Reported::Occupied);
        }
        (world.wanted, world.bounds.min) = (wanted, 0);
        for _ in 0..6 {
            let plan = world.plan();
            check(&world, &plan);
            world.apply(&plan);
            world.wait(Span::from_secs(20));
            world.sweep();
        }
        let busy = u32::try_from(occupied.len()).unwrap();
        prop_assert_eq!(world.counts().occupied, busy);
        prop_assert_eq!(world.counts().available(), wanted.max(busy));
    }
}

#[test]
fn running_room_without_its_service_gets_one() {
    let mut world = settled(1);
    let id = world.id(1);
    let bare = Object {
        exposed: false,
        deleting: false,
    };
    world.objects.insert(id.clone(), bare);
    assert_eq!(world.plan().actions, [Action::Expose { room: id }]);
}

#[test]
fn nothing_is_created_before_a_full_list_or_while_creation_is_held() {
    let mut world = World::new(bounds(3, 0, 50));
    world.footing = Footing::Recovering { listed: false };
    assert!(world.plan().actions.is_empty());
    world.footing = Footing::Recovering { listed: true };
    assert_eq!(world.plan().to_string(), "make 3 new rooms of v1.0\n");
    world.creation_held = Some((world.now + Span::from_secs(1), "no ports are left".to_owned()));
    assert!(world.plan().actions.is_empty());
    world.wait(Span::from_secs(1));
    assert_eq!(world.plan().actions.len(), 1);
}

#[test]
fn one_plan_is_bounded() {
    let mut world = World::new(bounds(50, 0, 100));
    world.budget = 20;
    assert_eq!(world.plan().to_string(), "make 20 new rooms of v1.0\n");
    world.settle();
    (world.wanted, world.bounds.min) = (0, 0);
    assert_eq!(world.plan().actions.len(), 20);
}

#[test]
fn every_live_room_counts_against_the_cap() {
    let mut world = World::new(bounds(5, 0, 6));
    world.settle();
    for number in 1..=3 {
        let now = world.now;
        world.room(number).stop("by hand", None, now).unwrap();
    }
    // Two are left in A, and three that are still ending: one place is free.
    let plan = world.plan();
    let (_, rest) = split(&plan);
    assert_eq!(rest.len(), 1);
    assert!(plan.to_string().contains("make 1 new room of v1.0"), "{plan}");
}

#[test]
fn minor_version_touches_no_room() {
    let mut world = settled(3);
    world.version = world.version.next_minor();
    assert!(world.plan().actions.is_empty());
}

#[test]
fn new_version_that_never_comes_up_leaves_the_old_rooms_alone() {
    let mut world = settled(10);
    world.version = world.version.next_major();
    for _ in 0..50 {
        let plan = world.plan();
        check(&world, &plan);
        world.apply(&plan);
        world.wait(Span::from_secs(20));
        world.sweep();
        let serving = world.counts().ready;
        assert_eq!(serving, 10);
    }
}

#[test]
fn replacement_never_goes_below_the_number_wanted() {
    let mut world = settled(10);
    for number in 1..=4 {
        world.report(number, Reported::Occupied);
    }
    world.version = world.version.next_major();
    for round in 0..40 {
        let plan = world.plan();
        check(&world, &plan);
        world.apply(&plan);
        let counts = world.counts();
        assert!(counts.ready + counts.busy() >= 10, "{counts:?} in round {round}");
        assert!(counts.available() <= 12, "{counts:?} in round {round}");
        if round == 20 {
            (1..=4).for_each(|number| world.report(number, Reported::Ready));
        }
        world.start();
        world.wait(Span::from_secs(10));
        world.sweep();
    }
    assert!(world.rooms.values().all(|room| room.version.major == 2));
    assert_eq!(world.counts().ready, 10);
}

#[test]
fn deleted_scheduler_keeps_its_matches_and_a_forced_one_keeps_nothing() {
    let mut world = settled(4);
    world.report(1, Reported::Occupied);
    let until = world.now + Span::from_secs(60);
    world.room(2).allocate(until).unwrap();
    world.deletion = Some(Deletion::Graceful);
    for _ in 0..20 {
        let plan = world.plan();
        world.apply(&plan);
        world.wait(Span::from_secs(10));
        world.sweep();
    }
    let left: Vec<&RoomId> = world.rooms.keys().collect();
    assert_eq!(left, [&world.id(1)]);
    world.deletion = Some(Deletion::Forced);
    for _ in 0..3 {
        let plan = world.plan();
        world.apply(&plan);
        world.sweep();
    }
    assert!(world.rooms.is_empty() && world.objects.is_empty());
}
