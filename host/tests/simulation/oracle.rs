//! What was promised, checked against what is true.
//!
//! A room in a match may be asked to end (SIGTERM) only after it was given up under one of the excuses below, each
//! of them a deadline that its owner set, or what the domain names as the rest that no protocol can close: a match
//! that began after the `ready` by which the room answered that it may go. The excuses are judged here from the
//! facts of the registry and the truth of the world, by rules of their own.

use std::collections::BTreeMap;

use maestro::control::Record;
use maestro::registry::{Act, Cursor, Fence};
use maestro_core::decision::Rule;
use maestro_core::names::{RoomId, Version};
use maestro_core::report::Reported;
use maestro_core::room::{Intent, Origin, Phase, Room, Stage};
use maestro_core::time::{Span, Timestamp};

use crate::registry::Broken;
use crate::world::World;

/// Why a room was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Excuse {
    /// Its process had ended.
    Ended,
    /// The scheduler was deleted by force, or its deletion took too long.
    Forced,
    /// It said itself that it was ending.
    Ending,
    /// It had never reported; so nobody knew of it.
    Newborn,
    /// It answered after the mark that it holds no match.
    Answered,
    /// It was asked to leave, said nothing for that deadline, and was idle when heard of last.
    DrainingDeadline,
    /// Its match was longer than allowed.
    OccupiedDeadline,
    /// Nothing was heard of it for that deadline.
    LostDeadline,
}

/// A room that was given up.
#[derive(Clone, Debug)]
struct Stop {
    at: Timestamp,
    excuse: Excuse,
    /// When the report that answered the mark was sent.
    answered: Option<Timestamp>,
}

/// When a process read the registry, and what had been witnessed until then. A call may arrive seconds after it was
/// decided, and is to be judged by what could be known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Read {
    pub at: Timestamp,
    pub witnessed: Span,
}

/// What the oracle remembers.
#[derive(Default)]
pub(crate) struct Oracle {
    stops: BTreeMap<(RoomId, String), Stop>,
    /// Who was given the lease last.
    holder: Option<String>,
    /// The newest fence, and what it is called where tokens are counted.
    newest: Option<Fence>,
    counted: u64,
    counted_in: u32,
    by_count: BTreeMap<u64, u64>,
    /// When each process read the registry last.
    reads: BTreeMap<String, Read>,
    /// Matches that ended by our hand, by excuse.
    pub ended: BTreeMap<Excuse, u32>,
    /// Rooms given up, by excuse.
    pub given_up: BTreeMap<Excuse, u32>,
    /// Rooms that were asked to leave a node.
    pub left: u32,
    /// Times that `wanted` was moved by votes or by hand.
    pub scalings: u32,
    /// Whether somebody said that the deleted scheduler is gone.
    pub is_removed: bool,
    /// Least and most rooms, by version.
    pub bounds: BTreeMap<Version, (u32, u32)>,
}

impl Oracle {
    /// A fence was given out; answers what the process is told of it.
    pub(crate) fn granted(&mut self, fence: Fence, holder: &str, broken: Option<Broken>, life: u32) -> Fence {
        let is_new = self.newest.as_ref() != Some(&fence);
        self.holder = Some(holder.to_owned());
        self.newest = Some(fence.clone());
        if broken != Some(Broken::CounterOnlyToken) {
            return fence;
        }
        if self.counted_in != life {
            self.by_count.clear();
            (self.counted, self.counted_in) = (0, life);
        }
        if is_new {
            self.counted += 1;
            self.by_count.insert(self.counted, fence.token);
        }
        Fence {
            token: self.counted,
            ..fence
        }
    }

    /// The fence that the registry is shown for the one a process names.
    pub(crate) fn real_fence(&self, fence: &Fence, broken: Option<Broken>) -> Fence {
        let token = match broken {
            Some(Broken::NoFence) => self.newest.as_ref().map(|newest| newest.token),
            Some(Broken::CounterOnlyToken) => self.by_count.get(&fence.token).copied(),
            _ => None,
        };
        Fence {
            token: token.unwrap_or(fence.token),
            scheduler: fence.scheduler.clone(),
        }
    }

    pub(crate) fn has_read(&mut self, holder: &str, read: Read) {
        self.reads.insert(holder.to_owned(), read);
    }

    /// What whatever `holder` sends now was decided on.
    pub(crate) fn decided_on(&self, holder: &str) -> Read {
        self.reads.get(holder).copied().unwrap_or_default()
    }
}

impl World {
    pub(crate) fn known(&self, id: &RoomId) -> Option<Room> {
        let scheduler = self.scheduler();
        World::ask(&self.memory, |registry| registry.room(&scheduler, id)).ok()?
    }

    pub(crate) fn all_known(&self) -> Vec<Room> {
        let scheduler = self.scheduler();
        World::ask(&self.memory, |registry| registry.rooms(&scheduler)).unwrap_or_default()
    }

