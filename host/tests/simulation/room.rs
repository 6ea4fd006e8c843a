//! What runs in a simulated room: it starts, reports, plays matches, and ends, each in its own manner.
//!
//! A room takes no match before a report of it was taken, because nobody has heard of it before; and a well-mannered
//! one takes none after an answer asked it to leave. None does after SIGTERM. Its
//! requests may be lost or come late. A late one comes within the minute that the protocol allows, and rooms whose
//! clock steps send theirs in order: nothing could tell the order of reports that overtake each other under a
//! clock that moves.

use maestro::registry::{Call, Error, Receipt, Taken};
use maestro_core::names::RoomId;
use maestro_core::report::{Report, Reported};
use maestro_core::time::{Span, Timestamp};

use crate::world::World;

/// How a room behaves all its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manners {
    pub start_ms: u64,
    pub ready_ms: u64,
    pub ping_ms: u64,
    /// Whether it takes no match after it was asked to leave.
    pub heeds_drain: bool,
    /// Whether it ends when asked to.
    pub heeds_sigterm: bool,
    /// Whether it never says a word.
    pub is_mute: bool,
    /// Whether its clock is moved now and then.
    pub has_loose_clock: bool,
    /// Whether it sends its token along.
    pub is_authentic: bool,
    pub crashes_in_ms: Option<u64>,
}

/// What a room knows, and what it is doing.
#[derive(Clone, Debug)]
pub(crate) struct Mind {
    pub manners: Manners,
    pub status: Option<Reported>,
    pub playing: Option<Match>,
    /// When an answer first asked it to leave.
    pub told_at: Option<Timestamp>,
    pub is_known: bool,
    pub is_ending: bool,
    clock_off_ms: i64,
    /// The last report that was taken as its status: what it said, when it was sent and when it came.
    pub taken: Option<(Reported, Timestamp, Timestamp)>,
    /// When the registry heard of it, newest last, with the witness clock's total.
    heard: Vec<(Timestamp, Span)>,
    /// Until when it is promised to a match, and in which life of the registry that was.
    pub promised: Option<(Timestamp, u32)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Match {
    pub began: Timestamp,
    ends: Timestamp,
}

impl Mind {
    pub(crate) fn is_busy(&self) -> bool {
        self.playing.is_some()
    }

    /// The witness clock's total when it was heard of last until `then`; `None` when it never was.
    pub(crate) fn heard_until(&self, then: Timestamp) -> Option<Span> {
        let before = self.heard.iter().rev().find(|(at, _)| *at <= then);
        before.map(|(_, witnessed)| *witnessed)
    }

    /// A registry that lost everything has heard of nobody.
    pub(crate) fn forget_heard(&mut self) {
        self.heard.clear();
        self.taken = None;
    }
}

impl World {
    pub(crate) fn new_mind(&mut self) -> Mind {
        let odds = self.plan.rooms;
        let is_faulty = self.is_faulty;
        let mut is = |per_mille: u32| is_faulty && self.chance(per_mille);
        let (rude, stubborn, mute, loose) = (
            is(odds.rude),
            is(odds.stubborn),
            is(odds.mute),
            is(odds.loose_clocks),
        );
        let crashes = is(odds.crashing);
        let slow_start = is(odds.slow_starts);
        let manners = Manners {
            start_ms: match self.plan.is_at_once {
                true => 0,
                false => self.between(50, 1_500),
            },
            ready_ms: match slow_start {
                true => self.between(20_000, 70_000),
                false => self.between(200, 4_000),
            },
            ping_ms: self.plan.ping_ms,
            heeds_drain: !rude,
            heeds_sigterm: !stubborn,
            is_mute: mute || self.plan.is_at_once,
            has_loose_clock: loose,
            is_authentic: !self.chance(odds.tokenless),
            crashes_in_ms: crashes.then(|| self.between(500, 200_000)),
        };
        let off = i64::try_from(self.between(0, 20_000)).unwrap_or(0) - 10_000;
        Mind {
            manners,
            status: None,
            playing: None,
            told_at: None,
            is_known: false,
            is_ending: false,
            clock_off_ms: off,
            taken: None,
            heard: Vec::new(),
            promised: None,
        }
    }

