//! A scheduler's recent past, as it is drawn: the window that its policies see, and the decisions made on it.

use maestro_wire::http::{Decisions, SampleBody, WindowBody};
use maestro_wire::view::DecisionView;

use crate::client::{Client, Error, segment};
use crate::plot::{Picture, ms};

/// Decisions of one answer at most; it is the API's limit.
const PAGE: usize = 200;

/// Most decisions that are read for a window. One that is full of them is drawn from its newest part.
const DECISIONS: usize = 2_000;

/// How much of it a picture that goes on shows. More would move too little to be watched.
const SPAN_MS: u64 = 10 * 60 * 1_000;

/// Both oldest first.
#[derive(Debug, Default)]
pub(super) struct Past {
    samples: Vec<SampleBody>,
    decisions: Vec<DecisionView>,
    /// Where a picture of it begins.
    begin_ms: u64,
}

impl Past {
    /// The window, with the decisions made in it.
    pub(super) fn of_window(client: &Client, scheduler: &str, only_changes: bool) -> Result<Self, Error> {
        let samples = window(client, scheduler, None)?;
        let since = samples.first().map(|sample| sample.at.as_str());
        let decisions = decisions(client, scheduler, DECISIONS, only_changes, since)?;
        Ok(Self {
            begin_ms: since.and_then(ms).unwrap_or(0),
            samples,
            decisions,
        })
    }

    /// The last decisions, as far back as they go, with what the window has of that time.
    pub(super) fn of_last(
        client: &Client,
        scheduler: &str,
        last: usize,
        only_changes: bool,
    ) -> Result<Self, Error> {
        let decisions = decisions(client, scheduler, last, only_changes, None)?;
        let is_all = decisions.len() < last;
        let since = decisions.first().map(|first| first.since.as_str());
        let samples = window(client, scheduler, since.filter(|_| !is_all))?;
        Ok(Self {
            samples,
            decisions,
            begin_ms: 0,
        })
    }

    /// Adds what was sampled since; at first, all of it.
    pub(super) fn refresh(&mut self, client: &Client, scheduler: &str) -> Result<(), Error> {
        let Some(newest) = self.samples.last().map(|sample| sample.at.clone()) else {
            *self = Self::of_window(client, scheduler, false)?;
            self.shorten();
            return Ok(());
        };
        let found = window(client, scheduler, Some(&newest))?;
        self.samples
            .extend(found.into_iter().filter(|sample| sample.at > newest));
        self.shorten();
        Ok(())
    }

    /// Adds a decision, as the stream of changes brings it.
    pub(super) fn decide(&mut self, text: &str) {
        let Ok(decision) = serde_json::from_str::<DecisionView>(text) else {
            // Of a Maestro that writes them otherwise: the picture lacks a mark.
            return;
        };
        let is_known =
            |known: &DecisionView| (&known.since, known.wanted) == (&decision.since, decision.wanted);
        if !self.decisions.iter().any(is_known) {
            self.decisions.push(decision);
        }
    }

    /// Leaves out what is too long ago; the last decision before that still says what is wanted.
    fn shorten(&mut self) {
        let newest = self.samples.last().and_then(|sample| ms(&sample.at));
        let Some(begin) = newest.and_then(|newest| newest.checked_sub(SPAN_MS)) else {
            return;
        };
        let is_old = |at: &str| ms(at).is_none_or(|at| at < begin);
        let old = self.samples.partition_point(|sample| is_old(&sample.at));
        self.samples.drain(..old);
        let old = self.decisions.partition_point(|decision| is_old(&decision.at));
        self.decisions.drain(..old.saturating_sub(1));
        self.begin_ms = self.begin_ms.max(begin);
    }

    /// What is drawn of it.
    pub(super) fn picture(&self) -> Picture {
        Picture::of(&self.samples, &self.decisions, self.begin_ms)
    }
}

fn window(client: &Client, scheduler: &str, since: Option<&str>) -> Result<Vec<SampleBody>, Error> {
    let since = since.map(|since| format!("?since={}", segment(since)));
    let path = format!(
        "/scheduler/{}/window{}",
        segment(scheduler),
        since.unwrap_or_default()
    );
    Ok(client.get::<WindowBody>(&path)?.samples)
}

/// The newest decisions, oldest first.
fn decisions(
    client: &Client,
    scheduler: &str,
    most: usize,
    only_changes: bool,
    since: Option<&str>,
) -> Result<Vec<DecisionView>, Error> {
    let changes = if only_changes { "&changes=true" } else { "" };
    let since = since.map(|since| format!("&since={}", segment(since)));
    let since = since.unwrap_or_default();
    let scheduler = segment(scheduler);
    let mut found: Vec<DecisionView> = Vec::new();
    let mut cursor = String::new();
    while found.len() < most {
        let limit = PAGE.min(most - found.len());
        let path = format!("/scheduler/{scheduler}/decisions?limit={limit}{changes}{since}{cursor}");
        let page: Decisions = client.get(&path)?;
        found.extend(page.decisions);
        match page.next {
            Some(next) => cursor = format!("&cursor={}", segment(&next)),
            None => break,
        }
    }
    found.reverse();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_ago_is_left_out_and_no_decision_comes_twice() {
        let sample = |minute: u32| SampleBody {
            at: format!("2026-01-01T00:{minute:02}:00.000Z"),
            ..SampleBody::default()
        };
        let decision = |minute: u32, wanted| DecisionView {
            since: sample(minute).at,
            at: sample(minute).at,
            wanted,
            ..DecisionView::default()
        };
        let mut past = Past {
            samples: (0..20).map(sample).collect(),
            decisions: vec![decision(2, 4), decision(3, 1), decision(12, 2)],
            begin_ms: 0,
        };
        past.shorten();
        assert_eq!((past.samples.len(), past.decisions.len()), (11, 2));
        assert_eq!(
            past.picture().points[0].wanted,
            1,
            "the last one before it begins still holds"
        );
        past.decide(&serde_json::to_string(&decision(12, 2)).unwrap());
        past.decide("no decision");
        past.decide(&serde_json::to_string(&decision(13, 3)).unwrap());
        let wanted: Vec<u32> = past.decisions.iter().map(|one| one.wanted).collect();
        assert_eq!(wanted, [1, 2, 3]);
    }
}
