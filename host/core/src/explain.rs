//! A decision in plain sentences, for people who run rooms and have never seen this program's insides.
//!
//! Everything told here stands in the decision; nothing is looked up or worked out anew, so that an old decision
//! reads as it did when it was made. Called by the API, the CLI and the live view. Texts of rooms and of what is
//! waited for stand in modules of their own.

mod rooms;
mod waits;

use std::fmt;

use crate::decision::{Actor, Clamp, Counts, Decision, Rule};
use crate::scheduler::Mode;
use crate::votes::{Ballot, Outcome, Vote};

pub use rooms::room;
pub use waits::{Leaving, Outlook, waits};

/// A decision, told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happened, and why, in one sentence.
    pub summary: String,
    /// What there was.
    pub seen: Vec<String>,
    /// What each trigger said, in its own words.
    pub said: Vec<String>,
    /// How that became a number.
    pub ruled: Vec<String>,
    /// What was done about it, a line for each action.
    pub done: Vec<String>,
    /// What the next change waits for.
    pub next: Vec<String>,
}

/// Tells a decision.
pub fn explain(decision: &Decision) -> Explanation {
    let own_words: Vec<String> = decision.ballots.iter().filter_map(waits::own_words).collect();
    let said_already = |wait: &&String| own_words.contains(wait);
    Explanation {
        summary: summary(decision),
        seen: seen(decision),
        said: decision
            .ballots
            .iter()
            .map(|ballot| said(ballot, decision))
            .collect(),
        ruled: ruled(decision),
        done: decision.plan.iter().map(|line| sentence(line)).collect(),
        next: decision
            .waits
            .iter()
            .filter(|wait| !said_already(wait))
            .cloned()
            .collect(),
    }
}

/// A decision in one sentence: what happened, and why.
pub fn summary(decision: &Decision) -> String {
    let Decision { before, wanted, .. } = *decision;
    let what = match (before, wanted) {
        (before, wanted) if before < wanted => format!("Scaled up from {before} to {}", rooms_of(wanted)),
        (before, wanted) if before > wanted => format!("Scaled down from {before} to {}", rooms_of(wanted)),
        (_, wanted) => capital(&still_wanted(wanted)),
    };
    let why = match &decision.actor {
        Actor::Loop => why_by_votes(decision),
        Actor::Manual => why_by_hand(decision, "by hand"),
        Actor::File => why_by_hand(decision, "by a change of the scheduler's file"),
    };
    let besides = match (decision.mass_silence, decision.recovering) {
        (true, _) => "; over a fifth of the rooms fell silent at once",
        (false, true) => "; what the rooms had reported was lost",
        (false, false) => "",
    };
    format!("{what}{why}{besides}.")
}

fn why_by_votes(decision: &Decision) -> String {
    let Some(winner) = winning_ballot(decision) else {
        return match (decision.clamps.last(), decision.ballots.is_empty()) {
            (Some(clamp), _) => format!(": {}", because(clamp)),
            (None, true) => ": the scheduler has no triggers".to_owned(),
            (None, false) if decision.ballots.iter().any(|ballot| ballot.is_in_doubt(decision)) => {
                ": no trigger asked for a change, and not all of them could answer".to_owned()
            }
            (None, false) => ": no trigger asked for a change".to_owned(),
        };
    };
    let asked = match winner.outcome {
        Outcome::Voted {
            vote: Vote::Total(total),
            ..
        } => total,
        Outcome::Voted { .. }
        | Outcome::Waiting { .. }
        | Outcome::Failed { .. }
        | Outcome::Skipped { .. }
        | Outcome::Stale { .. } => decision.wanted,
    };
    let who = trigger(winner);
    match decision.clamps.last() {
        None => format!(", as {who} asked"),
        // An urgent vote that passed where a larger one has to wait.
        Some(_) if asked == decision.wanted => format!(", as {who} asked"),
        Some(clamp) => format!(": {who} asked for {asked}, but {}", because(clamp)),
    }
}

fn why_by_hand(decision: &Decision, how: &str) -> String {
    match (decision.clamps.first(), decision.clamps.last()) {
        (Some(first), Some(last)) => format!(" {how}: {} were asked for, but {}", first.from, because(last)),
        _ => format!(" {how}"),
    }
}

fn winning_ballot(decision: &Decision) -> Option<&Ballot> {
    let winner = decision.winner.as_ref()?;
    decision.ballots.iter().find(|ballot| ballot.trigger == *winner)
}

