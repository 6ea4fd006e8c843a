//! Bodies of the HTTP API, as the service writes them and clients read them.
//!
//! Names and success shapes of the older system's routes are kept to the letter; what is ours is added beside them
//! and never replaces a field. Times are RFC 3339 in UTC where the older system had text, seconds where it had numbers.

mod nodes;
mod scaling;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::document::{Problem, Warning};

pub use nodes::{NodeBody, NodesBody};
pub use scaling::{ScaleAnswer, ScaleInAnswer, ScaleInRequest, ScaleRequest};

/// Every error, from every route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The older system's code, `MAE-000` to `MAE-006`.
    pub code: String,
    /// What went wrong, in a few words.
    pub error: String,
    /// What exactly, and what would help.
    pub description: String,
    /// Always false.
    pub success: bool,
    /// What is wrong with a document, all at once.
    #[serde(default)]
    pub problems: Vec<Problem>,
    /// What is odd about a document and would have been accepted.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

/// The answer to a change that worked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Done {
    /// Always true.
    pub success: bool,
    /// The scheduler's version after the change, for changes of schedulers: `v1.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What the change did or will do, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The key of the operation that carries the change out.
    #[serde(rename = "operationKey", default, skip_serializing_if = "Option::is_none")]
    pub operation_key: Option<String>,
    /// What is odd about an accepted document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// The answer to a room's ping or status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PingAnswer {
    /// Always true.
    pub success: bool,
    /// Whether the room is asked to take no further match: finish the present one, then end.
    pub draining: bool,
}

/// A room's address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AddressBody {
    /// Where the room can be reached; empty while that is not known.
    pub host: String,
    /// Its open ports; empty while they are not known.
    pub ports: Vec<PortBody>,
    /// Always empty for local rooms.
    #[serde(rename = "ipv6Label", default)]
    pub ipv6_label: String,
}

/// One open port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PortBody {
    /// Its name in the scheduler document.
    pub name: String,
    /// `TCP` or `UDP`.
    pub protocol: String,
    /// Where.
    pub port: u16,
}

/// A list of rooms' names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RoomNames {
    /// Names.
    pub rooms: Vec<String>,
}

/// One room.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomBody {
    /// Its scheduler.
    pub scheduler_name: String,
    /// The scheduler's version it was made of.
    pub scheduler_version: String,
    /// Its name.
    pub room_id: String,
    /// The older four: `creating`, `ready`, `occupied`, `terminating`.
    pub status: String,
    /// The exact state: `reserved`, `starting`, `ready`, `allocated`, `occupied`, `unknown`, `draining`,
    /// `draining-occupied`, `stopping`, `gone`.
    #[serde(default)]
    pub state: String,
    /// `well`, `silent`, `late` or `failed`.
    #[serde(default)]
    pub health: String,
    /// When it was reserved; RFC 3339.
    pub created_at: String,
    /// Its last sign of life; RFC 3339, absent before the first.
    #[serde(default)]
    pub last_ping_at: Option<String>,
    /// What it last sent along.
    #[serde(default)]
    pub last_ping_metadata: serde_json::Map<String, serde_json::Value>,
    /// Since when it holds its present match; RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occupied_since: Option<String>,
    /// When its end was noticed; RFC 3339. A room that is gone is shown for as long as the event that tells of its end
    /// is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Why it drains, stops, does not start or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The last line of its output once it ended, and before it the signal that ended it; or what the cluster calls its
    /// end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_words: Option<String>,
    /// Exit code of its process, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Why its node is being left, as in "is cordoned": it gets no match and goes. Absent while the node stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_leaving: Option<String>,
    /// Whether the cluster no longer hears of its node. Absent while it does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub node_lost: bool,
    /// Where it can be reached; empty until known.
    #[serde(default)]
    pub host: String,
    /// Its open ports.
    #[serde(default)]
    pub ports: Vec<PortBody>,
    /// Matches it holds.
    #[serde(default)]
    pub running_matches: u32,
    /// Matches it can hold.
    #[serde(default)]
    pub capacity: u32,
    /// Grows with each change of its use, stage or intent.
    #[serde(default)]
    pub revision: u64,
}

/// All schedulers, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SchedulerNames {
    /// Names.
    pub schedulers: Vec<String>,
}

/// A scheduler in the list with `info`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchedulerSummary {
    /// Its name.
    pub name: String,
    /// Its game.
    pub game: String,
    /// `creating`, `in-sync`, `subdimensioned`, `overdimensioned` or `terminating`.
    pub state: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// Rooms available for matches.
    pub rooms_ready: u32,
    /// Rooms in a match or promised to one.
    pub rooms_occupied: u32,
    /// Rooms not ready yet.
    pub rooms_creating: u32,
    /// Rooms ending.
    pub rooms_terminating: u32,
    /// The number that the loop brings the rooms to.
    #[serde(default)]
    pub wanted: u32,
    /// Least rooms.
    pub autoscaling_min: u32,
    /// Most rooms; 0 is without a maximum.
    #[serde(default)]
    pub autoscaling_max: u32,
    /// `usage` of the first trigger up; 0 when there is none.
    pub autoscaling_up_trigger_usage: u32,
    /// `usage` of the first trigger down; 0 when there is none.
    pub autoscaling_down_trigger_usage: u32,
}

