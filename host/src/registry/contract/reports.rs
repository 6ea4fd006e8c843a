//! What rooms say, in which order it is believed, and what is answered.

use futures::future::join_all;
use maestro_core::deadlines::Witness;
use maestro_core::report::{Reception, Report, Reported};
use maestro_core::room::{Refused, Stage};
use maestro_core::time::{Span, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Case, Harness, Outcome, drain, report};
use crate::registry::{Act, Call, Error, Taken};

/// Equal times: order of arrival. Up to a minute older: a sign of life, and nothing else.
pub async fn the_rooms_own_times_order_its_reports(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-order").await?;
    let room = case.reserve(1).await?;
    let began = case.now().await?;
    let receipt = case.report_at(&room, Reported::Occupied, began).await?;
    assert_eq!(receipt.taken, Taken::Newest);
    harness.pass(Span::from_secs(1));
    let receipt = case
        .report_at(&room, Reported::Ready, began - Span::from_ms(1))
        .await?;
    assert_eq!(receipt.taken, Taken::LifeOnly);
    assert_eq!(receipt.room.reports.status(), Some(Reported::Occupied));
    let life = began + Span::from_secs(1)..=case.now().await?;
    assert!(
        receipt.room.reports.life_at.is_some_and(|at| life.contains(&at)),
        "an old report is a sign of life, at the time it came: {:?}",
        receipt.room.reports
    );
    let receipt = case.report_at(&room, Reported::Ready, began).await?;
    assert_eq!(receipt.taken, Taken::Newest);
    assert_eq!(
        receipt.room,
        case.room(&room).await?,
        "the answer shows what is kept"
    );
    case.end().await
}

/// Whatever came before, repeated reports and promised rooms too: the room that comes out is the domain's.
pub async fn a_report_is_taken_as_core_takes_it(harness: &dyn Harness) -> Outcome {
    for seed in 0..8 {
        let case = Case::begin(harness, &format!("c-core-{seed}")).await?;
        let mut random = StdRng::seed_from_u64(seed);
        let room = case.ready(1).await?;
        let mut said = report(Reported::Ready, case.now().await?);
        for _ in 0..150 {
            match random.random_range(0..12) {
                0 => drop(case.allocate().await?),
                1 => drop(case.act_now(&room, Act::ExpireAllocation).await),
                2 if random.random_ratio(1, 4) => drop(case.act_now(&room, drain()).await),
                3 => harness.pass(Span::from_secs(random.random_range(0..200))),
                4 => case.registry().beat().await?,
                _ => {}
            }
            let now = case.now().await?;
            said = anything(&mut random, said, now);
            let before = case.room(&room).await?;
            let receipt = case.call(&room, said.clone(), true).await?;
            let reports = &receipt.room.reports;
            let at = reports.life_at.ok_or("it was heard of")?;
            let mut expected = before.clone();
            let taken = match expected.receive(&said, at, reports.life_witnessed) {
                Reception::Newest => Taken::Newest,
                Reception::LifeOnly => Taken::LifeOnly,
                Reception::ClockMoved => Taken::ClockMoved,
            };
            assert_eq!(
                (receipt.taken, &receipt.room),
                (taken, &expected),
                "seed {seed}: {said:?} on {before:?}"
            );
            assert!(now <= at && reports.life_witnessed >= before.reports.life_witnessed);
            assert_eq!(case.room(&room).await?, expected, "what is told is what is kept");
        }
        case.end().await?;
    }
    Ok(())
}

/// Mostly the same once more, as rooms do.
fn anything(random: &mut StdRng, said: Report, now: Timestamp) -> Report {
    let times = [
        now,
        said.sent_at,
        said.sent_at + Span::from_secs(10),
        said.sent_at - Span::from_secs(10),
        now - Span::from_secs(90),
        now + Span::from_secs(400),
        Timestamp::from_ms(i64::MAX),
    ];
    let likely = if random.random_ratio(1, 10) {
        times.len()
    } else {
        3
    };
    let sent_at = times[random.random_range(0..likely)];
    if random.random_ratio(2, 3) {
        return Report { sent_at, ..said };
    }
    let texts = [None, Some("{}"), Some("{\"map\":\"a\"}")];
    let numbers = [None, Some(0), Some(2)];
    Report {
        status: Reported::ALL[random.random_range(0..2)],
        sent_at,
        metadata: texts[random.random_range(0..3)].map(str::to_owned),
        running_matches: numbers[random.random_range(0..3)],
        capacity: numbers[random.random_range(0..3)],
    }
}

/// More than a minute back, or five ahead of the server.
pub async fn a_clock_that_moves_leaves_the_order_of_arrival(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-clock").await?;
    let now = case.now().await?;
    for (suffix, first, second) in [
        (1, now, now - Span::from_secs(61)),
        (2, now, now + Span::from_secs(400)),
    ] {
        let room = case.reserve(suffix).await?;
        case.report_at(&room, Reported::Ready, first).await?;
        let receipt = case.report_at(&room, Reported::Occupied, second).await?;
        assert_eq!(receipt.taken, Taken::ClockMoved);
        assert_eq!(receipt.room.reports.status(), Some(Reported::Occupied));
        let receipt = case
            .report_at(&room, Reported::Ready, now - Span::from_secs(500))
            .await?;
        assert_eq!(
            receipt.taken,
            Taken::Newest,
            "from then on order of arrival holds"
        );
    }
    case.end().await
}

