//! From votes to a number that may be acted on: the seven steps of the guard, each clamp written down.
//!
//! Whatever a policy answers, what leaves here is within bounds. Called once per step by the control loop, and for
//! each manual scale. It knows nothing of single rooms: only counts, votes and limits.

use crate::decision::{Clamp, Counts, Rule};
use crate::time::{Span, Timestamp};
use crate::votes::{self, Ballot, Winning};

/// What the guard looks at.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// What each trigger said.
    pub ballots: &'a [Ballot],
    /// `wanted` as it stands.
    pub before: u32,
    /// The rooms there are.
    pub counts: Counts,
    /// Never fewer, never more.
    pub bounds: Bounds,
    /// When `wanted` was last moved by a vote or by hand.
    pub scaled_at: Option<Timestamp>,
    /// After a scaling, before the next one up.
    pub up_cooldown: Span,
    /// After a scaling, before the next one down.
    pub down_cooldown: Span,
    /// Since when scaling down is paused by hand; `None` when it is not.
    pub paused: Option<Timestamp>,
    /// Whether the registry is recovering.
    pub recovering: bool,
    /// The present.
    pub now: Timestamp,
}

/// Between what numbers `wanted` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Never fewer.
    pub min: u32,
    /// Never more; `None` and 0 are no limit.
    pub max: Option<u32>,
    /// The installation's cap on rooms of one scheduler.
    pub cap: u32,
}

/// What the guard lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The new `wanted`.
    pub wanted: u32,
    /// Id of the trigger whose vote won, even if a rule stopped it; `None` when no vote asks for a change.
    pub winner: Option<String>,
    /// Every clamp, in order.
    pub clamps: Vec<Clamp>,
    /// Whether `scaled_at` moves to now.
    pub scaled: bool,
}

/// Most rooms more in one step: the older system's limit, which spared its cluster's store.
pub const STEP_UP: u32 = 300;

/// Most rooms fewer in one step, unless a tenth is more: a wrong vote takes a while to do harm.
pub const STEP_DOWN: u32 = 10;

/// `wanted` at the very first step of a scheduler.
pub fn first_wanted(bounds: Bounds) -> u32 {
    bounds.limit(bounds.min)
}

/// Rules on the votes of one step.
pub fn rule(input: &Input) -> Ruling {
    let mut number = Number::from(input.before);
    let mut winner = None;
    if let Some(vote) = votes::winning(input.ballots, input.before, input.now) {
        number.value = vote.total;
        number.trust(input);
        number.limit_step(input.before);
        winner = number.cool_down(input, &vote).or(Some(vote.trigger));
    }
    let voted = number.value;
    number.bound(input);
    let moved_up = voted > input.before && number.value > input.before;
    let moved_down = voted < input.before && number.value < input.before;
    Ruling {
        wanted: number.value,
        winner,
        clamps: number.clamps,
        scaled: moved_up || moved_down,
    }
}

/// Rules on a number asked for by hand: bounds and busy rooms hold, votes, cooldowns and pauses
/// don't.
pub fn rule_manual(asked: u32, input: &Input) -> Ruling {
    let mut number = Number::from(asked);
    number.bound(input);
    Ruling {
        wanted: number.value,
        winner: None,
        scaled: number.value != input.before,
        clamps: number.clamps,
    }
}

impl Bounds {
    fn limit(&self, number: u32) -> u32 {
        number
            .max(self.min)
            .min(self.ceiling().unwrap_or(u32::MAX))
            .min(self.cap)
    }

    /// The maximum where there is one: 0 is none.
    pub fn ceiling(&self) -> Option<u32> {
        self.max.filter(|max| *max > 0)
    }

    /// The greatest number that may be wanted.
    pub fn most(&self) -> u32 {
        self.ceiling().map_or(self.cap, |max| max.min(self.cap))
    }
}

/// A number on its way through the rules.
struct Number {
    value: u32,
    clamps: Vec<Clamp>,
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self {
            value,
            clamps: Vec::new(),
        }
    }
}

impl Number {
    /// Changes the number by a rule, and writes it down when it does.
    fn clamp(&mut self, rule: Rule, to: u32) {
        if to != self.value {
            let from = std::mem::replace(&mut self.value, to);
            self.clamps.push(Clamp { rule, from, to });
        }
    }

    /// Step 3: no scaling down while that is paused, nor on doubtful figures; none at all on lost ones.
    fn trust(&mut self, input: &Input) {
        if let (true, Some(since)) = (self.value < input.before, input.paused) {
            self.clamp(Rule::Paused { since }, input.before);
        }
        let triggers = votes::untrusted(input.ballots, input.now);
        if self.value < input.before && !triggers.is_empty() {
            self.clamp(Rule::NoTrust { triggers }, input.before);
        }
        // Adopted rooms count as occupied until they report, so that a use of 100 % means nothing: a vote up on it
        // would build a second fleet.
        if self.value != input.before && input.recovering {
            self.clamp(Rule::Recovering, input.before);
        }
    }

    /// Step 4.
    fn limit_step(&mut self, before: u32) {
        let most_fewer = STEP_DOWN.max(before / 10);
        let highest = before.saturating_add(STEP_UP);
        let lowest = before.saturating_sub(most_fewer);
        if self.value > highest {
            self.clamp(Rule::StepLimit { limit: STEP_UP }, highest);
        } else if self.value < lowest {
            self.clamp(Rule::StepLimit { limit: most_fewer }, lowest);
        }
    }

    /// Step 5. Where the largest vote must wait, the largest urgent one passes; says whose that is.
    fn cool_down(&mut self, input: &Input, vote: &Winning) -> Option<String> {
        if self.value < input.before {
            let left = cooldown_left(input.scaled_at, input.down_cooldown, input.now);
            if left > Span::ZERO {
                self.clamp(Rule::Cooldown { left }, input.before);
            }
            return None;
        }
        let left = cooldown_left(input.scaled_at, input.up_cooldown, input.now);
        if self.value == input.before || vote.urgent || left == Span::ZERO {
            return None;
        }
        let urgent = votes::winning_urgent(input.ballots, input.before, input.now);
        let passes = urgent.as_ref().map_or(input.before, |urgent| urgent.total);
        self.clamp(Rule::Cooldown { left }, passes.min(self.value));
        urgent.map(|urgent| urgent.trigger)
    }

    /// Steps 6 and 7.
    fn bound(&mut self, input: &Input) {
        let busy = input.counts.busy();
        if self.value < busy {
            self.clamp(Rule::Busy, busy);
        }
        if self.value < input.bounds.min {
            self.clamp(Rule::Min, input.bounds.min);
        }
        if let Some(max) = input.bounds.ceiling()
            && self.value > max
        {
            self.clamp(Rule::Max, max);
        }
        if self.value > input.bounds.cap {
            self.clamp(Rule::Cap, input.bounds.cap);
        }
    }
}

/// What is left of a cooldown.
pub fn cooldown_left(scaled_at: Option<Timestamp>, cooldown: Span, now: Timestamp) -> Span {
    match scaled_at {
        Some(at) => (at + cooldown).since(now).min(cooldown),
        None => Span::ZERO,
    }
}
