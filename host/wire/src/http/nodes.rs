//! Bodies about nodes, by what rooms and people say of them: nobody asks the cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Nodes that have rooms, or that are drained, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodesBody {
    /// Nodes.
    pub nodes: Vec<NodeBody>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeBody {
    /// Its name.
    pub name: String,
    /// `open`; `leaving`: its rooms get no matches and go elsewhere; or `lost`: the cluster no longer hears of it.
    pub standing: String,
    /// Why it is not open, as in "is cordoned".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Since when people drain it; RFC 3339, absent while they don't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained_since: Option<String>,
    /// Rooms on it by their exact state, without those that are gone.
    pub rooms_by_state: BTreeMap<String, u32>,
    /// Rooms on it, without those that are gone.
    pub rooms: u32,
    /// Matches that have to end before it is empty. A room that is promised to one, or has not said what it does, counts
    /// as one.
    pub matches: u32,
    /// Schedulers with rooms on it.
    pub schedulers: Vec<String>,
}
