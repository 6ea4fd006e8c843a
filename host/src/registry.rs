//! The port to what rooms say: reports, allocation, windows, leases. Redis or in-process.
//!
//! It stores facts and one index (`allocatable`), and changes a room only by the functions of `maestro_core`,
//! atomically. Its time is its own: every time in a room is the registry's, so that callers with other clocks
//! change nothing. Callers: the room API (reports, queries), the control loop (everything fenced).

pub mod clock;
pub mod memory;
pub mod redis;
pub mod observed;
pub mod contract;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use maestro_core::deadlines::Witness;
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::placement::Reach;
use maestro_core::report::Report;
use maestro_core::room::{Refused, Revision, Room};
use maestro_core::time::{Span, Timestamp};
use maestro_core::window::Window;
use tokio::sync::Notify;

pub use self::redis::{Config as RedisConfig, ConnectError, Redis};
pub use clock::Clock;
pub use maestro_core::room::Seen;
pub use memory::Memory;

/// The least time between two readings that nudges ask for: changes that come together are read together, and ten looks
/// a second are more than any decision needs.
pub const NUDGE_SPACING: Span = Span::from_ms(100);

/// Most rooms that are kept of one scheduler. Five times the installation's default cap, so that surges, rooms that
/// end and adopted ones fit in, and that a runaway holder can't fill the memory.
pub const ROOMS_MAX: usize = 5_000;

/// Most provisional reports that are kept of one scheduler: as many as it may have rooms.
pub const PROVISIONAL_MAX: usize = ROOMS_MAX;

/// How long a provisional report is kept: a healthy room sends another one within that time.
pub const PROVISIONAL_FOR: Span = Span::from_secs(60);

/// Most schedulers that are kept. Only schedulers that exist are asked about, so that this is never reached but by
/// a fault; each costs some hundred bytes before its first room.
pub const SCHEDULERS_MAX: usize = 20_000;

/// Most workers of one installation. Each asks who is there three times a second.
pub const MEMBERS_MAX: usize = 1_000;

/// Rooms' reports, allocation, windows, leases of all schedulers.
#[async_trait]
pub trait Registry: Send + Sync {
    // What rooms and matchmakers do. Never fenced, never touches the store.

    /// Takes one call of a room: a report, or a sign of life that could not be taken as one. A room that is not
    /// known is [`Error::UnknownRoom`], but while recovering: then a report with the room's valid token registers
    /// it anew, and one without is kept as provisional until the holder adopts the room or [`PROVISIONAL_FOR`] is
    /// over.
    async fn report(&self, scheduler: &SchedulerName, room: &RoomId, call: Call) -> Result<Receipt, Error>;
    /// Promises one allocatable room to a match; `None` when there is none. Rooms of the newest version come first,
    /// then the oldest room, so that matches gather and what is to go stays empty. While recovering, adopted rooms
    /// are left out: they may be promised already.
    async fn allocate(&self, scheduler: &SchedulerName, terms: Terms) -> Result<Option<Room>, Error>;
    /// One room.
    async fn room(&self, scheduler: &SchedulerName, room: &RoomId) -> Result<Option<Room>, Error>;
    /// All rooms of a scheduler, by name.
    async fn rooms(&self, scheduler: &SchedulerName) -> Result<Vec<Room>, Error>;
    /// A heartbeat of an API that takes reports; advances witnessed time.
    async fn beat(&self) -> Result<(), Error>;

    // Leases.

    /// Takes the scheduler's lease for `holder`, or renews it, under the same token, while `holder` has it. `None`
    /// when somebody else holds it. A holder's name is its own: no other process, and not its successor, has it. A
    /// lease that ran out comes back under a new token, even to the same holder.
    async fn acquire(
        &self,
        scheduler: &SchedulerName,
        holder: &str,
        lease: Span,
    ) -> Result<Option<Fence>, Error>;
    /// Gives the lease back: nothing is taken under this token any more. Harmless when it is no longer held.
    async fn release(&self, fence: &Fence) -> Result<(), Error>;

    // What the holder of the lease does; refused with [`Error::Fenced`] under a token that is not the newest.

