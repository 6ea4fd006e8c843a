//! Rooms between their stored form and the domain: what is written beside a room follows from `maestro_core` alone.

use maestro_core::report::{Accepted, Reception, Report, Reports};
use maestro_core::room::{Intent, Room, Stage};
use maestro_core::time::{Span, Timestamp};
use maestro_wire::record::{self, KeptRoom, Quiet};

use super::reply::unreadable;
use crate::registry::Error;

/// No report comes this late.
const FAR: Timestamp = Timestamp::from_ms(i64::MAX / 2);

/// Times that a script compares exactly: its numbers are doubles.
const EXACT: std::ops::RangeInclusive<i64> = -(1 << 53)..=1 << 53;

/// Reads a stored room, while the present witness clock began at `began`: what was heard before counts as heard then.
/// A clock that begins after a loss starts ahead of all earlier ones, so that no earlier time looks like a later one.
pub(super) fn decode(bytes: &[u8], began: Span) -> Result<KeptRoom, Error> {
    let mut kept = record::decode_room(bytes).map_err(unreadable)?;
    kept.room.reports.life_witnessed = kept.room.reports.life_witnessed.max(began);
    Ok(kept)
}

/// One room's part of a write.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    /// The position that the stored room must have; empty when there must be none.
    pub(super) expected: String,
    /// Empty to remove it.
    pub(super) record: Vec<u8>,
    pub(super) place_before: String,
    pub(super) place_after: String,
    pub(super) is_gone: bool,
}

impl Entry {
    /// A new room.
    pub(super) fn insert(room: &Room, quiet: Option<Quiet>) -> Self {
        Self {
            id: room.id.to_string(),
            expected: String::new(),
            record: record::encode_room(room, quiet),
            place_before: String::new(),
            place_after: place(room),
            is_gone: room.stage() == Stage::Gone,
        }
    }

    /// A room that was `before`, and is `after`.
    pub(super) fn change(before: &KeptRoom, after: &Room, quiet: Option<Quiet>) -> Self {
        Self {
            expected: before.position.to_string(),
            place_before: place(&before.room),
            ..Self::insert(after, quiet)
        }
    }

    /// A room that is forgotten.
    pub(super) fn remove(before: &KeptRoom) -> Self {
        Self {
            record: Vec::new(),
            place_after: String::new(),
            is_gone: false,
            ..Self::change(before, &before.room, None)
        }
    }
}

/// Where a room stands in the index, so that texts in order are rooms in order: newest version first, then the oldest
/// room. Empty for a room that does not stand in it.
fn place(room: &Room) -> String {
    if !room.is_allocatable() {
        return String::new();
    }
    let (major, minor) = (u32::MAX - room.version.major, u32::MAX - room.version.minor);
    let at = room.reserved_at.ms() as u64 ^ (1 << 63);
    format!("{major:08x}{minor:08x}{at:016x}{}", room.id)
}

/// Until when reports like `report`, which made `room` what it is, will say nothing new, by trying it out on
/// `maestro_core`: now, and at any later time; where those differ, until the promise runs out.
pub(super) fn quiet(room: &Room, report: &Report) -> Option<Quiet> {
    let last = room.reports.last?;
    if !EXACT.contains(&report.sent_at.ms()) {
        return None;
    }
    let is_quiet = |now| {
        let mut again = room.clone();
        let witnessed = room.reports.life_witnessed;
        let reception = again.receive(report, now, witnessed);
        reception == Reception::Newest && again == freshened(room, report.sent_at, now)
    };
    let until = match room.intent {
        _ if is_quiet(FAR) => FAR,
        Intent::Allocated { until } if is_quiet(until - Span::from_ms(1)) => until,
        Intent::Keep | Intent::Allocated { .. } | Intent::Draining { .. } | Intent::Stopping { .. } => {
            return None;
        }
    };
    let signature = record::signature(report);
    is_quiet(last.received_at).then_some(Quiet { signature, until })
}

/// What a script makes of a room at a report that says nothing new.
fn freshened(room: &Room, sent_at: Timestamp, now: Timestamp) -> Room {
    let reports = &room.reports;
    Room {
        reports: Reports {
            last: reports.last.map(|last| Accepted {
                sent_at,
                received_at: now,
                ..last
            }),
            life_at: Some(now),
            ..reports.clone()
        },
        ..room.clone()
    }
}