/// A scheduler's status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchedulerStatus {
    /// Its game.
    pub game: String,
    /// As in [`SchedulerSummary::state`].
    pub state: String,
    /// Seconds since the epoch.
    pub state_last_changed_at: i64,
    /// Seconds since the epoch; 0 when it never scaled.
    pub last_scale_op_at: i64,
    /// Rooms not ready yet.
    pub rooms_at_creating: u32,
    /// Rooms in a match or promised to one.
    pub rooms_at_occupied: u32,
    /// Rooms available for matches.
    pub rooms_at_ready: u32,
    /// Rooms ending.
    pub rooms_at_terminating: u32,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The number that the loop brings the rooms to.
    #[serde(default)]
    pub wanted: u32,
    /// What was asked for and the loop has not taken up yet, so that `wanted` does not know of it; a sentence each.
    #[serde(default)]
    pub pending: Vec<String>,
    /// Least rooms.
    #[serde(default)]
    pub min: u32,
    /// Most rooms, if limited.
    #[serde(default)]
    pub max: Option<u32>,
    /// Rooms by exact state.
    #[serde(default)]
    pub rooms_by_state: BTreeMap<String, u32>,
    /// Since when scaling down is paused by hand; RFC 3339, absent while it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_in_paused_since: Option<String>,
    /// The last decision that changed something, in one sentence.
    #[serde(default)]
    pub last_decision: Option<String>,
    /// What the next one waits for, a sentence each.
    #[serde(default)]
    pub waits: Vec<String>,
}

/// A scheduler's document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConfigBody {
    /// As it was given.
    pub yaml: String,
}

/// A scheduler's versions, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Releases {
    /// Versions.
    pub releases: Vec<Release>,
}

/// One version of a scheduler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// `v1.0`.
    pub version: String,
    /// RFC 3339.
    pub created_at: String,
}

/// A page of decisions, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Decisions {
    /// Decisions.
    pub decisions: Vec<crate::view::DecisionView>,
    /// Ask for `?cursor=` this for older ones; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The answer to an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventAnswer {
    /// Always true.
    pub success: bool,
    /// What forwarders answered; empty while there are none.
    pub message: String,
}

/// A page of events, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Events {
    /// Events.
    pub events: Vec<EventBody>,
    /// Ask for `?cursor=` this for older ones; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventBody {
    /// Tells it from every other event of this Maestro; read nothing in it.
    #[serde(default)]
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Of which scheduler.
    pub scheduler_name: String,
    /// When it was told. RFC 3339.
    pub created_at: String,
    /// More about it.
    #[serde(default)]
    pub metadata: serde_json::Value,
    /// To what it happened: `room`, `player` or `scheduler`.
    #[serde(default)]
    pub kind: String,
    /// In which room, if in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_id: Option<String>,
    /// When it happened, by the clock of the room that told it. RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<String>,
}

/// What is remembered of a scheduler's recent past, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WindowBody {
    /// Room counts.
    pub samples: Vec<SampleBody>,
    /// Other metrics by name: pairs of a time in RFC 3339 and a value.
    pub series: BTreeMap<String, Vec<(String, f64)>>,
}

/// The rooms at one point in time; they hold until the next one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SampleBody {
    /// RFC 3339.
    pub at: String,
    /// What there was.
    #[serde(flatten)]
    pub counts: crate::view::CountsView,
}

/// All policies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Policies {
    /// Policies by name and version.
    pub policies: Vec<PolicyBody>,
}

/// One policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyBody {
    /// Its name, as a trigger's `type` gives it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// sha256 of its component, hexadecimal.
    pub digest: String,
    /// What it does, in its author's words.
    pub summary: String,
    /// Whether it ships with Maestro.
    pub builtin: bool,
    /// RFC 3339; absent for those that ship with Maestro.
    #[serde(default)]
    pub deployed_at: Option<String>,
    /// The metrics it reads.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// JSON schema of its parameters.
    #[serde(default)]
    pub parameters: serde_json::Value,
}

/// The answer to a health check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether everything answers.
    pub healthy: bool,
}

/// Whether a process works.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Liveness {
    /// Whether it does.
    pub live: bool,
    /// Schedulers whose loop makes no headway.
    pub stuck: Vec<String>,
}

/// Whether a process is of use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Whether it is.
    pub ready: bool,
    /// Whether it is about to end.
    pub ending: bool,
    /// What it depends on.
    pub dependencies: Vec<DependencyBody>,
}

/// Something that Maestro depends on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Dependency)]
pub struct DependencyBody {
    /// `registry`, `store` or `cluster`.
    pub name: String,
    /// `up`, `down`, `behind` (its tables are to be migrated), or `unasked` while nobody had to ask it.
    pub state: String,
    /// Whether a process is of no use without it.
    pub required: bool,
    /// What does not go on without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without: Option<String>,
}