    /// Rooms changed or removed since `since`, and how the scheduler stands. [`Cursor::START`] reads everything,
    /// and so does a cursor that is too old, or of before a loss. Not fenced: reading harms nobody.
    async fn changes(&self, scheduler: &SchedulerName, since: Cursor) -> Result<Changes, Error>;
    /// The scheduler's whole state, as its holder left it; `None` when there is none yet, or it was lost.
    async fn state(&self, scheduler: &SchedulerName) -> Result<Option<State>, Error>;
    /// Takes names for new rooms, in this order, while fewer than `most` rooms are known that are not gone; those
    /// that are left over are not taken. A name that exists already is left as it is. The bound holds here because
    /// a call that was given up may still happen, after the same was asked for again.
    async fn reserve(&self, fence: &Fence, rooms: &[(RoomId, Version)], most: u32) -> Result<(), Error>;
    /// Adopts rooms that were found in the cluster, and gives them the provisional reports that wait for them. A
    /// room that registered itself gets the version that it was found with; any other that exists is left as it is.
    async fn adopt(&self, fence: &Fence, rooms: &[(RoomId, Version)]) -> Result<(), Error>;
    /// Changes one room that is still at `revision`; [`Error::Moved`] otherwise. The new room comes back.
    async fn act(&self, fence: &Fence, room: &RoomId, revision: Revision, act: Act) -> Result<Room, Error>;
    /// Writes what the cluster shows of a room; not tied to a revision, because facts are facts.
    async fn observe(&self, fence: &Fence, room: &RoomId, seen: Seen) -> Result<(), Error>;
    /// Writes the scheduler's state whole; the holder is its only writer.
    async fn save(&self, fence: &Fence, state: &State) -> Result<(), Error>;
    /// Ends recovery, or begins it with `None`.
    async fn set_epoch(&self, fence: &Fence, epoch: Option<Timestamp>) -> Result<(), Error>;
    /// Removes everything of a scheduler, the lease too.
    async fn remove(&self, fence: &Fence) -> Result<(), Error>;

    // Who works, and what of the store is needed while that is away.

    /// Says that the worker `member` is there for `ttl` from now on and how it reaches the store; answers who is, itself
    /// included, with what each said last.
    async fn join(&self, member: &str, reach: Reach, ttl: Span) -> Result<BTreeMap<String, Reach>, Error>;
    /// Says that this worker is going; harmless when it is not there.
    async fn leave(&self, member: &str) -> Result<(), Error>;
    /// Keeps a copy of what the store has of a scheduler, in place of the one before; `None` when it has none.
    /// The bytes mean nothing here.
    async fn keep_copy(&self, scheduler: &SchedulerName, copy: Option<&[u8]>) -> Result<(), Error>;
    /// Of which schedulers a copy is kept.
    async fn copied(&self) -> Result<BTreeSet<SchedulerName>, Error>;
    /// All copies that are kept, by scheduler.
    async fn copies(&self) -> Result<BTreeMap<SchedulerName, Vec<u8>>, Error>;

    /// Wakes when a use, stage or intent of this scheduler changed by what others than its holder did; a hint that may
    /// be lost, but not because another one came shortly before. Whoever is woken spaces its readings by
    /// [`NUDGE_SPACING`].
    fn nudges(&self, scheduler: &SchedulerName) -> Arc<Notify>;
    /// Wakes this scheduler's holder.
    fn nudge(&self, scheduler: &SchedulerName);
}

/// What an allocation is to hold by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long the promise holds without an `occupied` report.
    pub ttl: Span,
    /// Of witnessed silence, after which a room is not promised to anybody.
    pub ping: Span,
}

/// One call of a room.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// A report. `authentic` says that it came with the room's own valid token.
    Report {
        /// What it says.
        report: Report,
        /// Whether it came with the room's own valid token.
        authentic: bool,
        /// The room's version, for re-registration; the API knows the scheduler's active one.
        version: Version,
    },
    /// A malformed call of a room: a sign of life, and nothing else.
    Refused,
}

