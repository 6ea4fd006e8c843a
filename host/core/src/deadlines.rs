//! Witnessed time and mass silence: which deadlines of which rooms are over.
//!
//! A ping deadline counts only spans in which an API was up and the registry took writes, so that an outage of
//! ours never looks like the death of a room. Where so many rooms fall silent at once that the fault is likely
//! between them and us, silence tells nothing at all; rooms of a machine that the cluster lost as well are no part of
//! that. Used by the counts, the planner and the texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::names::RoomId;
use crate::report::Reported;
use crate::room::{Health, Intent, Phase, Room, Stage, Use};
use crate::scheduler::Deadlines;
use crate::time::{Span, Timestamp};

/// Adds up witnessed time: the sum of gaps between heartbeats of the room API, each gap counted up to
/// [`Witness::GAP`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// The last heartbeat.
    pub last: Option<Timestamp>,
    /// Time witnessed so far.
    pub total: Span,
}

impl Witness {
    /// The longest gap between two heartbeats that still counts as witnessed. Heartbeats come each second; three
    /// leave room for a busy machine.
    pub const GAP: Span = Span::from_secs(3);

    /// Takes a heartbeat at `now`.
    pub fn beat(&mut self, now: Timestamp) {
        if let Some(last) = self.last {
            let gap = now.since(last);
            if gap <= Self::GAP {
                self.total += gap;
            }
        }
        // A clock that stepped back must not make the next gap look longer than it is.
        self.last = Some(now);
    }
}

/// One room in this many, and more, falling silent together is mass silence: "over a fifth".
const MASS_SHARE: usize = 5;

/// Fewer silent rooms than this are never mass silence.
const MASS_LEAST: usize = 3;

/// A stopping room that still exists this long after its shutdown time is deleted once more.
const STUCK: Span = Span::from_secs(30);

/// A scheduler's rooms at one time, with everything that a judgement on a deadline needs.
#[derive(Clone, Debug)]
pub struct Watch<'a> {
    /// The scheduler's deadlines.
    pub deadlines: &'a Deadlines,
    /// How long a room may take to end after SIGTERM.
    pub shutdown: Span,
    /// The witness clock's total.
    pub witnessed: Span,
    /// The present, by the registry's clock.
    pub now: Timestamp,
    /// Rooms that fell silent together; empty when there is no mass silence.
    mass: BTreeSet<RoomId>,
}

/// The clocks that a watch goes by.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The witness clock's total.
    pub witnessed: Span,
    /// The present, by the registry's clock.
    pub now: Timestamp,
}

/// Where a room counts; each room counts in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Reserved or starting.
    Starting,
    /// Idle, not asked to go.
    Ready,
    /// Promised to a match.
    Allocated,
    /// In a match, or possibly in one.
    Occupied,
    /// Asked to go, whatever its use.
    Draining,
    /// Being ended.
    Stopping,
    /// Silent past the ping deadline, and replaced.
    Silent,
    /// Gone: counts nowhere.
    Gone,
}

/// A deadline that is over, with what a person needs to know about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// It did not report ready in time.
    Initialization(Span),
    /// It is idle and has been silent for this long.
    Ping(Span),
    /// Its present match has lasted for this long.
    Occupied(Span),
    /// It was silent for so long that even a protected room is given up.
    Lost(Span),
    /// It was asked to leave, is idle and gave no answer for this long.
    Draining(Span),
    /// It said that it is ending, and has not ended since.
    Shutdown(Span),
    /// It said "forget me": there is nothing to wait for.
    Left,
}

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initialization(span) => write!(f, "it was not ready within {span} of its creation"),
            Self::Ping(span) => write!(f, "it holds no match and was silent for {span}"),
            Self::Occupied(span) => write!(f, "its match has taken longer than {span}"),
            Self::Lost(span) => write!(f, "nothing was heard of it for {span}"),
            Self::Draining(span) => write!(f, "it was asked to leave, and was silent for {span}"),
            Self::Shutdown(span) => write!(f, "it said that it is ending, and still runs after {span}"),
            Self::Left => write!(f, "it said goodbye"),
        }
    }
}

