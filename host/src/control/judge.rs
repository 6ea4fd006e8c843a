//! Asks a scheduler's policies, one after the other, and takes down what came of each as a ballot.
//!
//! A policy whose breaker is open, or that would read something stale, is not asked; that is an outcome like any
//! other, and the guard scales nothing down on it. What a policy was shown is kept as evidence.

use std::collections::BTreeMap;

use maestro_core::decision::Counts;
use maestro_core::names::{Digest, PolicyName};
use maestro_core::scheduler::Trigger;
use maestro_core::time::{Span, Timestamp};
use maestro_core::votes::{Ballot, Outcome};
use maestro_core::window::{LEAST_GAP, Sampling};
use maestro_engine::{
    self as engine, Breaker, Evaluation, Evaluator, Failure, FailureClass, Observation, Policy,
};

use super::Desired;
use crate::registry::State;

/// Policies look at shares of their windows: looking ten times in each moves a share by a tenth at most.
const LOOKS_PER_WINDOW: u64 = 10;

/// No policy needs a look more often than this while nothing changes.
const LEAST_LOOK: Span = Span::from_secs(1);

/// What a policy was shown and left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The trigger's id.
    pub trigger: String,
    /// What it was shown.
    pub observation: Observation,
    /// The state that it left for the next time; `None` when it failed.
    pub state: Option<Vec<u8>>,
}

/// Who asks, and how it went before.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// One for each trigger, with the policy that it is about.
    breakers: BTreeMap<String, (Digest, Breaker)>,
    asked: Option<Asked>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Timestamp,
    /// What they were shown; `None` once something waits for the next time.
    counts: Option<Counts>,
}

/// What is known when policies are asked.
pub(super) struct Case<'a> {
    pub(super) desired: &'a Desired,
    pub(super) state: &'a State,
    pub(super) counts: Counts,
    pub(super) sampling: Sampling,
    /// The registry's time.
    pub(super) now: Timestamp,
}

impl Judge {
    /// When policies are asked again while `counts` stand: at once after a change, but at most four times a second;
    /// else on the next beat of `every`, as leases are renewed and windows sampled, at most a tenth of it later than that.
    pub(super) fn next_at(&self, counts: Counts, every: Span) -> Timestamp {
        match self.asked {
            None => Timestamp::default(),
            Some(asked) if asked.counts != Some(counts) => asked.at + LEAST_GAP,
            Some(asked) => (asked.at + early(every)).beat_after(every),
        }
    }

    /// Whether policies are to be asked now. While nothing changes, a step that is taken anyway asks them up to a tenth of
    /// the time early, so that none has to be taken for it alone.
    pub(super) fn is_due(&self, counts: Counts, every: Span, now: Timestamp) -> bool {
        let early = match self.asked {
            Some(asked) if asked.counts == Some(counts) => early(every),
            Some(_) | None => Span::ZERO,
        };
        now + early >= self.next_at(counts, every)
    }

    /// The earliest time at which they may be asked again, whatever happens.
    pub(super) fn earliest(&self) -> Timestamp {
        self.asked
            .map_or(Timestamp::default(), |asked| asked.at + LEAST_GAP)
    }

    /// Takes down that they are asked now.
    pub(super) fn begin(&mut self, counts: Counts, now: Timestamp) {
        self.asked = Some(Asked {
            at: now,
            counts: Some(counts),
        });
    }

    /// Makes them be asked as soon as they may: something waits for it.
    pub(super) fn postpone(&mut self) {
        if let Some(asked) = &mut self.asked {
            asked.counts = None;
        }
    }

    /// Makes the next step ask.
    pub(super) fn hurry(&mut self) {
        self.asked = None;
    }

