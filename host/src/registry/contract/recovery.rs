//! What holds after the registry was emptied.

use futures::stream::{self, StreamExt};
use maestro_core::names::Version;
use maestro_core::report::Reported;
use maestro_core::room::{Origin, Use};
use maestro_core::time::Span;

use super::{Case, Harness, Outcome, report, running, stop};
use crate::registry::{Cursor, Error, PROVISIONAL_FOR, PROVISIONAL_MAX, State, Taken};

/// No epoch, no state, no rooms, and a cursor of before reads everything.
pub async fn a_loss_shows(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-loss").await?;
    let room = case.ready(1).await?;
    let before = case.changes(Cursor::START).await?;
    assert!(before.epoch.is_some());
    harness.pass(Span::from_ms(1));
    harness.lose().await;
    let after = case.changes(before.cursor).await?;
    assert!(after.complete && after.rooms.is_empty());
    assert_eq!((after.epoch, after.standing), (None, None));
    let case = Case::recovering(harness, "c-loss").await?;
    case.reserve(2).await?;
    let after = case.changes(before.cursor).await?;
    assert!(after.complete, "a cursor of before the loss reads everything");
    assert_eq!(case.registry().room(&case.scheduler, &room).await?, None);
    case.end().await
}

/// It is ours: nobody else can make its token. Its version is the one it is found with.
pub async fn a_valid_token_registers_a_room_anew(harness: &dyn Harness) -> Outcome {
    let case = Case::recovering(harness, "c-anew").await?;
    let room = case.id(1);
    let receipt = case.report(&room, Reported::Occupied).await?;
    assert_eq!(receipt.taken, Taken::Registered);
    assert_eq!(receipt.room.origin, Origin::Adopted);
    assert_eq!(case.room(&room).await?.usage(), Use::Occupied);
    let found = Version::FIRST.next_minor();
    let rooms = [(room.clone(), found)];
    case.registry().adopt(&case.fence, &rooms).await?;
    let adopted = case.room(&room).await?;
    assert_eq!((adopted.version, adopted.usage()), (found, Use::Occupied));
    case.end().await
}

/// A room that was seen absent, forgotten, and then found again under its name: an act that was decided on its earlier
/// record, and arrives late, would end a room that may be in a match by now.
pub async fn no_act_on_an_earlier_record_fits_a_later_one(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-record").await?;
    let room = case.ready(1).await?;
    let decided_on = case.room(&room).await?.revision;
    case.gone(&room).await?;
    harness.pass(Span::from_ms(10));
    let found = [(room.clone(), Version::FIRST)];
    case.registry().adopt(&case.fence, &found).await?;
    // As often as it takes to count up to the revision of the earlier record, had it begun as low.
    for status in [
        Reported::Ready,
        Reported::Occupied,
        Reported::Ready,
        Reported::Occupied,
    ] {
        let revision = case.report(&room, status).await?.room.revision;
        assert!(revision > decided_on, "{revision:?} after {decided_on:?}");
    }
    let late = case.act(&room, decided_on, stop()).await;
    assert!(matches!(late, Err(Error::Moved { .. })), "{late:?}");
    case.end().await
}

/// They may have been promised before the loss.
pub async fn adopted_rooms_are_not_promised_while_recovering(harness: &dyn Harness) -> Outcome {
    let case = Case::recovering(harness, "c-unpromised").await?;
    let found = [(case.id(1), Version::FIRST)];
    case.registry().adopt(&case.fence, &found).await?;
    case.registry()
        .observe(&case.fence, &case.id(1), running())
        .await?;
    assert_eq!(case.room(&case.id(1)).await?.usage(), Use::Unknown);
    case.report(&case.id(1), Reported::Ready).await?;
    assert_eq!(case.allocate().await?, None);
    let fresh = case.ready(2).await?;
    assert_eq!(case.allocate().await?.map(|room| room.id), Some(fresh));
    let now = case.now().await?;
    case.registry().set_epoch(&case.fence, Some(now)).await?;
    assert_eq!(case.allocate().await?.map(|room| room.id), Some(case.id(1)));
    case.end().await
}