impl<'a> Watch<'a> {
    /// Looks at all rooms of a scheduler.
    pub fn over<'r>(
        rooms: impl IntoIterator<Item = &'r Room>,
        deadlines: &'a Deadlines,
        shutdown: Span,
        clocks: Clocks,
    ) -> Self {
        let mut watch = Self {
            deadlines,
            shutdown,
            witnessed: clocks.witnessed,
            now: clocks.now,
            mass: BTreeSet::new(),
        };
        watch.mass = watch.find_mass_silence(rooms);
        watch
    }

    /// Looks at a map of rooms.
    pub fn of(
        rooms: &BTreeMap<RoomId, Room>,
        deadlines: &'a Deadlines,
        shutdown: Span,
        clocks: Clocks,
    ) -> Self {
        Self::over(rooms.values(), deadlines, shutdown, clocks)
    }

    /// Whether over a fifth of the rooms fell silent at once.
    pub fn mass_silence(&self) -> bool {
        !self.mass.is_empty()
    }

    /// How many rooms fell silent at once.
    pub fn mass_silent(&self) -> usize {
        self.mass.len()
    }

    /// Whether this room's silence is excused, because too many fell silent together with it.
    pub fn is_excused(&self, room: &Room) -> bool {
        self.mass.contains(&room.id)
    }

    /// Whether the room is as it should be.
    pub fn health(&self, room: &Room) -> Health {
        room.health(self.deadlines, self.witnessed, self.now)
    }

    /// Where the room counts.
    pub fn place(&self, room: &Room) -> Place {
        match room.stage() {
            Stage::Gone => Place::Gone,
            Stage::Stopping => Place::Stopping,
            Stage::Draining => Place::Draining,
            Stage::Reserved | Stage::Starting => Place::Starting,
            Stage::Running if self.is_missing(room) => Place::Silent,
            Stage::Running => match room.usage() {
                Use::Idle => Place::Ready,
                Use::Allocated => Place::Allocated,
                Use::Occupied | Use::Unknown => Place::Occupied,
            },
        }
    }

    /// The deadline of this room that is over and calls for an act now, if there is one.
    pub fn overdue(&self, room: &Room) -> Option<Overdue> {
        match room.stage() {
            Stage::Gone => None,
            // Creating it again is bounded by tries, not by time.
            Stage::Reserved => None,
            Stage::Starting => match self.health(room) {
                Health::Late => Some(Overdue::Initialization(self.deadlines.initialization)),
                Health::Well | Health::Silent | Health::Failed => None,
            },
            Stage::Running => self
                .overdue_match(room)
                .or_else(|| self.overdue_life(room))
                .or_else(|| self.overdue_ping(room)),
            Stage::Draining => self
                .overdue_match(room)
                .or_else(|| self.overdue_life(room))
                .or_else(|| self.overdue_drain(room)),
            Stage::Stopping => self.overdue_shutdown(room),
        }
    }

    /// Whether an allocation has run out.
    pub fn is_allocation_over(&self, room: &Room) -> bool {
        match room.intent {
            Intent::Allocated { until } => until <= self.now,
            Intent::Keep | Intent::Draining { .. } | Intent::Stopping { .. } => false,
        }
    }

    /// Whether a drained room may be deleted: it answered after the mark that it holds no match, or it is idle and
    /// stayed silent past its deadline.
    pub fn may_delete_after_drain(&self, room: &Room) -> bool {
        room.has_answered_drain() || self.overdue_drain(room).is_some()
    }

    fn is_silent(&self, room: &Room) -> bool {
        self.health(room) == Health::Silent
    }

    /// A silent room is missing, and replaced, unless too many are silent for that to be likely.
    fn is_missing(&self, room: &Room) -> bool {
        let runs = matches!(room.phase, Phase::Running { .. });
        self.is_silent(room) && !(self.is_excused(room) && runs)
    }

    /// A match's deadline ends that match only. After a silence the room may be in the next one, so either the
    /// room said after the deadline that it is still occupied, or it is missing altogether.
    fn overdue_match(&self, room: &Room) -> Option<Overdue> {
        let limit = self.deadlines.occupied?;
        let began = room.occupied_since?;
        let said = room.reports.last.map_or(began, |last| last.received_at);
        let over = self.now.since(began) > limit;
        let known = said.since(began) > limit || (self.is_silent(room) && !self.is_excused(room));
        (over && known).then_some(Overdue::Occupied(limit))
    }

    fn overdue_life(&self, room: &Room) -> Option<Overdue> {
        let lost = room.reports.silence(self.witnessed) > self.deadlines.lost;
        (lost && !self.is_excused(room)).then_some(Overdue::Lost(self.deadlines.lost))
    }

    fn overdue_ping(&self, room: &Room) -> Option<Overdue> {
        let silent = self.is_silent(room) && !self.is_excused(room);
        (silent && !room.is_protected()).then_some(Overdue::Ping(self.deadlines.ping))
    }

    /// The silence must have outlasted both deadlines, so that a room that could not answer because we were away
    /// is not taken for one that would not.
    fn overdue_drain(&self, room: &Room) -> Option<Overdue> {
        let Intent::Draining { since, .. } = room.intent else {
            return None;
        };
        let limit = self.deadlines.draining;
        let silence = room.reports.silence(self.witnessed);
        let over = self.now.since(since) > limit && silence > limit && silence > self.deadlines.ping;
        (over && !room.is_protected() && !self.is_excused(room)).then_some(Overdue::Draining(limit))
    }

    fn overdue_shutdown(&self, room: &Room) -> Option<Overdue> {
        let over = match (&room.intent, room.reports.last) {
            (Intent::Stopping { since, .. }, _) => self.now.since(*since) > self.shutdown + STUCK,
            (_, Some(last)) if last.status == Reported::Terminated => return Some(Overdue::Left),
            (_, Some(last)) => self.now.since(last.since) > self.shutdown,
            (_, None) => false,
        };
        over.then_some(Overdue::Shutdown(self.shutdown))
    }

    /// Rooms whose silences began within one ping deadline of each other, when they are over a fifth of all that
    /// could be silent by a fault between them and us.
    fn find_mass_silence<'r>(&self, rooms: impl IntoIterator<Item = &'r Room>) -> BTreeSet<RoomId> {
        let mut alive = 0_usize;
        let mut silent: Vec<(Span, &RoomId)> = Vec::new();
        for room in rooms {
            match room.stage() {
                Stage::Gone | Stage::Reserved | Stage::Starting => continue,
                // Of those that are being ended no word is expected. They count among all, lest ending a few make
                // a mass of the silent ones.
                Stage::Stopping => {
                    alive += 1;
                    continue;
                }
                // It never ran, though it was adopted: nothing lies between it and us that could have fallen silent.
                Stage::Running | Stage::Draining if matches!(room.phase, Phase::Pending { .. }) => continue,
                // The cluster doesn't hear of its machine either: that is why, and says nothing of what lies between.
                Stage::Running | Stage::Draining if room.node_lost && self.is_silent(room) => continue,
                Stage::Running | Stage::Draining => alive += 1,
            }
            if self.is_silent(room) {
                silent.push((room.reports.life_witnessed, &room.id));
            }
        }
        silent.sort();
        let mut mass = BTreeSet::new();
        let mut taken = 0;
        for (first, (began, _)) in silent.iter().enumerate() {
            let until = *began + self.deadlines.ping;
            let together = silent.partition_point(|(life, _)| *life <= until);
            let group = &silent[first..together];
            if group.len() >= MASS_LEAST && group.len() * MASS_SHARE > alive {
                mass.extend(
                    silent[taken.max(first)..together]
                        .iter()
                        .map(|(_, id)| (*id).clone()),
                );
                taken = together;
            }
        }
        mass
    }
}
