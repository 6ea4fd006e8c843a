//! One holder at a time, and nothing is taken of an earlier one.

use std::collections::BTreeMap;

use maestro_core::names::Version;
use maestro_core::report::Reported;
use maestro_core::room::{Intent, Phase, Room};
use maestro_core::time::{Span, Timestamp};
use maestro_core::window::Window;

use super::{Case, Harness, LEASE, MOST, Outcome, drain, running, seen, stop};
use crate::registry::{Act, Cursor, Error, Fence, State};

const SHORT: Span = Span::from_secs(1_500);

/// Renewed under the same token, until it runs out or is given back.
pub async fn one_holder_at_a_time(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-lease").await?;
    case.registry().release(&case.fence).await?;
    let first = case.registry().acquire(&case.scheduler, "a", SHORT).await?;
    let first = first.ok_or("nobody holds it")?;
    assert!(first.token > case.fence.token);
    assert_eq!(case.registry().acquire(&case.scheduler, "b", SHORT).await?, None);
    harness.pass(Span::from_secs(1_000));
    let renewed = case.registry().acquire(&case.scheduler, "a", SHORT).await?;
    assert_eq!(renewed.as_ref(), Some(&first), "the same token while it is held");
    harness.pass(Span::from_secs(1_300));
    assert_eq!(
        case.registry().acquire(&case.scheduler, "b", SHORT).await?,
        None,
        "a renewal counts from when it came"
    );
    harness.pass(Span::from_secs(200));
    let second = case.registry().acquire(&case.scheduler, "b", SHORT).await?;
    let second = second.ok_or("it ran out")?;
    assert!(second.token > first.token);
    case.registry().release(&first).await?;
    assert_eq!(
        case.registry().acquire(&case.scheduler, "a", SHORT).await?,
        None,
        "an old token gives nothing back"
    );
    case.registry().release(&second).await?;
    let third = case.registry().acquire(&case.scheduler, "a", SHORT).await?;
    let third = third.ok_or("it was given back")?;
    Ok(case.registry().remove(&third).await?)
}

/// Even to the same holder: it may have slept through the work of another one.
pub async fn a_lease_that_ran_out_comes_back_under_a_new_token(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-late").await?;
    harness.pass(LEASE);
    let again = case.registry().acquire(&case.scheduler, "check", LEASE).await?;
    let again = again.ok_or("it ran out")?;
    assert!(again.token > case.fence.token);
    Ok(case.registry().remove(&again).await?)
}

/// Each fenced call, and none of them changes anything.
pub async fn nothing_is_taken_under_an_old_token(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-fence").await?;
    let room = case.ready(1).await?;
    case.registry().release(&case.fence).await?;
    check_refused(&case, &room, "given back").await?;
    let newest = case.registry().acquire(&case.scheduler, "b", LEASE).await?;
    let newest = newest.ok_or("it was given back")?;
    let newer = Fence {
        token: newest.token + 1,
        ..newest.clone()
    };
    check_refused(&case, &room, "superseded").await?;
    let case = Case { fence: newer, ..case };
    check_refused(&case, &room, "made up").await?;
    case.registry()
        .act(&newest, &room, case.room(&room).await?.revision, drain())
        .await?;
    Ok(case.registry().remove(&newest).await?)
}

async fn check_refused(case: &Case<'_>, room: &maestro_core::names::RoomId, what: &str) -> Outcome {
    let (registry, fence) = (case.registry(), &case.fence);
    let before = case.changes(Cursor::START).await?;
    let state = registry.state(&case.scheduler).await?;
    let revision = case.room(room).await?.revision;
    let others = [(case.id(7), Version::FIRST)];
    let answers = [
        registry.reserve(fence, &others, MOST).await,
        registry.adopt(fence, &others).await,
        registry.act(fence, room, revision, stop()).await.map(|_| ()),
        registry.observe(fence, room, running()).await,
        registry.save(fence, &State::default()).await,
        registry.set_epoch(fence, None).await,
        registry.remove(fence).await,
    ];
    for answer in answers {
        assert!(matches!(answer, Err(Error::Fenced { .. })), "{what}: {answer:?}");
    }
    let after = case.changes(Cursor::START).await?;
    assert_eq!(
        (after.rooms, after.epoch, after.standing),
        (before.rooms, before.epoch, before.standing)
    );
    assert_eq!(registry.state(&case.scheduler).await?, state);
    Ok(())
}

/// Not after a removal, and not after a loss: a counter alone would begin anew.
pub async fn a_token_never_comes_back(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-token").await?;
    let first = case.fence.clone();
    case.end().await?;
    let case = Case::begin(harness, "c-token").await?;
    assert!(case.fence.token > first.token, "after a removal");
    let answer = case.registry().set_epoch(&first, None).await;
    assert!(matches!(answer, Err(Error::Fenced { .. })), "{answer:?}");
    // Whoever held a lease before the loss held it for a while.
    harness.pass(Span::from_ms(1));
    harness.lose().await;
    let answer = case.registry().set_epoch(&case.fence, None).await;
    assert!(matches!(answer, Err(Error::Fenced { .. })), "{answer:?}");
    let after = Case::begin(harness, "c-token").await?;
    assert!(after.fence.token > case.fence.token, "after a loss");
    after.end().await
}