/// For a minute, in the order of the room's own times; they count once the room is found.
pub async fn provisional_reports_wait_for_their_room(harness: &dyn Harness) -> Outcome {
    let case = Case::recovering(harness, "c-wait").await?;
    let now = case.now().await?;
    let (kept, late) = (case.id(1), case.id(2));
    for (room, status, at) in [
        (&late, Reported::Occupied, now),
        (&kept, Reported::Occupied, now),
        (&kept, Reported::Ready, now - Span::from_secs(1)),
    ] {
        let receipt = case.call(room, report(status, at), false).await?;
        assert_eq!(receipt.taken, Taken::Provisional);
        assert_eq!(case.registry().room(&case.scheduler, room).await?, None);
    }
    harness.pass(PROVISIONAL_FOR - Span::from_secs(30));
    let found = [(kept.clone(), Version::FIRST)];
    case.registry().adopt(&case.fence, &found).await?;
    assert_eq!(case.room(&kept).await?.usage(), Use::Occupied);
    harness.pass(Span::from_secs(30));
    let found = [(late.clone(), Version::FIRST)];
    case.registry().adopt(&case.fence, &found).await?;
    assert_eq!(case.room(&late).await?.usage(), Use::Unknown, "it came too late");
    case.end().await
}

/// Whoever invents rooms fills no memory, and is forgotten after a minute.
pub async fn provisional_reports_are_bounded(harness: &dyn Harness) -> Outcome {
    let case = Case::recovering(harness, "c-bound").await?;
    let now = case.now().await?;
    // Many at once: the first must not be forgotten before the last has come.
    let calls = (0..u32::try_from(PROVISIONAL_MAX)?).map(|suffix| {
        let id = case.id(suffix);
        let case = &case;
        async move { case.call(&id, report(Reported::Ready, now), false).await }
    });
    let mut answers = stream::iter(calls).buffer_unordered(64);
    while let Some(answer) = answers.next().await {
        assert_eq!(answer?.taken, Taken::Provisional);
    }
    drop(answers);
    let one_more = case.id(u32::MAX);
    let answer = case.call(&one_more, report(Reported::Ready, now), false).await;
    assert!(matches!(answer, Err(Error::Full { .. })), "{answer:?}");
    let again = case
        .call(&case.id(0), report(Reported::Ready, now), false)
        .await?;
    assert_eq!(
        again.taken,
        Taken::Provisional,
        "a room that has a place keeps it"
    );
    harness.pass(PROVISIONAL_FOR);
    let answer = case.call(&one_more, report(Reported::Ready, now), false).await?;
    assert_eq!(answer.taken, Taken::Provisional);
    case.end().await
}

/// Not even what waits for a room; one that comes back under the name knows nothing.
pub async fn nothing_is_left_of_a_removed_scheduler(harness: &dyn Harness) -> Outcome {
    let case = Case::recovering(harness, "c-removed").await?;
    let (stranger, now) = (case.id(7), case.now().await?);
    case.call(&stranger, report(Reported::Occupied, now), false)
        .await?;
    let room = case.ready(1).await?;
    let before = case.changes(Cursor::START).await?;
    case.registry().save(&case.fence, &State::default()).await?;
    let scheduler = case.scheduler.clone();
    case.end().await?;
    let registry = harness.registry();
    assert_eq!(registry.room(&scheduler, &room).await?, None);
    assert_eq!(registry.rooms(&scheduler).await?, []);
    assert_eq!(registry.state(&scheduler).await?, None);
    let after = registry.changes(&scheduler, before.cursor).await?;
    assert!(after.complete && after.rooms.is_empty());
    assert_eq!((after.epoch, after.standing), (None, None));
    let case = Case::recovering(harness, "c-removed").await?;
    let found = [(stranger.clone(), Version::FIRST)];
    case.registry().adopt(&case.fence, &found).await?;
    assert_eq!(case.room(&stranger).await?.usage(), Use::Unknown);
    assert_eq!(case.allocate().await?, None);
    case.end().await
}
