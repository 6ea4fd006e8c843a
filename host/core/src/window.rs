//! Time-stamped samples of a scheduler's rooms, and series of other metrics.

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

/// The time between samples of a scheduler whose longest trigger looks back by `longest`: the greater of 10 s
/// and a thousandth of it.
pub fn period(longest: Span) -> Span {
    Span::from_ms((longest.ms() / 1_000).max(10_000))
}
