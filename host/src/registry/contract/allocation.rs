//! One room for one match, of those that can take it, however many ask at once.

use std::collections::BTreeSet;

use maestro_core::names::Version;
use maestro_core::report::Reported;
use maestro_core::room::{Intent, Phase, Room, Use};
use maestro_core::time::{Span, Timestamp};
use tokio::runtime::Handle;

use super::{Case, Harness, MOST, Outcome, TERMS, drain, report, running, seen, stop};
use crate::registry::{Act, Cursor, Seen};

/// One combination of facts, reached by calls.
#[derive(Clone, Copy, Debug)]
struct Facts {
    adopted: bool,
    before: Before,
    phase: usize,
    is_reachable: bool,
    reported: Option<Reported>,
    matches: Option<u32>,
}

/// What happened to the room before the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Allocated,
    AllocationRanOut,
    Drained,
    Stopped,
}

/// All combinations of origin, intent, phase, address and report.
pub async fn the_index_is_what_core_derives(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-index").await?;
    let mut allocatable = 0;
    let mut combinations = BTreeSet::new();
    for (number, facts) in all_facts().into_iter().enumerate() {
        let suffix = u32::try_from(number)?;
        let room = build(&case, suffix, facts).await?;
        let kept = case.room(&room).await?;
        combinations.insert(format!(
            "{:?} {:?} {:?} {:?} {} {} {}",
            kept.origin,
            kept.reports.status(),
            std::mem::discriminant(&kept.intent),
            std::mem::discriminant(&kept.phase),
            kept.addresses.len(),
            kept.allocation_expired,
            kept.running_matches,
        ));
        let given = case.allocate().await?;
        let until = case.now().await? + TERMS.ttl;
        let expected = promised(&kept, &given);
        assert_eq!(given, expected, "{facts:?} came to {kept:?}");
        let is_over_in_time =
            |room: &Room| matches!(room.intent, Intent::Allocated { until: at } if at <= until);
        assert!(given.as_ref().is_none_or(is_over_in_time), "{given:?}");
        allocatable += u32::from(given.is_some());
        // Out of the way of the next ones.
        case.act_now(&room, stop()).await?;
    }
    assert!(
        allocatable >= 4,
        "{allocatable} of the combinations are allocatable"
    );
    assert!(
        combinations.len() > 200,
        "only {} were reached",
        combinations.len()
    );
    case.end().await
}

/// What the domain makes of a room that is promised for as long as the given one is.
fn promised(room: &Room, given: &Option<Room>) -> Option<Room> {
    let until = match given {
        Some(Room {
            intent: Intent::Allocated { until },
            ..
        }) => *until,
        _ => Timestamp::default(),
    };
    let mut room = room.clone();
    room.allocate(until).ok()?;
    Some(room)
}

fn all_facts() -> Vec<Facts> {
    let before = [
        Before::Nothing,
        Before::Allocated,
        Before::AllocationRanOut,
        Before::Drained,
        Before::Stopped,
    ];
    let reported = Reported::ALL.into_iter().map(Some).chain([None]);
    let reported: Vec<_> = reported.collect();
    let mut all = Vec::new();
    for adopted in [false, true] {
        for before in before {
            for phase in 0..PHASES {
                for is_reachable in [false, true] {
                    for reported in &reported {
                        for matches in [None, Some(1)] {
                            all.push(Facts {
                                adopted,
                                before,
                                phase,
                                is_reachable,
                                reported: *reported,
                                matches,
                            });
                        }
                    }
                }
            }
        }
    }
    all
}

const PHASES: usize = 5;

fn phase(number: usize, now: Timestamp) -> Phase {
    match number {
        0 => Phase::Unseen,
        1 => Phase::Pending {
            reason: String::new(),
        },
        2 => Phase::Running { since: now },
        3 => Phase::Exited {
            at: now,
            code: Some(1),
            reason: String::new(),
        },
        _ => Phase::Absent { at: now },
    }
}

