//! Bodies of what people change about the number of rooms beside the document: the number itself, and whether votes may
//! lower it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks for another number of rooms; exactly one field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleRequest {
    /// So many more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaleup: Option<u32>,
    /// So many fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaledown: Option<u32>,
    /// So many in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
}

/// What became of a request to scale.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScaleAnswer {
    /// Always true.
    pub success: bool,
    /// What was asked for, in all.
    pub asked: u32,
    /// What it comes to now.
    pub wanted: u32,
    /// Why that differs, a sentence each.
    #[serde(default)]
    pub clamped: Vec<String>,
}

/// Pauses scaling down, or takes that back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleInRequest {
    /// Whether votes are kept from taking rooms away.
    pub paused: bool,
}

/// How scaling down stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScaleInAnswer {
    /// Always true.
    pub success: bool,
    /// Whether votes are kept from taking rooms away.
    pub paused: bool,
    /// Since when; RFC 3339, absent while they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}
