//! A room as a shared registry keeps it: a head of fixed width, and everything else by its parts.
//!
//! The head holds what a registry's own scripts change without taking the room apart: where it stands in the stream
//! of changes, when it was last heard of, its revision, and whether it is promised. Numbers in it are big-endian, eight
//! bytes each, so that a script finds them by their place. Everything that takes judgement is done by `maestro_core`
//! on the room that [`decode_room`] returns. Called by the Redis registry only.

use maestro_core::names::RoomId;
use maestro_core::report::{Accepted, Report, Reported, Reports};
use maestro_core::room::{Address, Creation, Intent, OpenPort, Origin, Phase, Revision, Room};
use maestro_core::scheduler::Protocol;
use maestro_core::time::{Span, Timestamp};
use sha2::{Digest as _, Sha256};

use super::code::{Bytes, Coded, coded_enum, coded_struct};
use super::{RecordError, open};

/// The first byte of a room, in this format.
const ROOM: u8 = 0x33;

/// The same in the formats before. The older one said nothing of a node that is being left, and neither of one that is
/// lost.
const ROOMS_BEFORE: [u8; 2] = [0x31, 0x32];

/// What signatures begin with, so that they don't change with the format.
const SAID: u8 = 0x31;

/// Bytes of the head, the format byte with them. In this order: format, passed over (1), position (8), last sign of
/// life (8), the same by the witness clock (8), the room's own time of its last report (8), when that was received
/// (8), until when its repetition says nothing new (8), what it said (16), revision (8), intent (1), until when it is
/// promised (8), origin (1).
pub const ROOM_HEAD: usize = 84;

/// Stands for a time that there is none of: no clock shows it.
const NEVER: i64 = i64::MIN;

/// What a report says, but for its time: equal for reports that say the same.
pub type Signature = [u8; 16];

/// The signature of what repeats nothing.
const UNLIKE_ANY: Signature = [0; 16];

/// A room with what its registry needs to keep it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptRoom {
    /// The room.
    pub room: Room,
    /// Its last change's place in the scheduler's stream of changes: another one after each change.
    pub position: u64,
    /// Which reports only freshen it.
    pub quiet: Option<Quiet>,
}

/// Reports that say this, sent no earlier than the last one and taken before `until`, only freshen the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Of the report.
    pub signature: Signature,
    /// From then on the same report says something new.
    pub until: Timestamp,
}

/// The signature of `report`.
pub fn signature(report: &Report) -> Signature {
    let mut said = vec![SAID];
    report.status.write(&mut said);
    report.metadata.write(&mut said);
    report.running_matches.write(&mut said);
    report.capacity.write(&mut said);
    let digest: [u8; 32] = Sha256::digest(said).into();
    let mut signature = UNLIKE_ANY;
    signature.copy_from_slice(&digest[..UNLIKE_ANY.len()]);
    signature
}

/// Writes a room down, for a script to give it its position.
pub fn encode_room(room: &Room, quiet: Option<Quiet>) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * ROOM_HEAD + room.metadata.len());
    let last = room.reports.last;
    let last_time = |time: fn(&Accepted) -> Timestamp| last.as_ref().map_or(NEVER, |last| time(last).ms());
    out.push(ROOM);
    out.push(0);
    out.extend(0_u64.to_be_bytes());
    out.extend(room.reports.life_at.map_or(NEVER, Timestamp::ms).to_be_bytes());
    out.extend(room.reports.life_witnessed.ms().to_be_bytes());
    out.extend(last_time(|last| last.sent_at).to_be_bytes());
    out.extend(last_time(|last| last.received_at).to_be_bytes());
    out.extend(quiet.map_or(NEVER, |quiet| quiet.until.ms()).to_be_bytes());
    out.extend(quiet.map_or(UNLIKE_ANY, |quiet| quiet.signature));
    out.extend(room.revision.0.to_be_bytes());
    let (intent, until) = intent_head(&room.intent);
    out.push(intent);
    out.extend(until.to_be_bytes());
    room.origin.write(&mut out);
    write_rest(room, &mut out);
    out
}