/// What became of a room's call.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// Whether the status was taken, or only the sign of life.
    pub taken: Taken,
    /// Whether the room is asked to take no further match.
    pub draining: bool,
    /// The room after the call.
    pub room: Room,
}

/// How a report was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// As the room's newest status.
    Newest,
    /// As a sign of life only: it was older than the newest, or malformed.
    LifeOnly,
    /// As the newest status, by order of arrival, because the room's clock moved just now.
    ClockMoved,
    /// It re-registered a room that the registry did not know.
    Registered,
    /// It came without a token from a room that the registry does not know, while recovering: kept for 60 s.
    Provisional,
}

/// Proof of holding a scheduler's lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Whose lease.
    pub scheduler: SchedulerName,
    /// max(last + 1, the registry's time in microseconds); the greatest token given out is the only valid one.
    pub token: u64,
}

/// A position in a scheduler's stream of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u64);

impl Cursor {
    /// Before everything.
    pub const START: Cursor = Cursor(0);
}

/// What changed in a scheduler.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// Rooms that are new or changed.
    pub rooms: Vec<Room>,
    /// Rooms that are no longer there.
    pub removed: Vec<RoomId>,
    /// Whether `rooms` is everything, so that whatever is not in it is gone (always after [`Cursor::START`]).
    pub complete: bool,
    /// Where to go on from.
    pub cursor: Cursor,
    /// The registry's time when it answered.
    pub now: Timestamp,
    /// Witnessed time.
    pub witness: Witness,
    /// When the present epoch was written; `None` while recovering.
    pub epoch: Option<Timestamp>,
    /// How the scheduler stands; `None` when nothing was stored yet, or it was lost.
    pub standing: Option<Standing>,
}

/// The part of a scheduler's state that readers ask for all the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// A is brought to this.
    pub wanted: u32,
    /// When `wanted` was last moved by a vote or by hand.
    pub scaled_at: Option<Timestamp>,
}

/// What the holder keeps for its successor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// A is brought to this.
    pub wanted: u32,
    /// When `wanted` was last moved by a vote or by hand.
    pub scaled_at: Option<Timestamp>,
    /// Blobs that policies returned last time, by trigger id.
    pub policies: BTreeMap<String, Vec<u8>>,
    /// The past.
    pub window: Window,
}

impl State {
    /// How the scheduler stands.
    pub fn standing(&self) -> Standing {
        Standing {
            wanted: self.wanted,
            scaled_at: self.scaled_at,
        }
    }
}

/// A change of one room that names the revision it was decided on.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A create is about to be tried: counts the try.
    BeginCreate,
    /// A create returned.
    ConfirmCreate,
    /// Ask it to take no further match.
    Drain {
        /// Why.
        reason: String,
    },
    /// Its allocation ran out.
    ExpireAllocation,
    /// End it.
    Stop {
        /// Set where silence is the reason: the witness clock's total at the last sign of life. One that came since
        /// refuses the act.
        unheard_since: Option<Span>,
        /// Why.
        reason: String,
    },
    /// It is gone.
    Forget,
}

/// What can go wrong with the registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such room.
    #[error("room {0} is not known")]
    UnknownRoom(RoomId),
    /// The room was changed since.
    #[error("room {room} has moved on to another revision")]
    Moved {
        /// The room.
        room: RoomId,
    },
    /// The act makes no sense for this room, whatever its revision.
    #[error("room {room} {refused}")]
    Refused {
        /// The room.
        room: RoomId,
        /// Why, in the domain's words.
        refused: Refused,
    },
    /// The token is not the newest one.
    #[error("the lease of scheduler {scheduler} is held by somebody else")]
    Fenced {
        /// The scheduler.
        scheduler: SchedulerName,
    },
    /// Too much is kept already.
    #[error("the registry is full: {what}")]
    Full {
        /// What there is too much of.
        what: &'static str,
    },
    /// The registry did not answer, or not in time; the change may have happened.
    #[error("the registry did not answer")]
    Unavailable {
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Full { .. } => true,
            Self::UnknownRoom(_) | Self::Moved { .. } | Self::Refused { .. } | Self::Fenced { .. } => false,
        }
    }
}
