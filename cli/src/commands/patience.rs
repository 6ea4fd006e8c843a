//! Patience with a Maestro that goes away while somebody follows it.

use std::thread;
use std::time::Duration;

use crate::client::Error;
use crate::output::say;

/// Before the first new attempt.
const FIRST: Duration = Duration::from_millis(500);

/// Before each further one at most: whoever watches wants to see it come back.
const LONGEST: Duration = Duration::from_secs(10);

/// How long it has been away, in attempts.
#[derive(Debug, Default)]
pub(super) struct Patience {
    attempts: u32,
}

impl Patience {
    /// It did not answer: tells so once, and waits, longer each time.
    pub(super) fn wait(&mut self, error: &Error) {
        if self.attempts == 0 {
            say(&format!("{}; trying again", brief(error)));
        }
        self.pause();
    }

    /// Waits, longer each time.
    pub(super) fn pause(&mut self) {
        thread::sleep(self.next());
    }

    fn next(&mut self) -> Duration {
        let pause = FIRST.saturating_mul(2_u32.saturating_pow(self.attempts));
        self.attempts = self.attempts.saturating_add(1);
        pause.min(LONGEST)
    }

    /// It answers: tells so when it had been away.
    pub(super) fn end(&mut self) {
        if self.attempts > 0 {
            say("Maestro answers again");
        }
        self.attempts = 0;
    }

    /// It answers, and everybody sees it.
    pub(super) fn end_quietly(&mut self) {
        self.attempts = 0;
    }
}

/// What is wrong, in a line.
pub(super) fn brief(error: &Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let mut patience = Patience::default();
        let pauses: Vec<u128> = (0..7).map(|_| patience.next().as_millis()).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        patience.end_quietly();
        assert_eq!(patience.next(), FIRST);
    }
}
