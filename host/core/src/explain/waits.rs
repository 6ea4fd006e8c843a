//! What the next change of a scheduler waits for, a sentence each; the nearest first.

use std::collections::BTreeMap;

use super::{capital, rooms_of, trigger, words};
use crate::decision::Counts;
use crate::guard::{Input, Ruling, cooldown_left};
use crate::room::{Room, Stage};
use crate::time::{Span, Timestamp};
use crate::votes::{Ballot, Outcome, Vote};

/// What is known beside votes and rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Whether over a fifth of the rooms fell silent at once.
    pub mass_silence: bool,
    /// Why creation is held back until then; or was until then, without a room that lasted since.
    pub creation_held: Option<(Timestamp, String)>,
    /// Nodes with rooms that are being left.
    pub leaving: Vec<Leaving>,
}

/// A node that is being left, with the rooms of one scheduler that are still there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaving {
    /// Its name.
    pub node: String,
    /// Why, as in "is cordoned".
    pub why: String,
    /// Rooms that are in a match, promised to one, or may be.
    pub busy: u32,
    /// All others.
    pub idle: u32,
}

impl Leaving {
    /// The nodes that are being left, by name, with the rooms that are there and not being ended.
    pub fn of<'r>(rooms: impl IntoIterator<Item = &'r Room>) -> Vec<Self> {
        let mut nodes: BTreeMap<&str, Self> = BTreeMap::new();
        for room in rooms {
            let (Some(node), Some(why)) = (&room.node, &room.leaving) else {
                continue;
            };
            match room.stage() {
                Stage::Reserved | Stage::Starting | Stage::Running | Stage::Draining => {}
                Stage::Stopping | Stage::Gone => continue,
            }
            let leaving = nodes.entry(node).or_insert_with(|| Self {
                node: node.clone(),
                why: why.clone(),
                ..Self::default()
            });
            match room.is_protected() {
                true => leaving.busy += 1,
                false => leaving.idle += 1,
            }
        }
        nodes.into_values().collect()
    }

    /// What has to happen before nothing of the scheduler is there any more.
    fn told(&self) -> String {
        let Self { node, why, .. } = self;
        let idle = format!("once others are ready elsewhere, {} can go", rooms_of(self.idle));
        let (verb, their) = match self.busy {
            1 => ("has", "its match"),
            _ => ("have", "their matches"),
        };
        let busy = format!("{} {verb} to finish {their}", rooms_of(self.busy));
        match (self.busy, self.idle) {
            (0, _) => format!("Node {node} {why}: {idle}."),
            (_, 0) => format!("Node {node} {why}: {busy}."),
            _ => format!("Node {node} {why}: {busy}; {idle}."),
        }
    }
}

/// What the next change waits for. Never empty.
pub fn waits(input: &Input, ruling: &Ruling, outlook: &Outlook) -> Vec<String> {
    let mut waits = Vec::new();
    if input.recovering {
        waits.push("Every running room has to report again before one is taken away.".to_owned());
    }
    if outlook.mass_silence {
        waits.push("The rooms that fell silent at once have to be heard of again.".to_owned());
    }
    if let Some((until, reason)) = &outlook.creation_held {
        let reason = words(reason);
        waits.push(match until.since(input.now) {
            Span::ZERO => format!("A new room has to come up and last; the one before did not{reason}"),
            left => format!("New rooms are tried again in {left}{reason}"),
        });
    }
    let counting = || input.ballots.iter().filter(|ballot| ballot.counts_at(input.now));
    waits.extend(counting().filter_map(|ballot| repair(ballot, input.now)));
    waits.extend(counting().filter_map(own_words));
    waits.extend(input.paused.map(resumption));
    waits.extend(cooldowns(input, ruling));
    waits.extend(bounds(input, ruling));
    waits.extend(in_motion(&input.counts));
    waits.extend(outlook.leaving.iter().map(Leaving::told));
    if waits.is_empty() {
        waits.push("The figures that its triggers look at have to change.".to_owned());
    }
    waits
}

