//! What a shared registry keeps: rooms and states read back as they were written, and the head of a room stands where
//! scripts look for it.

#![allow(clippy::unwrap_used, reason = "generators make valid names only")]

use std::collections::BTreeMap;

use maestro_core::decision::Counts;
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::report::{Accepted, Report, Reported, Reports};
use maestro_core::room::{Address, Creation, Intent, OpenPort, Origin, Phase, Revision, Room};
use maestro_core::scheduler::Protocol;
use maestro_core::time::{Span, Timestamp};
use maestro_core::window::{Sample, Window};
use maestro_wire::record::{self, KeptRoom, Quiet, ROOM_HEAD, RecordError};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// Every time that a clock can show.
fn time() -> impl Strategy<Value = Timestamp> {
    (i64::MIN + 1..=i64::MAX).prop_map(Timestamp::from_ms)
}

fn status() -> impl Strategy<Value = Reported> {
    prop::sample::select(Reported::ALL.to_vec())
}

fn reports() -> impl Strategy<Value = Reports> {
    let accepted =
        (status(), time(), time(), time()).prop_map(|(status, since, sent_at, received_at)| Accepted {
            status,
            since,
            sent_at,
            received_at,
        });
    (
        option::of(accepted),
        any::<bool>(),
        option::of(time()),
        any::<u64>(),
    )
        .prop_map(|(last, clock_moved, life_at, witnessed)| Reports {
            last,
            clock_moved,
            life_at,
            life_witnessed: Span::from_ms(witnessed),
        })
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![
        Just(Phase::Unseen),
        any::<String>().prop_map(|reason| Phase::Pending { reason }),
        time().prop_map(|since| Phase::Running { since }),
        (time(), option::of(any::<i32>()), any::<String>()).prop_map(|(at, code, reason)| Phase::Exited {
            at,
            code,
            reason
        }),
        time().prop_map(|at| Phase::Absent { at }),
    ]
}

fn intent() -> impl Strategy<Value = Intent> {
    prop_oneof![
        Just(Intent::Keep),
        time().prop_map(|until| Intent::Allocated { until }),
        (time(), any::<String>()).prop_map(|(since, reason)| Intent::Draining { since, reason }),
        (time(), any::<String>()).prop_map(|(since, reason)| Intent::Stopping { since, reason }),
    ]
}

fn creation() -> impl Strategy<Value = Creation> {
    prop_oneof![
        any::<u32>().prop_map(|tries| Creation::Unconfirmed { tries }),
        time().prop_map(|at| Creation::Confirmed { at }),
    ]
}

fn addresses() -> impl Strategy<Value = Vec<Address>> {
    let address =
        any::<(String, String, String)>().prop_map(|(kind, family, host)| Address { kind, family, host });
    vec(address, 0..3)
}

fn ports() -> impl Strategy<Value = Vec<OpenPort>> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];
    let port = (any::<String>(), protocol, any::<u16>()).prop_map(|(name, protocol, port)| OpenPort {
        name,
        protocol,
        port,
    });
    vec(port, 0..3)
}

fn room() -> impl Strategy<Value = Room> {
    let origin = prop_oneof![Just(Origin::Reserved), Just(Origin::Adopted)];
    let name = ("[a-z]{1,54}", any::<u32>())
        .prop_map(|(name, suffix)| RoomId::new(&SchedulerName::parse(&name).unwrap(), suffix));
    let made = (name, any::<(String, u32, u32)>(), time(), origin, creation());
    let says = (
        reports(),
        any::<u64>(),
        any::<bool>(),
        option::of(time()),
        any::<String>(),
    );
    let place = (
        option::of(any::<String>()),
        option::of(any::<String>()),
        any::<bool>(),
    );
    let shows = (phase(), place, addresses(), ports());
    (made, says, shows, intent(), any::<(u32, u32)>()).prop_map(|(made, says, shows, intent, matches)| {
        let (id, (cluster, major, minor), reserved_at, origin, creation) = made;
        let (reports, revision, allocation_expired, occupied_since, metadata) = says;
        let (phase, (node, leaving, node_lost), addresses, ports) = shows;
        Room {
            id,
            cluster,
            version: Version { major, minor },
            revision: Revision(revision),
            origin,
            reserved_at,
            creation,
            phase,
            reports,
            intent,
            allocation_expired,
            occupied_since,
            node,
            leaving,
            node_lost,
            addresses,
            ports,
            capacity: matches.0,
            running_matches: matches.1,
            metadata,
        }
    })
}

