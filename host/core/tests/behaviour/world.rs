//! A world small enough to reason about: one scheduler's rooms, a cluster that does what it is told, a clock.
//!
//! It keeps the rules of the two ports (acts name a revision, absence needs a later list) and applies plans as the
//! control loop does, so that plans can be watched until they have nothing left to do.

use std::collections::{BTreeMap, BTreeSet};

use maestro_core::deadlines::{Clocks, Watch, Witness};
use maestro_core::decision::{Actor, Counts, Decision};
use maestro_core::explain::{self, Outlook};
use maestro_core::guard::{self, Bounds, Ruling};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::plan::{self, Action, Budget, Deletion, Footing, Object, Plan};
use maestro_core::report::{Reception, Report, Reported};
use maestro_core::rollout::Share;
use maestro_core::room::{Address, OpenPort, Phase, Room, Seen};
use maestro_core::scheduler::{Deadlines, Protocol};
use maestro_core::time::{Span, Timestamp};
use maestro_core::votes::Ballot;

/// How often a room that is not muted pings.
pub(crate) const PING: Span = Span::from_secs(10);

/// How long a room may take to end.
pub(crate) const SHUTDOWN: Span = Span::from_secs(30);

/// The moment at which every world begins; any would do.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_ms(1_790_000_000_000);

/// One scheduler and all that concerns it.
pub(crate) struct World {
    pub(crate) name: SchedulerName,
    pub(crate) rooms: BTreeMap<RoomId, Room>,
    pub(crate) objects: BTreeMap<RoomId, Object>,
    pub(crate) muted: BTreeSet<RoomId>,
    pub(crate) deadlines: Deadlines,
    pub(crate) bounds: Bounds,
    pub(crate) up_cooldown: Span,
    pub(crate) down_cooldown: Span,
    pub(crate) version: Version,
    pub(crate) wanted: u32,
    pub(crate) scaled_at: Option<Timestamp>,
    pub(crate) ballots: Vec<Ballot>,
    pub(crate) footing: Footing,
    pub(crate) deletion: Option<Deletion>,
    pub(crate) creates_fail: bool,
    pub(crate) creation_held: Option<(Timestamp, String)>,
    pub(crate) paused: Option<Timestamp>,
    pub(crate) budget: u32,
    pub(crate) witness: Witness,
    pub(crate) now: Timestamp,
    /// Nodes, the one that is filled first before the others, and those that are being left, with why.
    pub(crate) nodes: Vec<String>,
    pub(crate) leaving: BTreeMap<String, String>,
    /// Nodes that the cluster no longer hears of.
    pub(crate) lost: BTreeSet<String>,
    made: u32,
}

