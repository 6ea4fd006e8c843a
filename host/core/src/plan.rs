//! From what is and what is wanted to a list of actions.
//!
//! Pure and complete: whoever applies a plan makes no choices. Applying it twice is harmless, because each
//! action names the revision it was decided on.

mod scale;
mod settle;

use std::collections::BTreeMap;
use std::fmt;

use crate::deadlines::Watch;
use crate::names::{RoomId, Version};
use crate::rollout::Share;
use crate::room::{Revision, Room};
use crate::time::{Span, Timestamp};

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
        /// Set where silence is the reason: the witness clock's total at the last sign of life. One that came
        /// since takes the reason away.
        unheard_since: Option<Span>,
        /// Why, for people.
        reason: String,
    },
    /// Delete the object of a room that is stopping already, or whose process ended.
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

/// What there is to do.
pub fn plan(input: &Input) -> Plan {
    let (mut actions, standing) = settle::settle(input);
    let asked = actions
        .iter()
        .filter(|action| matches!(action, Action::Drain { .. }))
        .count();
    let asked = u32::try_from(asked).unwrap_or(u32::MAX);
    actions.extend(scale::scale(input, standing, asked));
    actions.sort_by_key(Action::order);
    Plan {
        actions,
        mass_silence: input.watch.mass_silence(),
    }
}

impl Input<'_> {
    /// Whether rooms may be asked to go or be ended.
    fn may_end_rooms(&self) -> bool {
        match self.footing {
            Footing::Sound => true,
            Footing::Recovering { .. } => false,
        }
    }

    /// Whether rooms may be created now.
    fn may_create(&self) -> bool {
        let held = self
            .creation_held_until
            .is_some_and(|until| self.watch.now < until);
        let listed = match self.footing {
            Footing::Sound => true,
            Footing::Recovering { listed } => listed,
        };
        listed && !held && self.deletion.is_none()
    }
}

impl Action {
    /// What frees resources comes first; among equals the order of planning holds.
    fn order(&self) -> u8 {
        match self {
            Self::Forget { .. } => 0,
            Self::Delete { .. } => 1,
            Self::Stop { .. } => 2,
            Self::Drain { .. } => 3,
            Self::ExpireAllocation { .. } => 4,
            Self::Expose { .. } => 5,
            Self::Create { .. } => 6,
            Self::Reserve { .. } => 7,
        }
    }

    /// The room concerned; a reservation has none yet.
    pub fn room(&self) -> Option<&RoomId> {
        match self {
            Self::Reserve { .. } => None,
            Self::Create { room, .. }
            | Self::Expose { room }
            | Self::Drain { room, .. }
            | Self::ExpireAllocation { room, .. }
            | Self::Stop { room, .. }
            | Self::Delete { room }
            | Self::Forget { room, .. } => Some(room),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserve { count: 1, version } => write!(f, "make 1 new room of {version}"),
            Self::Reserve { count, version } => write!(f, "make {count} new rooms of {version}"),
            Self::Create { room, .. } => write!(f, "create {room}"),
            Self::Expose { room } => write!(f, "make {room} reachable"),
            Self::Drain { room, reason, .. } => write!(f, "ask {room} to leave: {reason}"),
            Self::ExpireAllocation { room, .. } => {
                write!(f, "end the promise of {room}: no match began in time")
            }
            Self::Stop { room, reason, .. } => write!(f, "stop {room}: {reason}"),
            Self::Delete { room } => write!(f, "delete what is left of {room}"),
            Self::Forget { room, reason, .. } => write!(f, "forget {room}: {reason}"),
        }
    }
}

/// A line for each action; nothing at all for an empty plan.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.actions.iter().try_for_each(|action| writeln!(f, "{action}"))
    }
}