/// Why a rule said what it said; reads on from "but ".
pub fn because(clamp: &Clamp) -> String {
    let to = clamp.to;
    match &clamp.rule {
        Rule::Paused { since } => waits::paused(*since),
        Rule::NoTrust { triggers } => {
            let word = if triggers.len() == 1 {
                "trigger"
            } else {
                "triggers"
            };
            format!(
                "no room is taken away while {word} {} can't be relied on",
                joined(triggers)
            )
        }
        Rule::Recovering if clamp.from > to => {
            "no room is added on a vote before all running rooms have reported".to_owned()
        }
        Rule::Recovering => "no room is taken away before all running rooms have reported".to_owned(),
        Rule::StepLimit { limit } if clamp.from < to => {
            format!("one step takes away at most {}", rooms_of(*limit))
        }
        Rule::StepLimit { limit } => format!("one step adds at most {}", rooms_of(*limit)),
        Rule::Cooldown { left } if clamp.from > to => {
            format!("after the last change no rooms are added for another {left}")
        }
        Rule::Cooldown { left } => {
            format!("after the last change no rooms are taken away for another {left}")
        }
        Rule::Busy => match to {
            1 => "1 room is in use, and never are fewer wanted".to_owned(),
            _ => format!("{to} rooms are in use, and never are fewer wanted"),
        },
        Rule::Min => format!("the scheduler's minimum is {to}"),
        Rule::Max => format!("the scheduler's maximum is {to}"),
        Rule::Deleted => "the scheduler is being deleted".to_owned(),
        Rule::Cap => format!("this installation allows a scheduler at most {}", rooms_of(to)),
    }
}

fn seen(decision: &Decision) -> Vec<String> {
    let counts = &decision.counts;
    let mut seen = vec![counted(counts)];
    let aside = named(&[
        (counts.draining, "asked to leave"),
        (counts.stopping, "being ended"),
        (counts.silent, "silent and replaced"),
    ]);
    if !aside.is_empty() {
        seen.push(format!("Not counted among them: {}.", joined(&aside)));
    }
    if decision.mass_silence {
        seen.push(
            "Over a fifth of the rooms fell silent at once. That is more likely a fault between them and Maestro \
             than the end of them all, so none is ended for it, and those whose process runs still count."
                .to_owned(),
        );
    }
    if decision.recovering {
        seen.push(
            "What the rooms had reported was lost, and not all running rooms have reported again. Until then \
             each of them counts as if it were in a match."
                .to_owned(),
        );
    }
    seen
}

fn counted(counts: &Counts) -> String {
    let parts = named(&[
        (counts.starting, "starting"),
        (counts.ready, "ready"),
        (counts.allocated, "promised to a match"),
        (counts.occupied, "in a match"),
    ]);
    match (counts.available(), counts.busy()) {
        (0, _) => "There were no rooms.".to_owned(),
        (1, _) => format!("There was 1 room: {}.", joined(&parts)),
        (all, 0) => format!("There were {all} rooms, none of them in use: {}.", joined(&parts)),
        (all, busy) => {
            let percent = (f64::from(busy) * 100.0 / f64::from(all)).round();
            format!(
                "There were {all} rooms, {percent} % of them in use: {}.",
                joined(&parts)
            )
        }
    }
}

/// What one trigger said, and what that was worth.
fn said(ballot: &Ballot, decision: &Decision) -> String {
    let who = capital(&trigger(ballot));
    let told = match &ballot.outcome {
        Outcome::Voted {
            vote: Vote::Total(total),
            urgent,
            reason,
        } => {
            let urgently = if *urgent { " at once" } else { "" };
            let worth = match ballot.abstains(decision.before) {
                true => format!(", which changes nothing at {}", decision.before),
                false => String::new(),
            };
            format!(
                "{who} asked for {}{urgently}{worth}{}",
                rooms_of(*total),
                words(reason)
            )
        }
        Outcome::Voted {
            vote: Vote::Hold,
            reason,
            ..
        } => {
            format!("{who} asked for no change{}", words(reason))
        }
        Outcome::Waiting { reason } => format!("{who} had too little to go on{}", words(reason)),
        Outcome::Failed { class, message } => {
            format!("{who} failed ({class}){}", words(message))
        }
        Outcome::Skipped { until } => format!(
            "{who} was not asked, because it failed again and again; it is asked next in {}.",
            until.since(decision.at)
        ),
        Outcome::Stale {
            input,
            age: Some(age),
        } => {
            format!("{who} was not asked, because its figures of {input} were {age} old.")
        }
        Outcome::Stale { input, age: None } => {
            format!("{who} was not asked, because there were no figures of {input} yet.")
        }
    };
    match (ballot.mode, ballot.counts_at(decision.at)) {
        (Mode::Active, _) | (Mode::Canary(_), true) => told,
        (Mode::Shadow, _) => format!("{told} It is on trial: what it says is written down and not acted on."),
        (Mode::Canary(share), false) => format!(
            "{told} It is on trial and counts in {} % of all periods; this was not one of them.",
            (share * 100.0).round()
        ),
    }
}