    /// A fenced write was taken: it must be of whoever was given the lease last.
    pub(crate) fn check_holder(&mut self, holder: &str) {
        if self.oracle.holder.as_deref() != Some(holder) {
            let newest = self.oracle.holder.clone().unwrap_or_default();
            self.break_promise(format!(
                "a write of {holder} was taken after {newest} had been given the lease"
            ));
        }
    }

    /// What the registry has for the number of rooms wanted.
    pub(crate) fn saved_wanted(&self) -> Option<u32> {
        let scheduler = self.scheduler();
        let changes = World::ask(&self.memory, |registry| {
            registry.changes(&scheduler, Cursor::START)
        })
        .ok()?;
        changes.standing.map(|standing| standing.wanted)
    }

    /// Rooms that the registry knows and that are not gone.
    pub(crate) fn live(&self) -> usize {
        let rooms = self.all_known();
        rooms.iter().filter(|room| room.stage() != Stage::Gone).count()
    }

    /// Names were asked for: none is taken above the cap. More than that may have been adopted.
    pub(crate) fn check_reservation(&mut self, holder: &str, before: usize) {
        let (live, cap) = (self.live(), self.plan.cap);
        if live > cap.max(before) {
            self.break_promise(format!("{holder} reserved up to {live} rooms; the cap is {cap}"));
        }
    }

    /// A room was created: never more than the cap, but for creates that nobody waited for or knew of any more, and where
    /// lists hid rooms that were there, which the port forbids.
    pub(crate) fn check_number(&mut self) {
        if self.plan.stale_lists > 0 {
            return;
        }
        let living = self.ground.living().count();
        let late = usize::try_from(self.ground.late_creates).unwrap_or(usize::MAX);
        let cap = self.plan.cap;
        if living > cap.saturating_add(late) {
            self.break_promise(format!("{living} rooms exist; the cap is {cap}"));
        }
    }

    /// An act was done to a room that looked like this before.
    pub(crate) fn check_act(&mut self, decided_on: Read, before: Option<Room>, act: &Act, recovering: bool) {
        let Some(before) = before else { return };
        let id = before.id.clone();
        let forced = self.is_forced();
        match act {
            Act::Drain { .. } if recovering && !forced => {
                self.break_promise(format!("{id} was asked to leave while recovering"));
            }
            Act::Stop { reason, .. } => {
                let Some(excuse) = self.excuse(decided_on, &before, forced) else {
                    let facts = format!("{:?}, {:?}", before.intent, before.reports);
                    return self
                        .break_promise(format!("{id} was given up without excuse ({reason}): {facts}"));
                };
                if recovering && !matches!(excuse, Excuse::Forced | Excuse::Ended) {
                    self.break_promise(format!("{id} was given up while recovering"));
                }
                *self.oracle.given_up.entry(excuse).or_default() += 1;
                self.note(|| format!("  {id} is given up: {excuse:?}"));
                let at = self.now();
                let Some(body) = self.ground.bodies.get(&id) else {
                    return;
                };
                let answered = body.mind.taken.map(|(_, sent, _)| sent);
                let stop = Stop {
                    at,
                    excuse,
                    answered: answered.filter(|_| excuse == Excuse::Answered),
                };
                self.oracle.stops.entry((id, body.uid.clone())).or_insert(stop);
            }
            Act::BeginCreate
            | Act::ConfirmCreate
            | Act::Drain { .. }
            | Act::ExpireAllocation
            | Act::Forget => {}
        }
    }

    fn is_forced(&self) -> bool {
        self.desired
            .deleting
            .is_some_and(|deleting| deleting.force || self.now().since(deleting.since) > self.plan.deletion)
    }

    /// Why a room that looked like this might be given up now, if it might.
    fn excuse(&self, decided_on: Read, room: &Room, forced: bool) -> Option<Excuse> {
        let deadlines = &self.desired.scheduler.deadlines;
        let now = self.now();
        let status = room.reports.status();
        if matches!(room.phase, Phase::Exited { .. } | Phase::Absent { .. }) {
            return Some(Excuse::Ended);
        }
        if forced {
            return Some(Excuse::Forced);
        }
        if matches!(status, Some(Reported::Terminating | Reported::Terminated)) {
            return Some(Excuse::Ending);
        }
        if status.is_none() && room.origin == Origin::Reserved {
            return Some(Excuse::Newborn);
        }
        let holds_match = status == Some(Reported::Occupied) || room.running_matches > 0;
        if let (Intent::Draining { since, .. }, Some(last), false) = (
            &room.intent,
            room.reports.last,
            holds_match || room.allocation_expired,
        ) && last.received_at > *since
        {
            return Some(Excuse::Answered);
        }
        if let (Some(limit), Some(began), true) = (deadlines.occupied, room.occupied_since, holds_match)
            && now.since(began) > limit
        {
            return Some(Excuse::OccupiedDeadline);
        }
        let silence = self.silence(decided_on, room);
        if self.is_one_of_many(decided_on, room) {
            return None;
        }
        if silence > deadlines.lost {
            return Some(Excuse::LostDeadline);
        }
        match room.intent {
            Intent::Draining { since, .. }
                if !room.is_protected()
                    && now.since(since) > deadlines.draining
                    && silence > deadlines.draining.max(deadlines.ping) =>
            {
                Some(Excuse::DrainingDeadline)
            }
            _ => None,
        }
    }

