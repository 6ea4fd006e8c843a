//! What is told of each scheduler that has a loop in this process: a row, written by the loop after each step and read
//! when somebody scrapes. It goes with its loop, and is short while another process holds the lease.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use maestro_core::decision::{Counts, Rule};
use maestro_core::names::SchedulerName;
use maestro_core::votes::Outcome;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::label::{Label, label, owned};
use super::{Metrics, Number};
use crate::control::{Desired, Stand, StepReport};

/// What decisions come to, as they are counted.
const OUTCOMES: [&str; 3] = ["up", "down", "hold"];

/// The names of the guard's rules.
const RULES: [&str; 10] = [
    "paused",
    "no-trust",
    "recovering",
    "step-limit",
    "cooldown",
    "busy",
    "min",
    "max",
    "cap",
    "deleted",
];

/// How steps end, as they are counted.
const STEPS: [&str; 2] = ["ok", "error"];

/// Why a trigger's policy was not asked.
const UNASKED: [&str; 3] = ["breaker-open", "input-stale", "unresolved"];

/// All rows, by name.
#[derive(Debug, Default)]
pub(super) struct Loops {
    rows: Mutex<BTreeMap<String, Row>>,
    pub(super) number: Number,
}

/// What is known of one scheduler.
#[derive(Clone, Debug, Default)]
struct Row {
    is_held: bool,
    /// How many loops of this name there are: one that ends may overlap with its successor for a moment.
    loops: u32,
    /// Since when the present step is under way.
    busy_since: Option<Instant>,
    stand: Option<Stand>,
    bounds: (u32, Option<u32>),
    is_paused: bool,
    is_creation_held: bool,
    stepped_at: f64,
    steps: [u64; STEPS.len()],
    decisions: [u64; OUTCOMES.len()],
    clamps: [u64; RULES.len()],
    ended: u64,
    /// By trigger, why its policy was not asked at the last decision.
    triggers: BTreeMap<String, Option<usize>>,
    watch: Option<(bool, f64)>,
}

/// What a loop brings; what is told of its scheduler goes with the value.
pub struct Loop {
    metrics: Arc<Metrics>,
    scheduler: String,
}

/// A step that is under way.
#[derive(Debug)]
pub struct Turn(Instant);

impl Loop {
    pub(super) fn new(metrics: Arc<Metrics>, scheduler: &SchedulerName) -> Self {
        let scheduler = scheduler.to_string();
        metrics.loops.rows().entry(scheduler.clone()).or_default().loops += 1;
        metrics.loops.number.inc();
        Self { metrics, scheduler }
    }

    /// Takes down that a step begins.
    pub fn begin(&self) -> Turn {
        let now = Instant::now();
        self.with(|row| row.busy_since = Some(now));
        Turn(now)
    }

    /// Takes down what came of a step.
    pub fn end(&self, turn: Turn, report: &StepReport, desired: &Desired) {
        let took = turn.0.elapsed();
        self.metrics.step_times.observe(took.as_secs_f64());
        if let Some(heard) = report.heard {
            let before = Duration::from_millis(heard.ms());
            self.metrics.lags.observe((before + took).as_secs_f64());
        }
        self.with(|row| {
            row.busy_since = None;
            row.take(report, desired);
        });
    }

    fn with(&self, change: impl FnOnce(&mut Row)) {
        if let Some(row) = self.metrics.loops.rows().get_mut(&self.scheduler) {
            change(row);
        }
    }
}

impl Debug for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loop of {}", self.scheduler)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let mut rows = self.metrics.loops.rows();
        if let Some(row) = rows.get_mut(&self.scheduler) {
            row.loops -= 1;
            if row.loops == 0 {
                rows.remove(&self.scheduler);
            }
        }
        self.metrics.loops.number.dec();
    }
}

impl Metrics {
    /// Takes down how the watch over a scheduler's rooms goes; of schedulers without a loop here nothing is told.
    pub fn watch(&self, scheduler: &SchedulerName, is_up: bool) {
        if let Some(row) = self.loops.rows().get_mut(scheduler.as_str()) {
            let last = match is_up {
                true => unix(SystemTime::now()),
                false => row.watch.map_or(0.0, |(_, last)| last),
            };
            row.watch = Some((is_up, last));
        }
    }
}