impl Ballot {
    /// Whether a vote is on the wrong side of what was wanted for the way it may move it, or no change at all.
    fn abstains(&self, before: u32) -> bool {
        self.total(before).is_none_or(|total| total == before)
    }

    fn is_in_doubt(&self, decision: &Decision) -> bool {
        self.counts_at(decision.at) && self.is_untrusted()
    }
}

/// How the votes became a number.
fn ruled(decision: &Decision) -> Vec<String> {
    let mut ruled = Vec::new();
    let voting = |ballot: &&Ballot| ballot.counts_at(decision.at) && !ballot.abstains(decision.before);
    if decision.ballots.iter().filter(voting).count() > 1 {
        let largest = decision
            .clamps
            .first()
            .map_or(decision.wanted, |clamp| clamp.from);
        ruled.push(format!("The largest vote counts: {}.", rooms_of(largest)));
    }
    for clamp in &decision.clamps {
        let Clamp { rule, from, to } = clamp;
        let but = match rule {
            Rule::Cooldown { .. } if *to != decision.before => ", except for an urgent vote",
            _ => "",
        };
        ruled.push(format!(
            "{}{but}: {to} instead of {from}.",
            capital(&because(clamp))
        ));
    }
    let Decision { before, wanted, .. } = *decision;
    ruled.push(match (before == wanted, decision.scaled) {
        (true, _) => format!("So {}.", still_wanted(wanted)),
        (false, true) => format!("So {} instead of {before}.", are_wanted(wanted)),
        (false, false) => {
            format!(
                "So {} instead of {before}; this starts no cooldown.",
                are_wanted(wanted)
            )
        }
    });
    ruled
}

fn still_wanted(wanted: u32) -> String {
    match wanted {
        0 => "still no room is wanted".to_owned(),
        1 => "1 room stays wanted".to_owned(),
        _ => format!("{wanted} rooms stay wanted"),
    }
}

fn are_wanted(wanted: u32) -> String {
    match wanted {
        0 => "no room is wanted".to_owned(),
        1 => "1 room is wanted".to_owned(),
        _ => format!("{wanted} rooms are wanted"),
    }
}

/// Headings, sentences under them; sections without sentences are left out.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.summary)?;
        let sections = [
            ("What there was", &self.seen),
            ("What the triggers said", &self.said),
            ("What followed", &self.ruled),
            ("What is done", &self.done),
            ("What the next change waits for", &self.next),
        ];
        for (heading, sentences) in sections {
            if sentences.is_empty() {
                continue;
            }
            writeln!(f, "\n{heading}")?;
            for sentence in sentences {
                writeln!(f, "  {sentence}")?;
            }
        }
        Ok(())
    }
}

/// `1 room`, `3 rooms`.
pub fn rooms_of(count: u32) -> String {
    match count {
        1 => "1 room".to_owned(),
        _ => format!("{count} rooms"),
    }
}

/// A trigger as it is named in texts: `trigger up[0] (room)`.
fn trigger(ballot: &Ballot) -> String {
    format!("trigger {} ({})", ballot.trigger, ballot.policy)
}

/// Somebody else's words behind a colon, closed as a sentence.
fn words(text: &str) -> String {
    match text.trim() {
        "" => ".".to_owned(),
        text if text.ends_with(['.', '!', '?']) => format!(": {text}"),
        text => format!(": {text}."),
    }
}

fn sentence(text: &str) -> String {
    capital(&format!("{}.", text.trim_end_matches('.')))
}

/// The text with a capital first letter.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

fn named(parts: &[(u32, &str)]) -> Vec<String> {
    let present = parts.iter().filter(|(count, _)| *count > 0);
    present.map(|(count, name)| format!("{count} {name}")).collect()
}

/// `a`, `a and b`, `a, b and c`.
fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
