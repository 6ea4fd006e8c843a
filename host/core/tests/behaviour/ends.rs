//! What is known of a room once it is gone: why, with which code, and whether it was asked to.

use maestro_core::names::{RoomId, Version};
use maestro_core::report::{Accepted, Reported};
use maestro_core::room::{Creation, End, Health, Origin, Phase, Room};
use maestro_core::time::{Span, Timestamp};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_ms(secs * 1_000)
}

fn created() -> Room {
    let id = RoomId::parse("pong-0000000a").unwrap();
    let mut room = Room::reserved(id, Version::FIRST, at(0), Span::ZERO);
    room.creation = Creation::Confirmed { at: at(1) };
    room
}

fn says(room: &mut Room, status: Reported, secs: i64) {
    room.reports.last = Some(Accepted {
        status,
        since: at(secs),
        sent_at: at(secs),
        received_at: at(secs),
    });
}

fn exits(room: &mut Room, code: Option<i32>, reason: &str) {
    room.phase = Phase::Exited {
        at: at(4),
        code,
        reason: reason.to_owned(),
    };
}

#[track_caller]
fn check(change: impl FnOnce(&mut Room), health: Health, reason: &str) -> End {
    let mut room = created();
    change(&mut room);
    let end = room.end(at(9));
    assert_eq!((end.health, end.reason.as_str()), (health, reason));
    end
}

#[test]
fn an_end_says_why_and_with_which_code_and_words() {
    let end = check(
        |room| exits(room, Some(3), "no licence"),
        Health::Failed,
        "it ended by itself after 3 s, before it was ready",
    );
    assert_eq!(
        (end.code, end.words.as_str(), end.at),
        (Some(3), "no licence", at(4))
    );
    let crash = |room: &mut Room| {
        says(room, Reported::Occupied, 2);
        exits(room, None, "SIGSEGV; boom");
    };
    let end = check(crash, Health::Failed, "it ended by itself after 3 s");
    assert_eq!((end.code, end.words.as_str()), (None, "SIGSEGV; boom"));
    let goodbye = |room: &mut Room| {
        says(room, Reported::Terminated, 2);
        exits(room, Some(0), "");
    };
    check(goodbye, Health::Well, "it said that it was ending");
    let adopted = |room: &mut Room| {
        room.origin = Origin::Adopted;
        exits(room, Some(1), "");
    };
    check(adopted, Health::Failed, "it ended by itself");
    // It is no child of ours, and nobody can tell its code.
    let adopted = |room: &mut Room| {
        room.origin = Origin::Adopted;
        says(room, Reported::Terminated, 2);
        exits(room, None, "exit code unknown");
    };
    check(adopted, Health::Well, "it said that it was ending");
    let killed = |room: &mut Room| {
        says(room, Reported::Terminating, 2);
        exits(room, None, "SIGKILL");
    };
    check(killed, Health::Failed, "it said that it was ending");
    check(
        |room| room.phase = Phase::Absent { at: at(5) },
        Health::Failed,
        "it is gone from the cluster, and nobody here asked for that",
    );
}

#[test]
fn an_end_that_was_asked_for_says_by_which_rule() {
    let drained = |room: &mut Room| {
        room.drain("only 2 rooms are wanted", at(2)).unwrap();
        exits(room, Some(0), "");
    };
    check(drained, Health::Well, "only 2 rooms are wanted");
    let stopped = |room: &mut Room| {
        room.stop("it was not ready within 2 min of its creation", None, at(2))
            .unwrap();
        exits(room, Some(143), "");
    };
    let end = check(
        stopped,
        Health::Well,
        "it was not ready within 2 min of its creation",
    );
    assert_eq!(end.code, Some(143));
}

#[test]
fn a_room_that_never_was_has_an_end_too() {
    let tried = |tries| move |room: &mut Room| room.creation = Creation::Unconfirmed { tries };
    let end = check(tried(3), Health::Failed, "it could not be created in 3 tries");
    assert_eq!(end.at, at(9), "when it was forgotten");
    check(tried(1), Health::Well, "it was given up before it was created");
}

#[test]
fn a_goodbye_before_it_was_given_up_makes_an_end_its_own() {
    let mut room = created();
    assert!(room.went_by_itself());
    says(&mut room, Reported::Terminating, 2);
    room.stop("it was silent for too long", None, at(3)).unwrap();
    assert!(room.went_by_itself());
    says(&mut room, Reported::Terminating, 4);
    assert!(!room.went_by_itself(), "it answered what was asked of it");
}
