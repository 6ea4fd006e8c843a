//! What state a room is in, in a sentence.

use crate::deadlines::Watch;
use crate::report::Reported;
use crate::room::{Creation, Health, Intent, Origin, Phase, Room, Stage, Use};

/// What a person wants to know of one room, in a sentence.
pub fn room(room: &Room, watch: &Watch) -> String {
    let state = match room.stage() {
        Stage::Reserved => reserved(room),
        Stage::Starting => starting(room, watch),
        Stage::Running => running(room, watch),
        Stage::Draining => draining(room, watch),
        Stage::Stopping => stopping(room),
        Stage::Gone => gone(room),
    };
    let since = room.reports.silence(watch.witnessed);
    let silence = match (watch.health(room), watch.is_excused(room)) {
        (Health::Silent, false) => format!("; nothing was heard of it for {since}"),
        (Health::Silent, true) => format!("; like many others it has been silent for {since}"),
        (Health::Well | Health::Late | Health::Failed, _) => String::new(),
    };
    format!("{} ({}) {state}{silence}{}.", room.id, room.version, place(room))
}

/// That its node is being left, where nobody has asked it to go yet.
fn place(room: &Room) -> String {
    let what = match (room.stage(), room.is_protected()) {
        (Stage::Starting, _) => "it goes, and another one is made elsewhere",
        (Stage::Running, true) => "it gets no further match",
        (Stage::Running, false) => "it gets no match, and goes once another one is ready elsewhere",
        (Stage::Reserved | Stage::Draining | Stage::Stopping | Stage::Gone, _) => return String::new(),
    };
    match room.leaving_node() {
        Some(node) => format!("; {node}: {what}"),
        None => String::new(),
    }
}

fn reserved(room: &Room) -> String {
    match room.creation {
        Creation::Unconfirmed { tries: 0 } | Creation::Confirmed { .. } => {
            "is about to be created".to_owned()
        }
        Creation::Unconfirmed { tries: 1 } => "is being created".to_owned(),
        Creation::Unconfirmed { tries } => format!("is being created, for the {} time", ordinal(tries)),
    }
}

fn ordinal(count: u32) -> String {
    match count {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        _ => format!("{count}th"),
    }
}

fn starting(room: &Room, watch: &Watch) -> String {
    let since = watch.now.since(room.created_at());
    let hindrance = match &room.phase {
        Phase::Pending { reason } if !reason.is_empty() => format!(" ({reason})"),
        Phase::Pending { .. } | Phase::Unseen => " and does not run yet".to_owned(),
        Phase::Running { .. } | Phase::Exited { .. } | Phase::Absent { .. } => {
            " and has not reported ready yet".to_owned()
        }
    };
    match watch.health(room) {
        Health::Late => format!(
            "was to be ready within {} and is not after {since}{hindrance}",
            watch.deadlines.initialization
        ),
        Health::Well | Health::Silent | Health::Failed => {
            format!("has been starting for {since}{hindrance}")
        }
    }
}

fn running(room: &Room, watch: &Watch) -> String {
    match (room.usage(), &room.intent, room.origin) {
        (Use::Idle, _, _) if room.has_complete_address() => "is ready for a match".to_owned(),
        (Use::Idle, _, _) => "is ready, and has no address yet".to_owned(),
        (Use::Allocated, Intent::Allocated { until }, _) if *until > watch.now => {
            format!("is promised to a match for another {}", until.since(watch.now))
        }
        (Use::Allocated, _, _) => "was promised to a match that has not begun in time".to_owned(),
        (Use::Occupied, _, _) => in_match(room, watch),
        (Use::Unknown, _, _) if room.allocation_expired => {
            "was promised to a match and has not said since whether it began".to_owned()
        }
        (Use::Unknown, _, Origin::Adopted | Origin::Reserved) => {
            "was found running and has not said yet whether it is in a match".to_owned()
        }
    }
}

fn in_match(room: &Room, watch: &Watch) -> String {
    let since = match room.occupied_since {
        Some(began) => format!(" for {}", watch.now.since(began)),
        None => String::new(),
    };
    match (room.running_matches, room.capacity) {
        (_, 0 | 1) => format!("has been in a match{since}"),
        (running, capacity) => {
            format!("holds {running} of at most {capacity} matches, and was not empty{since}")
        }
    }
}

fn draining(room: &Room, watch: &Watch) -> String {
    let (ago, reason) = match &room.intent {
        Intent::Draining { since, reason } => (watch.now.since(*since), reason.as_str()),
        Intent::Keep | Intent::Allocated { .. } | Intent::Stopping { .. } => return "is leaving".to_owned(),
    };
    let then = match room.usage() {
        Use::Idle => "it goes as soon as it answers that nobody plays there",
        Use::Allocated | Use::Occupied => "it goes when its match ends",
        Use::Unknown => "it goes as soon as it says that it is in no match",
    };
    format!("was asked to leave {ago} ago ({reason}); {then}")
}

fn stopping(room: &Room) -> String {
    match (&room.intent, room.reports.status()) {
        (Intent::Stopping { reason, .. }, _) => format!("is being ended: {reason}"),
        (_, Some(Reported::Terminated)) => "said that it has ended".to_owned(),
        (_, Some(Reported::Ready | Reported::Occupied | Reported::Terminating) | None) => {
            "said that it is ending".to_owned()
        }
    }
}

fn gone(room: &Room) -> String {
    let asked = match &room.intent {
        Intent::Stopping { reason, .. } => format!(", as asked: {reason}"),
        Intent::Keep | Intent::Allocated { .. } | Intent::Draining { .. } => String::new(),
    };
    match &room.phase {
        Phase::Exited {
            code: Some(code),
            reason,
            ..
        } if asked.is_empty() => match reason.as_str() {
            "" => format!("ended by itself with code {code}"),
            reason => format!("ended by itself with code {code}: {reason}"),
        },
        Phase::Exited { .. }
        | Phase::Absent { .. }
        | Phase::Unseen
        | Phase::Pending { .. }
        | Phase::Running { .. } => {
            format!("is gone{asked}")
        }
    }
}