/// Reads a room.
pub fn decode_room(bytes: &[u8]) -> Result<KeptRoom, RecordError> {
    let format = match bytes.first() {
        Some(first) if ROOMS_BEFORE.contains(first) => *first,
        _ => ROOM,
    };
    let mut from = open(bytes, format)?;
    from.take(1)?;
    let position = u64::from_be_bytes(eight(&mut from)?);
    let life_at = time(&mut from)?;
    let life_witnessed = Span::from_ms(u64::from_be_bytes(eight(&mut from)?));
    let (sent_at, received_at) = (time(&mut from)?, time(&mut from)?);
    let quiet_until = time(&mut from)?;
    let mut signature = UNLIKE_ANY;
    signature.copy_from_slice(from.take(UNLIKE_ANY.len())?);
    let revision = Revision(u64::from_be_bytes(eight(&mut from)?));
    let intent = u8::read(&mut from)?;
    let until = time(&mut from)?;
    let origin = Origin::read(&mut from)?;
    let rest = Rest::read(&mut from)?;
    let (leaving, node_lost) = read_of_node(&mut from, format)?;
    from.end()?;
    let last = accepted(rest.said, sent_at, received_at)?;
    let room = Room {
        id: rest.id,
        cluster: rest.cluster,
        version: rest.version,
        revision,
        origin,
        reserved_at: rest.reserved_at,
        creation: rest.creation,
        phase: rest.phase,
        reports: Reports {
            last,
            clock_moved: rest.clock_moved,
            life_at,
            life_witnessed,
        },
        intent: read_intent(intent, until, rest.leave)?,
        allocation_expired: rest.allocation_expired,
        occupied_since: rest.occupied_since,
        node: rest.node,
        leaving,
        node_lost,
        addresses: rest.addresses,
        ports: rest.ports,
        capacity: rest.capacity,
        running_matches: rest.running_matches,
        metadata: rest.metadata,
    };
    let quiet = quiet_until.filter(|_| signature != UNLIKE_ANY);
    let quiet = quiet.map(|until| Quiet { signature, until });
    Ok(KeptRoom {
        room,
        position,
        quiet,
    })
}

/// Why the node is being left, and whether it is lost, where this format says so.
fn read_of_node(from: &mut Bytes<'_>, format: u8) -> Result<(Option<String>, bool), RecordError> {
    let leaving = match format {
        0x31 => None,
        _ => Coded::read(from)?,
    };
    let node_lost = match format {
        0x31 | 0x32 => false,
        _ => Coded::read(from)?,
    };
    Ok((leaving, node_lost))
}

/// The last report, of its part behind the head and its times in it.
fn accepted(
    said: Option<Said>,
    sent_at: Option<Timestamp>,
    received_at: Option<Timestamp>,
) -> Result<Option<Accepted>, RecordError> {
    match (said, sent_at, received_at) {
        (Some(said), Some(sent_at), Some(received_at)) => Ok(Some(Accepted {
            status: said.status,
            since: said.since,
            sent_at,
            received_at,
        })),
        (None, None, None) => Ok(None),
        _ => Err(RecordError::Damaged("a report without its times")),
    }
}

/// What stands behind the head.
struct Rest {
    id: RoomId,
    cluster: String,
    version: maestro_core::names::Version,
    reserved_at: Timestamp,
    creation: Creation,
    phase: Phase,
    said: Option<Said>,
    clock_moved: bool,
    leave: Option<Leave>,
    allocation_expired: bool,
    occupied_since: Option<Timestamp>,
    node: Option<String>,
    addresses: Vec<Address>,
    ports: Vec<OpenPort>,
    capacity: u32,
    running_matches: u32,
    metadata: String,
}

/// The part of a report that only another one changes.
struct Said {
    status: Reported,
    since: Timestamp,
}

/// Since when and why a room is to leave.
struct Leave {
    since: Timestamp,
    reason: String,
}

const KEEP: u8 = 0;
/// The one intent that a script sets.
const ALLOCATED: u8 = 1;
const DRAINING: u8 = 2;
const STOPPING: u8 = 3;

fn intent_head(intent: &Intent) -> (u8, i64) {
    match intent {
        Intent::Keep => (KEEP, NEVER),
        Intent::Allocated { until } => (ALLOCATED, until.ms()),
        Intent::Draining { .. } => (DRAINING, NEVER),
        Intent::Stopping { .. } => (STOPPING, NEVER),
    }
}

