//! Time-stamped samples of a scheduler's rooms, and series of other metrics.
//!
//! A sample holds until the next one, at most two periods, then there is a gap; the newest weighs nothing yet.
//! One owner writes: the control loop. Others cut. Nothing in here ever holds a number that is not finite.

use std::collections::{BTreeMap, VecDeque};

use crate::decision::Counts;
use crate::time::{Span, Timestamp};

/// The rooms at one point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// What there was.
    pub counts: Counts,
}

/// What is remembered of a scheduler's past; one owner writes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// Room counts, oldest first.
    pub samples: VecDeque<Sample>,
    /// Other metrics by name, each with times of its own, oldest first. A missing value is absent.
    pub series: BTreeMap<String, VecDeque<(Timestamp, f64)>>,
}

/// A cut of a window, by columns, as a policy is shown it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cut {
    /// Room samples, oldest first; the first one may lie before the cut's edge, because it holds into it.
    pub samples: Vec<Sample>,
    /// Series by name.
    pub series: BTreeMap<String, Vec<(Timestamp, f64)>>,
}

/// How often is sampled, and how far back is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Time between samples when nothing changes.
    pub period: Span,
    /// The longest look back of any trigger.
    pub longest: Span,
}

/// Most points of a window, and of each of its series: 1,000 on the grid, and four a second for a minute.
pub const MAX_POINTS: usize = 1_240;

/// Most series of a window, so that a metric with a changing name can't fill the memory.
pub const MAX_SERIES: usize = 64;

/// Points that are not on the grid are dropped at this age.
pub const OFF_GRID: Span = Span::from_secs(60);

/// The least time between two points: at most four a second.
pub const LEAST_GAP: Span = Span::from_ms(250);

/// The least time between two points of the grid.
pub const LEAST_PERIOD: Span = Span::from_secs(10);

/// A point holds for at most so many periods; then there is a gap.
pub const HOLD_PERIODS: u64 = 2;

/// An input older than so many periods is stale.
pub const STALE_PERIODS: u64 = 3;

/// The time between samples of a scheduler whose longest trigger looks back by `longest`: the greater of 10 s
/// and a thousandth of it.
pub fn period(longest: Span) -> Span {
    Span::from_ms(longest.ms().div_ceil(1_000)).max(LEAST_PERIOD)
}

impl Sampling {
    /// For a longest look back.
    pub fn of(longest: Span) -> Self {
        Self {
            period: period(longest),
            longest,
        }
    }

    /// How long a point holds at most.
    pub fn hold(&self) -> Span {
        self.period.times(HOLD_PERIODS)
    }

    /// The age from which on an input is stale.
    pub fn stale(&self) -> Span {
        self.period.times(STALE_PERIODS)
    }

    /// Which slot of the grid this time falls into; the first point of a slot stays for long.
    fn slot(&self, at: Timestamp) -> i64 {
        at.ms()
            .div_euclid(i64::try_from(self.period.ms().max(1)).unwrap_or(i64::MAX))
    }
}

impl Window {
    /// Takes a sample when one is due, by the grid or by a change, and drops what is too old. Says whether it was
    /// taken.
    pub fn push(&mut self, sample: Sample, sampling: Sampling) -> bool {
        let due = match self.samples.back() {
            None => true,
            Some(last) => {
                let changed = last.counts != sample.counts;
                is_spaced(last.at, sample.at)
                    && (changed || sampling.slot(last.at) != sampling.slot(sample.at))
            }
        };
        if due {
            self.samples.push_back(sample);
        }
        thin(&mut self.samples, |sample| sample.at, sampling, sample.at);
        due
    }

    /// Takes a value of another metric. Refused, with `false`: what is not a finite number, what is not newer than
    /// the last one by a quarter of a second, and a new series when there are too many.
    pub fn push_value(&mut self, name: &str, at: Timestamp, value: f64, sampling: Sampling) -> bool {
        if !value.is_finite() {
            return false;
        }
        if !self.series.contains_key(name) && self.series.len() >= MAX_SERIES {
            return false;
        }
        let points = self.series.entry(name.to_owned()).or_default();
        let due = points.back().is_none_or(|(last, _)| is_spaced(*last, at));
        if due {
            points.push_back((at, value));
            thin(points, |(at, _)| *at, sampling, at);
        }
        due
    }

