//! The simulated cluster's truth: which rooms exist, which run, and how each came to its end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use maestro::cluster::{Nodes, Object};
use maestro::control::DrainedNodes;
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::room::{Address, OpenPort, Phase};
use maestro_core::scheduler::Scheduler;
use maestro_core::time::{Span, Timestamp};
use tokio::sync::Notify;

use crate::nodes::{NODES, node_name};
use crate::room::Mind;
use crate::world::World;

/// Snapshots kept for lists that are stale.
const SNAPSHOTS: usize = 12;

#[derive(Default)]
pub(crate) struct Ground {
    pub bodies: BTreeMap<RoomId, Body>,
    made: u32,
    is_exposed_apart: bool,
    nudges: BTreeMap<SchedulerName, Arc<Notify>>,
    snapshots: VecDeque<Vec<Object>>,
    /// Until when the cluster answers nobody.
    pub away_until: Timestamp,
    /// Creates that happened after their caller had given up, or after the registry had lost their name.
    pub late_creates: u32,
    /// Nodes on which nothing new is placed, as the cluster knows it, and which the watch has shown.
    pub cordoned: BTreeSet<u32>,
    /// Nodes of which nobody hears.
    pub lost: BTreeSet<u32>,
    pub nodes: Arc<Nodes>,
    /// Nodes that somebody drains, as the store has it.
    pub drained: DrainedNodes,
}

/// A room's object and process.
pub(crate) struct Body {
    pub id: RoomId,
    pub uid: String,
    pub version: Version,
    pub life: Life,
    pub is_deleting: bool,
    pub kill_at: Option<Timestamp>,
    pub is_exposed: bool,
    /// Where it was placed; `None` while no node takes it.
    pub node: Option<u32>,
    /// Nodes that it must not come to.
    pub avoid: Vec<String>,
    pub ports: Vec<OpenPort>,
    pub grounds: Grounds,
    pub mind: Mind,
    pub lines: Vec<String>,
}

/// Who a room is made for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grounds {
    pub scheduler: SchedulerName,
    pub program: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Life {
    Pending,
    Running {
        since: Timestamp,
    },
    Exited {
        at: Timestamp,
        code: i32,
        reason: String,
    },
}

impl Body {
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.life, Life::Running { .. })
    }

    fn object(&self) -> Object {
        let is_reachable = self.is_running() && self.is_exposed;
        let address = self.node.map(|node| Address {
            kind: "InternalIP".to_owned(),
            family: "IPv4".to_owned(),
            host: format!("10.0.0.{node}"),
        });
        Object {
            room: self.id.clone(),
            uid: self.uid.clone(),
            version: self.version,
            phase: match &self.life {
                Life::Pending => Phase::Pending {
                    reason: String::new(),
                },
                Life::Running { since } => Phase::Running { since: *since },
                Life::Exited { at, code, reason } => Phase::Exited {
                    at: *at,
                    code: Some(*code),
                    reason: reason.clone(),
                },
            },
            deleting: self.is_deleting,
            node: self.node.map(node_name),
            addresses: address.into_iter().filter(|_| is_reachable).collect(),
            ports: if is_reachable {
                self.ports.clone()
            } else {
                Vec::new()
            },
            exposed: self.is_exposed,
        }
    }
}

impl Ground {
    pub(crate) fn new(is_exposed_apart: bool) -> Self {
        Self {
            is_exposed_apart,
            ..Self::default()
        }
    }

    pub(crate) fn list(&self, scheduler: &SchedulerName) -> Vec<Object> {
        let bodies = self.bodies.values();
        bodies
            .filter(|body| body.grounds.scheduler == *scheduler)
            .map(Body::object)
            .collect()
    }

    /// A list as it was up to so many seconds ago.
    pub(crate) fn old_list(&self, scheduler: &SchedulerName, seconds: usize) -> Vec<Object> {
        let back = self.snapshots.len().saturating_sub(1).min(seconds);
        let old = self.snapshots.get(self.snapshots.len().saturating_sub(1 + back));
        match old {
            Some(objects) => {
                let mine = objects.iter().filter(|object| object.room.belongs_to(scheduler));
                mine.cloned().collect()
            }
            None => self.list(scheduler),
        }
    }

    fn keep_snapshot(&mut self) {
        if self.snapshots.len() == SNAPSHOTS {
            self.snapshots.pop_front();
        }
        self.snapshots
            .push_back(self.bodies.values().map(Body::object).collect());
    }

    pub(crate) fn nudges(&mut self, scheduler: &SchedulerName) -> Arc<Notify> {
        Arc::clone(self.nudges.entry(scheduler.clone()).or_default())
    }

    /// The body, if it is still the one of that uid.
    pub(crate) fn body(&mut self, id: &RoomId, uid: &str) -> Option<&mut Body> {
        self.bodies.get_mut(id).filter(|body| body.uid == uid)
    }

    /// Bodies that exist and did not end.
    pub(crate) fn living(&self) -> impl Iterator<Item = &Body> {
        let bodies = self.bodies.values();
        bodies.filter(|body| !matches!(body.life, Life::Exited { .. }))
    }
}

impl World {
    /// Keeps what lists show, each second, for those that are stale.
    pub(crate) fn keep_snapshots(&mut self) {
        self.ground.keep_snapshot();
        self.after(1_000, World::keep_snapshots);
    }