impl Row {
    fn take(&mut self, report: &StepReport, desired: &Desired) {
        self.is_held = report.holding;
        self.stepped_at = unix(SystemTime::now());
        self.steps[usize::from(!report.errors.is_empty())] += 1;
        if !report.holding {
            self.stand = None;
            self.triggers.clear();
            return;
        }
        let autoscaling = &desired.scheduler.autoscaling;
        self.bounds = (autoscaling.min, autoscaling.max);
        self.is_paused = desired.scale_in_paused.is_some();
        self.is_creation_held = report.trouble.is_some();
        self.stand = report.stand.or(self.stand);
        self.ended += report.ends.len() as u64;
        for record in &report.records {
            let decision = &record.decision;
            let outcome = match decision.wanted.cmp(&decision.before) {
                std::cmp::Ordering::Greater => 0,
                std::cmp::Ordering::Less => 1,
                std::cmp::Ordering::Equal => 2,
            };
            self.decisions[outcome] += 1;
            for clamp in &decision.clamps {
                self.clamps[number(&clamp.rule)] += 1;
            }
            let unasked = decision.ballots.iter().map(|ballot| {
                let why = match &ballot.outcome {
                    Outcome::Skipped { .. } => Some(0),
                    Outcome::Stale { .. } => Some(1),
                    Outcome::Failed { .. } if ballot.digest.is_none() => Some(2),
                    Outcome::Voted { .. } | Outcome::Waiting { .. } | Outcome::Failed { .. } => None,
                };
                (ballot.trigger.clone(), why)
            });
            self.triggers = unasked.collect();
        }
    }
}

fn number(rule: &Rule) -> usize {
    match rule {
        Rule::Paused { .. } => 0,
        Rule::NoTrust { .. } => 1,
        Rule::Recovering => 2,
        Rule::StepLimit { .. } => 3,
        Rule::Cooldown { .. } => 4,
        Rule::Busy => 5,
        Rule::Min => 6,
        Rule::Max => 7,
        Rule::Cap => 8,
        Rule::Deleted => 9,
    }
}

