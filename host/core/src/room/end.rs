//! What is worth knowing of a room once it is gone: taken down while its facts are still there.
//!
//! Pure, as everything here; the loop hands ends on to whoever keeps them. Called too by those who have to tell a room
//! that fails from one that was asked to go.

use super::{CREATE_TRIES, Creation, Health, Intent, Origin, Phase, Room};
use crate::names::{RoomId, Version};
use crate::report::Reported;
use crate::time::Timestamp;

/// How and why a room came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The room.
    pub room: RoomId,
    /// The scheduler's version it was made of.
    pub version: Version,
    /// When its create is known to have succeeded; else when its name was reserved.
    pub created_at: Timestamp,
    /// Its last sign of life.
    pub life_at: Option<Timestamp>,
    /// When its end was noticed.
    pub at: Timestamp,
    /// Whether it ended as it should.
    pub health: Health,
    /// The exit code of its process, where there is one.
    pub code: Option<i32>,
    /// The last line of its output, and before it the signal that ended it; or what the cluster calls its end, as in
    /// `OOMKilled`. Empty where nothing is known.
    pub words: String,
    /// Why it ended, in words that stand alone.
    pub reason: String,
    /// The node it ran on.
    pub node: Option<String>,
}

impl Room {
    /// Whether its process ended, or it is gone from the cluster.
    pub fn has_ended(&self) -> bool {
        match self.phase {
            Phase::Exited { .. } | Phase::Absent { .. } => true,
            Phase::Unseen | Phase::Pending { .. } | Phase::Running { .. } => false,
        }
    }

    /// Whether a room that ended was not asked to: it may have said goodbye before we gave it up.
    pub fn went_by_itself(&self) -> bool {
        match self.intent {
            Intent::Keep | Intent::Allocated { .. } => true,
            Intent::Draining { .. } => false,
            Intent::Stopping { since, .. } => {
                self.said_goodbye() && self.reports.last.is_some_and(|last| last.since <= since)
            }
        }
    }

    fn said_goodbye(&self) -> bool {
        matches!(
            self.reports.status(),
            Some(Reported::Terminating | Reported::Terminated)
        )
    }

    /// Whether its end is as it should be: it was asked for, or announced and carried out.
    pub(super) fn ended_how(&self) -> Health {
        let is_well = match (&self.intent, &self.phase) {
            (Intent::Draining { .. } | Intent::Stopping { .. }, _) => true,
            (_, Phase::Exited { code: Some(code), .. }) => *code == 0 && self.said_goodbye(),
            // Of one that was adopted nobody may know the code.
            (_, Phase::Exited { code: None, .. }) => self.said_goodbye() && self.origin == Origin::Adopted,
            (_, Phase::Absent { .. }) => self.said_goodbye(),
            // It never was, for nobody wanted it any more, or because it could not be.
            (_, Phase::Unseen | Phase::Pending { .. } | Phase::Running { .. }) => !self.is_tried_out(),
        };
        match is_well {
            true => Health::Well,
            false => Health::Failed,
        }
    }

    fn is_tried_out(&self) -> bool {
        matches!(
            self.creation,
            Creation::Unconfirmed {
                tries: CREATE_TRIES..
            }
        )
    }

    /// Its end, to be asked once it has ended, or is forgotten. `now` counts where nothing says when that was.
    pub fn end(&self, now: Timestamp) -> End {
        let (at, code, words) = match &self.phase {
            Phase::Exited { at, code, reason } => (*at, *code, reason.clone()),
            Phase::Absent { at } => (*at, None, String::new()),
            Phase::Unseen | Phase::Pending { .. } | Phase::Running { .. } => (now, None, String::new()),
        };
        End {
            room: self.id.clone(),
            version: self.version,
            created_at: self.created_at(),
            life_at: self.reports.life_at,
            at,
            health: self.ended_how(),
            code,
            words,
            reason: self.why_it_ended(at),
            node: self.node.clone(),
        }
    }

    fn why_it_ended(&self, at: Timestamp) -> String {
        match (&self.intent, &self.phase, self.creation) {
            (Intent::Stopping { reason, .. } | Intent::Draining { reason, .. }, _, _) => reason.clone(),
            (_, _, Creation::Unconfirmed { .. }) if self.is_tried_out() => {
                format!("it could not be created in {CREATE_TRIES} tries")
            }
            (_, _, Creation::Unconfirmed { .. }) => "it was given up before it was created".to_owned(),
            (_, _, Creation::Confirmed { .. }) if self.said_goodbye() => {
                "it said that it was ending".to_owned()
            }
            (_, Phase::Absent { .. }, _) => {
                "it is gone from the cluster, and nobody here asked for that".to_owned()
            }
            // How long an adopted one lived, and what it said before, nobody here knows.
            (_, _, Creation::Confirmed { .. }) if self.origin == Origin::Adopted => {
                "it ended by itself".to_owned()
            }
            (_, _, Creation::Confirmed { at: created }) => {
                let lived = at.since(created);
                match self.reports.last {
                    Some(_) => format!("it ended by itself after {lived}"),
                    None => format!("it ended by itself after {lived}, before it was ready"),
                }
            }
        }
    }
}
