//! From a stored scheduler to what its loop goes by; and how far its rooms are from it.

use std::collections::{BTreeMap, BTreeSet};

use maestro_core::names::Version;
use maestro_core::room::{Room, Stage};
use maestro_wire::record;

use super::chain;
use crate::catalog::Catalog;
use crate::control::{Deleting, Desired};
use crate::known::Entry;
use crate::registry::Standing;
use crate::store::operations::{State as OperationState, Step};
use crate::store::schedulers::{State, Stored};
use crate::store::{self, Store};

/// Decisions that are looked through for the last scaling. One further back than so many changes is older than any
/// cooldown, but where rooms are made and lost many times a second.
const CHANGES: u64 = 200;

/// What the loop goes by. Takes as long as its policies take to load; nothing is asked of a store that is away.
pub(super) async fn make(
    store: Option<&Store>,
    catalog: &Catalog,
    entry: &Entry,
) -> Result<Desired, store::Error> {
    let Entry { scheduler, stored } = entry;
    let (mut policies, mut deleting) = (BTreeMap::new(), None);
    match stored.state {
        State::Live => {
            for trigger in &scheduler.autoscaling.triggers {
                let digest = stored.active.digests.get(&trigger.id).copied();
                let policy = catalog.load(&trigger.policy, digest).await;
                policies.insert(trigger.id.clone(), policy.map_err(|error| chain(&error)));
            }
        }
        // Its policies are no longer asked, so that none is waited for.
        State::Deleting { force } => {
            deleting = Some(Deleting {
                force,
                since: stored.updated_at,
            });
        }
    }
    let last = match store {
        Some(store) => standing(store, stored).await,
        None => Ok(None),
    };
    Ok(Desired {
        scheduler: scheduler.clone(),
        version: stored.active.version,
        policies,
        deleting,
        scale_in_paused: stored.scale_in_paused_at,
        last: match last {
            // It is gone by only where the registry lost it too.
            Err(error) if error.is_outage() => None,
            standing => standing?,
        },
    })
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

/// Why triggers have no policy that can be asked, by their ids.
pub(super) fn failures(desired: &Desired) -> BTreeMap<&str, &str> {
    let policies = desired.policies.iter();
    let failed = policies.filter_map(|(id, policy)| Some((id.as_str(), policy.as_ref().err()?.as_str())));
    failed.collect()
}

/// Which policies can't be asked and why, but for what was so `before`: the same is told once.
pub(super) fn news(desired: &Desired, before: Option<&Desired>) -> BTreeSet<String> {
    let told = before.map(failures).unwrap_or_default();
    let mut news = failures(desired);
    news.retain(|id, reason| told.get(id) != Some(reason));
    let triggers = desired.scheduler.autoscaling.triggers.iter();
    let words = triggers.filter_map(|trigger| {
        let reason = news.get(trigger.id.as_str())?;
        Some(format!("policy {} can't be asked: {reason}", trigger.policy.name))
    });
    words.collect()
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
            (true, 0) => format!("rooms that are up: {up} of at least {least}"),
            (true, 1) => "1 room of an older version is left; in a match, it finishes it first".to_owned(),
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
            deployed: &[],
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

    #[tokio::test]
    async fn a_policy_that_can_not_be_asked_is_told_once_until_the_reason_changes() {
        let (_store, entry) = with_pong().await;
        let id = entry.scheduler.autoscaling.triggers[0].id.clone();
        let failing = |reason: &str| Desired {
            scheduler: entry.scheduler.clone(),
            version: Version::FIRST,
            policies: BTreeMap::from([(id.clone(), Err(reason.to_owned()))]),
            deleting: None,
            scale_in_paused: None,
            last: None,
        };
        let (first, second) = (failing("it is not deployed"), failing("it does not compile"));
        let told = |desired, before| news(desired, before).into_iter().collect::<Vec<_>>();
        assert_eq!(
            told(&first, None),
            ["policy deep can't be asked: it is not deployed"]
        );
        assert!(told(&first, Some(&first)).is_empty());
        assert_eq!(told(&second, Some(&first)).len(), 1);
    }
}
