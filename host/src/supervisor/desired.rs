//! From a stored scheduler to what its loop goes by; and how far its rooms are from it.

use std::collections::BTreeMap;

use maestro_core::names::Version;
use maestro_core::room::{Room, Stage};
use maestro_wire::record;

use super::{Supervisor, chain};
use crate::control::{Deleting, Desired, Standing};
use crate::known::Entry;
use crate::store::operations::{State as OperationState, Step};
use crate::store::schedulers::{State, Stored};
use crate::store::{self, Store};

/// Decisions that are looked through for the last scaling. One further back than so many changes is older than any
/// cooldown, but where rooms are made and lost many times a second.
const CHANGES: u64 = 200;

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
    let last = standing(&from.store, stored).await?;
    let desired = Desired {
        scheduler,
        version: stored.active.version,
        policies,
        deleting,
        last,
    };
    Ok((desired, is_incomplete))
}

/// Where the decisions in the store leave a scheduler; `None` before its first one.
async fn standing(store: &Store, stored: &Stored) -> Result<Option<Standing>, store::Error> {
    // Before its creation, another scheduler may have had its name.
    let (name, since) = (&stored.name, stored.created_at);
    let Some(wanted) = store.last_wanted(name, since).await? else {
        return Ok(None);
    };
    let changes = store.changes(name, since, CHANGES).await?;
    // One that this release can't read is as good as one that was dropped from the journal for its age.
    let decisions = changes
        .iter()
        .filter_map(|row| record::decode_decision(&row.bytes).ok());
    let scaled_at = decisions
        .map(|record| record.decision)
        .find(|decision| decision.scaled)
        .map(|decision| decision.at);
    Ok(Some(Standing { wanted, scaled_at }))
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

#[cfg(test)]
mod tests {
    use maestro_core::decision::{Actor, Counts, Decision};
    use maestro_core::time::Timestamp;
    use maestro_wire::document;

    use super::*;
    use crate::control::Record;
    use crate::store::journal;
    use crate::store::schedulers::{Draft, ManagedBy};
    use crate::supervisor::evidence;

    const PONG: &str = "name: pong\ngame: test\nimage: a\nautoscaling:\n  min: 1\n  max: 9\n  policies:\n    - type: deep\n      parameters: {}\n";

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    async fn with_pong() -> (Store, Entry) {
        let store = Store::in_memory().await.unwrap();
        let read = document::read(PONG).unwrap().remove(0);
        let draft = Draft {
            scheduler: &read.scheduler,
            document: PONG,
            digests: &BTreeMap::new(),
            managed_by: ManagedBy::Api,
        };
        store.create_scheduler(&draft, at(1_000)).await.unwrap();
        let stored = store.scheduler(&read.scheduler.name).await.unwrap().unwrap();
        (store, Entry::read(stored).unwrap())
    }

    fn decision(ms: i64, before: u32, wanted: u32, scaled: bool) -> Decision {
        Decision {
            at: at(ms),
            actor: Actor::Loop,
            cluster: "local".to_owned(),
            version: Version::FIRST,
            counts: Counts::default(),
            ballots: Vec::new(),
            winner: None,
            clamps: Vec::new(),
            before,
            wanted,
            scaled,
            mass_silence: false,
            recovering: false,
            plan: Vec::new(),
            waits: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_loop_goes_on_from_the_last_number_and_the_last_scaling_in_the_store() {
        let (store, Entry { stored, .. }) = with_pong().await;
        let append = async |decision: Decision| {
            let evidence = Vec::new();
            let bytes = evidence::encode(&Record {
                decision: decision.clone(),
                evidence,
            });
            let entry = journal::Entry::new(&stored.name, &decision, bytes);
            store.append(&[entry]).await.unwrap();
            standing(&store, &stored).await.unwrap()
        };
        assert_eq!(standing(&store, &stored).await.unwrap(), None);
        let expected = |wanted, scaled_at: Option<i64>| {
            let scaled_at = scaled_at.map(at);
            Some(Standing { wanted, scaled_at })
        };
        let former = append(decision(900, 1, 7, true)).await;
        assert_eq!(former, None, "another scheduler of this name");
        assert_eq!(append(decision(2_000, 1, 1, false)).await, expected(1, None));
        assert_eq!(
            append(decision(3_000, 1, 4, true)).await,
            expected(4, Some(3_000))
        );
        let corrected = append(decision(4_000, 4, 3, false)).await;
        assert_eq!(corrected, expected(3, Some(3_000)), "a bound is no scaling");
        assert_eq!(
            append(decision(5_000, 3, 3, false)).await,
            expected(3, Some(3_000))
        );
        assert_eq!(
            append(decision(6_000, 3, 5, true)).await,
            expected(5, Some(6_000))
        );
    }
}