fn quiet() -> impl Strategy<Value = Option<Quiet>> {
    let one = (any::<[u8; 16]>(), time()).prop_map(|(signature, until)| Quiet { signature, until });
    option::of(one.prop_filter("nothing is said by zeros", |quiet| quiet.signature != [0; 16]))
}

fn window() -> impl Strategy<Value = Window> {
    let sample = (time(), any::<[u32; 7]>()).prop_map(
        |(at, [starting, ready, allocated, occupied, draining, stopping, silent])| Sample {
            at,
            counts: Counts {
                starting,
                ready,
                allocated,
                occupied,
                draining,
                stopping,
                silent,
            },
        },
    );
    let value = any::<f64>().prop_filter("windows hold finite numbers", |value| value.is_finite());
    let series = btree_map("[a-z.]{1,12}", vec((time(), value), 0..20), 0..4);
    (vec(sample, 0..40), series).prop_map(|(samples, series)| Window {
        samples: samples.into(),
        series: series
            .into_iter()
            .map(|(name, points)| (name, points.into()))
            .collect(),
    })
}

proptest! {
    #[test]
    fn a_room_reads_back_as_it_was_written(room in room(), quiet in quiet()) {
        let kept = KeptRoom { room: room.clone(), position: 0, quiet };
        prop_assert_eq!(record::decode_room(&record::encode_room(&room, quiet)), Ok(kept));
    }

    #[test]
    fn the_head_stands_where_scripts_look(room in room(), quiet in quiet()) {
        let bytes = record::encode_room(&room, quiet);
        let number = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
        prop_assert!(bytes.len() > ROOM_HEAD);
        prop_assert_eq!(&bytes[..10], &[0x33, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        prop_assert_eq!(number(10), room.reports.life_at.map_or(i64::MIN, Timestamp::ms));
        prop_assert_eq!(number(18) as u64, room.reports.life_witnessed.ms());
        prop_assert_eq!(number(26), room.reports.last.map_or(i64::MIN, |last| last.sent_at.ms()));
        prop_assert_eq!(number(34), room.reports.last.map_or(i64::MIN, |last| last.received_at.ms()));
        prop_assert_eq!(number(42), quiet.map_or(i64::MIN, |quiet| quiet.until.ms()));
        prop_assert_eq!(&bytes[50..66], &quiet.map_or([0; 16], |quiet| quiet.signature));
        prop_assert_eq!(number(66) as u64, room.revision.0);
        let promised = match room.intent {
            Intent::Allocated { until } => (1, until.ms()),
            Intent::Keep => (0, i64::MIN),
            Intent::Draining { .. } => (2, i64::MIN),
            Intent::Stopping { .. } => (3, i64::MIN),
        };
        prop_assert_eq!((bytes[74], number(75)), promised);
        prop_assert_eq!(bytes[83], u8::from(room.origin == Origin::Adopted));
    }

    #[test]
    fn any_bytes_are_read_as_a_room_or_refused(
        room in room(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = record::encode_room(&room, None);
        prop_assert!(record::decode_room(&bytes[..place.index(bytes.len())]).is_err());
        let index = place.index(bytes.len());
        bytes[index] = byte;
        drop(record::decode_room(&bytes));
    }

    #[test]
    fn a_state_reads_back_as_it_was_written(
        wanted in any::<u32>(),
        scaled_at in option::of(time()),
        policies in btree_map(any::<String>(), vec(any::<u8>(), 0..40), 0..4),
        window in window(),
        place in any::<prop::sample::Index>(),
    ) {
        let bytes = record::encode_state((wanted, scaled_at), &policies, &window);
        let kept = record::KeptState { wanted, scaled_at, policies, window };
        prop_assert_eq!(record::decode_state(&bytes), Ok(kept));
        prop_assert!(record::decode_state(&bytes[..place.index(bytes.len())]).is_err());
        let bytes = record::encode_standing(wanted, scaled_at);
        prop_assert_eq!(record::decode_standing(&bytes), Ok((wanted, scaled_at)));
    }

    #[test]
    fn what_reports_say_is_told_apart(
        one in (status(), option::of("[a-z]{0,3}"), option::of(0_u32..3), option::of(0_u32..3)),
        other in (status(), option::of("[a-z]{0,3}"), option::of(0_u32..3), option::of(0_u32..3)),
        times in (time(), time()),
    ) {
        let report = |(status, metadata, running_matches, capacity), sent_at| Report {
            status,
            sent_at,
            metadata,
            running_matches,
            capacity,
        };
        let equal = one == other;
        let (one, other) = (report(one, times.0), report(other, times.1));
        prop_assert_eq!(record::signature(&one) == record::signature(&other), equal);
    }
}

#[test]
fn other_formats_are_named() {
    assert_eq!(
        record::decode_room(&[0x30]),
        Err(RecordError::Format { found: 0x30 })
    );
    assert_eq!(
        record::decode_state(&[0x31]),
        Err(RecordError::Format { found: 0x31 })
    );
    assert_eq!(record::decode_standing(&[]), Err(RecordError::Truncated));
}

/// The bytes of the formats of a room before this one, as a registry may still hold them when a newer Maestro comes.
const FIRST: &str = "\
    31000000000000000000000001a0c4506c000000000000001770000001a0c450\
    6c00000001a0c4506c00000001a0c4506c009cdc00799b490e051c6da5afd8c0\
    0f3d0000000000000001008000000000000000000d706f6e672d303030303030\
    3037056c6f63616c010080b083c5986800000280b083c59868010180b083c598\
    680000000180b083c5986800000001010b7b226d6170223a2261227d";
const SECOND: &str = "\
    32000000000000000000000001a0c4506c000000000000001770000001a0c450\
    6c00000001a0c4506c00000001a0c4506c009cdc00799b490e051c6da5afd8c0\
    0f3d0000000000000001008000000000000000000d706f6e672d303030303030\
    3037056c6f63616c010080b083c5986800000280b083c59868010180b083c598\
    680000000180b083c5986801066e6f64652d33000001010b7b226d6170223a22\
    61227d010b697320636f72646f6e6564";

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    (0..hex.len() / 2).map(byte).collect()
}

/// This format's bytes too must be read by those that come after it.
#[test]
fn each_format_of_a_room_is_still_read() {
    let scheduler = SchedulerName::parse("pong").unwrap();
    let now = Timestamp::from_ms(1_790_000_000_000);
    let mut room = Room::reserved(
        RoomId::new(&scheduler, 7),
        Version::FIRST,
        now,
        Span::from_secs(5),
    );
    room.phase = Phase::Running { since: now };
    room.metadata = "{\"map\":\"a\"}".to_owned();
    let report = Report {
        status: Reported::Occupied,
        sent_at: now,
        metadata: None,
        running_matches: None,
        capacity: None,
    };
    room.receive(&report, now, Span::from_secs(6));
    room.revision = Revision(1);
    let quiet = Quiet {
        signature: record::signature(&report),
        until: now,
    };
    let kept = record::decode_room(&bytes(FIRST)).unwrap();
    assert_eq!((kept.room, kept.quiet), (room.clone(), Some(quiet)));
    (room.node, room.leaving) = (Some("node-3".to_owned()), Some("is cordoned".to_owned()));
    let kept = record::decode_room(&bytes(SECOND)).unwrap();
    assert_eq!((kept.room, kept.quiet), (room.clone(), Some(quiet)));
    room.node_lost = true;
    let bytes = record::encode_room(&room, Some(quiet));
    let hex: Vec<String> = bytes
        .chunks(32)
        .map(|line| line.iter().map(|b| format!("{b:02x}")).collect())
        .collect();
    insta::assert_snapshot!(hex.join("\n"));
    let kept = record::decode_room(&bytes).unwrap();
    assert_eq!((kept.room, kept.quiet), (room, Some(quiet)));
    let state = record::encode_state(
        (3, Some(now)),
        &BTreeMap::from([("up[0]".to_owned(), vec![1, 2])]),
        &Window::default(),
    );
    let hex: String = state.iter().map(|b| format!("{b:02x}")).collect();
    insta::assert_snapshot!(hex);
}