impl World {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let mut witness = Witness::default();
        witness.beat(BEGINNING);
        Self {
            name: SchedulerName::parse("pong").unwrap(),
            rooms: BTreeMap::new(),
            objects: BTreeMap::new(),
            muted: BTreeSet::new(),
            deadlines: Deadlines::default(),
            bounds,
            up_cooldown: Span::from_secs(30),
            down_cooldown: Span::from_secs(60),
            version: Version::FIRST,
            wanted: guard::first_wanted(bounds),
            scaled_at: None,
            ballots: Vec::new(),
            footing: Footing::Sound,
            deletion: None,
            creates_fail: false,
            creation_held: None,
            paused: None,
            budget: 100,
            witness,
            now: BEGINNING,
            nodes: vec!["node-a".to_owned(), "node-b".to_owned()],
            leaving: BTreeMap::new(),
            lost: BTreeSet::new(),
            made: 0,
        }
    }

    /// The room with this number, in the order in which names were taken.
    pub(crate) fn id(&self, number: u32) -> RoomId {
        RoomId::new(&self.name, number)
    }

    pub(crate) fn room(&mut self, number: u32) -> &mut Room {
        let id = self.id(number);
        self.rooms.get_mut(&id).expect("the room exists")
    }

    pub(crate) fn watch(&self) -> Watch<'_> {
        let clocks = Clocks {
            witnessed: self.witness.total,
            now: self.now,
        };
        Watch::of(&self.rooms, &self.deadlines, SHUTDOWN, clocks)
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts::of(self.rooms.values(), &self.watch())
    }

    /// What a plan is made from at this moment, by the number wanted.
    pub(crate) fn plan(&self) -> Plan {
        plan::plan(&plan::Input {
            rooms: &self.rooms,
            watch: &self.watch(),
            objects: &self.objects,
            wanted: self.wanted,
            share: Share::of(self.version, self.wanted),
            budget: Budget {
                reserve: self.budget,
                drain: self.budget,
                cap: self.bounds.cap,
            },
            footing: self.footing,
            creation_held_until: self.creation_held.as_ref().map(|(until, _)| *until),
            deletion: self.deletion,
        })
    }

    pub(crate) fn guard_input(&self) -> guard::Input<'_> {
        guard::Input {
            ballots: &self.ballots,
            before: self.wanted,
            counts: self.counts(),
            bounds: self.bounds,
            scaled_at: self.scaled_at,
            up_cooldown: self.up_cooldown,
            down_cooldown: self.down_cooldown,
            paused: self.paused,
            recovering: self.footing != Footing::Sound,
            now: self.now,
        }
    }

    /// One step of the loop: rule, plan, apply.
    pub(crate) fn step(&mut self) -> Decision {
        let ruling = guard::rule(&self.guard_input());
        self.carry_out(Actor::Loop, &ruling)
    }

    /// A number asked for by hand.
    pub(crate) fn scale_by_hand(&mut self, asked: u32) -> Decision {
        let ruling = guard::rule_manual(asked, &self.guard_input());
        self.carry_out(Actor::Manual, &ruling)
    }

    fn carry_out(&mut self, actor: Actor, ruling: &Ruling) -> Decision {
        let outlook = Outlook {
            mass_silence: self.watch().mass_silence(),
            creation_held: self.creation_held.clone(),
            leaving: explain::Leaving::of(self.rooms.values()),
        };
        let waits = explain::waits(&self.guard_input(), ruling, &outlook);
        let before = self.wanted;
        let counts = self.counts();
        self.wanted = ruling.wanted;
        if ruling.scaled {
            self.scaled_at = Some(self.now);
        }
        let plan = self.plan();
        let decision = Decision {
            at: self.now,
            actor,
            cluster: "local".to_owned(),
            version: self.version,
            counts,
            ballots: self.ballots.clone(),
            winner: ruling.winner.clone(),
            clamps: ruling.clamps.clone(),
            before,
            wanted: ruling.wanted,
            scaled: ruling.scaled,
            mass_silence: plan.mass_silence,
            recovering: self.footing != Footing::Sound,
            plan: plan.actions.iter().map(ToString::to_string).collect(),
            waits,
        };
        self.apply(&plan);
        decision
    }

    /// Applies a plan as the control loop does: what names an older revision is refused.
    pub(crate) fn apply(&mut self, plan: &Plan) {
        plan.actions.iter().for_each(|action| self.act(action));
    }

    fn act(&mut self, action: &Action) {
        let (now, witnessed) = (self.now, self.witness.total);
        match action {
            Action::Reserve { count, version } => {
                for _ in 0..*count {
                    self.made += 1;
                    let id = self.id(self.made);
                    self.rooms
                        .insert(id.clone(), Room::reserved(id.clone(), *version, now, witnessed));
                    self.create(&id);
                }
            }
            Action::Create { room, .. } => self.create(room),
            Action::Expose { room } => {
                if let Some(object) = self.objects.get_mut(room) {
                    object.exposed = true;
                }
            }
            Action::Drain {
                room,
                revision,
                reason,
            } => {
                if let Some(room) = self.rooms.get_mut(room).filter(|room| room.revision == *revision) {
                    room.drain(reason, now).expect("a plan drains no promised room");
                }
            }
            Action::ExpireAllocation { room, revision } => {
                if let Some(room) = self.rooms.get_mut(room).filter(|room| room.revision == *revision) {
                    room.expire_allocation(now).expect("a plan expires nothing early");
                }
            }
            Action::Stop {
                room: id,
                revision,
                unheard_since,
                reason,
            } => {
                if let Some(room) = self.rooms.get_mut(id).filter(|room| room.revision == *revision) {
                    room.stop(reason, *unheard_since, now)
                        .expect("nothing is heard meanwhile");
                    self.delete(id);
                }
            }
            Action::Delete { room } => self.delete(room),
            Action::Forget {
                room: id, revision, ..
            } => {
                if let Some(room) = self.rooms.get(id).filter(|room| room.revision == *revision) {
                    room.may_forget().expect("a plan forgets nothing that may exist");
                    self.rooms.remove(id);
                }
            }
        }
    }

    fn create(&mut self, id: &RoomId) {
        let room = self
            .rooms
            .get_mut(id)
            .expect("a plan creates reserved rooms only");
        room.begin_create().expect("a plan creates nothing twice");
        if !self.creates_fail {
            room.confirm_create(self.now);
            let object = Object {
                exposed: true,
                deleting: false,
            };
            self.objects.insert(id.clone(), object);
        }
    }

    fn delete(&mut self, id: &RoomId) {
        if let Some(object) = self.objects.get_mut(id) {
            object.deleting = true;
        }
    }

    /// What is being deleted is gone, and a new list shows it.
    pub(crate) fn sweep(&mut self) {
        self.objects.retain(|_, object| !object.deleting);
        for id in self.rooms.keys().cloned().collect::<Vec<_>>() {
            if !self.objects.contains_key(&id) {
                self.show(&id, Phase::Absent { at: self.now });
            }
        }
    }

    /// Writes what the cluster shows of a room.
    pub(crate) fn show(&mut self, id: &RoomId, phase: Phase) {
        let now = self.now;
        let node = self.place(id);
        let leaving = node.as_ref().and_then(|node| self.leaving.get(node).cloned());
        let node_lost = node.as_ref().is_some_and(|node| self.lost.contains(node));
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        let seen = Seen {
            phase,
            node,
            leaving,
            node_lost,
            addresses: vec![Address {
                kind: "InternalIP".to_owned(),
                family: "IPv4".to_owned(),
                host: "127.0.0.1".to_owned(),
            }],
            ports: vec![OpenPort {
                name: "game".to_owned(),
                protocol: Protocol::Udp,
                port: 7777,
            }],
        };
        room.observe(&seen, now);
    }

    /// Where a room is, or the node that a new one comes to: the first of those that stay. Without one it has to wait.
    fn place(&self, id: &RoomId) -> Option<String> {
        let there = self.rooms.get(id).and_then(|room| room.node.clone());
        let mut open = self.nodes.iter().filter(|node| !self.leaving.contains_key(*node));
        there.or_else(|| open.next().cloned())
    }

    /// Nodes are left, or stay after all; the next list shows it.
    pub(crate) fn leave(&mut self, node: &str, why: Option<&str>) {
        match why {
            Some(why) => _ = self.leaving.insert(node.to_owned(), why.to_owned()),
            None => _ = self.leaving.remove(node),
        }
        self.list();
    }

    /// The cluster no longer hears of a node; the next list shows it.
    pub(crate) fn lose_node(&mut self, node: &str) {
        self.lost.insert(node.to_owned());
        self.list();
    }

    /// Shows every room again, where it is.
    fn list(&mut self) {
        for (id, phase) in self
            .rooms
            .iter()
            .filter(|(_, room)| room.node.is_some())
            .map(|(id, room)| (id.clone(), room.phase.clone()))
            .collect::<Vec<_>>()
        {
            self.show(&id, phase);
        }
    }

    /// Every room that was created runs and says that it is ready.
    pub(crate) fn start(&mut self) {
        for id in self.objects.keys().cloned().collect::<Vec<_>>() {
            let Some(room) = self.rooms.get(&id) else { continue };
            if self.place(&id).is_some() && matches!(room.phase, Phase::Unseen | Phase::Pending { .. }) {
                self.show(&id, Phase::Running { since: self.now });
                self.say(&id, Reported::Ready);
            }
        }
    }

    pub(crate) fn say(&mut self, id: &RoomId, status: Reported) -> Option<Reception> {
        let report = Report {
            status,
            sent_at: self.now,
            metadata: None,
            running_matches: None,
            capacity: None,
        };
        let room = self.rooms.get_mut(id)?;
        Some(room.receive(&report, self.now, self.witness.total))
    }

    pub(crate) fn report(&mut self, number: u32, status: Reported) {
        let id = self.id(number);
        self.say(&id, status).expect("the room exists");
    }

    /// Time passes: the API beats each second, and rooms that run and are not muted repeat what they said last.
    pub(crate) fn wait(&mut self, span: Span) {
        let end = self.now + span;
        while self.now < end {
            self.now = (self.now + Span::from_secs(1)).min(end);
            self.witness.beat(self.now);
            if self.now.since(BEGINNING).ms().is_multiple_of(PING.ms()) {
                self.ping_all();
            }
        }
    }

    fn ping_all(&mut self) {
        for id in self.rooms.keys().cloned().collect::<Vec<_>>() {
            let room = &self.rooms[&id];
            let runs = matches!(room.phase, Phase::Running { .. }) && !self.muted.contains(&id);
            if let Some(status) = room.reports.status().filter(|_| runs) {
                self.say(&id, status);
            }
        }
    }

    /// The process of a room ended by itself.
    pub(crate) fn exit(&mut self, number: u32, code: i32, reason: &str) {
        let id = self.id(number);
        let exited = Phase::Exited {
            at: self.now,
            code: Some(code),
            reason: reason.to_owned(),
        };
        self.show(&id, exited);
    }

    /// The registry lost everything, and the cluster's rooms were adopted.
    pub(crate) fn lose_registry(&mut self) {
        self.footing = Footing::Recovering { listed: true };
        let found: Vec<(RoomId, Version)> = self
            .rooms
            .iter()
            .map(|(id, room)| (id.clone(), room.version))
            .collect();
        self.rooms.clear();
        for (id, version) in found {
            let room = Room::adopted(id.clone(), version, self.now, self.witness.total);
            self.rooms.insert(id.clone(), room);
            self.show(&id, Phase::Running { since: self.now });
        }
    }

    /// Steps, with all rooms coming up and going away as told, until a plan has nothing to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..60 {
            self.step();
            self.start();
            self.wait(Span::from_secs(10));
            self.sweep();
            if self.plan().actions.is_empty() {
                return;
            }
        }
        panic!("the plans don't come to an end:\n{}", self.plan());
    }
}
