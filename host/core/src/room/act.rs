//! What may be done to a room, each act with its precondition.
//!
//! The registry calls these inside its atomic step, after it compared the revision that the act was decided on.
//! Each says what it changed and bumps the revision when use, stage or intent changed; a refused act changes
//! nothing.

use std::fmt;

use super::{CREATE_TRIES, Creation, Intent, Phase, Revision, Room, Seen, Stage, Use};
use crate::report::Reported;
use crate::time::{Span, Timestamp};

/// What an act did to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing: it was so already.
    Nothing,
    /// Some fact changed, and neither use nor stage nor intent: the revision stays.
    Facts,
    /// Use, stage or intent changed: the room has a new revision.
    Moved,
}

/// Why an act is refused; reads on from "room `x` ".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not ready, reachable and free.
    NotAllocatable,
    /// It is promised to a match: the promise must end first.
    Promised,
    /// It is being ended, or ended.
    Ending,
    /// Its allocation has not run out yet.
    NotYet,
    /// It was created already.
    Created,
    /// It was tried too often.
    TriedOut,
    /// It may still exist.
    MayExist,
    /// It was to end for its silence, and was heard of since.
    Heard,
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAllocatable => "is not ready, reachable and free",
            Self::Promised => "is promised to a match",
            Self::Ending => "is ending or has ended",
            Self::NotYet => "is promised for longer",
            Self::Created => "was created already",
            Self::TriedOut => "was tried too often",
            Self::MayExist => "may still exist",
            Self::Heard => "was heard of again",
        })
    }
}

impl Room {
    /// Promises the room to a match until then.
    pub fn allocate(&mut self, until: Timestamp) -> Result<Effect, Refused> {
        match self.is_allocatable() {
            true => Ok(self.change(|room| room.intent = Intent::Allocated { until })),
            false => Err(Refused::NotAllocatable),
        }
    }

    /// Marks the room: it shall take no further match. A second mark changes nothing, not even the first one's
    /// time. A promise is kept: it must be used or run out first.
    pub fn drain(&mut self, reason: &str, now: Timestamp) -> Result<Effect, Refused> {
        match self.intent {
            Intent::Draining { .. } | Intent::Stopping { .. } => Ok(Effect::Nothing),
            Intent::Allocated { .. } => Err(Refused::Promised),
            Intent::Keep => Ok(self.change(|room| {
                room.intent = Intent::Draining {
                    since: now,
                    reason: reason.to_owned(),
                };
            })),
        }
    }

    /// Gives the room up for good; the deletion of its object follows. Where that is for its silence,
    /// `unheard_since` is the witness clock's total at the last sign of life that was known, because a repeated ping
    /// does not bump the revision.
    pub fn stop(
        &mut self,
        reason: &str,
        unheard_since: Option<Span>,
        now: Timestamp,
    ) -> Result<Effect, Refused> {
        match self.intent {
            Intent::Stopping { .. } => Ok(Effect::Nothing),
            Intent::Keep | Intent::Allocated { .. } | Intent::Draining { .. } => {
                if unheard_since.is_some_and(|witnessed| witnessed < self.reports.life_witnessed) {
                    return Err(Refused::Heard);
                }
                Ok(self.change(|room| {
                    room.intent = Intent::Stopping {
                        since: now,
                        reason: reason.to_owned(),
                    };
                }))
            }
        }
    }

    /// Ends a promise that ran out. Whether its match has begun is unknown until the room reports again.
    pub fn expire_allocation(&mut self, now: Timestamp) -> Result<Effect, Refused> {
        match self.intent {
            Intent::Allocated { until } if now < until => Err(Refused::NotYet),
            Intent::Allocated { .. } => Ok(self.change(|room| {
                room.intent = Intent::Keep;
                room.allocation_expired = true;
            })),
            Intent::Keep | Intent::Draining { .. } | Intent::Stopping { .. } => Ok(Effect::Nothing),
        }
    }

    /// Counts a try to create the room, before it is made.
    pub fn begin_create(&mut self) -> Result<Effect, Refused> {
        match (self.creation, self.stage()) {
            (Creation::Confirmed { .. }, _) => Err(Refused::Created),
            (_, Stage::Stopping | Stage::Gone) => Err(Refused::Ending),
            (Creation::Unconfirmed { tries }, _) if tries >= CREATE_TRIES => Err(Refused::TriedOut),
            (Creation::Unconfirmed { tries }, _) => {
                Ok(self.change(|room| room.creation = Creation::Unconfirmed { tries: tries + 1 }))
            }
        }
    }

