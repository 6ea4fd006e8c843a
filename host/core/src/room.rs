//! A room: facts are stored, status is derived.
//!
//! Facts come from three sides and never overwrite each other: what the room reports (`report.rs` orders those),
//! what the cluster shows (`phase`), and what we want of it (`intent`). Use, stage and health are derived from
//! them by exhaustive matches; nothing derived is ever stored.

mod act;
mod end;

use crate::names::{RoomId, Version};
use crate::report::Reports;
use crate::scheduler::{Deadlines, Protocol};
use crate::time::{Span, Timestamp};

pub use act::{Effect, Refused};
pub use end::End;

/// All facts about one room.
#[derive(Clone, Debug, PartialEq)]
pub struct Room {
    /// Its name.
    pub id: RoomId,
    /// The cluster it runs in; `local` unless there are several.
    pub cluster: String,
    /// The scheduler's version it was reserved for.
    pub version: Version,
    /// Bumped by each change of use, stage or intent, not by a repeated ping. Every act on a room names the
    /// revision it was decided on and is refused on another one.
    pub revision: Revision,
    /// How it came to be known.
    pub origin: Origin,
    /// When its name was reserved, or it was adopted.
    pub reserved_at: Timestamp,
    /// How far its creation has come.
    pub creation: Creation,
    /// What the cluster shows.
    pub phase: Phase,
    /// What the room says.
    pub reports: Reports,
    /// What we want of it.
    pub intent: Intent,
    /// Set when an allocation ran out; cleared by the next `ready`, `terminating` or `terminated` received after.
    pub allocation_expired: bool,
    /// Start of the present match by the server's receive time; `None` while not occupied.
    pub occupied_since: Option<Timestamp>,
    /// The node it runs on.
    pub node: Option<String>,
    /// Why its node is being left, as in "is cordoned"; `None` while it is not.
    pub leaving: Option<String>,
    /// Whether the cluster no longer hears of its node.
    pub node_lost: bool,
    /// Where it can be reached.
    pub addresses: Vec<Address>,
    /// Its open ports, complete or empty.
    pub ports: Vec<OpenPort>,
    /// Matches it can hold; 1 until it says otherwise.
    pub capacity: u32,
    /// Matches it holds; 0 or 1 until it says otherwise.
    pub running_matches: u32,
    /// JSON text of the object it last sent along; empty text when it never did.
    pub metadata: String,
}

/// Counts changes of one room's use, stage or intent, from the time its record was made in ms. A name that was forgotten
/// and found again thus goes on above what its earlier record had reached (it changed less than once a millisecond),
/// and no act that was decided on it fits the new one, unless the registry's clock was set back in between by just as much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// Of a record that is made now, by the registry's clock.
    fn begun(now: Timestamp) -> Self {
        Self(u64::try_from(now.ms()).unwrap_or_default())
    }

    /// The next one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// How a room came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We reserved it: before its first report it can't hold a match.
    Reserved,
    /// Found in the cluster or re-registered by its own report after the registry was emptied: its use is unknown
    /// until it reports.
    Adopted,
}

/// How far a room's creation in the cluster has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// No create is known to have succeeded; so many were tried.
    Unconfirmed {
        /// Creates that were begun.
        tries: u32,
    },
    /// A create returned, or the room was seen in the cluster, at this time.
    Confirmed {
        /// When the create returned. Only a list begun after this proves absence.
        at: Timestamp,
    },
}

/// What the cluster shows of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not seen yet.
    Unseen,
    /// There, and not running yet, for this reason if one is known.
    Pending {
        /// `ImagePullBackOff`, `Unschedulable`, or empty.
        reason: String,
    },
    /// Its process runs.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// Its process ended.
    Exited {
        /// When that was noticed.
        at: Timestamp,
        /// Its exit code, where the cluster knows it.
        code: Option<i32>,
        /// `OOMKilled`, `Evicted`, the last line of its output, or empty.
        reason: String,
    },
    /// Deleted from the cluster, or absent from a list begun after its create returned.
    Absent {
        /// When the list began that lacks it, or the news of its deletion came, by the registry's clock. Only a
        /// time after its create returned proves anything; see [`Room::observe`].
        at: Timestamp,
    },
}

/// What the cluster shows of a room at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its phase.
    pub phase: Phase,
    /// Its node.
    pub node: Option<String>,
    /// Why its node is being left, as in "is cordoned"; `None` while it is not.
    pub leaving: Option<String>,
    /// Whether the cluster no longer hears of its node.
    pub node_lost: bool,
    /// Its addresses; complete, or empty.
    pub addresses: Vec<Address>,
    /// Its open ports; complete, or empty.
    pub ports: Vec<OpenPort>,
}

