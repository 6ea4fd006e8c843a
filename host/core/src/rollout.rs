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

/// One room in this many may exist above `wanted` while rooms are being replaced.
const SURGE_SHARE: u32 = 5;

impl Share {
    /// Rooms of `version`, replacing others by a surge of a fifth of `wanted`, and of one at least.
    pub fn of(version: Version, wanted: u32) -> Self {
        Self {
            version,
            surge: (wanted / SURGE_SHARE).max(1),
        }
    }

    /// Whether a room of this version stays: minor versions leave rooms alone.
    pub fn keeps(&self, version: Version) -> bool {
        self.version.major == version.major
    }
}
