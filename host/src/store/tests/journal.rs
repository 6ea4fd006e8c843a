//! The journal, its outbox and budget, recorded samples.

use maestro_core::decision::{Actor, Clamp, Counts, Decision, Rule};

use super::super::journal::{Budget, Dropped, Entry, Outbox, Reason, Table};
use super::super::samples::Segment;
use super::*;

on_both! {
    equal_holds_in_a_row_are_one_row_with_a_count;
    a_hold_for_another_reason_is_another_row;
    a_former_scheduler_of_the_same_name_says_nothing_of_this_one;
    what_is_too_old_goes_and_the_gap_is_told;
    the_oldest_go_first_when_there_is_too_much;
    segments_are_found_by_the_time_they_reach_into;
}

fn decision(ms: i64, before: u32, wanted: u32) -> Decision {
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
        scaled: before != wanted,
        mass_silence: false,
        recovering: false,
        plan: Vec::new(),
        waits: Vec::new(),
    }
}

fn entry(ms: i64, before: u32, wanted: u32) -> Entry {
    Entry::new(
        &name("pong"),
        &decision(ms, before, wanted),
        ms.to_string().into_bytes(),
    )
}

async fn equal_holds_in_a_row_are_one_row_with_a_count(store: Store) {
    fill(&store, &scheduler("pong", "pong:1", 3)).await;
    let other = Entry::new(&name("other"), &decision(1_002, 3, 3), vec![1]);
    let entries = [
        entry(1_000, 3, 3),
        entry(1_001, 3, 3),
        other,
        entry(1_003, 3, 3),
        entry(1_004, 3, 5),
        entry(1_005, 5, 5),
        entry(1_006, 5, 5),
        entry(1_007, 5, 6),
        entry(1_008, 6, 7),
    ];
    store.append(&entries).await.unwrap();
    let records = store.decisions(&name("pong"), None, 100).await.unwrap();
    let told: Vec<_> = records
        .iter()
        .map(|record| (record.since.ms(), record.at.ms(), record.count, record.wanted))
        .collect();
    assert_eq!(
        told,
        [
            (1_008, 1_008, 1, 7),
            (1_007, 1_007, 1, 6),
            (1_005, 1_006, 2, 5),
            (1_004, 1_004, 1, 5),
            (1_000, 1_003, 3, 3),
        ]
    );
    assert_eq!(records[4].bytes, b"1003");
    let rest = store
        .decisions(&name("pong"), Some(records[2].id), 1)
        .await
        .unwrap();
    assert_eq!(rest, records[3..4]);
    assert_eq!(store.last_wanted(&name("pong"), at(0)).await.unwrap(), Some(7));
    assert_eq!(store.last_wanted(&name("none"), at(0)).await.unwrap(), None);
    let changes = store.changes(&name("pong"), at(0), 2).await.unwrap();
    let times: Vec<i64> = changes.iter().map(|record| record.at.ms()).collect();
    assert_eq!(times, [1_008, 1_007], "holds are left out");
}

async fn a_hold_for_another_reason_is_another_row(store: Store) {
    fill(&store, &scheduler("pong", "pong:1", 3)).await;
    let clamped = |ms: i64, left: u64, from: u32| {
        let left = Span::from_secs(left);
        let clamps = vec![Clamp {
            rule: Rule::Cooldown { left },
            from,
            to: 3,
        }];
        let decision = Decision {
            clamps,
            ..decision(ms, 3, 3)
        };
        Entry::new(&name("pong"), &decision, Vec::new())
    };
    let entries = [
        clamped(1, 30, 5),
        clamped(2, 20, 5),
        clamped(3, 10, 6),
        entry(4, 3, 3),
    ];
    store.append(&entries).await.unwrap();
    let records = store.decisions(&name("pong"), None, 100).await.unwrap();
    let counts: Vec<u64> = records.iter().map(|record| record.count).collect();
    assert_eq!(counts, [1, 1, 2]);
}

async fn a_former_scheduler_of_the_same_name_says_nothing_of_this_one(store: Store) {
    fill(&store, &scheduler("pong", "pong:1", 3)).await;
    let since = store.scheduler(&name("pong")).await.unwrap().unwrap().created_at;
    store.append(&[entry(999, 3, 50)]).await.unwrap();
    assert_eq!(store.last_wanted(&name("pong"), since).await.unwrap(), None);
    assert_eq!(store.changes(&name("pong"), since, 10).await.unwrap(), []);
    store.append(&[entry(1_000, 3, 4)]).await.unwrap();
    assert_eq!(store.last_wanted(&name("pong"), since).await.unwrap(), Some(4));
    assert_eq!(store.changes(&name("pong"), since, 10).await.unwrap().len(), 1);
}