/// What we want of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// It may go on.
    Keep,
    /// It is promised to a match until then.
    Allocated {
        /// When the promise runs out.
        until: Timestamp,
    },
    /// It is asked to take no further match.
    Draining {
        /// When it was marked, by the registry's clock. Only a report received after this answers.
        since: Timestamp,
        /// Why, for people.
        reason: String,
    },
    /// It is being ended; nothing brings it back.
    Stopping {
        /// When that was decided.
        since: Timestamp,
        /// Why, for people.
        reason: String,
    },
}

/// A way to reach a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `ExternalDNS`, `ExternalIP`, `InternalDNS`, `InternalIP` or `Hostname`.
    pub kind: String,
    /// `IPv4`, `IPv6` or `DNS`.
    pub family: String,
    /// The address itself.
    pub host: String,
}

/// A port of a room as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPort {
    /// Its name in the scheduler document.
    pub name: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Where.
    pub port: u16,
}

/// What a room is used for, derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// It may hold a match for all we know.
    Unknown,
    /// It holds none.
    Idle,
    /// It is promised to one.
    Allocated,
    /// It holds at least one.
    Occupied,
}

/// Where a room is in its life, derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Its name is taken; no create is known to have succeeded.
    Reserved,
    /// Created, and not yet reported ready.
    Starting,
    /// It has reported, and nobody wants it gone.
    Running,
    /// Asked to take no further match.
    Draining,
    /// It is being ended, or said that it is ending.
    Stopping,
    /// Its process ended or it is absent from the cluster.
    Gone,
}

/// Whether a room is as it should be, derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As it should be.
    Well,
    /// No sign of life for the ping deadline of witnessed time.
    Silent,
    /// Not ready within the initialization deadline.
    Late,
    /// Its process ended without being asked and without a goodbye, or it could not be created.
    Failed,
}

/// The older system's four statuses, and the fifth that is shown beside them in `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Not ready yet.
    Creating,
    /// Available for matches.
    Ready,
    /// In a match, or promised to one, or possibly in one.
    Occupied,
    /// Ending.
    Terminating,
}

impl Status {
    /// The older system's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Occupied => "occupied",
            Self::Terminating => "terminating",
        }
    }
}

/// Tries to create a reserved room before its name is given up.
pub const CREATE_TRIES: u32 = 3;

impl Room {
    /// A room whose name has just been reserved. `witnessed` is the witness clock's total (see
    /// [`crate::deadlines`]): its silence counts from here.
    pub fn reserved(id: RoomId, version: Version, now: Timestamp, witnessed: Span) -> Self {
        Self {
            id,
            cluster: "local".to_owned(),
            version,
            revision: Revision::begun(now),
            origin: Origin::Reserved,
            reserved_at: now,
            creation: Creation::Unconfirmed { tries: 0 },
            phase: Phase::Unseen,
            reports: Reports {
                life_witnessed: witnessed,
                ..Reports::default()
            },
            intent: Intent::Keep,
            allocation_expired: false,
            occupied_since: None,
            node: None,
            leaving: None,
            node_lost: false,
            addresses: Vec::new(),
            ports: Vec::new(),
            capacity: 1,
            running_matches: 0,
            metadata: String::new(),
        }
    }

    /// A room that was found in the cluster, or that reported itself, while the registry did not know it.
    pub fn adopted(id: RoomId, version: Version, now: Timestamp, witnessed: Span) -> Self {
        Self {
            origin: Origin::Adopted,
            creation: Creation::Confirmed { at: now },
            ..Self::reserved(id, version, now, witnessed)
        }
    }

    /// What the room is used for.
    pub fn usage(&self) -> Use {
        use crate::report::Reported;
        match (self.reports.status(), &self.intent) {
            (Some(Reported::Occupied), _) => Use::Occupied,
            (Some(Reported::Terminating | Reported::Terminated), _) => Use::Idle,
            // A room for several matches is ready for one more while it holds others.
            (Some(Reported::Ready), _) if self.running_matches > 0 => Use::Occupied,
            (_, Intent::Allocated { .. }) => Use::Allocated,
            (Some(Reported::Ready), _) if self.allocation_expired => Use::Unknown,
            (Some(Reported::Ready), _) => Use::Idle,
            (None, _) => match self.origin {
                Origin::Reserved => Use::Idle,
                Origin::Adopted => Use::Unknown,
            },
        }
    }

