//! From votes to a number that may be acted on: the seven steps of the guard, each clamp written down.

use crate::decision::{Clamp, Counts};
use crate::time::{Span, Timestamp};
use crate::votes::Ballot;

/// What the guard looks at.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// What each trigger said.
    pub ballots: &'a [Ballot],
    /// `wanted` as it stands.
    pub before: u32,
    /// The rooms there are.
    pub counts: Counts,
    /// Never fewer.
    pub min: u32,
    /// Never more, if given.
    pub max: Option<u32>,
    /// The installation's cap on rooms of one scheduler.
    pub cap: u32,
    /// When `wanted` was last moved by a vote or by hand.
    pub scaled_at: Option<Timestamp>,
    /// After a scaling, before the next one up.
    pub up_cooldown: Span,
    /// After a scaling, before the next one down.
    pub down_cooldown: Span,
    /// Whether the registry is recovering.
    pub recovering: bool,
    /// The present.
    pub now: Timestamp,
}

/// What the guard lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The new `wanted`.
    pub wanted: u32,
    /// Id of the trigger whose vote won.
    pub winner: Option<String>,
    /// Every clamp, in order.
    pub clamps: Vec<Clamp>,
    /// Whether `scaled_at` moves to now.
    pub scaled: bool,
}