async fn what_is_too_old_goes_and_the_gap_is_told(store: Store) {
    let budget = Budget {
        age: Span::from_ms(1_000),
        ..Budget::default()
    };
    store
        .append(&[entry(100, 1, 2), entry(200, 2, 3), entry(1_500, 3, 4)])
        .await
        .unwrap();
    let expected = Dropped {
        table: Table::Journal,
        reason: Reason::Age,
        since: at(100),
        until: at(200),
        records: 2,
        bytes: 6,
    };
    assert_eq!(store.trim(budget, at(2_000)).await.unwrap(), [expected]);
    assert_eq!(store.trim(budget, at(2_000)).await.unwrap(), []);
    assert_eq!(store.dropped().await.unwrap(), [expected]);
    assert_eq!(store.decisions(&name("pong"), None, 10).await.unwrap().len(), 1);

    store.trim(budget, at(2_600)).await.unwrap();
    let joined = Dropped {
        until: at(1_500),
        records: 3,
        bytes: 10,
        ..expected
    };
    assert_eq!(store.dropped().await.unwrap(), [joined]);
}

async fn the_oldest_go_first_when_there_is_too_much(store: Store) {
    let entries: Vec<Entry> = (0..1_200).map(|n| entry(10_000 + n, 1, 2)).collect();
    store.append(&entries).await.unwrap();
    let segment = |ms: i64| Segment {
        since: at(ms),
        at: at(ms + 10),
        bytes: vec![0; 1_000],
    };
    for ms in [0, 20_000] {
        store.append_segment(&name("pong"), &segment(ms)).await.unwrap();
    }
    // Two segments of 1,128 bytes and 1,200 decisions of 133; 1,500 over it, so that the old segment goes and then
    // as few of the oldest decisions as it takes, and not the new segment.
    let budget = Budget {
        bytes: 2 * 1_128 + 1_200 * 133 - 1_500,
        ..Budget::default()
    };
    let gone = store.trim(budget, at(30_000)).await.unwrap();
    let expected = |table, since, until, records, bytes| Dropped {
        table,
        reason: Reason::Size,
        since: at(since),
        until: at(until),
        records,
        bytes,
    };
    assert_eq!(
        gone,
        [
            expected(Table::Samples, 10, 10, 1, 1_000),
            expected(Table::Journal, 10_000, 10_002, 3, 15),
        ]
    );
    assert_eq!(store.trim(budget, at(30_000)).await.unwrap(), []);
}

async fn segments_are_found_by_the_time_they_reach_into(store: Store) {
    let segment = |since: i64, until: i64| Segment {
        since: at(since),
        at: at(until),
        bytes: vec![1, 2],
    };
    for (since, until) in [(0, 9), (10, 19), (20, 29)] {
        let segment = segment(since, until);
        store.append_segment(&name("pong"), &segment).await.unwrap();
    }
    let found = store.segments(&name("pong"), at(15), at(20)).await.unwrap();
    assert_eq!(found, [segment(10, 19), segment(20, 29)]);
    assert_eq!(store.segments(&name("other"), at(0), at(99)).await.unwrap(), []);
}

#[tokio::test]
async fn decisions_wait_while_the_store_is_away_and_a_gap_is_told_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("maestro.db");
    let store = Store::open(&path).await.unwrap();
    let blocker = Store::open(&path).await.unwrap();
    store
        .writer
        .execute_unprepared("PRAGMA busy_timeout = 1")
        .await
        .unwrap();
    let lock = blocker.begin(Subject::Journal, "lock").await.unwrap();

    let mut outbox = Outbox::default();
    for n in 0..10_005 {
        outbox.push(entry(n, 1, 2));
    }
    assert_eq!((outbox.len(), outbox.lost()), (Outbox::CAPACITY, 5));
    let error = outbox.flush(&store, at(20_000)).await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!((outbox.len(), outbox.lost()), (Outbox::CAPACITY, 5));

    lock.rollback().await.unwrap();
    assert_eq!(outbox.flush(&store, at(20_000)).await.unwrap(), Outbox::CAPACITY);
    assert!(outbox.is_empty());
    let gap = Dropped {
        table: Table::Journal,
        reason: Reason::Outage,
        since: at(0),
        until: at(4),
        records: 5,
        bytes: 5,
    };
    assert_eq!(store.dropped().await.unwrap(), [gap]);
    let newest = store.decisions(&name("pong"), None, 1).await.unwrap();
    assert_eq!(newest[0].at, at(10_004));
}