    /// Notes that a create returned. Harmless when the room was seen before that.
    pub fn confirm_create(&mut self, now: Timestamp) -> Effect {
        match self.creation {
            Creation::Confirmed { .. } => Effect::Nothing,
            Creation::Unconfirmed { .. } => {
                self.change(|room| room.creation = Creation::Confirmed { at: now })
            }
        }
    }

    /// Takes what the cluster shows. Facts are facts, but for three that prove nothing: an absence from a list
    /// begun before the create returned, no sight at all, and whatever follows the end of the process.
    pub fn observe(&mut self, seen: &Seen, now: Timestamp) -> Effect {
        match (&self.phase, &seen.phase) {
            (_, Phase::Unseen) => return Effect::Nothing,
            // How its process ended is what people want to know; that its object is gone as well adds nothing.
            (Phase::Exited { .. }, _) => return Effect::Nothing,
            (Phase::Absent { .. }, Phase::Absent { .. }) => return Effect::Nothing,
            (_, Phase::Absent { at }) if !self.is_absence_proven_by(*at) => return Effect::Nothing,
            (Phase::Unseen | Phase::Pending { .. } | Phase::Running { .. } | Phase::Absent { .. }, _) => {}
        }
        if self.shows(seen) {
            return Effect::Nothing;
        }
        self.change(|room| {
            room.phase = seen.phase.clone();
            // What is gone keeps its last place, for whoever asks where it ran.
            if !matches!(seen.phase, Phase::Absent { .. }) {
                room.node.clone_from(&seen.node);
                room.leaving.clone_from(&seen.leaving);
                room.node_lost = seen.node_lost;
                room.addresses.clone_from(&seen.addresses);
                room.ports.clone_from(&seen.ports);
                room.confirm_create(now);
            }
        })
    }

    /// Whether a list begun at this time, by the registry's clock, that lacks the room proves that it is gone.
    pub fn is_absence_proven_by(&self, list_begun: Timestamp) -> bool {
        match self.creation {
            Creation::Confirmed { at } => list_begun > at,
            Creation::Unconfirmed { .. } => false,
        }
    }

    /// Whether the room may be forgotten: it is gone, or it was never known to exist.
    pub fn may_forget(&self) -> Result<(), Refused> {
        match (self.stage(), self.creation, &self.phase) {
            (Stage::Gone, _, _) | (_, Creation::Unconfirmed { .. }, Phase::Unseen) => Ok(()),
            (
                Stage::Reserved | Stage::Starting | Stage::Running | Stage::Draining | Stage::Stopping,
                _,
                _,
            ) => Err(Refused::MayExist),
        }
    }

    /// Whether the room answered after it was marked that it holds no match. What it said before the mark is no
    /// answer: a match may have begun since.
    pub fn has_answered_drain(&self) -> bool {
        let Intent::Draining { since, .. } = self.intent else {
            return false;
        };
        let answered = self
            .reports
            .last
            .is_some_and(|last| last.status != Reported::Occupied && last.received_at > since);
        answered && self.usage() == Use::Idle
    }

    fn shows(&self, seen: &Seen) -> bool {
        self.phase == seen.phase
            && self.node == seen.node
            && self.leaving == seen.leaving
            && self.node_lost == seen.node_lost
            && self.addresses == seen.addresses
            && self.ports == seen.ports
    }

    /// Makes a change and bumps the revision when use, stage or intent are no longer what they were.
    pub(crate) fn change(&mut self, make: impl FnOnce(&mut Self)) -> Effect {
        let before = (self.usage(), self.stage(), self.intent.clone(), self.revision);
        make(self);
        // A change made inside of this one has bumped it already.
        if self.revision != before.3 {
            return Effect::Moved;
        }
        match (self.usage(), self.stage()) == (before.0, before.1) && self.intent == before.2 {
            true => Effect::Facts,
            false => {
                self.revision = Revision::next(self.revision);
                Effect::Moved
            }
        }
    }
}