    /// How long a room had been silent when it was decided.
    fn silence(&self, decided_on: Read, room: &Room) -> Span {
        let read_at = decided_on.at;
        let heard = self.ground.bodies.get(&room.id).map(|body| &body.mind);
        let heard = match heard.and_then(|mind| mind.heard_until(read_at)) {
            Some(heard) => heard,
            None if room.reports.life_at.is_some_and(|at| at > read_at) => Span::ZERO,
            None => room.reports.life_witnessed,
        };
        decided_on.witnessed - heard
    }

    /// Whether this room fell silent together with at least two others that make over a fifth of all, and nothing says why.
    fn is_one_of_many(&self, decided_on: Read, room: &Room) -> bool {
        if room.node_lost {
            return false;
        }
        let ping = self.desired.scheduler.deadlines.ping;
        let rooms = self.all_known();
        let speaking = |room: &&Room| {
            let has_run = !matches!(room.phase, Phase::Pending { .. });
            has_run && matches!(room.stage(), Stage::Running | Stage::Draining)
        };
        let all = rooms.iter().filter(speaking).count();
        let mut lives: Vec<Span> = rooms
            .iter()
            .filter(speaking)
            .filter(|room| decided_on.witnessed - room.reports.life_witnessed > ping && !room.node_lost)
            .map(|room| room.reports.life_witnessed)
            .collect();
        lives.sort_unstable();
        let mine = room.reports.life_witnessed;
        lives.iter().any(|from| {
            let until = *from + ping;
            let group = lives
                .iter()
                .filter(|life| (*from..=until).contains(*life))
                .count();
            (*from..=until).contains(&mine) && group >= 3 && group * 5 > all
        })
    }

    /// A running room is about to be asked to end.
    pub(crate) fn check_killing(&mut self, id: &RoomId) {
        let now = self.now();
        let Some(body) = self.ground.bodies.get(id) else {
            return;
        };
        let (uid, playing) = (body.uid.clone(), body.mind.playing);
        let stop = self.oracle.stops.get(&(id.clone(), uid)).cloned();
        // A create that came late may have made another room under a name that had been given up. It is told so
        // with the first answer that it gets.
        let stop = stop.or_else(|| match self.known(id)?.intent {
            Intent::Stopping { since, .. } => Some(Stop {
                at: since,
                excuse: Excuse::Newborn,
                answered: None,
            }),
            _ => None,
        });
        let Some(stop) = stop else {
            return self.break_promise(format!("{id} runs and was deleted without being given up first"));
        };
        let Some(playing) = playing else { return };
        let began_after = |then: Timestamp| playing.began >= then;
        let is_excused = match stop.excuse {
            Excuse::Answered => stop.answered.is_some_and(began_after),
            Excuse::Newborn => began_after(stop.at),
            Excuse::Ended | Excuse::Ending => began_after(stop.at),
            Excuse::Forced | Excuse::DrainingDeadline | Excuse::OccupiedDeadline | Excuse::LostDeadline => {
                true
            }
        };
        if !is_excused && !began_after(stop.at) {
            let since = now.since(playing.began);
            return self.break_promise(format!(
                "{id} is ended in a match of {since}, given up as {:?} at {stop:?}",
                stop.excuse
            ));
        }
        *self.oracle.ended.entry(stop.excuse).or_default() += 1;
        self.note(|| format!("  {id} is ended in a match; {:?} excuses it", stop.excuse));
    }

    /// A decision: within the bounds, and every clamp written down.
    pub(crate) fn check_record(&mut self, record: &Record) {
        let decision = &record.decision;
        self.note(|| {
            format!(
                "  decided {} -> {}: {:?}",
                decision.before, decision.wanted, decision.plan
            )
        });
        self.oracle.scalings += u32::from(decision.scaled);
        self.check_floor(decision);
        let Some((min, max)) = self.oracle.bounds.get(&decision.version).copied() else {
            return self.break_promise(format!("nobody asked for {}", decision.version));
        };
        let is_nothing = self.desired.deleting.is_some() && decision.wanted == 0;
        if !(min..=max).contains(&decision.wanted) && !is_nothing {
            return self.break_promise(format!("{} rooms wanted, of {min} to {max}", decision.wanted));
        }
        let mut number = decision.clamps.first().map(|clamp| clamp.from);
        for clamp in &decision.clamps {
            let is_idle = clamp.from == clamp.to && clamp.rule != Rule::Deleted;
            if number != Some(clamp.from) || is_idle {
                return self.break_promise(format!("clamps don't follow each other: {:?}", decision.clamps));
            }
            number = Some(clamp.to);
        }
        if number.is_some_and(|number| number != decision.wanted) {
            self.break_promise(format!(
                "the clamps {:?} lead elsewhere than to {}",
                decision.clamps, decision.wanted
            ));
        }
    }
}
