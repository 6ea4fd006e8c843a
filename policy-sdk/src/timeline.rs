//! A value over time, and what is asked of it: shares, means, percentiles, slopes.
//!
//! A sample holds until the next one, at most two periods, then nothing is known until the next; the newest one
//! weighs nothing yet. Every figure is weighted by that time, so that samples taken on a change count for no
//! more than samples of the grid.

use crate::Error;

/// A value over the observed time.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    name: String,
    /// Oldest first; `None` ends what held before without a value of its own.
    points: Vec<(u64, Option<f64>)>,
    since_ms: u64,
    now_ms: u64,
    hold_ms: u64,
}

/// A value and the time that it held for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) value: f64,
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
}

impl Held {
    fn ms(self) -> u64 {
        self.to_ms - self.from_ms
    }
}

impl Timeline {
    /// The timeline called `name` in sentences, from `points` in the order of time.
    pub(crate) fn new(
        name: &str,
        points: impl Iterator<Item = (u64, Option<f64>)>,
        (window_ms, now_ms): (u64, u64),
        period_ms: u64,
    ) -> Self {
        Self {
            name: name.to_owned(),
            // A value that isn't a number is one that wasn't measured.
            points: points
                .map(|(at_ms, value)| (at_ms, value.filter(|value| value.is_finite())))
                .collect(),
            since_ms: now_ms.saturating_sub(window_ms),
            now_ms,
            hold_ms: period_ms.saturating_mul(2),
        }
    }

    /// The same, looking back only so far.
    pub fn within(mut self, window_ms: u64) -> Self {
        self.since_ms = self.since_ms.max(self.now_ms.saturating_sub(window_ms));
        self
    }

    /// Milliseconds that are looked back.
    pub fn window_ms(&self) -> u64 {
        self.now_ms - self.since_ms
    }

    /// The newest value, unless it is older than two periods.
    pub fn latest(&self) -> Result<f64, Error> {
        match self.points.last() {
            Some(&(at_ms, Some(value))) if at_ms.saturating_add(self.hold_ms) >= self.now_ms => Ok(value),
            _ => Err(self.unknown()),
        }
    }

    /// Milliseconds of the window in which the value was known and strictly above `bound`.
    pub fn above_ms(&self, bound: f64) -> u64 {
        self.held().filter(|held| held.value > bound).map(Held::ms).sum()
    }

    /// Milliseconds of the window in which the value was known and strictly below `bound`.
    pub fn below_ms(&self, bound: f64) -> u64 {
        self.held().filter(|held| held.value < bound).map(Held::ms).sum()
    }

    /// The share of the whole window, 0 to 1, in which the value was strictly above `bound`. Time without a value
    /// counts as not above.
    pub fn share_above(&self, bound: f64) -> f64 {
        self.share(self.above_ms(bound))
    }

    /// The share of the whole window, 0 to 1, in which the value was strictly below `bound`.
    pub fn share_below(&self, bound: f64) -> f64 {
        self.share(self.below_ms(bound))
    }

    /// Milliseconds of the window in which the value was known.
    pub fn known_ms(&self) -> u64 {
        self.held().map(Held::ms).sum()
    }

    /// The mean over the known time.
    pub fn mean(&self) -> Result<f64, Error> {
        let total = self.known_ms();
        if total == 0 {
            return Err(self.unknown());
        }
        Ok(self.held().map(|held| held.value * held.ms() as f64).sum::<f64>() / total as f64)
    }

    /// The largest value that held, or the newest one.
    pub fn max(&self) -> Result<f64, Error> {
        self.values().reduce(f64::max).ok_or_else(|| self.unknown())
    }

    /// The smallest value that held, or the newest one.
    pub fn min(&self) -> Result<f64, Error> {
        self.values().reduce(f64::min).ok_or_else(|| self.unknown())
    }