    pub(crate) fn create(
        &mut self,
        scheduler: &Scheduler,
        (id, version): (&RoomId, Version),
        avoid: &[String],
    ) {
        if self.ground.bodies.contains_key(id) {
            return;
        }
        self.ground.made += 1;
        let made = self.ground.made;
        let containers = &scheduler.template.containers;
        let ports = containers.iter().flat_map(|container| &container.ports);
        let ports = ports.zip(0_u16..).map(|(port, index)| OpenPort {
            name: port.name.clone(),
            protocol: port.protocol,
            port: u16::try_from(10_000 + (made * 4) % 50_000).unwrap_or(10_000) + index,
        });
        let body = Body {
            id: id.clone(),
            uid: format!("uid-{made}"),
            version,
            life: Life::Pending,
            is_deleting: false,
            kill_at: None,
            is_exposed: !self.ground.is_exposed_apart,
            node: None,
            avoid: avoid.to_vec(),
            ports: ports.collect(),
            grounds: Grounds {
                scheduler: scheduler.name.clone(),
                program: containers.iter().flat_map(|c| c.cmd.clone()).collect(),
            },
            mind: self.new_mind(),
            lines: Vec::new(),
        };
        self.note(|| format!("  {id} exists as {}", body.uid));
        self.ground.bodies.insert(id.clone(), body);
        self.changed(id);
        self.place(id);
    }

    /// Places a room that waits for it, and starts it, if any node takes it.
    pub(crate) fn place(&mut self, id: &RoomId) {
        let closed = &self.ground.cordoned | &self.ground.lost;
        let made = self.ground.made;
        let body = self.ground.bodies.get_mut(id);
        let Some(body) = body.filter(|body| body.node.is_none()) else {
            return;
        };
        let takes = |node: &u32| !closed.contains(node) && !body.avoid.contains(&node_name(*node));
        let Some(node) = (0..NODES).map(|n| (made + n) % NODES).find(takes) else {
            return;
        };
        body.node = Some(node);
        let (id, uid, start_ms) = (id.clone(), body.uid.clone(), body.mind.manners.start_ms);
        self.note(|| format!("  {id} comes to {}", node_name(node)));
        match start_ms {
            0 => self.start(&id, &uid),
            ms => self.after(ms, move |world| world.start(&id, &uid)),
        }
    }

    fn start(&mut self, id: &RoomId, uid: &str) {
        let since = self.now();
        let Some(body) = self.ground.body(id, uid) else {
            return;
        };
        if body.life != Life::Pending {
            return;
        }
        body.life = Life::Running { since };
        self.changed(id);
        self.wake_up(id, uid);
    }

    pub(crate) fn expose(&mut self, id: &RoomId) {
        let body = self.ground.bodies.get_mut(id);
        if let Some(body) = body.filter(|body| !body.is_exposed) {
            body.is_exposed = true;
            self.changed(id);
        }
    }

    /// Asks the room to end, and kills it after `grace`. What ended already is removed.
    pub(crate) fn delete(&mut self, id: &RoomId, uid: &str, grace: Span) {
        let now = self.now();
        let kill_at = now + grace;
        let Some(body) = self.ground.body(id, uid) else {
            return;
        };
        let is_first = !body.is_deleting;
        body.is_deleting = true;
        match body.life {
            Life::Exited { .. } => return self.remove(id, uid),
            // Nobody is there yet who could be asked.
            Life::Pending => return self.remove(id, uid),
            Life::Running { .. } => {}
        }
        if is_first {
            self.check_killing(id);
        }
        let body = self.ground.body(id, uid);
        if let Some(body) = body
            && body.kill_at.is_none_or(|at| kill_at < at)
        {
            body.kill_at = Some(kill_at);
            let (id, uid) = (id.clone(), uid.to_owned());
            self.after(grace.ms(), move |world| world.kill(&id, &uid));
        }
        if is_first {
            self.changed(id);
            self.hear_sigterm(id, uid);
        }
    }

    fn kill(&mut self, id: &RoomId, uid: &str) {
        let now = self.now();
        let is_due = self
            .ground
            .body(id, uid)
            .is_some_and(|body| body.kill_at.is_some_and(|at| at <= now));
        if is_due {
            self.exit(id, uid, 137, "killed");
        }
    }

    /// The room's process ends; its object goes with it if it was to be deleted.
    pub(crate) fn exit(&mut self, id: &RoomId, uid: &str, code: i32, reason: &str) {
        let at = self.now();
        let Some(body) = self.ground.body(id, uid) else {
            return;
        };
        if !body.is_running() {
            return;
        }
        body.life = Life::Exited {
            at,
            code,
            reason: reason.to_owned(),
        };
        body.mind.playing = None;
        let is_deleting = body.is_deleting;
        self.note(|| format!("  {id} ends with {code}: {reason}"));
        if is_deleting {
            self.remove(id, uid);
        }
        self.changed(id);
    }

    fn remove(&mut self, id: &RoomId, uid: &str) {
        if self.ground.body(id, uid).is_some() {
            self.ground.bodies.remove(id);
            self.note(|| format!("  {id} is gone from the cluster"));
            self.changed(id);
        }
    }

    pub(crate) fn changed(&mut self, id: &RoomId) {
        for (scheduler, nudges) in &self.ground.nudges {
            if id.belongs_to(scheduler) {
                nudges.notify_one();
            }
        }
        self.nudge(true);
    }
}