async fn build(
    case: &Case<'_>,
    suffix: u32,
    facts: Facts,
) -> Result<maestro_core::names::RoomId, crate::registry::Error> {
    let id = case.id(suffix);
    let rooms = [(id.clone(), Version::FIRST)];
    match facts.adopted {
        true => case.registry().adopt(&case.fence, &rooms).await?,
        false => case.registry().reserve(&case.fence, &rooms, MOST).await?,
    }
    match facts.before {
        Before::Nothing => {}
        Before::Allocated | Before::AllocationRanOut => {
            case.registry().observe(&case.fence, &id, running()).await?;
            case.report(&id, Reported::Ready).await?;
            let given = case.allocate().await?;
            assert_eq!(given.map(|room| room.id), Some(id.clone()));
        }
        Before::Drained => {
            case.act_now(&id, drain()).await?;
        }
        Before::Stopped => {
            case.act_now(&id, stop()).await?;
        }
    }
    if facts.before == Before::AllocationRanOut {
        case.harness.pass(TERMS.ttl);
        case.act_now(&id, Act::ExpireAllocation).await?;
    }
    case.harness.pass(Span::from_ms(2));
    let now = case.now().await?;
    let shown = seen(phase(facts.phase, now), facts.is_reachable);
    case.registry().observe(&case.fence, &id, shown).await?;
    if let Some(status) = facts.reported {
        let mut report = report(status, now);
        report.running_matches = facts.matches;
        case.call(&id, report, true).await?;
    }
    Ok(id)
}

/// What the cluster shows of a node decides at once, and bumps no revision: it is no change of use, stage or intent.
pub async fn a_room_on_a_node_that_is_left_is_not_promised(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-leaving").await?;
    let room = case.ready(1).await?;
    let before = case.changes(Cursor::START).await?;
    let cordoned = Seen {
        leaving: Some("is cordoned".to_owned()),
        ..running()
    };
    case.registry().observe(&case.fence, &room, cordoned).await?;
    assert_eq!(case.allocate().await?, None);
    let changes = case.changes(before.cursor).await?;
    let told: Vec<_> = changes.rooms.iter().map(|room| room.leaving.as_deref()).collect();
    assert_eq!(told, [Some("is cordoned")], "whoever reads changes is told");
    let revision = |rooms: &[Room]| rooms.first().map(|room| room.revision);
    assert_eq!(revision(&changes.rooms), revision(&before.rooms));
    // A ping is no reason to take it back into the index.
    case.report(&room, Reported::Occupied).await?;
    case.report(&room, Reported::Ready).await?;
    assert_eq!(case.allocate().await?, None);
    case.registry().observe(&case.fence, &room, running()).await?;
    assert_eq!(case.allocate().await?.map(|given| given.id), Some(room));
    case.end().await
}

/// Many threads, each room once.
pub async fn a_room_is_promised_once(harness: &dyn Harness) -> Outcome {
    const ROOMS: u32 = 32;
    const THREADS: usize = 4;
    let case = Case::begin(harness, "c-once").await?;
    for suffix in 0..ROOMS {
        case.ready(suffix).await?;
    }
    let runtime = Handle::current();
    let take_all = || -> Result<Vec<_>, crate::registry::Error> {
        let mut given = Vec::new();
        while let Some(room) = runtime.block_on(case.allocate())? {
            given.push(room.id);
        }
        Ok(given)
    };
    let given = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(take_all)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join())
            .collect::<Vec<_>>()
    });
    let mut rooms = Vec::new();
    for thread in given {
        rooms.extend(thread.map_err(|_| "a thread panicked")??);
    }
    let distinct: BTreeSet<_> = rooms.iter().collect();
    assert_eq!(
        (rooms.len(), distinct.len()),
        (32, 32),
        "each room once, and all of them"
    );
    case.end().await
}

