//! From ballots to a decision: what the guard lets through, and what the next change waits for.
//!
//! Pure. The numbers are the core's; what is added here are the words for what stands in the way, because only the
//! loop knows of its own pauses.

use std::sync::Arc;

use maestro_core::decision::{Actor, Clamp, Counts, Decision, Rule};
use maestro_core::guard::{self, Bounds, Ruling};
use maestro_core::time::Timestamp;
use maestro_core::votes::{Ballot, Outcome};

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
    /// Until when creation is held, and why.
    pub(super) creation: Option<(Timestamp, String)>,
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
            return nothing_wanted();
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
        before: u32,
    ) -> Decision {
        let waits = self.waits(&ballots, &ruling.clamps);
        Decision {
            at: self.now,
            actor,
            cluster: "local".to_owned(),
            version: self.desired.version,
            counts: self.counts,
            ballots,
            winner: ruling.winner,
            clamps: ruling.clamps,
            before,
            wanted: ruling.wanted,
            scaled: ruling.scaled,
            mass_silence: self.mass_silence,
            recovering: self.recovering,
            plan: Vec::new(),
            waits,
        }
    }

    fn waits(&self, ballots: &[Ballot], clamps: &[Clamp]) -> Vec<String> {
        let mut waits = Vec::new();
        if let Some((until, reason)) = &self.creation {
            let left = until.since(self.now);
            waits.push(format!("new rooms are tried again in {left}, because {reason}"));
        }
        if self.recovering {
            waits.push("the registry was emptied: rooms that run have yet to report".to_owned());
        }
        if self.mass_silence {
            waits.push("many rooms fell silent at once: one of them has to be heard of again".to_owned());
        }
        for clamp in clamps {
            if let Rule::Cooldown { left } = clamp.rule {
                waits.push(format!("the cooldown ends in {left}"));
            }
        }
        waits.extend(ballots.iter().filter_map(|ballot| waits_for(ballot, self.now)));
        let Counts {
            starting, draining, ..
        } = self.counts;
        if starting > 0 {
            waits.push(format!("{} to report ready", rooms(starting)));
        }
        if draining > 0 {
            waits.push(format!(
                "{} to answer that it may go, or to end its match",
                rooms(draining)
            ));
        }
        if waits.is_empty() {
            waits.push("a change in what the policies see".to_owned());
        }
        waits
    }
}

/// Whether two decisions differ in nothing but times, figures and words.
pub(super) fn says_the_same(one: &Decision, other: &Decision) -> bool {
    let outcomes = |decision: &Decision| -> Vec<_> {
        let ballots = decision.ballots.iter();
        ballots
            .map(|b| (std::mem::discriminant(&b.outcome), b.digest))
            .collect()
    };
    let rules = |decision: &Decision| -> Vec<_> {
        let clamps = decision.clamps.iter();
        clamps.map(|clamp| std::mem::discriminant(&clamp.rule)).collect()
    };
    let is_still = |decision: &Decision| decision.plan.is_empty() && decision.before == decision.wanted;
    is_still(one)
        && is_still(other)
        && one.version == other.version
        && one.actor == other.actor
        && one.counts == other.counts
        && one.wanted == other.wanted
        && (one.mass_silence, one.recovering) == (other.mass_silence, other.recovering)
        && outcomes(one) == outcomes(other)
        && rules(one) == rules(other)
}

fn waits_for(ballot: &Ballot, now: Timestamp) -> Option<String> {
    let trigger = &ballot.trigger;
    match &ballot.outcome {
        Outcome::Voted { .. } => None,
        Outcome::Waiting { reason } => Some(format!("{trigger} waits: {reason}")),
        Outcome::Failed { message, .. } => Some(format!("{trigger} has to work again: {message}")),
        Outcome::Skipped { until } => Some(format!(
            "{trigger} failed again and again, and is asked next in {}",
            until.since(now)
        )),
        Outcome::Stale { input, .. } => Some(format!("{trigger} waits for fresh figures of {input}")),
    }
}

fn rooms(number: u32) -> String {
    match number {
        1 => "1 room".to_owned(),
        number => format!("{number} rooms"),
    }
}

/// A scheduler that is being deleted wants no room, whatever its policies say.
fn nothing_wanted() -> Ruling {
    Ruling {
        wanted: 0,
        winner: None,
        clamps: Vec::new(),
        scaled: false,
    }
}
