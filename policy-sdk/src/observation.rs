//! What a policy asks of an observation, and how it answers.

use crate::{Counts, Error, Observation, Rooms, Series, Timeline, Verdict, Vote};

impl Counts {
    /// Rooms that exist or will soon, and aren't on their way out.
    pub fn available(&self) -> u32 {
        self.creating
            .saturating_add(self.ready)
            .saturating_add(self.allocated)
            .saturating_add(self.occupied)
    }

    /// Rooms in use: promised to a match or in one.
    pub fn busy(&self) -> u32 {
        self.allocated.saturating_add(self.occupied)
    }

    /// The share of the available rooms that is busy; `None` without a room.
    pub fn utilisation(&self) -> Option<f64> {
        let available = self.available();
        (available > 0).then(|| f64::from(self.busy()) / f64::from(available))
    }
}

impl Rooms {
    /// The samples, oldest first.
    pub fn samples(&self) -> impl Iterator<Item = (u64, Counts)> {
        let columns = [
            &self.creating,
            &self.ready,
            &self.allocated,
            &self.occupied,
            &self.terminating,
        ];
        let len = columns
            .iter()
            .map(|column| column.len())
            .fold(self.at_ms.len(), usize::min);
        // Cut once, so that no index is checked below.
        let at_ms = &self.at_ms[..len];
        let [creating, ready, allocated, occupied, terminating] = columns.map(|column| &column[..len]);
        (0..len).map(move |index| {
            let counts = Counts {
                creating: creating[index],
                ready: ready[index],
                allocated: allocated[index],
                occupied: occupied[index],
                terminating: terminating[index],
            };
            (at_ms[index], counts)
        })
    }
}

impl Series {
    fn points(&self) -> impl Iterator<Item = (u64, f64)> {
        self.at_ms.iter().copied().zip(self.values.iter().copied())
    }
}

impl Observation {
    /// The share of available rooms that was busy; times without a room have no value.
    pub fn utilisation(&self) -> Timeline {
        self.history("room utilisation", |counts| counts.utilisation())
    }

    /// A figure of the rooms' counts over time, called `name` in sentences; `None` where it has no value.
    pub fn history(&self, name: &str, figure: impl Fn(&Counts) -> Option<f64>) -> Timeline {
        let points = self
            .rooms
            .samples()
            .map(|(at_ms, counts)| (at_ms, figure(&counts)));
        Timeline::new(name, points, (self.window_ms, self.now_ms), self.period_ms)
    }

    /// A metric over time, such as `queue.waiting`; what is not measured is no zero, but an error that says so.
    pub fn metric(&self, name: &str) -> Result<Timeline, Error> {
        let series = self.series(name)?;
        let points = series.points().map(|(at_ms, value)| (at_ms, Some(value)));
        Ok(Timeline::new(
            name,
            points,
            (self.window_ms, self.now_ms),
            self.period_of(series),
        ))
    }

    /// One metric divided by another over time, such as `cpu.used` by `cpu.requested`. Where the divisor is
    /// missing, too old or zero there is no value.
    pub fn ratio(&self, dividend: &str, divisor: &str) -> Result<Timeline, Error> {
        let (dividend, divisor) = (self.series(dividend)?, self.series(divisor)?);
        let hold_ms = self.period_of(divisor).saturating_mul(2);
        let mut others = divisor.points().peekable();
        let mut newest = None;
        // Both are in the order of time, so one pass over them is enough.
        let points = dividend.points().map(|(at_ms, value)| {
            while let Some(other) = others.next_if(|&(other_ms, _)| other_ms <= at_ms) {
                newest = Some(other);
            }
            let fitting =
                newest.filter(|&(other_ms, by)| other_ms.saturating_add(hold_ms) >= at_ms && by > 0.0);
            (at_ms, fitting.map(|(_, by)| value / by))
        });
        let name = format!("{} by {}", dividend.name, divisor.name);
        Ok(Timeline::new(
            &name,
            points,
            (self.window_ms, self.now_ms),
            self.period_of(dividend),
        ))
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    fn series(&self, name: &str) -> Result<&Series, Error> {
        let found = self
            .metrics
            .iter()
            .find(|series| series.name == name && !series.at_ms.is_empty());
        found.ok_or_else(|| Error::InsufficientData(format!("there is no measurement of {name} yet")))
    }

    /// The time between a series' own samples, the median of the last ones, when that is longer than the
    /// observation's.
    fn period_of(&self, series: &Series) -> u64 {
        // The last ones are enough to know a source by, and cost nothing.
        let last = &series.at_ms[series.at_ms.len().saturating_sub(16)..];
        let mut gaps: Vec<u64> = last
            .windows(2)
            .map(|pair| pair[1].saturating_sub(pair[0]))
            .collect();
        gaps.sort_unstable();
        // Fewer gaps than three tell a slow source from one that was away no better than a guess.
        let own = if gaps.len() < 3 { 0 } else { gaps[gaps.len() / 2] };
        own.max(self.period_ms)
    }
}

impl Verdict {
    /// Leave the number as it is; the reason is a sentence without a full stop, read by people.
    pub fn hold(reason: impl Into<String>) -> Self {
        Self {
            vote: Vote::Hold,
            urgent: false,
            reason: reason.into(),
            state: Vec::new(),
        }
    }

    /// So many rooms in all.
    pub fn total(rooms: u32, reason: impl Into<String>) -> Self {
        Self {
            vote: Vote::Total(rooms),
            ..Self::hold(reason)
        }
    }

    /// A vote up skips the cooldown.
    pub fn urgent(self) -> Self {
        Self { urgent: true, ..self }
    }

    /// Shows the policy these bytes, at most 4 KiB, as `state` next time.
    pub fn with_state(self, state: Vec<u8>) -> Self {
        Self { state, ..self }
    }
}

#[cfg(test)]
mod tests {
    use crate::TestWindow;

    #[test]
    fn a_ratio_pairs_samples_by_time() {
        let seen = TestWindow::new(60, 10)
            .metric_at("used", &[(50, 10.0), (40, 20.0), (10, 30.0), (0, 40.0)])
            .metric_at("of", &[(51, 20.0), (40, 40.0), (35, 10.0), (1, 0.0)])
            .build();
        let ratio = seen.ratio("used", "of").unwrap();
        let held: Vec<_> = ratio.held().map(|held| held.value).collect();
        assert_eq!(
            held,
            [0.5, 0.5],
            "35 s is too old at 10 s, and zero divides nothing"
        );
        assert!(ratio.latest().is_err());
        assert!(seen.ratio("used", "nothing").is_err());
    }

    #[test]
    fn a_slow_source_has_a_period_of_its_own() {
        let minutely = [(240, 1.0), (180, 2.0), (120, 3.0), (60, 4.0), (30, 5.0)];
        let seen = TestWindow::new(300, 10).metric_at("slow", &minutely).build();
        let slow = seen.metric("slow").unwrap();
        assert_eq!(slow.known_ms(), 210_000);
        assert_eq!(slow.latest().unwrap(), 5.0);
    }

    #[test]
    fn columns_of_unequal_length_are_cut() {
        let mut seen = TestWindow::new(60, 10).rooms(&[(1, 2), (3, 4)]).build();
        seen.rooms.occupied.pop();
        assert_eq!(seen.rooms.samples().count(), 1);
    }
}
