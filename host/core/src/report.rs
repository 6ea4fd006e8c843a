//! What a room says of itself, and in which order we believe it.
//!
//! Order within a room is by its own timestamps while its clock can be trusted; freshness is always the server's
//! receive time. Called by the registry for each report, and by nobody else.

use crate::room::{Effect, Intent, Room, Use};
use crate::time::{Span, Timestamp};

/// A report older than the latest one by up to this much is out of order: a sign of life, and nothing else.
pub const REORDER: Span = Span::from_secs(60);

/// A timestamp this far ahead of the server's clock shows that the room's clock is wrong.
pub const AHEAD: Span = Span::from_secs(300);

/// The status that a room reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reported {
    /// Available for a match.
    Ready,
    /// In a match.
    Occupied,
    /// It got SIGTERM or wants to end.
    Terminating,
    /// It is about to be gone: "forget me".
    Terminated,
}

impl Reported {
    /// All of them, in the order of the protocol.
    pub const ALL: [Reported; 4] = [Self::Ready, Self::Occupied, Self::Terminating, Self::Terminated];

    /// The protocol's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Occupied => "occupied",
            Self::Terminating => "terminating",
            Self::Terminated => "terminated",
        }
    }
}

/// One report as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The status reported.
    pub status: Reported,
    /// The room's own timestamp.
    pub sent_at: Timestamp,
    /// JSON text of an object; `None` when the report had none, and the stored one stays.
    pub metadata: Option<String>,
    /// Matches it holds, when it says so.
    pub running_matches: Option<u32>,
    /// Matches it can hold, when it says so.
    pub capacity: Option<u32>,
}

/// How a report was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reception {
    /// As the room's newest status.
    Newest,
    /// As a sign of life only: it was older than the newest one.
    LifeOnly,
    /// As the newest status, by order of arrival, because the room's clock moved just now. Worth an event.
    ClockMoved,
}

/// What is kept of a room's reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reports {
    /// The last accepted one.
    pub last: Option<Accepted>,
    /// Whether the room's clock was caught moving; from then on order of arrival holds.
    pub clock_moved: bool,
    /// The server's time of the last sign of life, be it a refused report.
    pub life_at: Option<Timestamp>,
    /// The witness clock's total at that time.
    pub life_witnessed: Span,
}

/// An accepted report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The status reported.
    pub status: Reported,
    /// The server's receive time of the first report of this status in an unbroken row.
    pub since: Timestamp,
    /// The room's own timestamp.
    pub sent_at: Timestamp,
    /// The server's receive time.
    pub received_at: Timestamp,
}

impl Reports {
    /// The last accepted status.
    pub fn status(&self) -> Option<Reported> {
        self.last.map(|accepted| accepted.status)
    }

    /// Witnessed time since the last sign of life; since its name was reserved or it was adopted when there was
    /// none.
    pub fn silence(&self, witnessed: Span) -> Span {
        witnessed - self.life_witnessed
    }
}

impl Room {
    /// Takes one report that arrived at `now`, while the witness clock's total was `witnessed`.
    pub fn receive(&mut self, report: &Report, now: Timestamp, witnessed: Span) -> Reception {
        self.sign_of_life(now, witnessed);
        let reception = self.reports.order(report, now);
        match reception {
            Reception::LifeOnly => {}
            Reception::Newest | Reception::ClockMoved => {
                self.change(|room| room.accept(report, now));
            }
        }
        reception
    }

    /// Takes a call that says nothing usable: the room lives. Changes nothing that anybody decides on.
    pub fn sign_of_life(&mut self, now: Timestamp, witnessed: Span) -> Effect {
        self.reports.life_at = Some(now);
        self.reports.life_witnessed = witnessed;
        Effect::Facts
    }

    fn accept(&mut self, report: &Report, now: Timestamp) {
        let since = match self.reports.last {
            Some(last) if last.status == report.status => last.since,
            Some(_) | None => now,
        };
        self.reports.last = Some(Accepted {
            status: report.status,
            since,
            sent_at: report.sent_at,
            received_at: now,
        });
        if let Some(metadata) = &report.metadata {
            self.metadata.clone_from(metadata);
        }
        if let Some(capacity) = report.capacity {
            self.capacity = capacity.max(1);
        }
        self.running_matches = match report.status {
            Reported::Ready => report.running_matches.unwrap_or(0),
            // Whoever says "occupied" holds a match, whatever it counts.
            Reported::Occupied => report.running_matches.unwrap_or(1).max(1),
            Reported::Terminating | Reported::Terminated => report.running_matches.unwrap_or(0),
        };
        self.settle_allocation(report.status, now);
        self.occupied_since = match self.usage() {
            Use::Occupied => self.occupied_since.or(Some(now)),
            Use::Unknown | Use::Idle | Use::Allocated => None,
        };
    }

    /// A `ready` says nothing new about a promise that still stands: the match is on its way. Everything else ends
    /// it, and so does its time.
    fn settle_allocation(&mut self, status: Reported, now: Timestamp) {
        if let Intent::Allocated { until } = self.intent
            && (status != Reported::Ready || until <= now)
        {
            self.intent = Intent::Keep;
        }
        if status != Reported::Occupied {
            self.allocation_expired = false;
        }
    }
}

impl Reports {
    /// Decides on which side of the newest report this one falls, and notes a clock that moved.
    fn order(&mut self, report: &Report, now: Timestamp) -> Reception {
        if self.clock_moved {
            return Reception::Newest;
        }
        let ahead = report.sent_at.since(now) > AHEAD;
        let behind = self
            .last
            .map_or(Span::ZERO, |last| last.sent_at.since(report.sent_at));
        if ahead || behind > REORDER {
            self.clock_moved = true;
            return Reception::ClockMoved;
        }
        match behind {
            Span::ZERO => Reception::Newest,
            _ => Reception::LifeOnly,
        }
    }
}
