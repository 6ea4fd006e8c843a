//! The witness clock, which belongs to no scheduler, and this process's copy of it.
//!
//! It lies in a slot of its own, where no scheduler's script can look, so that calls bring along what this process read
//! last. A copy is used for two seconds; an API renews it with its heartbeat each second anyway. One that is behind makes
//! a room look heard of up to that much earlier (of a deadline of a minute or more), or a silence look that much shorter.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maestro_core::deadlines::Witness;
use maestro_core::time::{Span, Timestamp};
use tokio::time::Instant;

use super::reply::{Reply, odd};
use crate::registry::Error;

/// How long a copy is used.
const FRESH: Duration = Duration::from_secs(2);

/// Says that fields follow in this order: beginning, total, last heartbeat or `-`.
const FORMAT: &str = "1";

/// The witness clock as it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Where its total began: at the time at which it began, so that a clock that begins after a loss stands ahead
    /// of all that the one before ever showed.
    pub(super) began: Span,
    pub(super) witness: Witness,
    /// As it is stored.
    pub(super) text: Arc<str>,
}

impl Reading {
    pub(super) fn of(reply: &mut Reply) -> Result<Self, Error> {
        let text = reply.text()?.ok_or_else(odd)?;
        Self::parse(&text).ok_or_else(odd)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(' ');
        let format = fields.next()?;
        let began = Span::from_ms(fields.next()?.parse().ok()?);
        let total = Span::from_ms(fields.next()?.parse().ok()?);
        let last = match fields.next()? {
            "-" => None,
            ms => Some(Timestamp::from_ms(ms.parse().ok()?)),
        };
        (format == FORMAT).then(|| Self {
            began,
            witness: Witness { last, total },
            text: text.into(),
        })
    }

    /// How it is to be stored after a heartbeat at `now`.
    pub(super) fn after_beat(&self, now: Timestamp) -> String {
        let mut witness = self.witness;
        witness.beat(now);
        let last = witness.last.map_or("-".to_owned(), |at| at.ms().to_string());
        format!("{FORMAT} {} {} {last}", self.began.ms(), witness.total.ms())
    }
}

/// What this process read last.
#[derive(Debug, Default)]
pub(super) struct Latest(Mutex<Option<(Reading, Instant)>>);

impl Latest {
    /// The copy, while it may be used.
    pub(super) fn fresh(&self) -> Option<Reading> {
        let copy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = copy.as_ref().filter(|(_, at)| at.elapsed() < FRESH);
        fresh.map(|(reading, _)| reading.clone())
    }

    /// Keeps what was read by a call that was sent at `at`.
    pub(super) fn keep(&self, reading: Reading, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((reading, at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_adds_what_was_witnessed() {
        let reading = Reading::parse("1 5000 5000 -").unwrap();
        assert_eq!(reading.witness.total, Span::from_ms(5_000));
        let first = reading.after_beat(Timestamp::from_ms(9_000));
        assert_eq!(first, "1 5000 5000 9000");
        let second = Reading::parse(&first)
            .unwrap()
            .after_beat(Timestamp::from_ms(10_500));
        assert_eq!(second, "1 5000 6500 10500");
        let gap = Reading::parse(&second)
            .unwrap()
            .after_beat(Timestamp::from_ms(20_000));
        assert_eq!(gap, "1 5000 6500 20000", "nobody was there to hear anything");
    }

    #[test]
    fn what_is_not_a_witness_clock_is_refused() {
        for text in ["", "2 1 1 -", "1 1 1", "1 x 1 -", "1 1 1 x"] {
            assert_eq!(Reading::parse(text), None, "{text:?}");
        }
    }
}