/// Match N's deadline can't end match N+1.
pub async fn an_act_on_another_revision_is_refused(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-cas").await?;
    let room = case.ready(1).await?;
    let decided_on = case.room(&room).await?.revision;
    case.report(&room, Reported::Occupied).await?;
    for act in [drain(), stop(), Act::ExpireAllocation, Act::Forget] {
        let answer = case.act(&room, decided_on, act).await;
        assert!(matches!(answer, Err(Error::Moved { .. })), "{answer:?}");
    }
    let nobody = case.act(&case.id(9), decided_on, stop()).await;
    assert!(matches!(nobody, Err(Error::UnknownRoom(_))), "{nobody:?}");
    let now = case.room(&room).await?;
    assert_eq!(now.intent, Intent::Keep);
    let stopped = case.act(&room, now.revision, stop()).await?;
    assert!(
        stopped.revision > now.revision,
        "what came back is what to act on next"
    );
    assert_eq!(stopped, case.room(&room).await?);
    case.end().await
}

/// What the domain refuses is refused, and nothing is changed by it.
pub async fn a_senseless_act_is_refused(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-refused").await?;
    let room = case.ready(1).await?;
    let before = case.room(&room).await?;
    for act in [Act::BeginCreate, Act::Forget] {
        let answer = case.act_now(&room, act).await;
        assert!(matches!(answer, Err(Error::Refused { .. })), "{answer:?}");
    }
    assert_eq!(case.room(&room).await?, before);
    case.end().await
}

/// Reserving and adopting again change nothing.
pub async fn what_exists_is_left_as_it_is(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-again").await?;
    let room = case.ready(1).await?;
    let before: Room = case.room(&room).await?;
    let other = [(room.clone(), Version::FIRST.next_major())];
    case.registry().reserve(&case.fence, &other, MOST).await?;
    case.registry().adopt(&case.fence, &other).await?;
    assert_eq!(case.room(&room).await?, before);
    case.end().await
}

/// Twice asked for is not twice as many; a room that is gone takes no place.
pub async fn names_are_taken_up_to_the_bound(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-most").await?;
    let names = |from: u32| -> Vec<_> { (from..from + 3).map(|n| (case.id(n), Version::FIRST)).collect() };
    for from in [0, 10, 20] {
        case.registry().reserve(&case.fence, &names(from), 5).await?;
    }
    let ids = |rooms: Vec<Room>| -> Vec<_> { rooms.into_iter().map(|room| room.id).collect() };
    let taken = ids(case.registry().rooms(&case.scheduler).await?);
    assert_eq!(taken, [0, 1, 2, 10, 11].map(|n| case.id(n)));
    case.registry()
        .observe(&case.fence, &case.id(0), running())
        .await?;
    harness.pass(Span::from_ms(1));
    let at = case.now().await?;
    let gone = seen(Phase::Absent { at }, false);
    case.registry().observe(&case.fence, &case.id(0), gone).await?;
    case.registry().reserve(&case.fence, &names(20), 5).await?;
    let taken = ids(case.registry().rooms(&case.scheduler).await?);
    assert_eq!(taken, [0, 1, 2, 10, 11, 20].map(|n| case.id(n)));
    case.end().await
}

/// The holder's successor finds what it left.
pub async fn the_state_comes_back_whole(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-state").await?;
    assert_eq!(case.registry().state(&case.scheduler).await?, None);
    assert_eq!(case.changes(Cursor::START).await?.standing, None);
    let state = State {
        wanted: 7,
        scaled_at: Some(Timestamp::from_ms(5)),
        policies: BTreeMap::from([("up[0]".to_owned(), vec![0, 255, 7])]),
        window: Window {
            series: BTreeMap::from([(
                "cpu.used".to_owned(),
                [(Timestamp::from_ms(3), 0.5)].into_iter().collect(),
            )]),
            ..Window::default()
        },
    };
    case.registry().save(&case.fence, &state).await?;
    assert_eq!(
        case.changes(Cursor::START).await?.standing,
        Some(state.standing())
    );
    assert_eq!(case.registry().state(&case.scheduler).await?, Some(state));
    case.end().await
}

/// Pings that say nothing new wake nobody.
pub async fn nudges_are_few_and_say_what_others_did(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-nudge").await?;
    let nudges = case.registry().nudges(&case.scheduler);
    let room = case.ready(1).await?;
    assert!(harness.is_woken(&nudges).await, "a room became ready");
    case.report(&room, Reported::Ready).await?;
    assert!(!harness.is_woken(&nudges).await, "nothing is new");
    case.report(&room, Reported::Occupied).await?;
    assert!(harness.is_woken(&nudges).await, "a match began");
    case.report(&room, Reported::Ready).await?;
    case.report(&room, Reported::Occupied).await?;
    assert!(
        harness.is_woken(&nudges).await,
        "a change right after another is told too"
    );
    assert!(
        !harness.is_woken(&nudges).await,
        "two that nobody has heard of are told once"
    );
    case.registry().nudge(&case.scheduler);
    assert!(harness.is_woken(&nudges).await, "asked for by somebody");
    case.end().await
}
