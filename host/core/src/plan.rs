//! From what is and what is wanted to a list of actions.
//!
//! Pure and complete: whoever applies a plan makes no choices. Applying it twice is harmless, because each
//! action names the revision it was decided on.

use std::collections::BTreeMap;

use crate::deadlines::Watch;
use crate::names::{RoomId, Version};
use crate::rollout::Share;
use crate::room::{Revision, Room};
use crate::time::Timestamp;

/// What a plan is made from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// All rooms of the scheduler that the registry knows.
    pub rooms: &'a BTreeMap<RoomId, Room>,
    /// Deadlines, clocks and mass silence of the same rooms.
    pub watch: &'a Watch<'a>,
    /// What the newest list of the cluster showed beside the rooms' phases; a room that is not in it has no object.
    pub objects: &'a BTreeMap<RoomId, Object>,
    /// A shall become this.
    pub wanted: u32,
    /// The version to make rooms of, and the surge allowed for replacing others.
    pub share: Share,
    /// Bounds on one plan.
    pub budget: Budget,
    /// What the registry can be trusted with.
    pub footing: Footing,
    /// Whether creation is held back, as after repeated failures, until this time.
    pub creation_held_until: Option<Timestamp>,
    /// Whether the scheduler is being deleted.
    pub deletion: Option<Deletion>,
}

/// What the newest list of the cluster showed of a room beside its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Whether what makes it reachable exists.
    pub exposed: bool,
    /// Whether it is being deleted already.
    pub deleting: bool,
}

/// What the registry can be trusted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Footing {
    /// It knows all rooms.
    Sound,
    /// It was emptied: nothing is drained or stopped but what ended by itself. Rooms are created only once a list
    /// of the cluster that was begun after the loss has been taken in.
    Recovering {
        /// Whether that list has been taken in.
        listed: bool,
    },
}

/// How a scheduler's rooms go when it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Idle rooms at once, the others at the end of their match or at a deadline.
    Graceful,
    /// All at once.
    Forced,
}

/// Bounds on one plan, so that no step runs long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Most rooms to reserve at once.
    pub reserve: u32,
    /// Most rooms to drain at once.
    pub drain: u32,
    /// Never more rooms than this in all, whatever their stage.
    pub cap: u32,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take names for so many new rooms of a version, then create them.
    Reserve {
        /// How many.
        count: u32,
        /// Of which version.
        version: Version,
    },
    /// Create a reserved room without a known create, under its own name.
    Create {
        /// The room.
        room: RoomId,
        /// What it was decided on.
        revision: Revision,
    },
    /// Give a running room the service it lacks.
    Expose {
        /// The room.
        room: RoomId,
    },
    /// Ask a room to take no further match.
    Drain {
        /// The room.
        room: RoomId,
        /// What it was decided on.
        revision: Revision,
        /// Why, for people.
        reason: String,
    },
    /// An allocation ran out.
    ExpireAllocation {
        /// The room.
        room: RoomId,
        /// What it was decided on.
        revision: Revision,
    },
    /// End a room: the fenced move to `stopping`, then the deletion of its object.
    Stop {
        /// The room.
        room: RoomId,
        /// What it was decided on.
        revision: Revision,
        /// Why, for people.
        reason: String,
    },
    /// Delete the object of a room that is already stopping.
    Delete {
        /// The room.
        room: RoomId,
    },
    /// Forget a room that is gone, or whose name is given up.
    Forget {
        /// The room.
        room: RoomId,
        /// What it was decided on.
        revision: Revision,
        /// Why, for people.
        reason: String,
    },
}

/// What to do, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are applied: what frees resources comes first.
    pub actions: Vec<Action>,
    /// Whether over a fifth of the rooms fell silent at once.
    pub mass_silence: bool,
}