    /// Where the room is in its life.
    pub fn stage(&self) -> Stage {
        use crate::report::Reported;
        match (&self.phase, &self.intent) {
            (Phase::Exited { .. } | Phase::Absent { .. }, _) => return Stage::Gone,
            (Phase::Unseen | Phase::Pending { .. } | Phase::Running { .. }, Intent::Stopping { .. }) => {
                return Stage::Stopping;
            }
            (Phase::Unseen | Phase::Pending { .. } | Phase::Running { .. }, _) => {}
        }
        if matches!(
            self.reports.status(),
            Some(Reported::Terminating | Reported::Terminated)
        ) {
            return Stage::Stopping;
        }
        if matches!(self.intent, Intent::Draining { .. }) {
            return Stage::Draining;
        }
        match (self.creation, self.reports.status(), self.origin) {
            (_, Some(_), _) => Stage::Running,
            (Creation::Unconfirmed { .. }, None, _) => Stage::Reserved,
            // An adopted room may have been in a match for hours; it is no newcomer.
            (Creation::Confirmed { .. }, None, Origin::Adopted) => Stage::Running,
            (Creation::Confirmed { .. }, None, Origin::Reserved) => Stage::Starting,
        }
    }

    /// Whether the room is as it should be. `witnessed` is the witness clock's total (see [`crate::deadlines`]).
    pub fn health(&self, deadlines: &Deadlines, witnessed: Span, now: Timestamp) -> Health {
        match self.stage() {
            Stage::Gone => self.ended_how(),
            // Witnessed time counts as well: a room that could not report because we were away is not late.
            Stage::Reserved | Stage::Starting => {
                let waited = now.since(self.created_at());
                match waited.min(self.reports.silence(witnessed)) > deadlines.initialization {
                    true => Health::Late,
                    false => Health::Well,
                }
            }
            Stage::Running | Stage::Draining | Stage::Stopping => {
                match self.reports.silence(witnessed) > deadlines.ping {
                    true => Health::Silent,
                    false => Health::Well,
                }
            }
        }
    }

    /// When its create is known to have succeeded; else when its name was reserved. Of one that was adopted, when it
    /// began to run, if that is known.
    pub fn created_at(&self) -> Timestamp {
        let known = match self.creation {
            Creation::Confirmed { at } => at,
            Creation::Unconfirmed { .. } => self.reserved_at,
        };
        match (self.origin, &self.phase) {
            (Origin::Adopted, Phase::Running { since }) => known.min(*since),
            (Origin::Adopted, Phase::Exited { at, .. }) => known.min(*at),
            _ => known,
        }
    }

    /// Whether the room is told, in the answers to its calls, to take no further match.
    pub fn is_asked_to_leave(&self) -> bool {
        match self.intent {
            Intent::Draining { .. } | Intent::Stopping { .. } => true,
            Intent::Keep | Intent::Allocated { .. } => false,
        }
    }

    /// Whether no decision of ours may end this room, whatever its health.
    pub fn is_protected(&self) -> bool {
        match self.usage() {
            Use::Unknown | Use::Allocated | Use::Occupied => true,
            Use::Idle => false,
        }
    }

    /// Whether its address can be told to a match: at least one address, and every port open.
    pub fn has_complete_address(&self) -> bool {
        !self.addresses.is_empty() && !self.ports.is_empty()
    }

    /// The registry's index `allocatable`: report ready, running, intent keep, address complete, on a node that stays.
    pub fn is_allocatable(&self) -> bool {
        use crate::report::Reported;
        self.reports.status() == Some(Reported::Ready)
            && !self.allocation_expired
            && matches!(self.phase, Phase::Running { .. })
            && self.intent == Intent::Keep
            && self.leaving.is_none()
            && self.has_complete_address()
    }

    /// Why its node is being left, as the end of a sentence: "its node node-3 is cordoned".
    pub fn leaving_node(&self) -> Option<String> {
        let why = self.leaving.as_ref()?;
        Some(match &self.node {
            Some(node) => format!("its node {node} {why}"),
            None => format!("its node {why}"),
        })
    }

    /// The status that the older routes show.
    pub fn status(&self) -> Status {
        match self.stage() {
            Stage::Reserved | Stage::Starting => Status::Creating,
            Stage::Stopping | Stage::Gone => Status::Terminating,
            Stage::Running | Stage::Draining => match self.usage() {
                Use::Idle => Status::Ready,
                Use::Unknown | Use::Allocated | Use::Occupied => Status::Occupied,
            },
        }
    }

    /// The exact state, shown beside the older status: `reserved`, `starting`, `ready`, `allocated`, `occupied`,
    /// `unknown`, `draining`, `draining-occupied`, `stopping`, `gone`.
    pub fn state(&self) -> &'static str {
        match (self.stage(), self.usage()) {
            (Stage::Reserved, _) => "reserved",
            (Stage::Starting, _) => "starting",
            (Stage::Running, Use::Idle) => "ready",
            (Stage::Running, Use::Allocated) => "allocated",
            (Stage::Running, Use::Occupied) => "occupied",
            (Stage::Running, Use::Unknown) => "unknown",
            (Stage::Draining, Use::Idle) => "draining",
            (Stage::Draining, Use::Allocated | Use::Occupied | Use::Unknown) => "draining-occupied",
            (Stage::Stopping, _) => "stopping",
            (Stage::Gone, _) => "gone",
        }
    }
}