    /// Asks every trigger of the scheduler, in the order of the document.
    pub(super) async fn ask(
        &mut self,
        evaluator: &Evaluator,
        case: &Case<'_>,
    ) -> (Vec<Ballot>, Vec<Evidence>) {
        let triggers = &case.desired.scheduler.autoscaling.triggers;
        self.breakers
            .retain(|id, _| triggers.iter().any(|trigger| trigger.id == *id));
        let (mut ballots, mut evidence) = (Vec::new(), Vec::new());
        for trigger in triggers {
            let ballot = match case.desired.policies.get(&trigger.id) {
                Some(Ok(policy)) => {
                    let (ballot, shown) = self.ask_one(evaluator, case, (trigger, policy)).await;
                    evidence.extend(shown);
                    ballot
                }
                Some(Err(reason)) => unresolved(trigger, reason),
                None => unresolved(trigger, "it has not been looked up yet"),
            };
            ballots.push(ballot);
        }
        (ballots, evidence)
    }

    async fn ask_one(
        &mut self,
        evaluator: &Evaluator,
        case: &Case<'_>,
        (trigger, policy): (&Trigger, &Policy),
    ) -> (Ballot, Option<Evidence>) {
        let digest = policy.digest();
        let ballot = |outcome, fuel| Ballot {
            trigger: trigger.id.clone(),
            direction: trigger.direction,
            mode: trigger.mode,
            policy: name_of(trigger, policy),
            digest: Some(digest),
            fuel,
            outcome,
        };
        let breaker = self
            .breakers
            .entry(trigger.id.clone())
            .or_insert((digest, Breaker::default()));
        if breaker.0 != digest {
            *breaker = (digest, Breaker::default());
        }
        if let Some(until) = breaker.1.skips(case.now) {
            return (ballot(Outcome::Skipped { until }, 0), None);
        }
        if let Some((input, age)) = stale(policy, case) {
            return (ballot(Outcome::Stale { input, age }, 0), None);
        }
        let observation = observe(case, trigger, policy);
        let result = evaluator.evaluate(policy, observation.clone()).await;
        breaker.1.record(&result, case.now, case.sampling.period);
        let evidence = Evidence {
            trigger: trigger.id.clone(),
            observation,
            state: result
                .as_ref()
                .ok()
                .map(|evaluation| evaluation.verdict.state.clone()),
        };
        let (outcome, fuel) = outcome(result);
        (ballot(outcome, fuel), Some(evidence))
    }
}

/// How often the policies of a scheduler are asked while nothing changes.
pub(super) fn look_every(desired: &Desired, sampling: Sampling) -> Span {
    let windows = desired
        .scheduler
        .autoscaling
        .triggers
        .iter()
        .map(|t| t.window.ms());
    match windows.min() {
        None => sampling.period,
        Some(shortest) => Span::from_ms(shortest / LOOKS_PER_WINDOW)
            .max(LEAST_LOOK)
            .min(sampling.period),
    }
}

/// How much earlier what comes again after this time may come.
pub(super) fn early(every: Span) -> Span {
    Span::from_ms(every.ms() / 10)
}

/// The inputs, beside rooms, that the policies of a scheduler read.
pub(super) fn inputs(desired: &Desired) -> impl Iterator<Item = &str> {
    let policies = desired
        .policies
        .values()
        .filter_map(|policy| policy.as_ref().ok());
    policies.flat_map(|policy| policy.manifest().inputs.iter().map(String::as_str))
}

fn outcome(result: Result<Evaluation, Failure>) -> (Outcome, u64) {
    match result {
        Ok(Evaluation { verdict, fuel }) => {
            let outcome = Outcome::Voted {
                vote: verdict.vote,
                urgent: verdict.urgent,
                reason: verdict.reason,
            };
            (outcome, fuel)
        }
        Err(failure) if failure.class == FailureClass::InsufficientData => {
            let outcome = Outcome::Waiting {
                reason: failure.message,
            };
            (outcome, failure.fuel)
        }
        Err(failure) => {
            let outcome = Outcome::Failed {
                class: failure.class.to_string(),
                message: failure.message,
            };
            (outcome, failure.fuel)
        }
    }
}