/// The index does not know of time; the last ping is looked at again.
pub async fn a_silent_room_is_not_promised(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-silent").await?;
    case.ready(1).await?;
    let spoken = case.ready(2).await?;
    // A registry whose time goes on may miss a heartbeat of these, and three seconds with it.
    case.witness(100).await?;
    case.report(&spoken, Reported::Ready).await?;
    assert_eq!(case.allocate().await?.map(|room| room.id), Some(spoken));
    assert_eq!(case.allocate().await?, None);
    case.end().await
}

/// Whoever is heard of again can be promised again, whatever happened while it was silent.
pub async fn a_room_that_was_silent_comes_back(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-back").await?;
    let (one, two, three) = (case.ready(1).await?, case.ready(2).await?, case.ready(3).await?);
    case.witness(100).await?;
    for _ in 0..2 {
        assert_eq!(case.allocate().await?, None);
    }
    case.act_now(&two, drain()).await?;
    let mut moved = running();
    moved.node = Some("node-2".to_owned());
    case.registry().observe(&case.fence, &three, moved).await?;
    assert_eq!(case.allocate().await?, None, "it is as silent as before");
    for room in [&three, &two, &one] {
        case.report(room, Reported::Ready).await?;
    }
    for room in [one, three] {
        assert_eq!(case.allocate().await?.map(|room| room.id), Some(room));
    }
    assert_eq!(case.allocate().await?, None);
    case.end().await
}

/// So that matches gather, and what is to go stays empty.
pub async fn the_newest_version_goes_first_then_the_oldest_room(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-first").await?;
    let next = Version::FIRST.next_major();
    let rooms = [(9, Version::FIRST), (5, next), (1, Version::FIRST), (2, next)];
    for (suffix, version) in rooms {
        let id = case.id(suffix);
        let reserved = [(id.clone(), version)];
        case.registry().reserve(&case.fence, &reserved, MOST).await?;
        case.ready(suffix).await?;
        harness.pass(Span::from_ms(10));
    }
    for suffix in [5, 2, 9, 1] {
        let given = case.allocate().await?.map(|room| room.id);
        assert_eq!(given, Some(case.id(suffix)));
    }
    case.end().await
}

/// After it ran out nobody knows whether the match came, until the room says so.
pub async fn a_promise_runs_out_and_leaves_the_use_unknown(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-ran-out").await?;
    let room = case.ready(1).await?;
    let before = case.now().await?;
    let given = case.allocate().await?.ok_or("one is allocatable")?;
    let ends = before + TERMS.ttl..=case.now().await? + TERMS.ttl;
    assert!(
        matches!(given.intent, Intent::Allocated { until } if ends.contains(&until)),
        "{:?}",
        given.intent
    );
    let early = case.act_now(&room, Act::ExpireAllocation).await;
    assert!(
        matches!(early, Err(crate::registry::Error::Refused { .. })),
        "{early:?}"
    );
    harness.pass(TERMS.ttl);
    let expired = case.act_now(&room, Act::ExpireAllocation).await?;
    assert_eq!(expired.usage(), Use::Unknown);
    assert_eq!(case.allocate().await?, None, "not before a fresh ready");
    case.report(&room, Reported::Ready).await?;
    assert_eq!(case.allocate().await?.map(|room| room.id), Some(room));
    case.end().await
}

/// A `ready` in between does not end it.
pub async fn an_occupied_report_uses_the_promise_up(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-used-up").await?;
    let room = case.ready(1).await?;
    case.allocate().await?;
    let receipt = case.report(&room, Reported::Ready).await?;
    assert_eq!(receipt.room.usage(), Use::Allocated);
    assert_eq!(case.allocate().await?, None);
    let receipt = case.report(&room, Reported::Occupied).await?;
    assert_eq!(
        (receipt.room.usage(), &receipt.room.intent),
        (Use::Occupied, &Intent::Keep)
    );
    harness.pass(Span::from_secs(1));
    case.report(&room, Reported::Ready).await?;
    assert_eq!(case.allocate().await?.map(|room| room.id), Some(room));
    case.end().await
}
