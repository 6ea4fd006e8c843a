//! What each trigger said in one step, and which vote wins.

use crate::names::{Digest, PolicyName};
use crate::scheduler::{Direction, Mode};
use crate::time::{Span, Timestamp};

/// What a policy wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    /// As many as now.
    Hold,
    /// So many rooms in all.
    Total(u32),
}

/// What became of asking one trigger in one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Ballot {
    /// The trigger's id in its scheduler.
    pub trigger: String,
    /// Which way it may move `wanted`.
    pub direction: Direction,
    /// Whether its vote counts.
    pub mode: Mode,
    /// The policy asked.
    pub policy: PolicyName,
    /// Which bytes of it; `None` when it could not be resolved.
    pub digest: Option<Digest>,
    /// Fuel used; 0 when it did not run.
    pub fuel: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of asking a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It voted.
    Voted {
        /// What it wants.
        vote: Vote,
        /// Whether a vote up skips the cooldown.
        urgent: bool,
        /// Its own words, escaped and cut by the engine.
        reason: String,
    },
    /// It has too little to go on and says so; no failure.
    Waiting {
        /// Its own words.
        reason: String,
    },
    /// It failed: forbids scaling down.
    Failed {
        /// The class of the failure, such as `out-of-fuel`.
        class: String,
        /// What happened, for people.
        message: String,
    },
    /// Its breaker is open; it was not asked. Forbids scaling down.
    Skipped {
        /// When it is asked again.
        until: Timestamp,
    },
    /// An input it reads is too old; it was not asked. Forbids scaling down.
    Stale {
        /// The input, such as `cpu.used`.
        input: String,
        /// Its age; `None` when there never was one.
        age: Option<Span>,
    },
}
