//! A decision as the HTTP API shows it: its figures for programs, and its sentences for people.

use maestro_core::decision::{Actor, Counts, Decision, Rule};
use maestro_core::explain::explain;
use maestro_core::scheduler::{Direction, Mode};
use maestro_core::time::Timestamp;
use maestro_core::votes::{Ballot, Outcome, Vote};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A decision with what it says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionView {
    /// When; of equal holds in a row, the last one. RFC 3339.
    pub at: String,
    /// The first one of equal holds in a row. RFC 3339.
    #[serde(default)]
    pub since: String,
    /// How many equal holds in a row this stands for.
    #[serde(default)]
    pub count: u64,
    /// `loop`, `manual` or `file`.
    pub actor: String,
    /// In which cluster.
    pub cluster: String,
    /// Of which version of the scheduler.
    pub version: String,
    /// What happened and why, in one sentence.
    pub summary: String,
    /// All of it, a sentence each: what there was, what each trigger said, how that became a number, what was done,
    /// what the next change waits for.
    pub sentences: Vec<String>,
    /// Rooms by state.
    pub counts: CountsView,
    /// What each trigger said.
    pub votes: Vec<VoteView>,
    /// Id of the trigger whose vote won.
    #[serde(default)]
    pub winner: Option<String>,
    /// Every clamp, in order.
    pub clamps: Vec<ClampView>,
    /// What was wanted before.
    pub before: u32,
    /// What is wanted now.
    pub wanted: u32,
    /// Whether the cooldowns started anew.
    pub scaled: bool,
    /// Whether over a fifth of the rooms fell silent at once.
    pub mass_silence: bool,
    /// Whether the registry is recovering.
    pub recovering: bool,
    /// What was done, a line for each action.
    pub plan: Vec<String>,
    /// What the next change waits for.
    pub waits: Vec<String>,
}

/// Rooms by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountsView {
    /// Reserved or starting.
    pub starting: u32,
    /// Idle and well.
    pub ready: u32,
    /// Promised to a match.
    pub allocated: u32,
    /// In a match, or possibly in one.
    pub occupied: u32,
    /// Asked to go.
    pub draining: u32,
    /// Being ended.
    pub stopping: u32,
    /// Silent.
    pub silent: u32,
}

/// What one trigger said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VoteView {
    /// The trigger's id.
    pub trigger: String,
    /// `up`, `down` or `both`.
    pub direction: String,
    /// `active`, `shadow` or `canary`.
    pub mode: String,
    /// The policy asked.
    pub policy: String,
    /// sha256 of its component.
    #[serde(default)]
    pub digest: Option<String>,
    /// Fuel used.
    pub fuel: u64,
    /// `voted`, `waiting`, `failed`, `skipped` or `stale`.
    pub outcome: String,
    /// The number of rooms it wants; absent for a hold and for anything but a vote.
    #[serde(default)]
    pub total: Option<u32>,
    /// Whether a vote up skips the cooldown.
    #[serde(default)]
    pub urgent: bool,
    /// Its own words, or what happened.
    pub reason: String,
}

/// One clamp.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClampView {
    /// `no-trust`, `recovering`, `step-limit`, `cooldown`, `busy`, `min`, `max` or `cap`.
    pub rule: String,
    /// The number before it.
    pub from: u32,
    /// The number after it.
    pub to: u32,
}

impl DecisionView {
    /// A decision that stands for `count` equal ones since `since`.
    pub fn new(decision: &Decision, since: Timestamp, count: u64) -> Self {
        let told = explain(decision);
        let sentences = [told.seen, told.said, told.ruled, told.done, told.next].concat();
        Self {
            at: rfc3339(decision.at),
            since: rfc3339(since),
            count,
            actor: actor(&decision.actor).to_owned(),
            cluster: decision.cluster.clone(),
            version: decision.version.to_string(),
            summary: told.summary,
            sentences,
            counts: counts(&decision.counts),
            votes: decision.ballots.iter().map(vote).collect(),
            winner: decision.winner.clone(),
            clamps: decision
                .clamps
                .iter()
                .map(|clamp| ClampView {
                    rule: rule(&clamp.rule).to_owned(),
                    from: clamp.from,
                    to: clamp.to,
                })
                .collect(),
            before: decision.before,
            wanted: decision.wanted,
            scaled: decision.scaled,
            mass_silence: decision.mass_silence,
            recovering: decision.recovering,
            plan: decision.plan.clone(),
            waits: decision.waits.clone(),
        }
    }
}

