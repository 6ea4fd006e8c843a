//! Ends of rooms, and the switch that keeps rooms from being ended by votes.

use maestro_core::names::RoomId;
use maestro_core::room::{Creation, End, Phase, Room};

use super::super::events::{Event, Kind, Part};
use super::super::journal::Budget;
use super::super::scale_in::ScaleIn;
use super::*;

on_both! {
    an_end_reads_back_as_it_was_written_and_the_newest_counts;
    what_a_room_tells_under_that_name_is_no_end;
    what_rooms_say_goes_before_how_rooms_ended;
    scaling_down_is_paused_once_and_until_that_is_taken_back;
}

fn end(code: Option<i32>, words: &str, ms: i64) -> End {
    let mut room = Room::reserved(id(), Version::FIRST, at(1_000), Span::ZERO);
    room.creation = Creation::Confirmed { at: at(1_100) };
    room.reports.life_at = Some(at(1_200));
    room.node = Some("local".to_owned());
    room.phase = Phase::Exited {
        at: at(ms),
        code,
        reason: words.to_owned(),
    };
    room.end(at(ms))
}

fn id() -> RoomId {
    RoomId::parse("pong-0000000a").unwrap()
}

async fn an_end_reads_back_as_it_was_written_and_the_newest_counts(store: Store) {
    fill(&store, &scheduler("pong", "pong:1", 3)).await;
    let pong = name("pong");
    assert_eq!(store.room_end(&pong, &id()).await.unwrap(), None);
    for end in [end(Some(3), "no licence", 2_000), end(None, "", 3_000)] {
        let both = [(pong.clone(), end.clone())];
        store.append_ends(&both).await.unwrap();
        assert_eq!(store.room_end(&pong, &id()).await.unwrap(), Some(end));
    }
    let other = RoomId::parse("pong-0000000b").unwrap();
    assert_eq!(store.room_end(&pong, &other).await.unwrap(), None);
    let events = store.events(Some(&pong), &Part::default(), 10).await.unwrap();
    let names: Vec<&str> = events.iter().map(|(_, event)| event.name.as_str()).collect();
    assert_eq!(names, ["roomEnded", "roomEnded", "schedulerCreated"]);
}

async fn what_a_room_tells_under_that_name_is_no_end(store: Store) {
    fill(&store, &scheduler("pong", "pong:1", 3)).await;
    let told = Event {
        scheduler: name("pong"),
        room: Some(id()),
        kind: Kind::Room,
        name: "roomEnded".to_owned(),
        at: at(2_000),
        sent_at: Some(at(2_000)),
        metadata: "{}".to_owned(),
    };
    store.append_event(&told).await.unwrap();
    assert_eq!(store.room_end(&name("pong"), &id()).await.unwrap(), None);
}

async fn what_rooms_say_goes_before_how_rooms_ended(store: Store) {
    let pong = name("pong");
    let ends = [(pong.clone(), end(Some(3), "no licence", 1_000))];
    store.append_ends(&ends).await.unwrap();
    for ms in 0..600 {
        let told = Event {
            scheduler: pong.clone(),
            room: Some(id()),
            kind: Kind::Room,
            name: "goal".to_owned(),
            at: at(2_000 + ms),
            sent_at: Some(at(2_000 + ms)),
            metadata: "{}".to_owned(),
        };
        store.append_event(&told).await.unwrap();
    }
    // Room for some fifty of them: 134 bytes each, and a quarter of the budget.
    let budget = Budget {
        bytes: 4 * 50 * 134,
        ..Budget::default()
    };
    let gone = store.trim(budget, at(3_000)).await.unwrap();
    let records: u64 = gone.iter().map(|gone| gone.records).sum();
    assert!((500..600).contains(&records), "{gone:?}");
    assert!(store.room_end(&pong, &id()).await.unwrap().is_some());
    let budget = Budget { bytes: 0, ..budget };
    store.trim(budget, at(3_000)).await.unwrap();
    assert_eq!(store.room_end(&pong, &id()).await.unwrap(), None);
}

async fn scaling_down_is_paused_once_and_until_that_is_taken_back(store: Store) {
    let pong = scheduler("pong", "pong:1", 3);
    fill(&store, &pong).await;
    let switch = async |to, ms| store.switch_scale_in(&pong.name, to, at(ms)).await.unwrap();
    assert_eq!(switch(ScaleIn::Allowed, 2_000).await, None);
    assert_eq!(switch(ScaleIn::Paused, 3_000).await, Some(at(3_000)));
    assert_eq!(switch(ScaleIn::Paused, 4_000).await, Some(at(3_000)));
    let paused = store.scheduler(&pong.name).await.unwrap().unwrap();
    assert_eq!(paused.scale_in_paused_at, Some(at(3_000)));
    assert_eq!(
        paused.updated_at,
        at(1_000),
        "the scheduler itself did not change"
    );
    let digests = BTreeMap::new();
    let more = scheduler("pong", "pong:1", 4);
    store
        .update_scheduler((&pong, Version::FIRST), &draft(&more, &digests), at(5_000))
        .await
        .unwrap();
    let changed = store.scheduler(&pong.name).await.unwrap().unwrap();
    assert_eq!(
        changed.scale_in_paused_at,
        Some(at(3_000)),
        "a new version changes nothing"
    );
    assert_eq!(switch(ScaleIn::Allowed, 6_000).await, None);
    let events = store
        .events(Some(&pong.name), &Part::default(), 10)
        .await
        .unwrap();
    let names: Vec<&str> = events.iter().map(|(_, event)| event.name.as_str()).collect();
    let expected = [
        "scaleInResumed",
        "schedulerUpdated",
        "scaleInPaused",
        "schedulerCreated",
    ];
    assert_eq!(names, expected, "each change is told once");
    let unknown = store
        .switch_scale_in(&name("other"), ScaleIn::Paused, at(7_000))
        .await;
    assert!(matches!(unknown, Err(Error::UnknownScheduler(_))), "{unknown:?}");
}
