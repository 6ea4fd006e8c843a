//! What went wrong in a loop's steps, told once for each reason: a step comes each second, and a room that fails is
//! followed by another one that fails alike.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use maestro_core::names::{RoomId, SchedulerName};

use super::chain;
use crate::control::{LONGEST_PAUSE, StepReport};

/// What was over for less than this has not ended: some rooms come up and others don't, and between two tries nothing
/// fails.
const LULL: Duration = Duration::from_millis(LONGEST_PAUSE.ms());

/// What was told of one loop.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    errors: Told,
    trouble: Told,
}

/// What was told last, and when it was last seen.
#[derive(Debug, Default)]
struct Told(Option<(String, Instant)>);

impl Complaints {
    /// What is new in a report, to be logged.
    pub(super) fn of(&mut self, scheduler: &SchedulerName, report: &StepReport, now: Instant) -> Vec<String> {
        let mut news = Vec::new();
        let of_kind = |text: &str| kind(scheduler, text);
        // Rooms that are created together fail alike.
        // A crowd is one for all schedulers, and told once by whoever counts calls.
        let errors = report.errors.iter().filter(|error| !error.is_crowded());
        let mut errors: Vec<String> = errors.map(|error| chain(error)).collect();
        let mut kinds = BTreeSet::new();
        errors.retain(|error| kinds.insert(of_kind(error)));
        let errors = Some(errors.join("; ")).filter(|errors| !errors.is_empty());
        if self.errors.is_news(errors.as_deref().map(of_kind), now) {
            news.extend(errors.clone());
        }
        let trouble = report.trouble.as_ref();
        let is_news = self
            .trouble
            .is_news(trouble.map(|trouble| of_kind(&trouble.reason)), now);
        // An error of the same step may have said it.
        let is_said = |reason: &str| errors.as_ref().is_some_and(|errors| errors.contains(reason));
        if let Some(trouble) = trouble.filter(|trouble| is_news && !is_said(&trouble.reason)) {
            news.push(format!(
                "{}; the next room is tried in {}, later ones less and less often until one lasts",
                trouble.reason, trouble.next_in
            ));
        }
        news
    }

    /// Begins anew: what still goes wrong after a change is news.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Told {
    /// Whether this is another kind than the last one. Nothing at all is no news, and forgets the last one after a
    /// while.
    fn is_news(&mut self, kind: Option<String>, now: Instant) -> bool {
        let Some(kind) = kind else {
            self.0 = self.0.take().filter(|(_, seen)| now.duration_since(*seen) < LULL);
            return false;
        };
        let is_news = self.0.as_ref().is_none_or(|(known, _)| *known != kind);
        self.0 = Some((kind, now));
        is_news
    }
}

/// The text without the names of rooms, which tell apart what is of one kind.
fn kind(scheduler: &SchedulerName, text: &str) -> String {
    let without = |word: &str| {
        let name = word.trim_end_matches(|c: char| c.is_ascii_punctuation());
        match RoomId::parse(name) {
            Ok(room) if room.belongs_to(scheduler) => word.replace(room.as_str(), "room"),
            Ok(_) | Err(_) => word.to_owned(),
        }
    };
    text.split(' ').map(without).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use maestro_core::time::{Span, Timestamp};

    use super::*;
    use crate::cluster;
    use crate::control::{Error, Trouble};

    fn pong() -> SchedulerName {
        SchedulerName::parse("pong").unwrap()
    }

    fn report(trouble: Option<&str>) -> StepReport {
        StepReport {
            holding: true,
            records: Vec::new(),
            samples: Vec::new(),
            values: Vec::new(),
            outcomes: Vec::new(),
            ends: Vec::new(),
            trouble: trouble.map(|reason| Trouble {
                reason: reason.to_owned(),
                next_in: Span::from_secs(4),
            }),
            next_at: Timestamp::default(),
            removed: false,
            errors: Vec::new(),
            stand: None,
            heard: None,
        }
    }

    const FIRST: &str = "pong-00000001 ended with code 1 before it was ready: no licence";
    const SECOND: &str = "pong-00000002 ended with code 1 before it was ready: no licence";
    const OTHER: &str = "pong-00000003 ended with code 2 before it was ready: no licence";

    #[test]
    fn rooms_that_end_alike_are_told_once() {
        let (mut complaints, start) = (Complaints::default(), Instant::now());
        let mut news =
            |secs, trouble| complaints.of(&pong(), &report(trouble), start + Duration::from_secs(secs));
        let told = news(0, Some(FIRST));
        assert_eq!(told.len(), 1);
        assert!(
            told[0].contains(FIRST) && told[0].contains("tried in 4 s"),
            "{told:?}"
        );
        for (secs, trouble, expected) in [
            (1, Some(SECOND), 0),
            (2, Some(OTHER), 1),
            (3, Some(FIRST), 1),
            (4, None, 0),
            (5, Some(SECOND), 0),
            (6, None, 0),
            (70, None, 0),
            (71, Some(SECOND), 1),
        ] {
            assert_eq!(news(secs, trouble).len(), expected, "after {secs} s");
        }
        complaints.forget();
        assert_eq!(complaints.of(&pong(), &report(Some(SECOND)), start).len(), 1);
    }

    #[test]
    fn what_an_error_said_is_not_said_again() {
        let refused = |suffix| cluster::Error::Refused {
            room: RoomId::new(&pong(), suffix),
            reason: "its program /nowhere does not exist".to_owned(),
        };
        let batch = |suffixes: std::ops::Range<u32>| {
            let mut report = report(Some(&refused(suffixes.start).to_string()));
            report.errors.extend(suffixes.map(|suffix| Error::Cluster {
                doing: "create a room",
                cause: refused(suffix),
            }));
            report
        };
        let (mut complaints, now) = (Complaints::default(), Instant::now());
        let told = complaints.of(&pong(), &batch(1..9), now);
        assert_eq!(
            told,
            ["failed to create a room: pong-00000001 can't be created: its program /nowhere does not exist"]
        );
        assert_eq!(complaints.of(&pong(), &report(None), now).len(), 0);
        assert_eq!(complaints.of(&pong(), &batch(9..10), now).len(), 0, "other rooms");
        let quiet = report(Some(
            "pong-00000002 can't be created: its program /nowhere does not exist",
        ));
        assert_eq!(complaints.of(&pong(), &quiet, now).len(), 0);
    }
}
