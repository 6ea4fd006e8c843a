//! A breaker for one trigger: a policy that fails again and again is left alone for longer and longer.
//!
//! While it is open the trigger is not asked, and the guard forbids scaling down.

use maestro_core::time::{Span, Timestamp};

use crate::failure::Failure;
use crate::observation::Evaluation;

/// Failures in a row after which the breaker opens.
const PATIENCE: u32 = 3;

/// The longest time for which it stays open, in periods.
const LONGEST: u64 = 60;

/// A breaker, closed at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    open_until: Option<Timestamp>,
}

impl Breaker {
    /// Until when the policy is not to be asked; `None` when it is.
    pub fn skips(&self, now: Timestamp) -> Option<Timestamp> {
        self.open_until.filter(|until| now < *until)
    }

    /// Counts what came of asking. After three failures in a row it opens for one period; then each further one
    /// doubles that, up to 60. Having too little data and want of capacity are no failures of the policy.
    pub fn record(&mut self, outcome: &Result<Evaluation, Failure>, now: Timestamp, period: Span) {
        match outcome {
            Ok(_) => *self = Self::default(),
            Err(failure) if failure.class.is_policys_fault() => {
                self.failures = self.failures.saturating_add(1);
                self.open_until = self
                    .failures
                    .checked_sub(PATIENCE)
                    .map(|repeats| now + period.times((1_u64 << repeats.min(6)).min(LONGEST)));
            }
            // The policy did run well enough to say so.
            Err(failure) if failure.class == crate::failure::FailureClass::InsufficientData => {
                *self = Self::default();
            }
            Err(_) => {}
        }
    }

    /// Failures in a row so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureClass;
    use crate::observation::Verdict;
    use maestro_core::votes::Vote;

    const PERIOD: Span = Span::from_secs(10);

    fn failed(class: FailureClass) -> Result<Evaluation, Failure> {
        Err(Failure {
            class,
            message: String::new(),
            fuel: 0,
        })
    }

    fn voted() -> Result<Evaluation, Failure> {
        Ok(Evaluation {
            verdict: Verdict {
                vote: Vote::Hold,
                urgent: false,
                reason: String::new(),
                state: Vec::new(),
            },
            fuel: 1,
        })
    }

    #[test]
    fn opens_for_twice_as_long_with_each_failure() {
        let mut breaker = Breaker::default();
        let mut now = Timestamp::from_ms(1_000_000);
        let mut skipped = Vec::new();
        for _ in 0..12 {
            breaker.record(&failed(FailureClass::Trap), now, PERIOD);
            let until = breaker.skips(now).unwrap_or(now);
            skipped.push(until.since(now).ms() / PERIOD.ms());
            assert_eq!(breaker.skips(until), None, "asked again when the time is over");
            now = until;
        }
        assert_eq!(skipped, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    }

    #[test]
    fn a_verdict_closes_it() {
        let now = Timestamp::from_ms(1_000_000);
        for good in [voted(), failed(FailureClass::InsufficientData)] {
            let mut breaker = Breaker::default();
            for _ in 0..5 {
                breaker.record(&failed(FailureClass::OutOfFuel), now, PERIOD);
            }
            assert!(breaker.skips(now).is_some());
            breaker.record(&good, now, PERIOD);
            assert_eq!(breaker, Breaker::default());
        }
    }

    #[test]
    fn want_of_capacity_is_no_failure_of_the_policy() {
        let now = Timestamp::from_ms(1_000_000);
        let mut breaker = Breaker::default();
        for _ in 0..2 {
            breaker.record(&failed(FailureClass::Trap), now, PERIOD);
        }
        for class in [
            FailureClass::QueueFull,
            FailureClass::PoolExhausted,
            FailureClass::Engine,
        ] {
            breaker.record(&failed(class), now, PERIOD);
        }
        assert_eq!((breaker.failures(), breaker.skips(now)), (2, None));
    }
}
