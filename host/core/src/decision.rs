//! A decision: everything that one step of a scheduler's loop saw, heard, clamped and chose.
//!
//! It is a record first: all that `explain` says is in here, and nothing here is made up afterwards.

use crate::deadlines::{Place, Watch};
use crate::names::Version;
use crate::room::Room;
use crate::time::{Span, Timestamp};
use crate::votes::Ballot;

/// Rooms of one scheduler by derived state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reserved or starting.
    pub starting: u32,
    /// Idle and well, not asked to go.
    pub ready: u32,
    /// Promised to a match.
    pub allocated: u32,
    /// In a match; also those of which we don't know.
    pub occupied: u32,
    /// Asked to go, whatever their use.
    pub draining: u32,
    /// Being ended.
    pub stopping: u32,
    /// Silent past the ping deadline and not counted above.
    pub silent: u32,
}

impl Counts {
    /// The names of [`Counts::columns`].
    pub const COLUMNS: [&str; 7] = [
        "starting",
        "ready",
        "allocated",
        "occupied",
        "draining",
        "stopping",
        "silent",
    ];

    /// Counts rooms by the place that each one has.
    pub fn of<'r>(rooms: impl IntoIterator<Item = &'r Room>, watch: &Watch) -> Self {
        let mut counts = Self::default();
        for room in rooms {
            if let Some(count) = counts.count_mut(watch.place(room)) {
                *count += 1;
            }
        }
        counts
    }

    /// The count that rooms in this place are in; rooms that are gone are in none.
    pub fn count_mut(&mut self, place: Place) -> Option<&mut u32> {
        match place {
            Place::Starting => Some(&mut self.starting),
            Place::Ready => Some(&mut self.ready),
            Place::Allocated => Some(&mut self.allocated),
            Place::Occupied => Some(&mut self.occupied),
            Place::Draining => Some(&mut self.draining),
            Place::Stopping => Some(&mut self.stopping),
            Place::Silent => Some(&mut self.silent),
            Place::Gone => None,
        }
    }

    /// All counts. Records are stored and tables written in this order: a further count comes last.
    pub fn columns(mut self) -> [u32; Self::COLUMNS.len()] {
        self.columns_mut().map(|count| *count)
    }

    /// All counts in the order of [`Counts::columns`], to be changed.
    pub fn columns_mut(&mut self) -> [&mut u32; Self::COLUMNS.len()] {
        let Self {
            starting,
            ready,
            allocated,
            occupied,
            draining,
            stopping,
            silent,
        } = self;
        [starting, ready, allocated, occupied, draining, stopping, silent]
    }

    /// A = starting + ready + allocated + occupied: what the plan brings to `wanted`.
    pub fn available(&self) -> u32 {
        self.starting + self.ready + self.allocated + self.occupied
    }

    /// Rooms in use: allocated + occupied.
    pub fn busy(&self) -> u32 {
        self.allocated + self.occupied
    }
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The control loop.
    Loop,
    /// A person or program through the API.
    Manual,
    /// A change of the scheduler's file.
    File,
}

/// One rule of the guard that changed what the votes asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// Which rule.
    pub rule: Rule,
    /// The number before it.
    pub from: u32,
    /// The number after it.
    pub to: u32,
}

/// The rules of the guard, in the order in which they are applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Scaling down is paused by hand.
    Paused {
        /// Since when.
        since: Timestamp,
    },
    /// No scaling down while a trigger failed, is skipped or is stale.
    NoTrust {
        /// The triggers concerned.
        triggers: Vec<String>,
    },
    /// No scaling by votes while the registry is recovering: what rooms are used for is not known yet.
    Recovering,
    /// At most this many more or fewer in one step.
    StepLimit {
        /// The limit that held.
        limit: u32,
    },
    /// The direction's cooldown is not over.
    Cooldown {
        /// What is left of it.
        left: Span,
    },
    /// Never below allocated + occupied.
    Busy,
    /// Never below the scheduler's minimum.
    Min,
    /// Never above the scheduler's maximum.
    Max,
    /// Never above the installation's cap.
    Cap,
    /// No room is wanted: the scheduler is being deleted. Stands alone, and is said even where none was wanted before.
    Deleted,
}

/// One decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// In which cluster.
    pub cluster: String,
    /// Of which version of the scheduler.
    pub version: Version,
    /// What there was.
    pub counts: Counts,
    /// What each trigger said, in the order of the document.
    pub ballots: Vec<Ballot>,
    /// Id of the trigger whose vote won, even if a rule stopped it; `None` when no vote asks for a change.
    pub winner: Option<String>,
    /// Every clamp, in order.
    pub clamps: Vec<Clamp>,
    /// `wanted` before.
    pub before: u32,
    /// `wanted` after.
    pub wanted: u32,
    /// Whether this decision started the cooldowns anew.
    pub scaled: bool,
    /// Whether over a fifth of the rooms fell silent at once, so that none is deleted for it.
    pub mass_silence: bool,
    /// Whether the registry is recovering.
    pub recovering: bool,
    /// The plan, a line for each action.
    pub plan: Vec<String>,
    /// What the next change waits for, a sentence each.
    pub waits: Vec<String>,
}

impl Decision {
    /// Whether this decision changes nothing, and for the same reasons as `earlier`: a row of those is kept as one
    /// with a count. What passes by itself (time left, fuel, a policy's wording of its figures) makes no difference.
    pub fn repeats(&self, earlier: &Decision) -> bool {
        let rules = |decision: &Decision| -> Vec<Rule> {
            decision
                .clamps
                .iter()
                .map(|clamp| clamp.rule.without_figures())
                .collect()
        };
        self.wanted == self.before
            && earlier.wanted == self.wanted
            && earlier.before == self.before
            && self.plan.is_empty()
            && earlier.plan.is_empty()
            && (self.counts, self.version) == (earlier.counts, earlier.version)
            && (&self.actor, &self.cluster, &self.winner)
                == (&earlier.actor, &earlier.cluster, &earlier.winner)
            && (self.mass_silence, self.recovering) == (earlier.mass_silence, earlier.recovering)
            && rules(self) == rules(earlier)
            && self.ballots.len() == earlier.ballots.len()
            && self
                .ballots
                .iter()
                .zip(&earlier.ballots)
                .all(|(now, then)| now.repeats(then))
    }
}

impl Rule {
    /// The rule itself, without what passes by itself.
    fn without_figures(&self) -> Rule {
        match self {
            Self::Cooldown { .. } => Self::Cooldown { left: Span::ZERO },
            Self::Paused { .. }
            | Self::NoTrust { .. }
            | Self::Recovering
            | Self::StepLimit { .. }
            | Self::Busy
            | Self::Min
            | Self::Max
            | Self::Cap
            | Self::Deleted => self.clone(),
        }
    }
}
