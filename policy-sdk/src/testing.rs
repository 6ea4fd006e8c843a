//! Observations for tests: a policy is a function, and this makes what it is called with.

use crate::{Counts, Direction, Observation, Rooms, Series};

/// Builds an [`Observation`] of a scheduler that has ten rooms wanted, unless told otherwise.
///
/// ```
/// use maestro_policy_sdk::prelude::*;
///
/// // The last 60 s, a sample each 10 s: first 8 rooms of 10 occupied, now all of them.
/// let seen = TestWindow::new(60, 10).rooms(&[(2, 8), (2, 8), (0, 10)]).wanted(10).build();
/// assert_eq!(seen.current.utilisation(), Some(1.0));
/// assert_eq!(seen.utilisation().above_ms(0.7), 20_000);
/// ```
#[derive(Clone, Debug)]
pub struct TestWindow {
    observation: Observation,
}

impl TestWindow {
    /// Looks back `window` seconds, sampled each `period` seconds.
    pub fn new(window: u64, period: u64) -> Self {
        let rooms = Rooms {
            at_ms: Vec::new(),
            creating: Vec::new(),
            ready: Vec::new(),
            allocated: Vec::new(),
            occupied: Vec::new(),
            terminating: Vec::new(),
        };
        let observation = Observation {
            // Any time will do; this one lies in 2027.
            now_ms: 1_800_000_000_000,
            window_ms: window * 1_000,
            period_ms: period * 1_000,
            direction: Direction::Both,
            wanted: 10,
            current: Counts::default(),
            min: 0,
            max: None,
            last_scaled_ms: None,
            rooms,
            metrics: Vec::new(),
            parameters: "{}".to_owned(),
            labels: Vec::new(),
            state: Vec::new(),
        };
        Self { observation }
    }

    /// Samples of (ready, occupied) rooms, one a period, the last one now.
    pub fn rooms(mut self, samples: &[(u32, u32)]) -> Self {
        for (index, &(ready, occupied)) in samples.iter().enumerate() {
            let ago_ms = (samples.len() - 1 - index) as u64 * self.observation.period_ms;
            self = self.sample_ms(
                ago_ms,
                Counts {
                    ready,
                    occupied,
                    ..Counts::default()
                },
            );
        }
        self
    }

    /// One sample of all counts; call it in the order of time. The last one is also what there is now.
    pub fn sample(self, seconds_ago: u64, counts: Counts) -> Self {
        self.sample_ms(seconds_ago * 1_000, counts)
    }

    /// A metric's values, one a period, the last one now.
    pub fn metric(self, name: &str, values: &[f64]) -> Self {
        let period = self.observation.period_ms / 1_000;
        let ago = |index: usize| (values.len() - 1 - index) as u64 * period;
        let points: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(index, &value)| (ago(index), value))
            .collect();
        self.metric_at(name, &points)
    }

    /// A metric's values with the seconds that have passed since each, oldest first.
    pub fn metric_at(mut self, name: &str, points: &[(u64, f64)]) -> Self {
        let now_ms = self.observation.now_ms;
        self.observation.metrics.push(Series {
            name: name.to_owned(),
            at_ms: points.iter().map(|&(ago, _)| now_ms - ago * 1_000).collect(),
            values: points.iter().map(|&(_, value)| value).collect(),
        });
        self
    }

    /// What there is now, when it differs from the last sample.
    pub fn current(mut self, counts: Counts) -> Self {
        self.observation.current = counts;
        self
    }

    /// How many rooms are wanted.
    pub fn wanted(mut self, rooms: u32) -> Self {
        self.observation.wanted = rooms;
        self
    }

    /// Which way the trigger may move that number.
    pub fn direction(mut self, direction: Direction) -> Self {
        self.observation.direction = direction;
        self
    }

    /// The scheduler's bounds.
    pub fn bounds(mut self, min: u32, max: Option<u32>) -> Self {
        (self.observation.min, self.observation.max) = (min, max);
        self
    }

    /// When the number was last changed.
    pub fn last_scaled(mut self, seconds_ago: u64) -> Self {
        self.observation.last_scaled_ms = Some(self.observation.now_ms - seconds_ago * 1_000);
        self
    }

    /// The parameters as JSON, for tests through the exported function.
    pub fn parameters(mut self, json: &str) -> Self {
        self.observation.parameters = json.to_owned();
        self
    }

    /// A label.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.observation.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// What the policy returned last time.
    pub fn state(mut self, state: &[u8]) -> Self {
        self.observation.state = state.to_vec();
        self
    }

    /// The observation.
    pub fn build(self) -> Observation {
        self.observation
    }

    fn sample_ms(mut self, ago_ms: u64, counts: Counts) -> Self {
        let rooms = &mut self.observation.rooms;
        rooms.at_ms.push(self.observation.now_ms - ago_ms);
        rooms.creating.push(counts.creating);
        rooms.ready.push(counts.ready);
        rooms.allocated.push(counts.allocated);
        rooms.occupied.push(counts.occupied);
        rooms.terminating.push(counts.terminating);
        self.observation.current = counts;
        self
    }
}
