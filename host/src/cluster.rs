//! The port to where rooms run: Kubernetes, or local processes.
//!
//! Every act is safe without a fence: create happens under a name that was reserved with one, delete names the
//! object's uid. Callers: the control loop only (and `logs` through the API). Time-outs live in the adapters.

pub mod contract;
pub mod local;
pub mod kubernetes;
pub mod observed;
mod nodes;

use async_trait::async_trait;
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::room::{Address, OpenPort, Phase};
use maestro_core::scheduler::Scheduler;
use maestro_core::time::{Span, Timestamp};

pub use nodes::{Contact, Nodes, Standing};

/// Where rooms run.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Everything of a scheduler that exists, ended processes that nobody deleted yet included. What existed
    /// before the call began and exists after it ends is in the answer.
    async fn list(&self, scheduler: &SchedulerName) -> Result<Vec<Object>, Error>;
    /// Creates a room. One that exists already under this name with our mark is success.
    async fn create(&self, scheduler: &Scheduler, order: &Order) -> Result<(), Error>;
    /// Gives a running room what makes it reachable, where that is an object of its own.
    async fn expose(&self, scheduler: &Scheduler, room: &RoomId) -> Result<(), Error>;
    /// Ends a room: asks it (SIGTERM), kills it after `grace`, then removes it. Returns once that is under way;
    /// no such object is success.
    async fn delete(
        &self,
        scheduler: &SchedulerName,
        room: &RoomId,
        uid: &str,
        grace: Span,
    ) -> Result<(), Error>;
    /// What each room uses, measured not longer than a period ago.
    async fn usage(&self, scheduler: &SchedulerName) -> Result<Vec<Usage>, Error>;
    /// The newest `lines` lines of a room's output; of its previous run's with `previous`.
    async fn logs(
        &self,
        scheduler: &SchedulerName,
        room: &RoomId,
        lines: usize,
        previous: bool,
    ) -> Result<String, Error>;
    /// Removes what a deleted scheduler leaves (namespace, folders) once its last room is gone.
    async fn remove(&self, scheduler: &SchedulerName) -> Result<(), Error>;
    /// Wakes when something of this scheduler changed; a hint that may be lost.
    fn nudges(&self, scheduler: &SchedulerName) -> std::sync::Arc<tokio::sync::Notify>;
    /// Whether a creation that begins now would get its turn, where calls are bounded: what can't begin is no try.
    fn has_turn(&self) -> bool {
        true
    }
    /// The nodes as they were seen last. Nothing is asked for it, and a change of one nudges the schedulers that had
    /// rooms on it at their last list, or were not listed yet.
    fn nodes(&self) -> std::sync::Arc<Nodes>;
}

/// What to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The room's name.
    pub room: RoomId,
    /// The scheduler's version it is made of.
    pub version: Version,
    /// The room's token, handed to it as MAESTRO_ROOM_TOKEN.
    pub token: String,
    /// Nodes that it must not come to. Where there is no other, it waits, or is refused for the moment.
    pub avoid: Vec<String>,
}

/// A room as the cluster shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its name.
    pub room: RoomId,
    /// Tells this object from a later one of the same name.
    pub uid: String,
    /// The version it was created of.
    pub version: Version,
    /// Its phase, with the adapter's times.
    pub phase: Phase,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its node.
    pub node: Option<String>,
    /// Its addresses; complete, or empty.
    pub addresses: Vec<Address>,
    /// Its open ports; complete, or empty.
    pub ports: Vec<OpenPort>,
    /// Whether what makes it reachable exists.
    pub exposed: bool,
}

/// What a room uses at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// The room.
    pub room: RoomId,
    /// When it was measured.
    pub at: Timestamp,
    /// Thousandths of a core.
    pub cpu_milli: f64,
    /// Bytes.
    pub memory_bytes: f64,
}

/// What can go wrong with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The room can't be created or reached as specified, and trying again will not help before something changes.
    #[error("{room} can't be created: {reason}")]
    Refused {
        /// The room.
        room: RoomId,
        /// Why, and what would help.
        reason: String,
    },
    /// Something that all rooms of the scheduler need has run out, such as ports.
    #[error("{what}; {remedy}")]
    Exhausted {
        /// What has run out, as a clause.
        what: String,
        /// What would help, as a clause.
        remedy: String,
    },
    /// We lack a right, and asking again gives us none.
    #[error("not allowed to {verb} {resource} {place}; grant Maestro that right")]
    Forbidden {
        /// What we wanted to do, as in `create`.
        verb: String,
        /// To what, as in `pods`.
        resource: String,
        /// Where, as in `in the namespace pong`.
        place: String,
    },
    /// What the scheduler's rooms would be in belongs to somebody else, so that none of ours is there.
    #[error("{0}")]
    Foreign(String),
    /// No such room.
    #[error("{0} is not in the cluster")]
    UnknownRoom(RoomId),
    /// Our own bound on calls left no turn in time. The cluster is not at fault, nor is what was asked of it; a part of
    /// the act may have happened.
    #[error("more is asked of the cluster than its budget of calls allows")]
    Crowded,
    /// The cluster did not answer, or not in time; the act may have happened.
    #[error("the cluster did not answer")]
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
            Self::Unavailable { .. } | Self::Exhausted { .. } | Self::Foreign(_) | Self::Crowded => true,
            Self::Refused { .. } | Self::Forbidden { .. } | Self::UnknownRoom(_) => false,
        }
    }

    /// Whether our own bound on calls left no turn for it, which says nothing of what was asked for.
    pub fn is_crowded(&self) -> bool {
        matches!(self, Self::Crowded)
    }
}