/// A time as RFC 3339 in UTC with milliseconds; times before 1970 read as 1970.
pub fn rfc3339(at: Timestamp) -> String {
    let since_epoch = std::time::Duration::from_millis(u64::try_from(at.ms()).unwrap_or(0));
    match std::time::UNIX_EPOCH.checked_add(since_epoch) {
        // The formatter ends with the year 9999.
        Some(time) if at.ms() < 253_402_300_800_000 => humantime::format_rfc3339_millis(time).to_string(),
        Some(_) | None => "9999-12-31T23:59:59.999Z".to_owned(),
    }
}

/// Reads a time as clients give it: RFC 3339 in UTC, or seconds or milliseconds since 1970.
pub fn time(text: &str) -> Option<Timestamp> {
    /// Above it are milliseconds: as seconds it is after the year 5000.
    const SECONDS_LIMIT: i64 = 100_000_000_000;
    if let Ok(number) = text.parse::<i64>() {
        let ms = if number < SECONDS_LIMIT {
            number.checked_mul(1_000)?
        } else {
            number
        };
        return (number >= 0).then(|| Timestamp::from_ms(ms));
    }
    let since_epoch = humantime::parse_rfc3339(text)
        .ok()?
        .duration_since(std::time::UNIX_EPOCH);
    let ms = i64::try_from(since_epoch.ok()?.as_millis()).ok()?;
    Some(Timestamp::from_ms(ms))
}

/// Rooms by state, as they are shown.
pub fn counts(counts: &Counts) -> CountsView {
    let Counts {
        starting,
        ready,
        allocated,
        occupied,
        draining,
        stopping,
        silent,
    } = *counts;
    CountsView {
        starting,
        ready,
        allocated,
        occupied,
        draining,
        stopping,
        silent,
    }
}

/// The word for who made a decision.
pub fn actor(actor: &Actor) -> &'static str {
    match actor {
        Actor::Loop => "loop",
        Actor::Manual => "manual",
        Actor::File => "file",
    }
}

fn rule(rule: &Rule) -> &'static str {
    match rule {
        Rule::Paused { .. } => "paused",
        Rule::NoTrust { .. } => "no-trust",
        Rule::Recovering => "recovering",
        Rule::StepLimit { .. } => "step-limit",
        Rule::Cooldown { .. } => "cooldown",
        Rule::Busy => "busy",
        Rule::Min => "min",
        Rule::Max => "max",
        Rule::Cap => "cap",
        Rule::Deleted => "deleted",
    }
}

fn vote(ballot: &Ballot) -> VoteView {
    let (outcome, total, urgent, reason) = match &ballot.outcome {
        Outcome::Voted { vote, urgent, reason } => {
            let total = match vote {
                Vote::Hold => None,
                Vote::Total(total) => Some(*total),
            };
            ("voted", total, *urgent, reason.clone())
        }
        Outcome::Waiting { reason } => ("waiting", None, false, reason.clone()),
        Outcome::Failed { class, message } => ("failed", None, false, format!("{class}: {message}")),
        Outcome::Skipped { until } => (
            "skipped",
            None,
            false,
            format!("not asked before {}", rfc3339(*until)),
        ),
        Outcome::Stale {
            input,
            age: Some(age),
        } => ("stale", None, false, format!("{input} is {age} old")),
        Outcome::Stale { input, age: None } => ("stale", None, false, format!("there is no {input}")),
    };
    VoteView {
        trigger: ballot.trigger.clone(),
        direction: match ballot.direction {
            Direction::Up => "up",
            Direction::Down => "down",
            Direction::Both => "both",
        }
        .to_owned(),
        mode: match ballot.mode {
            Mode::Active => "active",
            Mode::Shadow => "shadow",
            Mode::Canary(_) => "canary",
        }
        .to_owned(),
        policy: ballot.policy.to_string(),
        digest: ballot.digest.map(|digest| digest.to_string()),
        fuel: ballot.fuel,
        outcome: outcome.to_owned(),
        total,
        urgent,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written_and_as_numbers() {
        for (text, ms) in [
            ("2023-11-14T22:13:20.123Z", Some(1_700_000_000_123)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000_000)),
            ("1700000000", Some(1_700_000_000_000)),
            ("1700000000123", Some(1_700_000_000_123)),
            ("0", Some(0)),
            ("-1", None),
            ("", None),
            ("yesterday", None),
            ("2023-11-14", None),
            ("2023-11-14T22:13:20+02:00", None),
        ] {
            assert_eq!(time(text).map(Timestamp::ms), ms, "{text}");
        }
    }

    #[test]
    fn times_are_written_for_every_number() {
        assert_eq!(rfc3339(Timestamp::from_ms(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            rfc3339(Timestamp::from_ms(1_700_000_000_123)),
            "2023-11-14T22:13:20.123Z"
        );
        for ms in [i64::MIN, -1, i64::MAX, 253_402_300_800_000] {
            assert!(rfc3339(Timestamp::from_ms(ms)).ends_with('Z'));
        }
    }
}