    /// Its process begins.
    pub(crate) fn wake_up(&mut self, id: &RoomId, uid: &str) {
        let Some(body) = self.ground.body(id, uid) else {
            return;
        };
        let manners = body.mind.manners;
        if manners.is_mute {
            return self.run_program(id, uid);
        }
        let (room, of) = (id.clone(), uid.to_owned());
        self.after(manners.ready_ms, move |world| {
            world.set_status(&room, &of, Reported::Ready);
            world.tick(&room, &of);
        });
        if let Some(ms) = manners.crashes_in_ms {
            let (room, of) = (id.clone(), uid.to_owned());
            self.after(ms, move |world| world.exit(&room, &of, 139, "it crashed"));
        }
    }

    /// Says what it says now and then.
    fn tick(&mut self, id: &RoomId, uid: &str) {
        let is_faulty = self.is_faulty;
        let steps = is_faulty && self.chance(30);
        let step = i64::try_from(self.between(0, 800_000)).unwrap_or(0) - 400_000;
        let Some(body) = self.ground.body(id, uid).filter(|body| body.is_running()) else {
            return;
        };
        if body.mind.manners.has_loose_clock && steps {
            body.mind.clock_off_ms += step;
            self.note(|| format!("  {id}'s clock moves by {step} ms"));
        }
        self.say(id, uid);
        let ping_ms = self.plan.ping_ms;
        let (low, high) = (ping_ms * 9 / 10, ping_ms * 11 / 10);
        let ms = self.between(low, high);
        let (id, uid) = (id.clone(), uid.to_owned());
        self.after(ms, move |world| world.tick(&id, &uid));
    }

    fn set_status(&mut self, id: &RoomId, uid: &str, status: Reported) {
        let Some(body) = self.ground.body(id, uid).filter(|body| body.is_running()) else {
            return;
        };
        if body.mind.is_ending && status != Reported::Terminating {
            return;
        }
        body.mind.status = Some(status);
        self.say(id, uid);
    }

    /// Sends its status, once.
    fn say(&mut self, id: &RoomId, uid: &str) {
        let sent = self.now();
        let Some(body) = self.ground.body(id, uid) else {
            return;
        };
        let (mind, Some(status)) = (&body.mind, body.mind.status) else {
            return;
        };
        let report = Report {
            status,
            sent_at: Timestamp::from_ms(sent.ms() + mind.clock_off_ms),
            metadata: None,
            running_matches: None,
            capacity: None,
        };
        let is_in_order = mind.manners.has_loose_clock;
        let odds = self.plan.pings;
        let is_cut = body.node.is_some_and(|node| self.ground.lost.contains(&node));
        let is_lost = is_cut
            || sent < self.cut_until
            || self.is_faulty
                && (self.chance(odds.lost)
                    || (status == Reported::Occupied && self.chance(odds.occupied_lost)));
        if is_lost {
            return self.note(|| format!("  {id} says {} (lost)", status.as_str()));
        }
        let is_late = self.is_faulty && !is_in_order && self.chance(odds.late);
        let ms = match (self.is_faulty, is_late) {
            (true, true) => self.between(1_000, 45_000),
            (true, false) if is_in_order => 0,
            (true, false) => self.between(0, 30),
            (false, _) => 0,
        };
        let is_answer_lost = self.is_faulty && self.chance(odds.unanswered);
        self.note(|| format!("  {id} says {} (in {ms} ms)", status.as_str()));
        let (id, uid) = (id.clone(), uid.to_owned());
        let arrive = move |world: &mut World| world.hear(&id, &uid, report, (sent, is_answer_lost));
        match ms {
            0 => arrive(self),
            ms => self.after(ms, arrive),
        }
    }

    /// A report arrives at the API.
    fn hear(&mut self, id: &RoomId, uid: &str, report: Report, (sent, is_answer_lost): (Timestamp, bool)) {
        if self.now() < self.away_until {
            return;
        }
        let status = report.status;
        let body = self.ground.bodies.get(id);
        let authentic = body.is_some_and(|body| body.mind.manners.is_authentic);
        let version = self.desired.version;
        let call = Call::Report {
            report,
            authentic,
            version,
        };
        let memory = self.memory.clone();
        let scheduler = self.scheduler();
        let before = World::ask(&memory, |registry| registry.room(&scheduler, id));
        let before = before.ok().flatten().map(|room| room.revision);
        let answer = World::ask(&memory, |registry| registry.report(&scheduler, id, call));
        let (now, witnessed) = (self.now(), self.witness.total);
        let Receipt {
            taken,
            draining,
            room,
        } = match answer {
            Ok(receipt) => receipt,
            Err(Error::UnknownRoom(_)) => return self.note(|| format!("  {id} is not known")),
            Err(error) => return self.break_promise(format!("a report of {id} failed: {error}")),
        };
        if before != Some(room.revision) {
            self.nudge(false);
        }
        let Some(body) = self.ground.body(id, uid) else {
            return;
        };
        let mind = &mut body.mind;
        if taken != Taken::Provisional {
            mind.heard.push((now, witnessed));
            if mind.heard.len() > 8 {
                mind.heard.remove(0);
            }
        }
        match taken {
            Taken::Newest | Taken::ClockMoved | Taken::Registered | Taken::Provisional => {
                mind.taken = Some((status, sent, now));
                // A match uses the promise up, whosever it is.
                if status != Reported::Ready {
                    mind.promised = None;
                }
            }
            Taken::LifeOnly => {}
        }
        mind.is_known = true;
        if draining && !is_answer_lost {
            mind.told_at.get_or_insert(now);
        }
    }

