//! How many rooms of which version there shall be while a major version replaces another.
//!
//! Its output is an input of the planner: a rollout is no second planner.

use crate::names::Version;

/// How many of the wanted rooms shall be of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The version new rooms get.
    pub version: Version,
    /// Rooms that may exist above `wanted` while older major versions are being replaced.
    pub surge: u32,
}
