//! The order of a room's reports, and what they do to it.

use maestro_core::names::{RoomId, Version};
use maestro_core::report::{Reception, Report, Reported};
use maestro_core::room::{Address, Intent, OpenPort, Phase, Room, Seen, Stage, Use};
use maestro_core::scheduler::Protocol;
use maestro_core::time::{Span, Timestamp};

const NOW: Timestamp = Timestamp::from_ms(1_000_000_000);

fn room() -> Room {
    let id = RoomId::parse("pong-00000001").unwrap();
    let mut room = Room::reserved(id, Version::FIRST, NOW, Span::ZERO);
    room.begin_create().unwrap();
    room.confirm_create(NOW);
    let seen = Seen {
        phase: Phase::Running { since: NOW },
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
    };
    room.observe(&seen, NOW);
    room
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(NOW.ms() + seconds * 1_000)
}

fn report(status: Reported, sent: i64) -> Report {
    Report {
        status,
        sent_at: at(sent),
        metadata: None,
        running_matches: None,
        capacity: None,
    }
}

/// Reports with (status, sent, received) lead to these receptions and this status.
#[track_caller]
fn check(calls: &[(Reported, i64, i64)], receptions: &[Reception], status: Reported) {
    let mut room = room();
    let taken: Vec<Reception> = calls
        .iter()
        .map(|(status, sent, received)| room.receive(&report(*status, *sent), at(*received), Span::ZERO))
        .collect();
    assert_eq!(taken, receptions);
    assert_eq!(room.reports.status(), Some(status));
}

use Reception::{ClockMoved, LifeOnly, Newest};
use Reported::{Occupied, Ready, Terminated, Terminating};

#[test]
fn newer_report_is_taken() {
    check(&[(Ready, 0, 0), (Occupied, 1, 1)], &[Newest, Newest], Occupied);
}

#[test]
fn equal_timestamps_go_by_arrival() {
    check(&[(Ready, 5, 5), (Occupied, 5, 6)], &[Newest, Newest], Occupied);
}

#[test]
fn report_up_to_a_minute_older_is_a_sign_of_life_only() {
    check(
        &[(Occupied, 60, 60), (Ready, 0, 61)],
        &[Newest, LifeOnly],
        Occupied,
    );
    check(
        &[(Occupied, 60, 60), (Ready, 59, 61)],
        &[Newest, LifeOnly],
        Occupied,
    );
}

#[test]
fn report_further_back_shows_a_moved_clock_and_arrival_counts_from_then_on() {
    check(
        &[(Occupied, 61, 61), (Ready, 0, 62), (Occupied, -500, 63)],
        &[Newest, ClockMoved, Newest],
        Occupied,
    );
}

#[test]
fn report_five_minutes_ahead_of_the_server_shows_a_moved_clock() {
    check(
        &[(Ready, 300, 0), (Occupied, 301, 1)],
        &[Newest, Newest],
        Occupied,
    );
    check(
        &[(Ready, 302, 1), (Occupied, 2, 2)],
        &[ClockMoved, Newest],
        Occupied,
    );
}

#[test]
fn first_report_may_be_as_old_as_it_likes() {
    check(
        &[(Ready, -900, 0), (Occupied, -899, 1)],
        &[Newest, Newest],
        Occupied,
    );
}

#[test]
fn every_status_may_follow_every_other() {
    for first in Reported::ALL {
        for second in Reported::ALL {
            check(&[(first, 0, 0), (second, 1, 1)], &[Newest, Newest], second);
        }
    }
}

#[test]
fn ignored_report_is_a_sign_of_life_and_moves_nothing() {
    let mut room = room();
    room.receive(&report(Occupied, 30), at(30), Span::from_secs(30));
    let revision = room.revision;
    let taken = room.receive(&report(Ready, 10), at(40), Span::from_secs(40));
    // sent_at 10 is 20 s older than the newest.
    assert_eq!(taken, LifeOnly);
    assert_eq!(room.reports.life_at, Some(at(40)));
    assert_eq!(room.reports.silence(Span::from_secs(45)), Span::from_secs(5));
    assert_eq!((room.revision, room.usage()), (revision, Use::Occupied));
}