    // Matches.

    /// Whether this room would take a match now.
    fn takes_match(&mut self, id: &RoomId, uid: &str) -> bool {
        let Some(body) = self.ground.body(id, uid) else {
            return false;
        };
        let mind = &body.mind;
        body.is_running()
            && mind.is_known
            && !mind.is_ending
            && mind.status == Some(Reported::Ready)
            && (mind.told_at.is_none() || !mind.manners.heeds_drain)
    }

    pub(crate) fn begin_match(&mut self, id: &RoomId, uid: &str, why: &str) {
        if !self.takes_match(id, uid) {
            return;
        }
        let began = self.now();
        let (low, high) = self.plan.match_ms;
        let ms = self.between(low, high);
        let ends = began + Span::from_ms(ms);
        let Some(body) = self.ground.body(id, uid) else {
            return;
        };
        body.mind.playing = Some(Match { began, ends });
        body.mind.promised = None;
        self.note(|| format!("  {id} begins a match of {} s: {why}", ms / 1_000));
        self.set_status(id, uid, Reported::Occupied);
        let (id, uid) = (id.clone(), uid.to_owned());
        self.after(ms, move |world| world.end_match(&id, &uid));
    }

    fn end_match(&mut self, id: &RoomId, uid: &str) {
        let now = self.now();
        let Some(body) = self.ground.body(id, uid) else {
            return;
        };
        let is_over = body.mind.playing.is_some_and(|playing| playing.ends <= now);
        if is_over && body.is_running() {
            body.mind.playing = None;
            let is_ending = body.mind.is_ending;
            self.note(|| format!("  {id} ends its match"));
            self.set_status(id, uid, Reported::Ready);
            if is_ending {
                self.leave(id, uid);
            }
        }
    }

    // The end.

    pub(crate) fn hear_sigterm(&mut self, id: &RoomId, uid: &str) {
        let Some(body) = self.ground.body(id, uid) else {
            return;
        };
        if !body.mind.manners.heeds_sigterm {
            return;
        }
        body.mind.is_ending = true;
        if body.mind.playing.is_none() {
            self.leave(id, uid);
        }
    }

    fn leave(&mut self, id: &RoomId, uid: &str) {
        if self
            .ground
            .body(id, uid)
            .is_some_and(|body| body.mind.status.is_some())
        {
            self.set_status(id, uid, Reported::Terminating);
        }
        let ms = self.between(0, 1_500);
        let (id, uid) = (id.clone(), uid.to_owned());
        self.after(ms, move |world| world.exit(&id, &uid, 0, "it was asked to"));
    }

    /// The rooms of the cluster's contract suite run commands instead of matches.
    fn run_program(&mut self, id: &RoomId, uid: &str) {
        let Some(body) = self.ground.body(id, uid) else {
            return;
        };
        let program = body.grounds.program.clone();
        let words: Vec<&str> = program.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["stubborn", ..] => {
                body.mind.manners.heeds_sigterm = false;
                body.lines.push("deaf".to_owned());
            }
            ["prints", lines @ ..] => body.lines.extend(lines.iter().map(|line| (*line).to_owned())),
            ["works", ..] => {
                let began = self.now();
                let ends = began + Span::from_secs(3_600);
                if let Some(body) = self.ground.body(id, uid) {
                    body.mind.playing = Some(Match { began, ends });
                }
            }
            ["exits", code, line, ..] => {
                let code = code.parse().unwrap_or(1);
                let line = (*line).to_owned();
                body.lines.push(line.clone());
                self.exit(id, uid, code, &line);
            }
            _ => {}
        }
    }
}