/// Whether `stored` is `wanted`, heard of since or not: what a write that nobody heard the answer of left behind.
pub(super) fn is_same_but_fresher(wanted: &Room, stored: &Room) -> bool {
    let mut wanted = wanted.clone();
    let reports = &mut wanted.reports;
    reports.life_at = stored.reports.life_at;
    reports.life_witnessed = stored.reports.life_witnessed;
    if let (Some(last), Some(fresher)) = (&mut reports.last, stored.reports.last) {
        last.sent_at = fresher.sent_at;
        last.received_at = fresher.received_at;
    }
    wanted == *stored
}

#[cfg(test)]
mod tests {
    use maestro_core::names::{RoomId, SchedulerName, Version};
    use maestro_core::report::{AHEAD, Reported};
    use maestro_core::room::{Address, Effect, OpenPort, Phase, Seen};
    use maestro_core::scheduler::Protocol;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

    fn report() -> impl Strategy<Value = Report> {
        let status = prop::sample::select(Reported::ALL.to_vec());
        let number = prop::option::of(0_u32..3);
        let text = prop::option::of("\\{\\}|\\{\"a\":1\\}");
        (status, -400_i64..400, text, number.clone(), number).prop_map(
            |(status, secs, metadata, running_matches, capacity)| Report {
                status,
                sent_at: Timestamp::from_ms(NOW.ms() + secs * 1_000),
                metadata,
                running_matches,
                capacity,
            },
        )
    }

    /// A room after some acts and reports.
    fn room() -> impl Strategy<Value = Room> {
        (
            any::<bool>(),
            prop::option::of(0..4),
            prop::collection::vec(report(), 0..4),
        )
            .prop_map(|(adopted, act, reports)| {
                let scheduler = SchedulerName::parse("pong").unwrap();
                let make = if adopted { Room::adopted } else { Room::reserved };
                let mut room = make(RoomId::new(&scheduler, 1), Version::FIRST, NOW, Span::ZERO);
                room.observe(&running(), NOW);
                for report in &reports {
                    room.receive(report, NOW, Span::ZERO);
                }
                let until = NOW + Span::from_secs(60);
                let done = match act {
                    Some(0) => room.allocate(until),
                    Some(1) => room.drain("", NOW),
                    Some(2) => room.stop("", None, NOW),
                    Some(_) => room.allocate(NOW).and_then(|_| room.expire_allocation(NOW)),
                    None => Ok(Effect::Nothing),
                };
                assert!(act.is_some() || done.is_ok(), "what is not refused is done");
                room
            })
    }

    fn running() -> Seen {
        Seen {
            phase: Phase::Running { since: NOW },
            node: None,
            leaving: None,
            node_lost: false,
            addresses: vec![Address {
                kind: "InternalIP".to_owned(),
                family: "IPv4".to_owned(),
                host: "127.0.0.1".to_owned(),
            }],
            ports: vec![OpenPort {
                name: "game".to_owned(),
                protocol: Protocol::Udp,
                port: 1,
            }],
        }
    }

    proptest! {
        /// The conditions under which a script freshens a room by itself: `maestro_core` would do the same then.
        #[test]
        fn what_is_quiet_only_freshens(
            mut room in room(),
            report in report(),
            sent in 0_u64..600,
            waited in 0_u64..200,
        ) {
            room.receive(&report, NOW, Span::ZERO);
            let Some(quiet) = quiet(&room, &report) else { return Ok(()) };
            let last = room.reports.last.unwrap();
            let now = NOW + Span::from_secs(waited);
            let again = Report { sent_at: last.sent_at + Span::from_secs(sent), ..report };
            let is_taken_by_script = quiet.signature == record::signature(&again)
                && again.sent_at >= last.sent_at
                && now >= again.sent_at - AHEAD
                && now < quiet.until;
            if is_taken_by_script {
                let before = room.clone();
                prop_assert_eq!(room.receive(&again, now, Span::ZERO), Reception::Newest);
                prop_assert_eq!(room, freshened(&before, again.sent_at, now));
            }
        }

        /// Most reports repeat the one before; those must be the cheap ones.
        #[test]
        fn a_repeated_report_of_a_settled_room_is_quiet(report in report()) {
            let scheduler = SchedulerName::parse("pong").unwrap();
            let mut room = Room::reserved(RoomId::new(&scheduler, 1), Version::FIRST, NOW, Span::ZERO);
            room.receive(&report, NOW, Span::ZERO);
            let is_ahead = report.sent_at.since(NOW) > AHEAD;
            prop_assert!(quiet(&room, &report).is_some() || is_ahead);
        }
    }
}
