//! Creation that keeps failing is tried less and less often, and says why.
//!
//! What counts as failing, how long the pauses are and what ends them stand here and nowhere else.

use maestro_core::room::{Origin, Phase, Room};
use maestro_core::time::{Span, Timestamp};

use super::Trouble;
use crate::cluster;

/// The first pause.
const FIRST: Span = Span::from_secs(1);

/// The longest pause: a mended image or a freed port is noticed within a minute.
pub const LONGEST_PAUSE: Span = Span::from_secs(60);

/// A room that nobody asked to go and that ran for less than this has failed, whatever it said: another one would end
/// as soon, and the next.
const SHORT_LIFE: Span = Span::from_secs(10);

/// Holds creation back after failures, each time twice as long.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    since: Timestamp,
    until: Timestamp,
    pause: Span,
    reason: String,
}

impl Backoff {
    /// Takes down why a room was not created. Of one that had no turn nothing is to be said: the next step tries again.
    pub(super) fn note(&mut self, error: &cluster::Error, now: Timestamp) {
        if !error.is_crowded() {
            self.fail(error.to_string(), now);
        }
    }

    /// Takes down a failure. Those that come while creation is held already are of the same batch and prolong
    /// nothing.
    pub(super) fn fail(&mut self, reason: String, now: Timestamp) {
        let pause = match &self.failing {
            Some(failing) if now < failing.until => return,
            Some(failing) => failing.pause.times(2).min(LONGEST_PAUSE),
            None => FIRST,
        };
        self.failing = Some(Failing {
            since: now,
            until: now + pause,
            pause,
            reason,
        });
    }

    /// Begins anew, as after a change of what is created.
    pub(super) fn reset(&mut self) {
        self.failing = None;
    }

    /// Ends the pauses once a room that was created after the last failure has reported, and has run for a while.
    pub(super) fn mend<'r>(&mut self, mut rooms: impl Iterator<Item = &'r Room>, now: Timestamp) {
        let Some(failing) = &self.failing else { return };
        let is_well = |room: &Room| match room.phase {
            Phase::Running { since } => room.reports.last.is_some() && now.since(since) >= SHORT_LIFE,
            Phase::Unseen | Phase::Pending { .. } | Phase::Exited { .. } | Phase::Absent { .. } => false,
        };
        if rooms.any(|room| room.created_at() > failing.since && is_well(room)) {
            self.failing = None;
        }
    }

    /// Until when nothing is created, by the clock that failures were told by.
    pub(super) fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.failing.as_ref()?.until;
        (now < until).then_some(until)
    }

    /// Why creation fails and when it is tried again, for as long as it has not succeeded since.
    pub(super) fn trouble(&self, now: Timestamp) -> Option<Trouble> {
        self.failing.as_ref().map(|failing| Trouble {
            reason: failing.reason.clone(),
            next_in: failing.until.since(now),
        })
    }

    /// Why creation is held, and until when. Also of a pause that has just ended: a room is tried then, and whether it
    /// lasts is not known yet.
    pub(super) fn outlook(&self, now: Timestamp) -> Option<(Timestamp, String)> {
        let failing = self.failing.as_ref()?;
        let is_news = now < failing.until + LONGEST_PAUSE;
        is_news.then(|| (failing.until, failing.reason.clone()))
    }
}

/// Whether and how a room has failed that ends with this phase: nobody asked it to go, and it ended before it ever
/// reported, or soon after its start. `now` is when its end was noticed.
pub(super) fn stillborn(room: &Room, phase: &Phase, now: Timestamp) -> Option<String> {
    let ended = match phase {
        Phase::Exited { code, reason, .. } => {
            let code = code.map(|code| format!(" with code {code}")).unwrap_or_default();
            let reason = match reason.as_str() {
                "" => String::new(),
                reason => format!(": {reason}"),
            };
            (code, reason)
        }
        Phase::Absent { .. } => (String::new(), String::new()),
        Phase::Unseen | Phase::Pending { .. } | Phase::Running { .. } => return None,
    };
    let lived = match room.phase {
        Phase::Running { since } => now.since(since),
        Phase::Unseen | Phase::Pending { .. } => Span::ZERO,
        Phase::Exited { .. } | Phase::Absent { .. } => return None,
    };
    if !room.went_by_itself() || room.origin == Origin::Adopted {
        return None;
    }
    let when = match (room.reports.last, phase) {
        (None, Phase::Exited { .. }) => "before it was ready".to_owned(),
        // Always in the same words, so that it is told once.
        (Some(_), _) if lived < SHORT_LIFE => format!("within {SHORT_LIFE} of its start"),
        (None | Some(_), _) => return None,
    };
    let (code, reason) = ended;
    Some(format!("{} ended{code} {when}{reason}", room.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_ms(secs * 1_000)
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_end_with_a_success() {
        let mut backoff = Backoff::default();
        let mut now = at(0);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            backoff.fail("no ports".to_owned(), now);
            let until = backoff.held_until(now).unwrap();
            pauses.push(until.since(now).ms() / 1_000);
            now = until;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.held_until(now), None, "a room is tried");
        assert!(
            backoff.outlook(now).is_some(),
            "whether it lasts is not known yet"
        );
        assert_eq!(backoff.outlook(now + LONGEST_PAUSE), None);
        backoff.reset();
        assert_eq!((backoff.outlook(now), backoff.trouble(now)), (None, None));
    }

    #[test]
    fn that_there_was_no_turn_for_a_creation_is_no_failure_of_it() {
        let mut backoff = Backoff::default();
        backoff.note(&cluster::Error::Crowded, at(10));
        assert_eq!(
            (backoff.held_until(at(10)), backoff.trouble(at(10))),
            (None, None)
        );
        let silent = cluster::Error::Unavailable {
            cause: "no answer".into(),
        };
        backoff.note(&silent, at(10));
        assert_eq!(backoff.held_until(at(10)), Some(at(11)));
        backoff.note(&cluster::Error::Crowded, at(11));
        assert_eq!(
            backoff.held_until(at(11)),
            None,
            "nor does it end or prolong anything"
        );
        assert!(backoff.trouble(at(11)).is_some());
    }

    #[test]
    fn failures_of_one_batch_count_once() {
        let mut backoff = Backoff::default();
        backoff.fail("first".to_owned(), at(10));
        backoff.fail("second".to_owned(), at(10));
        assert_eq!(backoff.held_until(at(10)), Some(at(11)));
        assert_eq!(backoff.outlook(at(10)), Some((at(11), "first".to_owned())));
        let trouble = backoff.trouble(at(10)).unwrap();
        assert_eq!(
            (trouble.reason.as_str(), trouble.next_in),
            ("first", Span::from_secs(1))
        );
    }
}