    /// The least value that wasn't exceeded in `percent` per cent (0 to 100) of the known time.
    pub fn percentile(&self, percent: f64) -> Result<f64, Error> {
        let mut held: Vec<Held> = self.held().collect();
        held.sort_unstable_by(|left, right| left.value.total_cmp(&right.value));
        let enough = self.known_ms() as f64 * percent / 100.0;
        let mut passed = 0;
        for part in &held {
            passed += part.ms();
            if passed as f64 >= enough {
                return Ok(part.value);
            }
        }
        held.last().map(|part| part.value).ok_or_else(|| self.unknown())
    }

    /// The change per second of the straight line that fits the known time best.
    pub fn slope(&self) -> Result<f64, Error> {
        let middle = |held: Held| (held.from_ms - self.since_ms) as f64 / 1e3 + held.ms() as f64 / 2e3;
        let weight = |held: Held| held.ms() as f64;
        let total: f64 = self.held().map(weight).sum();
        let mean_time = self.held().map(|held| middle(held) * weight(held)).sum::<f64>() / total;
        let mean_value = self.mean()?;
        let (mut both, mut square) = (0.0, 0.0);
        for held in self.held() {
            let distance = middle(held) - mean_time;
            both += weight(held) * distance * (held.value - mean_value);
            square += weight(held) * distance * distance;
        }
        if square > 0.0 {
            Ok(both / square)
        } else {
            Err(self.unknown())
        }
    }

    /// Values with the time that each held inside the window.
    pub(crate) fn held(&self) -> impl Iterator<Item = Held> {
        self.points.windows(2).filter_map(|pair| {
            let ((at_ms, value), (next_ms, _)) = (pair[0], pair[1]);
            let from_ms = at_ms.max(self.since_ms);
            let to_ms = next_ms.min(at_ms.saturating_add(self.hold_ms)).min(self.now_ms);
            value.filter(|_| from_ms < to_ms).map(|value| Held {
                value,
                from_ms,
                to_ms,
            })
        })
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.held().map(|held| held.value).chain(self.latest().ok())
    }

    fn share(&self, ms: u64) -> f64 {
        // An empty window has no share of anything.
        if ms == 0 {
            0.0
        } else {
            ms as f64 / self.window_ms() as f64
        }
    }

