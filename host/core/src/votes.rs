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

/// A vote that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Winning {
    /// Whose it is.
    pub trigger: String,
    /// How many rooms it wants.
    pub total: u32,
    /// Whether it skips the cooldown.
    pub urgent: bool,
}

/// A canary's share is dealt out over slots of this length: the shortest period of the loop.
const CANARY_SLOT_MS: i64 = 10_000;

impl Ballot {
    /// Whether this ballot counts in a decision made at `now`: active ones always, shadows never, canaries in their
    /// share of all slots, spread evenly.
    pub fn counts_at(&self, now: Timestamp) -> bool {
        match self.mode {
            Mode::Active => true,
            Mode::Shadow => false,
            Mode::Canary(share) => {
                let slot = now.ms().div_euclid(CANARY_SLOT_MS) as f64;
                ((slot + 1.0) * share).floor() > (slot * share).floor()
            }
        }
    }

    /// Whether what became of it forbids scaling down.
    pub fn is_untrusted(&self) -> bool {
        match self.outcome {
            Outcome::Voted { .. } | Outcome::Waiting { .. } => false,
            Outcome::Failed { .. } | Outcome::Skipped { .. } | Outcome::Stale { .. } => true,
        }
    }

    /// The number of rooms that this ballot asks for while `wanted` are wanted; `None` when it abstains.
    pub(crate) fn total(&self, wanted: u32) -> Option<u32> {
        match (&self.outcome, self.direction) {
            (
                Outcome::Voted {
                    vote: Vote::Total(total),
                    ..
                },
                Direction::Up,
            ) => (*total > wanted).then_some(*total),
            (
                Outcome::Voted {
                    vote: Vote::Total(total),
                    ..
                },
                Direction::Down,
            ) => (*total < wanted).then_some(*total),
            (
                Outcome::Voted {
                    vote: Vote::Total(total),
                    ..
                },
                Direction::Both,
            ) => Some(*total),
            // Who may move the number either way and does not want to move it speaks for the present one.
            (Outcome::Voted { vote: Vote::Hold, .. } | Outcome::Waiting { .. }, Direction::Both) => {
                Some(wanted)
            }
            (
                Outcome::Voted { vote: Vote::Hold, .. } | Outcome::Waiting { .. },
                Direction::Up | Direction::Down,
            ) => None,
            (Outcome::Failed { .. } | Outcome::Skipped { .. } | Outcome::Stale { .. }, _) => None,
        }
    }

    /// Whether it says the same as `earlier`, but for its wording and what passes by itself.
    pub fn repeats(&self, earlier: &Ballot) -> bool {
        let same = match (&self.outcome, &earlier.outcome) {
            (
                Outcome::Voted { vote, urgent, .. },
                Outcome::Voted {
                    vote: vote_then,
                    urgent: urgent_then,
                    ..
                },
            ) => (vote, urgent) == (vote_then, urgent_then),
            (Outcome::Failed { class, .. }, Outcome::Failed { class: then, .. }) => class == then,
            (Outcome::Stale { input, .. }, Outcome::Stale { input: then, .. }) => input == then,
            (now, then) => std::mem::discriminant(now) == std::mem::discriminant(then),
        };
        same && (&self.trigger, self.direction, self.mode)
            == (&earlier.trigger, earlier.direction, earlier.mode)
            && (&self.policy, self.digest) == (&earlier.policy, earlier.digest)
    }

    fn is_urgent(&self) -> bool {
        match self.outcome {
            Outcome::Voted { urgent, .. } => urgent,
            Outcome::Waiting { .. }
            | Outcome::Failed { .. }
            | Outcome::Skipped { .. }
            | Outcome::Stale { .. } => false,
        }
    }
}

/// The largest vote that counts, when it would move `wanted`. Among equals the urgent one, then the first.
pub fn winning(ballots: &[Ballot], wanted: u32, now: Timestamp) -> Option<Winning> {
    largest(ballots.iter().filter(|ballot| ballot.counts_at(now)), wanted).filter(|vote| vote.total != wanted)
}

/// The largest urgent vote up that counts.
pub fn winning_urgent(ballots: &[Ballot], wanted: u32, now: Timestamp) -> Option<Winning> {
    let urgent = ballots
        .iter()
        .filter(|ballot| ballot.counts_at(now) && ballot.is_urgent());
    largest(urgent, wanted).filter(|vote| vote.total > wanted)
}

/// Ids of the triggers whose outcome forbids scaling down.
pub fn untrusted(ballots: &[Ballot], now: Timestamp) -> Vec<String> {
    let untrusted = ballots
        .iter()
        .filter(|ballot| ballot.counts_at(now) && ballot.is_untrusted());
    untrusted.map(|ballot| ballot.trigger.clone()).collect()
}

fn largest<'a>(ballots: impl Iterator<Item = &'a Ballot>, wanted: u32) -> Option<Winning> {
    let mut largest: Option<Winning> = None;
    for ballot in ballots {
        let Some(total) = ballot.total(wanted) else {
            continue;
        };
        let vote = Winning {
            trigger: ballot.trigger.clone(),
            total,
            urgent: ballot.is_urgent(),
        };
        match &largest {
            Some(best) if (best.total, best.urgent) >= (vote.total, vote.urgent) => {}
            Some(_) | None => largest = Some(vote),
        }
    }
    largest
}