fn read_intent(intent: u8, until: Option<Timestamp>, leave: Option<Leave>) -> Result<Intent, RecordError> {
    match (intent, until, leave) {
        (KEEP, _, _) => Ok(Intent::Keep),
        (ALLOCATED, Some(until), _) => Ok(Intent::Allocated { until }),
        (DRAINING, _, Some(Leave { since, reason })) => Ok(Intent::Draining { since, reason }),
        (STOPPING, _, Some(Leave { since, reason })) => Ok(Intent::Stopping { since, reason }),
        _ => Err(RecordError::Damaged("an unknown intent")),
    }
}

fn write_rest(room: &Room, out: &mut Vec<u8>) {
    room.id.write(out);
    room.cluster.write(out);
    room.version.write(out);
    room.reserved_at.write(out);
    room.creation.write(out);
    room.phase.write(out);
    let said = room.reports.last.map(|last| Said {
        status: last.status,
        since: last.since,
    });
    said.write(out);
    room.reports.clock_moved.write(out);
    let leave = match &room.intent {
        Intent::Draining { since, reason } | Intent::Stopping { since, reason } => Some(Leave {
            since: *since,
            reason: reason.clone(),
        }),
        Intent::Keep | Intent::Allocated { .. } => None,
    };
    leave.write(out);
    room.allocation_expired.write(out);
    room.occupied_since.write(out);
    room.node.write(out);
    room.addresses.write(out);
    room.ports.write(out);
    room.capacity.write(out);
    room.running_matches.write(out);
    room.metadata.write(out);
    // Behind everything that the formats before had.
    room.leaving.write(out);
    room.node_lost.write(out);
}

impl Rest {
    /// In the order of [`write_rest`], up to the end of the oldest format.
    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            id: Coded::read(from)?,
            cluster: Coded::read(from)?,
            version: Coded::read(from)?,
            reserved_at: Coded::read(from)?,
            creation: Coded::read(from)?,
            phase: Coded::read(from)?,
            said: Coded::read(from)?,
            clock_moved: Coded::read(from)?,
            leave: Coded::read(from)?,
            allocation_expired: Coded::read(from)?,
            occupied_since: Coded::read(from)?,
            node: Coded::read(from)?,
            addresses: Coded::read(from)?,
            ports: Coded::read(from)?,
            capacity: Coded::read(from)?,
            running_matches: Coded::read(from)?,
            metadata: Coded::read(from)?,
        })
    }
}

fn eight(from: &mut Bytes<'_>) -> Result<[u8; 8], RecordError> {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(from.take(8)?);
    Ok(bytes)
}

fn time(from: &mut Bytes<'_>) -> Result<Option<Timestamp>, RecordError> {
    let ms = i64::from_be_bytes(eight(from)?);
    Ok((ms != NEVER).then(|| Timestamp::from_ms(ms)))
}

coded_struct! {
    Said { status, since }
    Leave { since, reason }
    Address { kind, family, host }
    OpenPort { name, protocol, port }
}

coded_enum! {
    Reported { 0 => Ready, 1 => Occupied, 2 => Terminating, 3 => Terminated }
    // Scripts look at this byte: 1 may be promised already while the registry recovers.
    Origin { 0 => Reserved, 1 => Adopted }
    Creation { 0 => Unconfirmed { tries }, 1 => Confirmed { at } }
    Phase {
        0 => Unseen,
        1 => Pending { reason },
        2 => Running { since },
        3 => Exited { at, code, reason },
        4 => Absent { at },
    }
    Protocol { 0 => Tcp, 1 => Udp }
}

impl Coded for RoomId {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().to_owned().write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        let text = String::read(from)?;
        RoomId::parse(&text).map_err(|_| RecordError::Damaged("not a room's name"))
    }
}

impl Coded for i32 {
    fn write(&self, out: &mut Vec<u8>) {
        i64::from(*self).write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        i32::try_from(i64::read(from)?).map_err(|_| RecordError::Damaged("a number is out of range"))
    }
}

impl Coded for u16 {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(*self).write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        u16::try_from(u64::read(from)?).map_err(|_| RecordError::Damaged("a number is too large"))
    }
}