    fn unknown(&self) -> Error {
        Error::InsufficientData(format!("there is too little of {} to go on yet", self.name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The last 100 s, sampled each 10 s.
    fn timeline(points: &[(u64, f64)]) -> Timeline {
        let points = points.iter().map(|&(at_ms, value)| (at_ms * 1_000, Some(value)));
        Timeline::new("it", points.into_iter(), (100_000, 1_000_000), 10_000)
    }

    #[test]
    fn a_sample_holds_for_two_periods_at_most_and_the_newest_weighs_nothing() {
        let seen = timeline(&[(895, 1.0), (905, 2.0), (960, 3.0), (970, 9.0)]);
        let held: Vec<_> = seen
            .held()
            .map(|held| (held.value, held.from_ms / 1_000, held.to_ms / 1_000))
            .collect();
        assert_eq!(held, [(1.0, 900, 905), (2.0, 905, 925), (3.0, 960, 970)]);
        assert_eq!(seen.known_ms(), 35_000);
        assert_eq!(
            (seen.above_ms(1.0), seen.above_ms(2.0), seen.below_ms(2.0)),
            (30_000, 10_000, 5_000)
        );
        assert_eq!(seen.share_above(1.0), 0.3);
        assert_eq!(seen.share_below(2.0), 0.05);
        assert!(seen.latest().is_err(), "30 s are more than two periods");
        assert_eq!(seen.clone().within(60_000).known_ms(), 10_000);
        assert_eq!(seen.within(200_000).window_ms(), 100_000);
    }

    #[test]
    fn a_missing_value_is_neither_zero_nor_the_one_before() {
        let points = vec![
            (900_000, Some(5.0)),
            (910_000, None),
            (990_000, Some(f64::NAN)),
            (1_000_000, None),
        ];
        let seen = Timeline::new("it", points.into_iter(), (100_000, 1_000_000), 10_000);
        assert_eq!((seen.known_ms(), seen.mean().unwrap()), (10_000, 5.0));
        assert!(seen.latest().is_err());
        let none = timeline(&[]);
        let figures = [
            none.latest(),
            none.mean(),
            none.max(),
            none.min(),
            none.percentile(50.0),
            none.slope(),
        ];
        assert!(
            figures
                .iter()
                .all(|figure| matches!(figure, Err(Error::InsufficientData(_))))
        );
        assert_eq!((none.share_above(0.0), none.share_below(0.0)), (0.0, 0.0));
    }

    #[test]
    fn figures_are_weighted_by_time() {
        let seen = timeline(&[(980, 1.0), (995, 4.0), (1_000, 7.0)]);
        assert_eq!(seen.mean().unwrap(), 1.75);
        assert_eq!(
            (seen.min().unwrap(), seen.max().unwrap(), seen.latest().unwrap()),
            (1.0, 7.0, 7.0)
        );
        assert_eq!(
            (seen.percentile(75.0).unwrap(), seen.percentile(76.0).unwrap()),
            (1.0, 4.0)
        );
        assert_eq!(
            (seen.percentile(0.0).unwrap(), seen.percentile(100.0).unwrap()),
            (1.0, 4.0)
        );
        assert!(
            timeline(&[(990, 1.0), (1_000, 2.0)]).slope().is_err(),
            "one value has no slope"
        );
    }

    proptest! {
        #[test]
        fn shares_equal_counting_on_regular_samples(
            values in proptest::collection::vec(0_u32..10, 1..80),
            bound in 0_u32..10,
            period in 1_u64..60,
        ) {
            let count = values.len() as u64;
            let now = 10_000_000;
            let at = |index: u64| now - (count - index) * period * 1_000;
            let mut points: Vec<_> =
                values.iter().enumerate().map(|(index, &value)| (at(index as u64), Some(value.into()))).collect();
            points.push((now, Some(99.0)));
            let seen = Timeline::new("it", points.into_iter(), (count * period * 1_000, now), period * 1_000);
            let share = |matching: usize| matching as f64 / count as f64;
            let above = values.iter().filter(|&&value| value > bound).count();
            let below = values.iter().filter(|&&value| value < bound).count();
            prop_assert!((seen.share_above(bound.into()) - share(above)).abs() < 1e-12);
            prop_assert!((seen.share_below(bound.into()) - share(below)).abs() < 1e-12);
            let mean = f64::from(values.iter().sum::<u32>()) / count as f64;
            prop_assert!((seen.mean().unwrap() - mean).abs() < 1e-9);
        }

        #[test]
        fn a_ramp_has_its_slope(start in -50.0..50.0_f64, slope in -5.0..5.0_f64, count in 3_u64..50) {
            let points = (0..count).map(|index| {
                let seconds = 10 * index;
                (1_000_000 + seconds * 1_000, Some(start + slope * seconds as f64))
            });
            let now = 1_000_000 + 10_000 * (count - 1);
            let seen = Timeline::new("it", points, (900_000, now), 10_000);
            prop_assert!((seen.slope().unwrap() - slope).abs() < 1e-6);
        }

        #[test]
        fn figures_stay_within_bounds_whatever_the_samples(
            points in proptest::collection::vec((0_u64..3_000_000, proptest::option::of(any::<f64>())), 0..40),
            bound in any::<f64>(),
        ) {
            // Times may even run backwards: nothing may panic, no share may exceed one.
            let is_sorted = points.is_sorted_by_key(|point| point.0);
            let seen = Timeline::new("it", points.into_iter(), (1_000_000, 2_000_000), 10_000);
            if is_sorted {
                prop_assert!((0.0..=1.0).contains(&(seen.share_above(bound) + seen.share_below(bound))));
            }
            if let (Ok(low), Ok(high), Ok(middle)) = (seen.min(), seen.max(), seen.percentile(50.0)) {
                prop_assert!((low..=high).contains(&middle));
            }
            drop(seen.slope());
        }
    }
}
