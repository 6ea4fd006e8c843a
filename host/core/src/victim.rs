//! Which room goes first: one total order among unprotected rooms.
//!
//! Used by the planner only. A protected room is in no answer of this module, whatever else is true of it.

use std::collections::BTreeMap;

use crate::deadlines::{Place, Watch};
use crate::room::{Health, Intent, Room, Stage};

/// How readily a room is given up; the first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Failed,
    Reserved,
    Starting,
    Silent,
    Ready,
}

/// The rooms that may be given up, the first one first: those on nodes that are being left before all others; failed,
/// starting, silent, ready; among equals the one on the node with the fewest rooms, so that nodes become empty; then by
/// name.
pub fn order<'r>(rooms: impl IntoIterator<Item = &'r Room>, watch: &Watch) -> Vec<&'r Room> {
    let rooms: Vec<&Room> = rooms.into_iter().collect();
    let mut on_node: BTreeMap<&str, u32> = BTreeMap::new();
    for room in &rooms {
        if let Some(node) = &room.node {
            *on_node.entry(node).or_default() += 1;
        }
    }
    let mut victims: Vec<((bool, Rank, u32), &Room)> = rooms
        .into_iter()
        .filter_map(|room| {
            let crowd = room
                .node
                .as_deref()
                .and_then(|node| on_node.get(node).copied())
                .unwrap_or(0);
            Some(((room.leaving.is_none(), rank(room, watch)?, crowd), room))
        })
        .collect();
    victims.sort_by(|a, b| (a.0, &a.1.node, &a.1.id).cmp(&(b.0, &b.1.node, &b.1.id)));
    victims.into_iter().map(|(_, room)| room).collect()
}

/// `None` for a room that may not be given up: protected, asked to go already, or silent together with too many.
fn rank(room: &Room, watch: &Watch) -> Option<Rank> {
    if room.is_protected() || room.intent != Intent::Keep || watch.is_excused(room) {
        return None;
    }
    match watch.place(room) {
        Place::Allocated | Place::Occupied | Place::Draining | Place::Stopping | Place::Gone => return None,
        Place::Starting | Place::Ready | Place::Silent => {}
    }
    Some(match (watch.health(room), room.stage()) {
        (Health::Failed | Health::Late, _) => Rank::Failed,
        (Health::Well | Health::Silent, Stage::Reserved) => Rank::Reserved,
        (Health::Well | Health::Silent, Stage::Starting) => Rank::Starting,
        (Health::Silent, Stage::Running | Stage::Draining | Stage::Stopping | Stage::Gone) => Rank::Silent,
        (Health::Well, Stage::Running | Stage::Draining | Stage::Stopping | Stage::Gone) => Rank::Ready,
    })
}
