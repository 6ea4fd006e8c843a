//! Acts on one room: preconditions, revisions, and what the cluster's news prove.

use maestro_core::names::{RoomId, Version};
use maestro_core::report::{Report, Reported};
use maestro_core::room::{
    Address, CREATE_TRIES, Creation, Effect, Intent, OpenPort, Phase, Refused, Room, Seen, Stage, Status, Use,
};
use maestro_core::scheduler::Protocol;
use maestro_core::time::{Span, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_ms(1_000_000_000);

fn after(seconds: u64) -> Timestamp {
    NOW + Span::from_secs(seconds)
}

fn reserved() -> Room {
    let id = RoomId::parse("pong-00000001").unwrap();
    Room::reserved(id, Version::FIRST, NOW, Span::ZERO)
}

fn seen(phase: Phase) -> Seen {
    Seen {
        phase,
        node: None,
        leaving: None,
        node_lost: false,
        addresses: vec![Address {
            kind: "InternalIP".to_owned(),
            family: "IPv4".to_owned(),
            host: "10.0.0.1".to_owned(),
        }],
        ports: vec![OpenPort {
            name: "game".to_owned(),
            protocol: Protocol::Tcp,
            port: 7000,
        }],
    }
}

fn ready() -> Room {
    let mut room = reserved();
    room.observe(&seen(Phase::Running { since: NOW }), NOW);
    say(&mut room, Reported::Ready, 1);
    room
}

fn say(room: &mut Room, status: Reported, seconds: u64) {
    let report = Report {
        status,
        sent_at: after(seconds),
        metadata: None,
        running_matches: None,
        capacity: None,
    };
    room.receive(&report, after(seconds), Span::from_secs(seconds));
}

#[test]
fn create_is_tried_three_times() {
    let mut room = reserved();
    for _ in 0..CREATE_TRIES {
        assert_eq!(room.begin_create(), Ok(Effect::Facts));
    }
    assert_eq!(room.begin_create(), Err(Refused::TriedOut));
    assert_eq!(room.confirm_create(NOW), Effect::Moved);
    assert_eq!(room.confirm_create(after(9)), Effect::Nothing);
    assert_eq!(room.creation, Creation::Confirmed { at: NOW });
    assert_eq!(room.begin_create(), Err(Refused::Created));
    assert_eq!(room.stage(), Stage::Starting);
}

#[test]
fn room_seen_in_the_cluster_is_created() {
    let mut room = reserved();
    let pending = Phase::Pending {
        reason: String::new(),
    };
    assert_eq!(room.observe(&seen(pending.clone()), after(3)), Effect::Moved);
    assert_eq!(room.creation, Creation::Confirmed { at: after(3) });
    assert_eq!(room.observe(&seen(pending), after(4)), Effect::Nothing);
}

#[test]
fn only_a_list_begun_after_its_create_proves_absence() {
    let mut room = reserved();
    let absent = |at| seen(Phase::Absent { at });
    assert_eq!(room.observe(&absent(after(5)), after(5)), Effect::Nothing);
    room.confirm_create(after(5));
    assert_eq!(room.observe(&absent(after(5)), after(6)), Effect::Nothing);
    assert_eq!(room.observe(&absent(after(6)), after(6)), Effect::Moved);
    assert_eq!(room.stage(), Stage::Gone);
    assert_eq!(room.observe(&absent(after(7)), after(7)), Effect::Nothing);
}

#[test]
fn ended_process_does_not_come_back() {
    let mut room = ready();
    let exited = Phase::Exited {
        at: after(5),
        code: Some(1),
        reason: String::new(),
    };
    assert_eq!(room.observe(&seen(exited), after(5)), Effect::Moved);
    assert_eq!(
        room.observe(&seen(Phase::Running { since: NOW }), after(6)),
        Effect::Nothing
    );
    assert_eq!(room.stage(), Stage::Gone);
    // Its object may still go: how it ended stays known.
    assert_eq!(
        room.observe(&seen(Phase::Absent { at: after(7) }), after(7)),
        Effect::Nothing
    );
}

#[test]
fn room_that_is_gone_keeps_its_last_place() {
    let mut room = ready();
    let mut absent = seen(Phase::Absent { at: after(7) });
    absent.addresses.clear();
    room.observe(&absent, after(7));
    assert_eq!((room.stage(), room.has_complete_address()), (Stage::Gone, true));
}

#[test]
fn room_that_a_stale_list_lacked_is_there_again_when_it_is_seen() {
    let mut room = ready();
    room.observe(&seen(Phase::Absent { at: after(5) }), after(5));
    room.observe(&seen(Phase::Running { since: NOW }), after(6));
    assert_eq!(room.stage(), Stage::Running);
}

#[test]
fn only_what_can_not_exist_is_forgotten() {
    assert_eq!(reserved().may_forget(), Ok(()));
    assert_eq!(ready().may_forget(), Err(Refused::MayExist));
    let mut tried = reserved();
    tried.begin_create().unwrap();
    tried.stop("no longer wanted", None, NOW).unwrap();
    assert_eq!((tried.stage(), tried.may_forget()), (Stage::Stopping, Ok(())));
    let mut gone = ready();
    gone.observe(&seen(Phase::Absent { at: after(5) }), after(5));
    assert_eq!(gone.may_forget(), Ok(()));
}

#[test]
fn only_a_ready_reachable_kept_room_is_promised() {
    assert_eq!(reserved().allocate(after(60)), Err(Refused::NotAllocatable));
    let mut room = ready();
    assert_eq!(room.allocate(after(60)), Ok(Effect::Moved));
    assert_eq!(room.allocate(after(60)), Err(Refused::NotAllocatable));
    let mut homeless = ready();
    homeless.addresses.clear();
    assert_eq!(homeless.allocate(after(60)), Err(Refused::NotAllocatable));
    let mut leaving = ready();
    leaving.drain("no longer wanted", after(2)).unwrap();
    assert_eq!(leaving.allocate(after(60)), Err(Refused::NotAllocatable));
}

#[test]
fn promise_is_kept_before_a_drain() {
    let mut room = ready();
    room.allocate(after(60)).unwrap();
    assert_eq!(room.drain("no longer wanted", after(2)), Err(Refused::Promised));
    room.expire_allocation(after(60)).unwrap();
    assert_eq!(room.drain("no longer wanted", after(61)), Ok(Effect::Moved));
    assert_eq!((room.usage(), room.has_answered_drain()), (Use::Unknown, false));
    say(&mut room, Reported::Ready, 62);
    assert!(room.has_answered_drain());
}

#[test]
fn drain_is_answered_only_by_what_comes_after_the_mark() {
    for (status, answers) in [
        (Reported::Ready, true),
        (Reported::Occupied, false),
        (Reported::Terminating, true),
        (Reported::Terminated, true),
    ] {
        let mut room = ready();
        room.drain("no longer wanted", after(5)).unwrap();
        assert!(!room.has_answered_drain());
        // In the same millisecond it may have been before.
        say(&mut room, status, 5);
        assert!(!room.has_answered_drain());
        say(&mut room, status, 6);
        assert_eq!(room.has_answered_drain(), answers, "{status:?}");
    }
}

#[test]
fn match_that_began_late_is_kept_and_the_room_leaves_after_it() {
    let mut room = ready();
    room.drain("no longer wanted", after(5)).unwrap();
    say(&mut room, Reported::Occupied, 6);
    assert_eq!((room.stage(), room.is_protected()), (Stage::Draining, true));
    say(&mut room, Reported::Ready, 600);
    assert!(room.has_answered_drain());
}

#[test]
fn second_mark_keeps_the_first_ones_time() {
    let mut room = ready();
    room.drain("first", after(5)).unwrap();
    assert_eq!(room.drain("second", after(9)), Ok(Effect::Nothing));
    let first = Intent::Draining {
        since: after(5),
        reason: "first".to_owned(),
    };
    assert_eq!(room.intent, first);
    assert_eq!(room.stop("end", None, after(10)), Ok(Effect::Moved));
    assert_eq!(room.stop("end again", None, after(11)), Ok(Effect::Nothing));
    assert_eq!(room.drain("third", after(12)), Ok(Effect::Nothing));
    assert_eq!(room.stage(), Stage::Stopping);
}

#[test]
fn adopted_room_may_be_in_a_match_until_it_reports() {
    let id = RoomId::parse("pong-00000001").unwrap();
    let mut room = Room::adopted(id, Version::FIRST, NOW, Span::from_secs(5_000));
    room.observe(&seen(Phase::Running { since: NOW }), NOW);
    assert_eq!(
        (room.usage(), room.stage(), room.status()),
        (Use::Unknown, Stage::Running, Status::Occupied)
    );
    assert_eq!(room.reports.silence(Span::from_secs(5_001)), Span::from_secs(1));
    say(&mut room, Reported::Ready, 1);
    assert!(room.is_allocatable());
}

/// Anything that can happen to a room.
#[derive(Clone, Debug)]
enum Event {
    Report(Reported, i64, Option<u32>),
    Life,
    Allocate,
    Drain,
    Stop,
    Expire,
    Begin,
    Confirm,
    Observe(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..4_usize, -400..400_i64, proptest::option::of(0..3_u32))
            .prop_map(|(status, skew, matches)| Event::Report(Reported::ALL[status], skew, matches)),
        1 => Just(Event::Life),
        2 => Just(Event::Allocate),
        1 => Just(Event::Drain),
        1 => Just(Event::Stop),
        2 => Just(Event::Expire),
        1 => Just(Event::Begin),
        1 => Just(Event::Confirm),
        2 => (0..5_u8).prop_map(Event::Observe),
    ]
}

