//! What a policy is shown and what it answers, as plain types. They mirror `policy-sdk/wit/policy.wit`.

use maestro_core::scheduler::Direction;
use maestro_core::votes::Vote;

/// Everything that a policy is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The present.
    pub now_ms: u64,
    /// How much of the past the trigger asks for.
    pub window_ms: u64,
    /// Time between samples.
    pub period_ms: u64,
    /// Which way the trigger may move the wanted number.
    pub direction: Direction,
    /// The wanted number as it is.
    pub wanted: u32,
    /// Rooms now.
    pub current: Counts,
    /// The scheduler's minimum.
    pub min: u32,
    /// Its maximum; `None` when there is none.
    pub max: Option<u32>,
    /// When the wanted number last moved.
    pub last_scaled_ms: Option<u64>,
    /// Rooms in the past.
    pub rooms: Rooms,
    /// Other metrics.
    pub metrics: Vec<Series>,
    /// JSON text of an object.
    pub parameters: String,
    /// Labels of the scheduler.
    pub labels: Vec<(String, String)>,
    /// What the policy returned last time.
    pub state: Vec<u8>,
}

/// Rooms by derived state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reserved or starting.
    pub creating: u32,
    /// Idle and well.
    pub ready: u32,
    /// Promised to a match.
    pub allocated: u32,
    /// In a match.
    pub occupied: u32,
    /// Draining or being ended.
    pub terminating: u32,
}

/// Rooms in the past by columns of equal length, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rooms {
    /// When.
    pub at_ms: Vec<u64>,
    /// Reserved or starting.
    pub creating: Vec<u32>,
    /// Idle and well.
    pub ready: Vec<u32>,
    /// Promised to a match.
    pub allocated: Vec<u32>,
    /// In a match.
    pub occupied: Vec<u32>,
    /// Draining or being ended.
    pub terminating: Vec<u32>,
}

impl Rooms {
    /// Appends a sample.
    pub fn push(&mut self, at_ms: u64, counts: Counts) {
        self.at_ms.push(at_ms);
        self.creating.push(counts.creating);
        self.ready.push(counts.ready);
        self.allocated.push(counts.allocated);
        self.occupied.push(counts.occupied);
        self.terminating.push(counts.terminating);
    }
}

/// A metric with times of its own, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name, such as `cpu.used`.
    pub name: String,
    /// When.
    pub at_ms: Vec<u64>,
    /// How much, as many as there are times.
    pub values: Vec<f64>,
}

/// A policy's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it wants.
    pub vote: Vote,
    /// Whether a vote up skips the cooldown.
    pub urgent: bool,
    /// Why, in its own words; escaped and at most 1 KiB.
    pub reason: String,
    /// What it wants to be shown next time; at most 4 KiB.
    pub state: Vec<u8>,
}

/// A run that brought a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The verdict.
    pub verdict: Verdict,
    /// Fuel used for it.
    pub fuel: u64,
}