impl Loops {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stuck(&self, limit: Duration, now: Instant) -> Vec<String> {
        let is_stuck = |row: &Row| {
            row.busy_since
                .is_some_and(|since| now.saturating_duration_since(since) > limit)
        };
        let rows = self.rows();
        rows.iter()
            .filter(|(_, row)| is_stuck(row))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// What is written of one family: a value for each set of labels that a row has.
type Values<V> = fn(&Row, &mut Tell<'_, V>);

/// Takes further labels, and the value.
type Tell<'t, V> = dyn FnMut(&[Label], V) + 't;

/// Of every loop.
const EVERY: [(&str, &str, Values<f64>); 2] = [
    (
        "lease_held",
        "Whether this process holds the scheduler's lease",
        |row, tell| tell(&[], flag(row.is_held)),
    ),
    (
        "last_step_timestamp_seconds",
        "When the last step of the scheduler's loop ended",
        |row, tell| tell(&[], row.stepped_at),
    ),
];

/// Of loops that hold their lease.
const HELD: [(&str, &str, Values<f64>); 11] = [
    ("rooms", "Rooms by state", |row, tell| {
        for (state, count) in counts(row) {
            tell(&[label("state", state)], f64::from(count));
        }
    }),
    (
        "rooms_wanted",
        "What starting, ready, allocated and occupied rooms are brought to",
        |row, tell| of_stand(row, tell, |stand| f64::from(stand.wanted)),
    ),
    (
        "rooms_min",
        "The least number of rooms by the scheduler's document",
        |row, tell| tell(&[], f64::from(row.bounds.0)),
    ),
    (
        "rooms_max",
        "The greatest number of rooms by the scheduler's document",
        |row, tell| {
            if let Some(max) = row.bounds.1 {
                tell(&[], f64::from(max));
            }
        },
    ),
    (
        "scheduler_recovering",
        "Whether the registry is recovering, so that what rooms do is not known yet",
        |row, tell| of_stand(row, tell, |stand| flag(stand.recovering)),
    ),
    (
        "scheduler_mass_silence",
        "Whether over a fifth of the rooms fell silent at once",
        |row, tell| of_stand(row, tell, |stand| flag(stand.mass_silence)),
    ),
    (
        "scheduler_creation_held",
        "Whether rooms can't be created, so that the next try waits",
        |row, tell| tell(&[], flag(row.is_creation_held)),
    ),
    (
        "scale_in_paused",
        "Whether a person paused scaling down",
        |row, tell| tell(&[], flag(row.is_paused)),
    ),
    (
        "trigger_unasked",
        "Whether a trigger's policy was not asked at the last decision, and why",
        |row, tell| {
            for (trigger, why) in &row.triggers {
                for (reason, word) in UNASKED.into_iter().enumerate() {
                    let labels = [owned("trigger", trigger.clone()), label("reason", word)];
                    tell(&labels, flag(*why == Some(reason)));
                }
            }
        },
    ),
    (
        "watch_up",
        "Whether the cluster's watch over the scheduler's rooms is connected",
        |row, tell| row.watch.iter().for_each(|(is_up, _)| tell(&[], flag(*is_up))),
    ),
    (
        "watch_last_event_timestamp_seconds",
        "When the cluster's watch over the scheduler's rooms last said something",
        |row, tell| row.watch.iter().for_each(|(_, last)| tell(&[], *last)),
    ),
];

/// Counters of loops.
const COUNTED: [(&str, &str, Values<u64>); 4] = [
    ("steps", "Steps of the scheduler's loop", |row, tell| {
        each("result", &STEPS, &row.steps, tell);
    }),
    (
        "decisions",
        "Decisions that were written down, by whether more or fewer rooms are wanted since",
        |row, tell| each("outcome", &OUTCOMES, &row.decisions, tell),
    ),
    (
        "clamps",
        "Rules of the guard that changed what the policies asked for",
        |row, tell| each("rule", &RULES, &row.clamps, tell),
    ),
    ("rooms_ended", "Rooms whose end was noticed", |row, tell| {
        tell(&[], row.ended)
    }),
];

impl Collector for Loops {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // A copy, so that no loop waits for whoever reads.
        let rows = self.rows().clone();
        for (name, help, values) in EVERY {
            family(
                &mut encoder,
                (name, help, MetricType::Gauge),
                &rows,
                values,
                ConstGauge::new,
            )?;
        }
        let held: BTreeMap<String, Row> = rows.iter().filter(|(_, row)| row.is_held).map(cloned).collect();
        for (name, help, values) in HELD {
            family(
                &mut encoder,
                (name, help, MetricType::Gauge),
                &held,
                values,
                ConstGauge::new,
            )?;
        }
        for (name, help, values) in COUNTED {
            family(
                &mut encoder,
                (name, help, MetricType::Counter),
                &held,
                values,
                ConstCounter::new,
            )?;
        }
        Ok(())
    }
}

fn cloned<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}

fn family<V, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, kind): (&str, &str, MetricType),
    rows: &BTreeMap<String, Row>,
    values: Values<V>,
    metric: fn(V) -> M,
) -> fmt::Result {
    let mut written = encoder.encode_descriptor(name, &format!("{help}."), None, kind)?;
    let mut result = Ok(());
    for (scheduler, row) in rows {
        values(row, &mut |more, value| {
            let mut labels = vec![owned("scheduler", scheduler.clone())];
            labels.extend_from_slice(more);
            let encoded = written
                .encode_family(&labels)
                .and_then(|written| metric(value).encode(written));
            if result.is_ok() {
                result = encoded;
            }
        });
    }
    result
}

fn each(name: &'static str, words: &[&'static str], counts: &[u64], tell: &mut Tell<'_, u64>) {
    for (word, count) in words.iter().zip(counts) {
        tell(&[label(name, word)], *count);
    }
}

fn counts(row: &Row) -> impl Iterator<Item = (&'static str, u32)> {
    let stand = row.stand.iter();
    stand.flat_map(|stand| Counts::COLUMNS.into_iter().zip(stand.counts.columns()))
}

fn of_stand(row: &Row, tell: &mut Tell<'_, f64>, value: fn(&Stand) -> f64) {
    if let Some(stand) = &row.stand {
        tell(&[], value(stand));
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// A time as Prometheus has it.
pub(super) fn unix(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// A status as a label; nearly every answer has the first.
pub(super) fn status(status: u16) -> Label {
    match status {
        200 => label("status", "200"),
        other => owned("status", other.to_string()),
    }
}
