//! What a room says of itself, and in which order we believe it.
//!
//! Order within a room is by its own timestamps while its clock can be trusted; freshness is always the server's
//! receive time. Called by the registry for each report, and by nobody else.

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

    /// Witnessed time since the last sign of life; since the registry's beginning when there was none.
    pub fn silence(&self, witnessed: Span) -> Span {
        witnessed - self.life_witnessed
    }
}