fn happen(room: &mut Room, event: &Event, now: Timestamp) {
    let _effect = match event {
        Event::Report(status, skew, running_matches) => {
            let report = Report {
                status: *status,
                sent_at: Timestamp::from_ms(now.ms() + skew * 1_000),
                metadata: Some("{}".to_owned()),
                running_matches: *running_matches,
                capacity: Some(3),
            };
            room.receive(&report, now, Span::ZERO);
            Ok(Effect::Facts)
        }
        Event::Life => Ok(room.sign_of_life(now, Span::ZERO)),
        Event::Allocate => room.allocate(now + Span::from_secs(30)),
        Event::Drain => room.drain("no longer wanted", now),
        Event::Stop => room.stop("no longer wanted", None, now),
        Event::Expire => room.expire_allocation(now),
        Event::Begin => room.begin_create(),
        Event::Confirm => Ok(room.confirm_create(now)),
        Event::Observe(which) => {
            let phase = match which {
                0 => Phase::Pending {
                    reason: String::new(),
                },
                1 | 2 => Phase::Running { since: NOW },
                3 => Phase::Exited {
                    at: now,
                    code: None,
                    reason: String::new(),
                },
                _ => Phase::Absent { at: now },
            };
            Ok(room.observe(&seen(phase), now))
        }
    };
}