/// What a trigger that asks for no change says itself.
pub(super) fn own_words(ballot: &Ballot) -> Option<String> {
    match &ballot.outcome {
        Outcome::Voted {
            vote: Vote::Hold,
            reason,
            ..
        }
        | Outcome::Waiting { reason }
            if !reason.is_empty() =>
        {
            Some(format!("{} says{}", capital(&trigger(ballot)), words(reason)))
        }
        Outcome::Voted { .. }
        | Outcome::Waiting { .. }
        | Outcome::Failed { .. }
        | Outcome::Skipped { .. }
        | Outcome::Stale { .. } => None,
    }
}

/// What has to be put right about a trigger before rooms are taken away.
fn repair(ballot: &Ballot, now: Timestamp) -> Option<String> {
    let who = capital(&trigger(ballot));
    match &ballot.outcome {
        Outcome::Voted { .. } | Outcome::Waiting { .. } => None,
        Outcome::Failed { .. } => Some(format!("{who} has to work again before rooms are taken away.")),
        Outcome::Skipped { until } => Some(format!(
            "{who} is asked again in {}; no rooms are taken away before it works.",
            until.since(now)
        )),
        Outcome::Stale { input, .. } => Some(format!(
            "{who} needs new figures of {input} before rooms are taken away."
        )),
    }
}

/// That scaling down is paused; reads on from "but ".
pub(super) fn paused(since: Timestamp) -> String {
    format!("scaling down is paused by hand since {since}")
}

fn resumption(since: Timestamp) -> String {
    let paused = capital(&paused(since));
    format!("{paused}; no room is taken away on a vote before that is taken back.")
}

/// Cooldowns as they stand after the ruling.
fn cooldowns(input: &Input, ruling: &Ruling) -> Option<String> {
    let scaled_at = if ruling.scaled {
        Some(input.now)
    } else {
        input.scaled_at
    };
    let up = cooldown_left(scaled_at, input.up_cooldown, input.now);
    // While scaling down is paused, no cooldown is what it waits for.
    let down = match input.paused {
        Some(_) => Span::ZERO,
        None => cooldown_left(scaled_at, input.down_cooldown, input.now),
    };
    match (up, down) {
        (Span::ZERO, Span::ZERO) => None,
        (up, down) if up == down => Some(format!("The cooldown ends in {up}.")),
        (up, Span::ZERO) => Some(format!(
            "Rooms can be added again in {up}, when the cooldown ends."
        )),
        (Span::ZERO, down) => Some(format!(
            "Rooms can be taken away again in {down}, when the cooldown ends."
        )),
        (up, down) => Some(format!(
            "Rooms can be added again in {up} and taken away again in {down}, when the cooldowns end."
        )),
    }
}

/// Which bounds `wanted` has reached.
fn bounds(input: &Input, ruling: &Ruling) -> Vec<String> {
    let mut bounds = Vec::new();
    let (wanted, limits) = (ruling.wanted, input.bounds);
    if wanted >= limits.most() {
        let most = rooms_of(limits.most());
        bounds.push(match limits.ceiling() {
            Some(max) if max <= limits.cap => {
                format!("No room can be added: the scheduler's maximum of {most} is reached.")
            }
            Some(_) | None => {
                format!(
                    "No room can be added: {most} are the most that this installation allows a scheduler."
                )
            }
        });
    }
    let busy = input.counts.busy();
    if wanted <= limits.min {
        let least = rooms_of(limits.min);
        bounds.push(format!(
            "No room can be taken away: the scheduler's minimum of {least} is reached."
        ));
    } else if wanted <= busy {
        bounds.push("No room can be taken away before a match ends: all are in use.".to_owned());
    }
    bounds
}

/// What has been begun and is not finished.
fn in_motion(counts: &Counts) -> Vec<String> {
    let mut motion = Vec::new();
    if counts.starting > 0 {
        let have = if counts.starting == 1 { "has" } else { "have" };
        motion.push(format!("{} {have} to report ready.", rooms_of(counts.starting)));
    }
    if counts.draining > 0 {
        let (have, its) = if counts.draining == 1 {
            ("has", "its match")
        } else {
            ("have", "their matches")
        };
        let draining = rooms_of(counts.draining);
        motion.push(format!(
            "{draining} {have} to answer that nobody plays there, or to finish {its}."
        ));
    }
    motion
}