fn unresolved(trigger: &Trigger, reason: &str) -> Ballot {
    Ballot {
        trigger: trigger.id.clone(),
        direction: trigger.direction,
        mode: trigger.mode,
        policy: trigger.policy.name.clone(),
        digest: None,
        fuel: 0,
        outcome: Outcome::Failed {
            class: "unresolved".to_owned(),
            message: reason.to_owned(),
        },
    }
}

fn name_of(trigger: &Trigger, policy: &Policy) -> PolicyName {
    PolicyName::parse(&policy.manifest().name).unwrap_or_else(|_| trigger.policy.name.clone())
}

/// The first input of a policy that is older than three periods, or was never there.
fn stale(policy: &Policy, case: &Case) -> Option<(String, Option<Span>)> {
    let window = &case.state.window;
    for input in &policy.manifest().inputs {
        let age = match input.as_str() {
            "rooms" => window.age_of_rooms(case.now),
            series => window.age(series, case.now),
        };
        if age.is_none_or(|age| age > case.sampling.stale()) {
            return Some((input.clone(), age));
        }
    }
    None
}

fn observe(case: &Case, trigger: &Trigger, policy: &Policy) -> Observation {
    let autoscaling = &case.desired.scheduler.autoscaling;
    let cut = case.state.window.cut(trigger.window, case.now);
    let mut rooms = engine::Rooms::default();
    for sample in &cut.samples {
        rooms.push(ms(sample.at), shown(sample.counts));
    }
    let is_read = |name: &String| policy.manifest().inputs.contains(name);
    let series = cut.series.into_iter().filter(|(name, _)| is_read(name));
    Observation {
        now_ms: ms(case.now),
        window_ms: trigger.window.ms(),
        period_ms: case.sampling.period.ms(),
        direction: trigger.direction,
        wanted: case.state.wanted,
        current: shown(case.counts),
        min: autoscaling.min,
        max: autoscaling.max,
        last_scaled_ms: case.state.scaled_at.map(ms),
        rooms,
        metrics: series
            .map(|(name, points)| engine::Series {
                name,
                at_ms: points.iter().map(|(at, _)| ms(*at)).collect(),
                values: points.iter().map(|(_, value)| *value).collect(),
            })
            .collect(),
        parameters: trigger.parameters.clone(),
        labels: vec![
            ("scheduler".to_owned(), case.desired.scheduler.name.to_string()),
            ("game".to_owned(), case.desired.scheduler.game.clone()),
        ],
        state: case.state.policies.get(&trigger.id).cloned().unwrap_or_default(),
    }
}

/// Silent rooms are in none of the contract's columns: they are being replaced, and are not ending.
fn shown(counts: Counts) -> engine::Counts {
    engine::Counts {
        creating: counts.starting,
        ready: counts.ready,
        allocated: counts.allocated,
        occupied: counts.occupied,
        terminating: counts.draining + counts.stopping,
    }
}

/// Times before 1970 are shown as 1970.
fn ms(at: Timestamp) -> u64 {
    u64::try_from(at.ms()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_nothing_changes_policies_are_asked_on_the_beat() {
        let (every, counts) = (Span::from_secs(10), Counts::default());
        let at = |ms| Timestamp::from_ms(ms);
        for (asked, next) in [
            (30_000, 40_000),
            (30_003, 40_000),
            (38_999, 40_000),
            // So soon before a beat that this was it.
            (39_200, 50_000),
        ] {
            let mut judge = Judge::default();
            judge.begin(counts, at(asked));
            assert_eq!(judge.next_at(counts, every), at(next), "asked at {asked}");
            assert!(
                judge.is_due(counts, every, at(next - 1_000)),
                "a step that is taken anyway"
            );
            assert!(!judge.is_due(counts, every, at(next - 1_001)));
            let more = Counts { ready: 1, ..counts };
            assert_eq!(judge.next_at(more, every), at(asked) + LEAST_GAP);
        }
    }
}
