//! Nodes that are cordoned, drained, taken away or not heard of, and come back.

use std::sync::Arc;

use maestro::cluster::{Contact, Standing};
use maestro_core::decision::Decision;
use maestro_core::rollout::Share;
use maestro_core::room::Room;

use crate::world::World;

/// Nodes of a world.
pub(crate) const NODES: u32 = 3;

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It takes no new rooms for a while.
    Cordoned,
    /// The same, and then it is taken away with all that is on it; another one comes under its name.
    Replaced,
    /// Somebody drains it for a while.
    Drained,
    /// Neither the cluster nor the API hears of it for a while; its rooms go on.
    Lost,
}

pub(crate) fn node_name(number: u32) -> String {
    format!("node-{number}")
}

impl World {
    /// All nodes are there, as a watch shows it.
    pub(crate) fn begin_nodes(&mut self) {
        let nodes = (0..NODES).map(|node| (node_name(node), Standing::Open));
        self.ground.nodes = Arc::new(nodes.collect());
    }

    pub(crate) fn befall(&mut self, node: u32, fate: Fate, ms: u64) {
        match fate {
            Fate::Cordoned | Fate::Replaced => {
                self.ground.cordoned.insert(node);
                self.show_node(node);
            }
            Fate::Drained => {
                let now = self.now();
                self.ground.drained.insert(node_name(node), now);
                self.nudge(false);
            }
            Fate::Lost => {
                self.ground.lost.insert(node);
                self.show_node(node);
            }
        }
        self.after(ms, move |world| match fate {
            Fate::Cordoned | Fate::Drained | Fate::Lost => world.open(node),
            Fate::Replaced => {
                world.take_away(node);
                world.open(node);
            }
        });
    }

    /// A node takes rooms again.
    pub(crate) fn open(&mut self, node: u32) {
        self.note(|| format!("{} is open", node_name(node)));
        self.ground.cordoned.remove(&node);
        self.ground.drained.remove(&node_name(node));
        self.ground.lost.remove(&node);
        self.show_node(node);
        self.nudge(false);
        let waiting = self.ground.bodies.values().filter(|body| body.node.is_none());
        let waiting: Vec<_> = waiting.map(|body| body.id.clone()).collect();
        for id in waiting {
            self.place(&id);
        }
    }

    /// Whatever runs on a node ends with it.
    fn take_away(&mut self, node: u32) {
        let there = self.ground.bodies.values().filter(|body| body.node == Some(node));
        let there: Vec<_> = there.map(|body| (body.id.clone(), body.uid.clone())).collect();
        for (id, uid) in there {
            self.exit(&id, &uid, 137, "its node is gone");
        }
    }

    /// The watch shows it, sooner or later.
    fn show_node(&mut self, node: u32) {
        let ms = match self.is_faulty {
            true => self.between(0, 5_000),
            false => 0,
        };
        self.after(ms, move |world| {
            let standing = match world.ground.cordoned.contains(&node) {
                true => Standing::Leaving {
                    why: "is cordoned".to_owned(),
                },
                false => Standing::Open,
            };
            let contact = match world.ground.lost.contains(&node) {
                true => Contact::Lost,
                false => Contact::Heard,
            };
            let (name, nodes) = (node_name(node), Arc::make_mut(&mut world.ground.nodes));
            let stands_otherwise = nodes.set(&name, standing);
            if nodes.set_contact(&name, contact) || stands_otherwise {
                world.nudge(true);
            }
        });
    }

    /// Whether a room is where no room is to stay.
    pub(crate) fn is_on_node_that_is_left(&self, room: &Room) -> bool {
        let body = self.ground.bodies.get(&room.id);
        let is_left = |node: u32| {
            self.ground.cordoned.contains(&node) || self.ground.drained.contains_key(&node_name(node))
        };
        body.and_then(|body| body.node).is_some_and(is_left)
    }

    /// Rooms are asked to leave a node only as far as others serve in their place; where the cap leaves no place for
    /// others, as many fewer as make it.
    pub(crate) fn check_floor(&mut self, decision: &Decision) {
        let asked = |why: &str| {
            let lines = decision.plan.iter();
            lines
                .filter(|line| line.starts_with("ask ") && line.contains(why))
                .count()
        };
        let left = asked(": its node ");
        if left == 0 {
            return;
        }
        let counts = decision.counts;
        let share = Share::of(decision.version, decision.wanted);
        // The registry may have lost them since it was decided.
        let known = self.all_known();
        let mut versions = known.iter().map(|room| room.version);
        let mut bodies = self.ground.bodies.values().map(|body| body.version);
        let has_old =
            versions.any(|version| !share.keeps(version)) || bodies.any(|version| !share.keeps(version));
        let step = if has_old { share.surge } else { 1 };
        let cap = u32::try_from(self.plan.cap).unwrap_or(u32::MAX);
        let has_place = cap >= counts.silent + counts.draining + decision.wanted + step;
        let floor = match has_place {
            true => decision.wanted,
            false => decision.wanted.saturating_sub(step),
        };
        let gone = u32::try_from(left + asked(" is being replaced by ")).unwrap_or(u32::MAX);
        let serving = counts.ready + counts.busy();
        self.oracle.left += gone;
        if serving.saturating_sub(gone) < floor {
            self.break_promise(format!(
                "{left} rooms were asked to leave a node of {serving} that serve; {floor} must be left: {:?}",
                decision.plan
            ));
        }
    }
}
