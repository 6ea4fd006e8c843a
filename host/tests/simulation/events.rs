//! What happens to the world from outside, by the plan: players, troubles, and the end of both.

use std::sync::Arc;

use maestro::control::{Command, Deleting, Scale};
use maestro::registry::Terms;
use maestro_core::names::RoomId;
use maestro_core::room::Origin;
use maestro_core::time::{Span, Timestamp};

use crate::nodes::NODES;
use crate::plan::{self, Trouble};
use crate::world::World;

impl World {
    /// Puts everything that is to happen into the queue.
    pub(crate) fn begin(&mut self) {
        self.is_faulty = true;
        self.note_bounds();
        self.begin_nodes();
        self.beat();
        if self.plan.stale_lists > 0 {
            self.keep_snapshots();
        }
        self.after(self.plan.walk_in_ms, World::walk_in);
        self.after(self.plan.allocate_ms, World::ask_for_room);
        for (ms, trouble) in self.plan.troubles.clone() {
            self.after(ms, move |world| world.suffer(trouble));
        }
        self.after(self.plan.trouble_ms, |world| {
            world.is_faulty = false;
            (world.cut_until, world.away_until) = (world.now(), world.now());
            world.ground.away_until = world.now();
            world.note(|| "nothing goes wrong any more, and nobody comes to play".to_owned());
            // Where no node takes a room, nothing settles.
            world.open(NODES - 1);
            for node in std::mem::take(&mut world.ground.lost) {
                world.open(node);
            }
            world.end_strangers();
        });
    }

    /// Rooms that never say a word end, where a registry that lost everything can't know them for newborn: as long
    /// as several of them are silent together, nobody may give them up.
    fn end_strangers(&mut self) {
        let bodies = self
            .ground
            .bodies
            .values()
            .filter(|body| body.mind.manners.is_mute);
        let mute: Vec<_> = bodies.map(|body| (body.id.clone(), body.uid.clone())).collect();
        for (id, uid) in mute {
            if self.known(&id).is_none_or(|room| room.origin == Origin::Adopted) {
                self.exit(&id, &uid, 1, "nobody hears of it");
            }
        }
    }

    fn suffer(&mut self, trouble: Trouble) {
        self.note(|| format!("trouble: {trouble:?}"));
        let until = |ms: u64, now: Timestamp| now + Span::from_ms(ms);
        let now = self.now();
        match trouble {
            Trouble::Loss { late_ms } => {
                self.lose_registry();
                self.ground.away_until = self.ground.away_until.max(until(late_ms, now));
            }
            Trouble::Silence { ms } => self.cut_until = self.cut_until.max(until(ms, now)),
            Trouble::Away { ms } => self.away_until = self.away_until.max(until(ms, now)),
            Trouble::Cluster { ms } => {
                self.ground.away_until = self.ground.away_until.max(until(ms, now));
            }
            Trouble::Change { major } => {
                let min = u32::try_from(self.between(0, 6)).unwrap_or(0);
                self.desired = plan::changed(&self.desired, major, min);
                self.note_bounds();
                self.nudge(false);
            }
            Trouble::Scale { to } => {
                let operation = format!("operation-{}", now.ms());
                let scale = Scale::To(to);
                self.commands.push(Command { operation, scale });
                self.nudge(false);
            }
            Trouble::Node { node, fate, ms } => self.befall(node, fate, ms),
            Trouble::Delete { force } => {
                let mut desired = (*self.desired).clone();
                desired.deleting = Some(Deleting { force, since: now });
                self.desired = Arc::new(desired);
                self.nudge(false);
            }
        }
    }

    fn note_bounds(&mut self) {
        let autoscaling = &self.desired.scheduler.autoscaling;
        let cap = u32::try_from(self.plan.cap).unwrap_or(u32::MAX);
        let most = autoscaling.max.filter(|max| *max > 0).unwrap_or(cap).min(cap);
        let bounds = (autoscaling.min.min(most), most);
        self.oracle.bounds.insert(self.desired.version, bounds);
    }

    // Players.

    /// Players come to a room by themselves.
    fn walk_in(&mut self) {
        if !self.is_faulty {
            return;
        }
        if let Some((id, uid)) = self.some_body() {
            self.begin_match(&id, &uid, "players came by");
        }
        let ms = self.between(1, self.plan.walk_in_ms * 2);
        self.after(ms, World::walk_in);
    }

    fn some_body(&mut self) -> Option<(RoomId, String)> {
        let bodies = self.ground.bodies.len();
        let number = usize::try_from(self.between(0, bodies.checked_sub(1)? as u64)).ok()?;
        let body = self.ground.bodies.values().nth(number)?;
        Some((body.id.clone(), body.uid.clone()))
    }

    /// A matchmaker asks for a room. Its players are there at once, late, too late, or never.
    fn ask_for_room(&mut self) {
        if !self.is_faulty {
            return;
        }
        let deadlines = self.desired.scheduler.deadlines;
        let terms = Terms {
            ttl: deadlines.allocation,
            ping: deadlines.ping,
        };
        let (memory, scheduler) = (Arc::clone(&self.memory), self.scheduler());
        let is_there = self.now() >= self.away_until;
        let given = match is_there {
            true => World::ask(&memory, |registry| registry.allocate(&scheduler, terms)),
            false => Ok(None),
        };
        if let Ok(Some(room)) = given {
            self.promise(&room.id, deadlines.allocation);
        }
        let ms = self.between(1, self.plan.allocate_ms * 2);
        self.after(ms, World::ask_for_room);
    }

    fn promise(&mut self, id: &RoomId, ttl: Span) {
        let (now, life) = (self.now(), self.life);
        self.note(|| format!("{id} is promised to a match"));
        self.nudge(false);
        let ms = match self.between(0, 9) {
            0 => return,
            1 => ttl.ms().saturating_sub(self.between(0, 300)),
            2 => ttl.ms() + self.between(0, 2_000),
            _ => self.between(0, ttl.ms()),
        };
        let Some(body) = self.ground.bodies.get_mut(id) else {
            return;
        };
        let until = now + ttl;
        let before = body.mind.promised.replace((until, life));
        let uid = body.uid.clone();
        // A list that hides rooms makes them strangers: whoever is adopted has no promise.
        let is_hidden = self.plan.stale_lists > 0;
        if !is_hidden && before.is_some_and(|(until, of)| of == life && now < until) {
            return self.break_promise(format!("{id} was promised twice"));
        }
        let id = id.clone();
        self.after(ms, move |world| world.begin_match(&id, &uid, "it was promised"));
    }

    /// The worst moment for a match to begin: while something is about to be done to the room.
    pub(crate) fn tempt(&mut self, id: &RoomId, in_ms: u64) {
        if !self.is_faulty || !self.chance(self.plan.temptation) {
            return;
        }
        let Some(body) = self.ground.bodies.get(id) else {
            return;
        };
        let (id, uid) = (id.clone(), body.uid.clone());
        match self.between(0, in_ms + 200) {
            0 => self.begin_match(&id, &uid, "just now"),
            ms => self.after(ms, move |world| world.begin_match(&id, &uid, "just now")),
        }
    }
}