proptest! {
    #[test]
    fn revision_moves_exactly_with_use_stage_and_intent(
        adopted in any::<bool>(),
        events in proptest::collection::vec((event(), 0..40_u64), 1..40),
    ) {
        let mut room = reserved();
        if adopted {
            room = Room::adopted(room.id.clone(), Version::FIRST, NOW, Span::ZERO);
        }
        let mut now = NOW;
        for (event, seconds) in events {
            now = now + Span::from_secs(seconds);
            let before = room.clone();
            happen(&mut room, &event, now);
            let moved = (room.usage(), room.stage()) != (before.usage(), before.stage())
                || room.intent != before.intent;
            let expected = if moved { before.revision.next() } else { before.revision };
            prop_assert_eq!(room.revision, expected, "{:?} on {:?}", event, before);
            prop_assert_eq!(room.occupied_since.is_some(), room.usage() == Use::Occupied);
            // A promise is never lost but by the room's own word or its time; a stopping room never comes back.
            if matches!(before.intent, Intent::Stopping { .. }) {
                let ends = matches!(room.intent, Intent::Stopping { .. });
                prop_assert!(ends);
            }
            if room.is_allocatable() {
                prop_assert_eq!(room.reports.status(), Some(Reported::Ready));
                prop_assert_eq!(room.stage(), Stage::Running);
            }
        }
    }
}