/// It freshens, and says nothing.
pub async fn a_malformed_call_is_a_sign_of_life(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-malformed").await?;
    let room = case.ready(1).await?;
    let before = case.room(&room).await?;
    case.witness(5).await?;
    let receipt = case
        .registry()
        .report(&case.scheduler, &room, Call::Refused)
        .await?;
    assert_eq!(receipt.taken, Taken::LifeOnly);
    assert_eq!(receipt.room.reports.last, before.reports.last);
    assert_eq!(receipt.room.revision, before.revision);
    let silence = receipt.room.reports.life_witnessed - before.reports.life_witnessed;
    assert!(silence >= Span::from_secs(4), "freshened by {silence}");
    let nobody = case
        .registry()
        .report(&case.scheduler, &case.id(9), Call::Refused)
        .await;
    assert!(matches!(nobody, Err(Error::UnknownRoom(_))), "{nobody:?}");
    case.end().await
}

/// A ping that comes while that is being decided changes no revision, and takes the reason away.
pub async fn whoever_is_heard_of_is_not_ended_for_silence(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-heard").await?;
    let room = case.ready(1).await?;
    case.report(&room, Reported::Occupied).await?;
    let decided_on = case.room(&room).await?;
    let stop = Act::Stop {
        unheard_since: Some(decided_on.reports.life_witnessed),
        reason: "nothing was heard of it".to_owned(),
    };
    case.witness(5).await?;
    case.report(&room, Reported::Occupied).await?;
    let registry = case.registry();
    let act = |act| registry.act(&case.fence, &room, decided_on.revision, act);
    let refused = act(stop).await;
    assert!(
        matches!(
            refused,
            Err(Error::Refused {
                refused: Refused::Heard,
                ..
            })
        ),
        "{refused:?}"
    );
    case.witness(5).await?;
    let unheard_since = Some(case.room(&room).await?.reports.life_witnessed);
    let reason = String::new();
    act(Act::Stop {
        unheard_since,
        reason,
    })
    .await?;
    case.end().await
}

/// Only a change of use, stage or intent moves it.
pub async fn a_repeated_ping_keeps_the_revision(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-revision").await?;
    let room = case.ready(1).await?;
    let ready = case.room(&room).await?.revision;
    harness.pass(Span::from_secs(10));
    assert_eq!(case.report(&room, Reported::Ready).await?.room.revision, ready);
    let occupied = case.report(&room, Reported::Occupied).await?.room.revision;
    assert!(occupied > ready);
    assert_eq!(
        case.report(&room, Reported::Occupied).await?.room.revision,
        occupied
    );
    case.end().await
}

/// From the mark on, in each answer.
pub async fn a_drained_room_is_told_so(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-told").await?;
    let room = case.ready(1).await?;
    assert!(!case.report(&room, Reported::Ready).await?.draining);
    let marked = case.act_now(&room, drain()).await?;
    assert_eq!(marked.stage(), Stage::Draining);
    assert!(!marked.has_answered_drain(), "what it said before is no answer");
    harness.pass(Span::from_secs(1));
    let receipt = case.report(&room, Reported::Occupied).await?;
    assert!(receipt.draining && !receipt.room.has_answered_drain());
    case.end().await
}

/// A try that was counted by one of several at once is not lost to another: after three the room is tried out.
pub async fn changes_at_once_are_made_one_after_the_other(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-at-once").await?;
    for round in 0..16 {
        let room = case.reserve(round).await?;
        let revision = case.room(&room).await?.revision;
        let tries = (0..8).map(|_| case.act(&room, revision, Act::BeginCreate));
        let done = join_all(tries).await;
        let counted = done.iter().filter(|done| done.is_ok()).count();
        assert_eq!(counted, 3, "{done:?}");
        let refused = |done: &&Result<_, Error>| matches!(done, Err(Error::Refused { .. }));
        assert_eq!(done.iter().filter(refused).count(), 5, "{done:?}");
    }
    case.end().await
}

/// A room that was never there, and one that was forgotten, once the registry knows all rooms.
pub async fn unknown_rooms_are_unknown(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-stranger").await?;
    let room = case.reserve(1).await?;
    case.act_now(&room, crate::registry::Act::Forget).await?;
    for id in [room, case.id(2)] {
        let answer = case.report(&id, Reported::Ready).await;
        assert!(matches!(answer, Err(Error::UnknownRoom(_))), "{answer:?}");
        assert_eq!(case.registry().room(&case.scheduler, &id).await?, None);
    }
    assert!(case.registry().rooms(&case.scheduler).await?.is_empty());
    case.end().await
}

/// A gap between heartbeats is no witnessed time, and nobody is silent for it.
pub async fn only_heartbeats_make_witnessed_time(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-witness").await?;
    case.registry().beat().await?;
    let before = case.changes(crate::registry::Cursor::START).await?.witness.total;
    harness.pass(Span::from_secs(600));
    case.registry().beat().await?;
    let during = case.changes(crate::registry::Cursor::START).await?.witness.total;
    assert_eq!(during, before, "nobody was there to hear anything");
    case.witness(60).await?;
    let after = case.changes(crate::registry::Cursor::START).await?.witness.total;
    let heard = after - during;
    assert!(
        heard >= Span::from_secs(60) && heard <= Span::from_secs(60) + Witness::GAP,
        "witnessed {heard} of a minute"
    );
    case.end().await
}