#[test]
fn repeated_ping_keeps_the_revision_and_the_start_of_the_match() {
    let mut room = room();
    room.receive(&report(Occupied, 1), at(1), Span::ZERO);
    let revision = room.revision;
    room.receive(&report(Occupied, 11), at(11), Span::ZERO);
    assert_eq!(room.revision, revision);
    assert_eq!(room.occupied_since, Some(at(1)));
    let last = room.reports.last.unwrap();
    assert_eq!((last.since, last.received_at), (at(1), at(11)));
}

#[test]
fn next_match_has_another_revision_and_start() {
    let mut room = room();
    room.receive(&report(Occupied, 1), at(1), Span::ZERO);
    let first = room.revision;
    room.receive(&report(Ready, 2), at(2), Span::ZERO);
    assert_eq!(room.occupied_since, None);
    room.receive(&report(Occupied, 3), at(3), Span::ZERO);
    assert!(room.revision > first);
    assert_eq!(room.occupied_since, Some(at(3)));
}

#[test]
fn ready_does_not_undo_a_promise_and_occupied_fulfils_it() {
    let mut room = room();
    room.receive(&report(Ready, 1), at(1), Span::ZERO);
    room.allocate(at(60)).unwrap();
    room.receive(&report(Ready, 11), at(11), Span::ZERO);
    assert_eq!(room.usage(), Use::Allocated);
    room.receive(&report(Occupied, 12), at(12), Span::ZERO);
    assert_eq!((room.usage(), &room.intent), (Use::Occupied, &Intent::Keep));
    room.receive(&report(Ready, 13), at(13), Span::ZERO);
    assert_eq!(room.usage(), Use::Idle);
}

#[test]
fn promise_that_ran_out_leaves_the_use_unknown_until_a_fresh_ready() {
    let mut room = room();
    room.receive(&report(Ready, 1), at(1), Span::ZERO);
    room.allocate(at(60)).unwrap();
    assert!(room.expire_allocation(at(59)).is_err());
    room.expire_allocation(at(60)).unwrap();
    assert_eq!(room.usage(), Use::Unknown);
    assert!(!room.is_allocatable());
    // A ready from before it ran out that arrives late says nothing.
    assert_eq!(room.receive(&report(Ready, 0), at(61), Span::ZERO), LifeOnly);
    assert_eq!(room.usage(), Use::Unknown);
    room.receive(&report(Ready, 62), at(62), Span::ZERO);
    assert_eq!(room.usage(), Use::Idle);
}

#[test]
fn ready_after_a_promise_ran_out_unnoticed_ends_it() {
    let mut room = room();
    room.receive(&report(Ready, 1), at(1), Span::ZERO);
    room.allocate(at(60)).unwrap();
    room.receive(&report(Ready, 70), at(70), Span::ZERO);
    assert_eq!((room.usage(), &room.intent), (Use::Idle, &Intent::Keep));
}

#[test]
fn ending_room_is_promised_to_nobody() {
    for status in [Terminating, Terminated] {
        let mut room = room();
        room.receive(&report(Ready, 1), at(1), Span::ZERO);
        room.allocate(at(60)).unwrap();
        room.receive(&report(status, 2), at(2), Span::ZERO);
        assert_eq!((room.usage(), room.stage()), (Use::Idle, Stage::Stopping));
    }
}

#[test]
fn metadata_stay_until_others_come() {
    let mut room = room();
    let mut first = report(Ready, 1);
    first.metadata = Some("{\"a\":1}".to_owned());
    room.receive(&first, at(1), Span::ZERO);
    room.receive(&report(Ready, 2), at(2), Span::ZERO);
    assert_eq!(room.metadata, "{\"a\":1}");
}

#[test]
fn room_for_several_matches_is_occupied_while_it_holds_one() {
    let mut room = room();
    let mut partly = report(Ready, 1);
    (partly.running_matches, partly.capacity) = (Some(2), Some(4));
    room.receive(&partly, at(1), Span::ZERO);
    assert_eq!(room.usage(), Use::Occupied);
    assert!(room.is_protected() && room.is_allocatable());
    assert_eq!(room.occupied_since, Some(at(1)));
    room.receive(&report(Ready, 2), at(2), Span::ZERO);
    assert_eq!(
        (room.usage(), room.running_matches, room.capacity),
        (Use::Idle, 0, 4)
    );
}