    /// Drops series that ended before the longest look back, and everything else that is too old.
    pub fn forget_before(&mut self, now: Timestamp, sampling: Sampling) {
        thin(&mut self.samples, |sample| sample.at, sampling, now);
        for points in self.series.values_mut() {
            thin(points, |(at, _)| *at, sampling, now);
        }
        self.series.retain(|_, points| {
            points
                .back()
                .is_some_and(|(at, _)| now.since(*at) <= sampling.longest)
        });
    }

    /// What happened within `span` before `now`, and the point before that edge, because it holds into it.
    pub fn cut(&self, span: Span, now: Timestamp) -> Cut {
        Cut {
            samples: cut(&self.samples, |sample| sample.at, span, now),
            series: self
                .series
                .iter()
                .map(|(name, points)| (name.clone(), cut(points, |(at, _)| *at, span, now)))
                .filter(|(_, points)| !points.is_empty())
                .collect(),
        }
    }

    /// The age of a series' newest point; `None` when there is none.
    pub fn age(&self, name: &str, now: Timestamp) -> Option<Span> {
        let (at, _) = self.series.get(name)?.back()?;
        Some(now.since(*at))
    }

    /// The age of the newest sample of rooms; `None` when there is none.
    pub fn age_of_rooms(&self, now: Timestamp) -> Option<Span> {
        self.samples.back().map(|sample| now.since(sample.at))
    }
}

/// A stretch of time up to now, and how points hold in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// How long it is.
    pub span: Span,
    /// How long a point holds at most.
    pub hold: Span,
    /// Its end.
    pub now: Timestamp,
}

/// The share of the stretch, by time, in which the points were strictly above `usage`. Gaps count as not above.
pub fn share_above(points: &[(Timestamp, f64)], usage: f64, stretch: Stretch) -> f64 {
    share(points, |value| value > usage, stretch)
}

/// The share of the stretch, by time, in which the points were strictly below `usage`. Gaps count as not below.
pub fn share_below(points: &[(Timestamp, f64)], usage: f64, stretch: Stretch) -> f64 {
    share(points, |value| value < usage, stretch)
}

fn share(points: &[(Timestamp, f64)], matches: impl Fn(f64) -> bool, stretch: Stretch) -> f64 {
    if stretch.span == Span::ZERO {
        return 0.0;
    }
    let edge = stretch.now - stretch.span;
    let mut held = Span::ZERO;
    for pair in points.windows(2) {
        let [(at, value), (next, _)] = pair else { continue };
        if matches(*value) {
            let end = (*next).min(*at + stretch.hold).min(stretch.now);
            held += end.since((*at).max(edge));
        }
    }
    held.ms() as f64 / stretch.span.ms() as f64
}

fn is_spaced(last: Timestamp, at: Timestamp) -> bool {
    at.since(last) >= LEAST_GAP
}

/// Drops what is too old: beyond the longest look back all but the point that holds into it; beyond a minute all
/// but the first point of each slot of the grid.
fn thin<T>(points: &mut VecDeque<T>, at: impl Fn(&T) -> Timestamp, sampling: Sampling, now: Timestamp) {
    let edge = now - sampling.longest.max(sampling.period);
    while points.get(1).is_some_and(|second| at(second) <= edge) {
        points.pop_front();
    }
    let minute = now - OFF_GRID;
    let mut slot = None;
    points.retain(|point| {
        let is_first = slot.replace(sampling.slot(at(point))) != Some(sampling.slot(at(point)));
        is_first || at(point) > minute
    });
    while points.len() > MAX_POINTS {
        points.pop_front();
    }
}

fn cut<T: Clone>(points: &VecDeque<T>, at: impl Fn(&T) -> Timestamp, span: Span, now: Timestamp) -> Vec<T> {
    let edge = now - span;
    let first = points
        .partition_point(|point| at(point) <= edge)
        .saturating_sub(1);
    let last = points.partition_point(|point| at(point) <= now);
    points.range(first.min(last)..last).cloned().collect()
}
