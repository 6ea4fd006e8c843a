//! What one decision is made on, and the decision that a ruling amounts to.
//!
//! Pure. Numbers and words are the core's; what is gathered here is what only the loop knows, such as its pauses.

use std::sync::Arc;

use maestro_core::decision::{Actor, Clamp, Counts, Decision, Rule};
use maestro_core::explain::{self, Leaving, Outlook};
use maestro_core::guard::{self, Bounds, Ruling};
use maestro_core::time::Timestamp;
use maestro_core::votes::Ballot;

use super::Desired;
use crate::registry::State;

/// What a decision is made on.
pub(super) struct Grounds {
    pub(super) desired: Arc<Desired>,
    pub(super) counts: Counts,
    /// The installation's cap.
    pub(super) cap: u32,
    pub(super) mass_silence: bool,
    pub(super) recovering: bool,
    /// The registry's time.
    pub(super) now: Timestamp,
    /// Until when creation is or was held, and why.
    pub(super) creation: Option<(Timestamp, String)>,
    /// Nodes with rooms that are being left.
    pub(super) leaving: Vec<Leaving>,
}

impl Grounds {
    /// Between what numbers `wanted` may be.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            min: self.desired.scheduler.autoscaling.min,
            max: self.desired.scheduler.autoscaling.max,
            cap: self.cap,
        }
    }

    /// Rules on votes.
    pub(super) fn rule(&self, ballots: &[Ballot], state: &State) -> Ruling {
        if self.desired.deleting.is_some() {
            return nothing_wanted(state.wanted);
        }
        guard::rule(&self.input(ballots, state))
    }

    /// Rules on a number asked for by hand.
    pub(super) fn rule_manual(&self, asked: u32, state: &State) -> Ruling {
        guard::rule_manual(asked, &self.input(&[], state))
    }

    fn input<'a>(&self, ballots: &'a [Ballot], state: &State) -> guard::Input<'a> {
        let autoscaling = &self.desired.scheduler.autoscaling;
        guard::Input {
            ballots,
            before: state.wanted,
            counts: self.counts,
            bounds: self.bounds(),
            scaled_at: state.scaled_at,
            up_cooldown: autoscaling.up_cooldown,
            down_cooldown: autoscaling.down_cooldown,
            paused: self.desired.scale_in_paused,
            recovering: self.recovering,
            now: self.now,
        }
    }

    /// The decision that a ruling amounts to; the plan is added when it is made.
    pub(super) fn decision(
        &self,
        actor: Actor,
        ballots: Vec<Ballot>,
        ruling: Ruling,
        state: &State,
    ) -> Decision {
        let outlook = Outlook {
            mass_silence: self.mass_silence,
            creation_held: self.creation.clone(),
            leaving: self.leaving.clone(),
        };
        let waits = explain::waits(&self.input(&ballots, state), &ruling, &outlook);
        Decision {
            at: self.now,
            actor,
            cluster: "local".to_owned(),
            version: self.desired.version,
            counts: self.counts,
            ballots,
            winner: ruling.winner,
            clamps: ruling.clamps,
            before: state.wanted,
            wanted: ruling.wanted,
            scaled: ruling.scaled,
            mass_silence: self.mass_silence,
            recovering: self.recovering,
            plan: Vec::new(),
            waits,
        }
    }
}

/// A scheduler that is being deleted wants no room, whatever its policies say.
fn nothing_wanted(before: u32) -> Ruling {
    Ruling {
        wanted: 0,
        winner: None,
        clamps: vec![Clamp {
            rule: Rule::Deleted,
            from: before,
            to: 0,
        }],
        scaled: false,
    }
}
