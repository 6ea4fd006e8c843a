//! Nodes: what rooms and people say of them. The cluster is not asked.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use futures::{StreamExt, TryStreamExt, stream};
use maestro_core::names::SchedulerName;
use maestro_core::room::{Room, Stage, Use};
use maestro_core::time::Timestamp;
use maestro_wire::http::{NodeBody, NodesBody};
use maestro_wire::view::rfc3339;

use super::Api;
use super::extract::Path;
use super::problem::{Kind, Problem};
use crate::control::DRAINED;

/// Schedulers whose rooms are read at once.
const AT_ONCE: usize = 8;

/// The longest name of a node in Kubernetes.
const LONGEST: usize = 253;

/// All nodes that have rooms or are drained, with the matches that each of them still has.
#[utoipa::path(
    get,
    path = "/nodes",
    tag = "nodes",
    operation_id = "nodes_list",
    responses((status = 200, body = NodesBody, description = "Done"))
)]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<NodesBody>, Problem> {
    Ok(Json(NodesBody {
        nodes: api.nodes().await?.into_values().collect(),
    }))
}

/// Drains a node: its idle rooms are replaced elsewhere and then go, the others when their match ends.
///
/// Its rooms get no further match, and new rooms do not come to it, until that is taken back. Twice is harmless.
#[utoipa::path(
    put,
    path = "/nodes/{node}/drain",
    tag = "nodes",
    operation_id = "node_drain",
    responses((status = 200, body = NodeBody, description = "Done"))
)]
pub(super) async fn drain(
    State(api): State<Api>,
    Path(node): Path<String>,
) -> Result<Json<NodeBody>, Problem> {
    check_name(&node)?;
    api.store.drain_node(&node, (api.wall)()).await?;
    api.changed.notify_one();
    api.node(node).await
}

/// Takes back that a node is drained. Rooms that were asked to leave go all the same.
#[utoipa::path(
    delete,
    path = "/nodes/{node}/drain",
    tag = "nodes",
    operation_id = "node_undrain",
    responses((status = 200, body = NodeBody, description = "Done"))
)]
pub(super) async fn undrain(
    State(api): State<Api>,
    Path(node): Path<String>,
) -> Result<Json<NodeBody>, Problem> {
    check_name(&node)?;
    if !api.store.undrain_node(&node).await? {
        let drained = api.store.drained_nodes().await?;
        let names = drained.keys().map(String::as_str);
        return Err(Problem::unknown("drained node", &node, names));
    }
    api.changed.notify_one();
    api.node(node).await
}

/// A name that no node can have is a slip of the hand.
fn check_name(node: &str) -> Result<(), Problem> {
    let is_end = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let bytes = node.as_bytes();
    let is_valid = bytes.len() <= LONGEST
        && bytes.iter().all(|b| is_inner(*b))
        && is_end(bytes.first())
        && is_end(bytes.last());
    match is_valid {
        true => Ok(()),
        false => Err(Problem::new(
            Kind::Parameter,
            "invalid name of a node",
            "expected lower-case letters, digits, dashes and dots, as in node-3",
        )),
    }
}

impl Api {
    /// All nodes by name.
    async fn nodes(&self) -> Result<BTreeMap<String, NodeBody>, Problem> {
        let drained = self.store.drained_nodes().await?;
        let read = |name: SchedulerName| async move {
            let rooms = self.registry.rooms(&name).await?;
            Ok::<_, Problem>((name, rooms))
        };
        let mut nodes: BTreeMap<String, NodeBody> = BTreeMap::new();
        for (name, since) in drained {
            nodes.insert(name.clone(), drained_node(name, since));
        }
        let mut all = stream::iter(self.known.names()).map(read).buffered(AT_ONCE);
        while let Some((scheduler, rooms)) = all.try_next().await? {
            for room in rooms {
                let Some(name) = room.node.as_ref().filter(|_| room.stage() != Stage::Gone) else {
                    continue;
                };
                let node = nodes.entry(name.clone()).or_insert_with(|| open(name.clone()));
                add(node, &room);
                if node.schedulers.last().map(String::as_str) != Some(scheduler.as_str()) {
                    node.schedulers.push(scheduler.to_string());
                }
            }
        }
        Ok(nodes)
    }

    async fn node(&self, name: String) -> Result<Json<NodeBody>, Problem> {
        let found = self.nodes().await?.remove(&name);
        Ok(Json(found.unwrap_or_else(|| open(name))))
    }
}

fn open(name: String) -> NodeBody {
    NodeBody {
        name,
        standing: "open".to_owned(),
        ..NodeBody::default()
    }
}

fn drained_node(name: String, since: Timestamp) -> NodeBody {
    NodeBody {
        standing: "leaving".to_owned(),
        why: Some(DRAINED.to_owned()),
        drained_since: Some(rfc3339(since)),
        ..open(name)
    }
}

/// Counts a room that is on the node. What the loops saw last of the node stands in each of its rooms; that somebody took
/// back a drain a moment ago is newer.
fn add(node: &mut NodeBody, room: &Room) {
    node.rooms += 1;
    *node.rooms_by_state.entry(room.state().to_owned()).or_default() += 1;
    node.matches += match room.usage() {
        Use::Idle => 0,
        Use::Allocated | Use::Unknown => 1,
        Use::Occupied => room.running_matches.max(1),
    };
    if let Some(why) = room.leaving.as_ref().filter(|why| *why != DRAINED) {
        node.standing = "leaving".to_owned();
        node.why = Some(why.clone());
    } else if room.node_lost && node.standing == "open" {
        node.standing = "lost".to_owned();
        node.why = Some("is not heard of any more".to_owned());
    }
}
