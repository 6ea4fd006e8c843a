//! A reader that is told only what is new knows everything.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::Arc;

use maestro_core::names::{RoomId, Version};
use maestro_core::report::Reported;
use maestro_core::room::Room;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::runtime::Handle;

use super::{Case, Harness, MOST, Outcome, drain, running, stop};
use crate::registry::{Act, Changes, Cursor, Error};

/// From the cursor on, each room once, removals too.
pub async fn only_what_is_new_is_told(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-new").await?;
    let (one, two) = (case.ready(1).await?, case.ready(2).await?);
    let all = case.changes(Cursor::START).await?;
    assert!(all.complete);
    assert_eq!(all.rooms.len(), 2);
    let none = case.changes(all.cursor).await?;
    assert!(!none.complete && none.rooms.is_empty() && none.removed.is_empty());
    case.report(&one, Reported::Occupied).await?;
    case.report(&one, Reported::Occupied).await?;
    let some = case.changes(none.cursor).await?;
    assert_eq!(some.rooms, [case.room(&one).await?]);
    case.gone(&two).await?;
    let some = case.changes(some.cursor).await?;
    assert_eq!(
        (some.rooms.as_slice(), some.removed.as_slice()),
        ([].as_slice(), [two].as_slice())
    );
    case.end().await
}

/// Removals are not kept for ever.
pub async fn whoever_missed_too_much_reads_everything(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-missed").await?;
    case.ready(1).await?;
    let old = case.changes(Cursor::START).await?.cursor;
    for suffix in 0..20_000 {
        let room = case.reserve(100 + suffix).await?;
        case.act_now(&room, Act::Forget).await?;
        let changes = match suffix % 500 {
            0 => case.changes(old).await?,
            _ => continue,
        };
        if changes.complete {
            assert_eq!(changes.rooms.len(), 1);
            return case.end().await;
        }
        assert_eq!(changes.removed.len(), usize::try_from(suffix)? + 1);
    }
    Err("20,000 removals are all remembered".into())
}

/// Whatever happens, and however seldom it looks.
pub async fn a_mirror_fed_by_changes_is_the_registry(harness: &dyn Harness) -> Outcome {
    for seed in 0..64 {
        let case = Case::begin(harness, &format!("c-mirror-{seed}")).await?;
        let mut random = StdRng::seed_from_u64(seed);
        let mut mirror = Mirror::default();
        for _ in 0..200 {
            anything(&case, &mut random).await?;
            if random.random_ratio(1, 5) {
                mirror.take(case.changes(mirror.cursor).await?);
                let rooms = case.registry().rooms(&case.scheduler).await?;
                let mirrored: Vec<_> = mirror.rooms.values().cloned().collect();
                assert_eq!(mirrored, rooms, "seed {seed}");
            }
        }
        case.end().await?;
    }
    Ok(())
}

/// Four who change rooms while it looks.
pub async fn a_mirror_misses_nothing_of_what_many_do_at_once(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-mirror-many").await?;
    let runtime = Handle::current();
    // Each worker holds one until it ends, however it ends.
    let at_work = Arc::new(());
    let work = |seed: u64, _until_the_end: Arc<()>| {
        let mut random = StdRng::seed_from_u64(seed);
        (0..150).try_for_each(|_| match runtime.block_on(anything(&case, &mut random)) {
            // By another worker.
            Err(Error::Moved { .. }) => Ok(()),
            done => done,
        })
    };
    let look = || -> Result<Mirror, Error> {
        let mut mirror = Mirror::default();
        while Arc::strong_count(&at_work) > 1 {
            mirror.take(runtime.block_on(case.changes(mirror.cursor))?);
        }
        Ok(mirror)
    };
    let mut mirror = std::thread::scope(|scope| -> Result<Mirror, Box<dyn StdError + Send + Sync>> {
        let (work, at_work) = (&work, &at_work);
        let workers = (0..4).map(|seed| {
            let one = Arc::clone(at_work);
            scope.spawn(move || work(seed, one))
        });
        let workers: Vec<_> = workers.collect();
        let mirror = scope.spawn(look).join().map_err(|_| "the reader panicked")?;
        for worker in workers {
            worker.join().map_err(|_| "a worker panicked")??;
        }
        Ok(mirror?)
    })?;
    mirror.take(case.changes(mirror.cursor).await?);
    let mirrored: Vec<_> = mirror.rooms.values().cloned().collect();
    assert_eq!(mirrored, case.registry().rooms(&case.scheduler).await?);
    case.end().await
}

struct Mirror {
    rooms: BTreeMap<RoomId, Room>,
    cursor: Cursor,
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            rooms: BTreeMap::new(),
            cursor: Cursor::START,
        }
    }
}

impl Mirror {
    fn take(&mut self, changes: Changes) {
        if changes.complete {
            self.rooms.clear();
        }
        for room in changes.rooms {
            self.rooms.insert(room.id.clone(), room);
        }
        for room in changes.removed {
            self.rooms.remove(&room);
        }
        self.cursor = changes.cursor;
    }
}

/// One call of any kind about one of a few rooms; what the registry refuses is refused.
async fn anything(case: &Case<'_>, random: &mut StdRng) -> Result<(), Error> {
    let id = case.id(random.random_range(0..6));
    let status = Reported::ALL[random.random_range(0..Reported::ALL.len())];
    let done = match random.next_u32() % 9 {
        0 => {
            case.registry()
                .reserve(&case.fence, &[(id, Version::FIRST)], MOST)
                .await
        }
        1 => case.registry().adopt(&case.fence, &[(id, Version::FIRST)]).await,
        2 | 3 => case.report(&id, status).await.map(|_| ()),
        4 => case.allocate().await.map(|_| ()),
        5 => case.act_now(&id, drain()).await.map(|_| ()),
        6 => case.act_now(&id, stop()).await.map(|_| ()),
        7 => case.registry().observe(&case.fence, &id, running()).await,
        _ => case.gone(&id).await,
    };
    match done {
        Ok(()) | Err(Error::UnknownRoom(_) | Error::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
