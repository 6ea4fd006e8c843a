//! From a stored scheduler to what its loop goes by; and how far its rooms are from it.

use std::collections::BTreeMap;

use maestro_core::names::Version;
use maestro_core::room::{Room, Stage};

use super::{Supervisor, chain};
use crate::control::{Deleting, Desired};
use crate::known::Entry;
use crate::store;
use crate::store::operations::{State as OperationState, Step};
use crate::store::schedulers::{State, Stored};

/// What the loop goes by, and whether a policy is missing that may load later.
pub(super) async fn make(from: &Supervisor, stored: &Stored) -> Result<(Desired, bool), store::Error> {
    let name = &stored.name;
    let read = Entry::read(stored.clone()).map_err(|error| store::Error::Unreadable {
        what: "a scheduler's document",
        reason: error.to_string(),
    })?;
    let scheduler = read.scheduler;
    let mut policies = BTreeMap::new();
    for trigger in &scheduler.autoscaling.triggers {
        let digest = stored.active.digests.get(&trigger.id).copied();
        let policy = from.catalog.load(&trigger.policy, digest).await.map_err(|error| {
            let reason = chain(&error);
            tracing::warn!(scheduler.name = %name, "{name}: policy {} can't be asked: {reason}", trigger.policy.name);
            reason
        });
        policies.insert(trigger.id.clone(), policy);
    }
    let is_incomplete = policies.values().any(Result::is_err);
    let deleting = match stored.state {
        State::Live => None,
        State::Deleting { force } => Some(Deleting {
            force,
            since: stored.updated_at,
        }),
    };
    let last_wanted = from.store.last_wanted(name).await?;
    let desired = Desired {
        scheduler,
        version: stored.active.version,
        policies,
        deleting,
        last_wanted,
    };
    Ok((desired, is_incomplete))
}

/// How far `rooms` are on their way to `version`, in the words of an operation.
pub(super) fn progress(rooms: &[Room], version: Version, active: Version, desired: &Desired) -> Step {
    let alive = |room: &&Room| !matches!(room.stage(), Stage::Stopping | Stage::Gone);
    let is_new = |room: &&Room| room.version.major == active.major;
    let up = rooms
        .iter()
        .filter(alive)
        .filter(is_new)
        .filter(|room| room.stage() == Stage::Running)
        .count();
    let old = rooms.iter().filter(alive).filter(|room| !is_new(room)).count();
    let least = desired.scheduler.autoscaling.min as usize;
    let is_done = version != active || (old == 0 && up >= least);
    // Rooms that are up, of those that are up or on their way: an old one is still to be replaced.
    let share = |part: usize, all: usize| u32::try_from(part * 10_000 / all.max(1)).unwrap_or(10_000);
    Step {
        state: if is_done {
            OperationState::Finished
        } else {
            OperationState::Running
        },
        progress: share(up, (up + old).max(least)).min(9_999),
        description: match (version == active, old) {
            (false, _) => format!("{version} was followed by {active}"),
            (true, 0) if is_done => "finished".to_owned(),
            (true, 0) => format!("{up} of at least {least} rooms are up"),
            (true, old) => {
                format!("{old} rooms of an older version are left; those in a match finish it first")
            }
        },
        error: None,
    }
}
