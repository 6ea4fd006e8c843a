//! Decisions through the API.

use maestro::store::journal::Entry;
use maestro_core::decision::{Actor, Counts, Decision};
use maestro_core::names::Version;
use maestro_core::time::Timestamp;
use maestro_wire::record;
use serde_json::Value;

use super::harness::{Host, START, pong};

pub fn decision(n: i64) -> Decision {
    let wanted = u32::try_from(n).unwrap();
    Decision {
        at: Timestamp::from_ms(START + n * 1_000),
        actor: Actor::Loop,
        cluster: "local".to_owned(),
        version: Version::FIRST,
        counts: Counts::default(),
        ballots: Vec::new(),
        winner: None,
        clamps: Vec::new(),
        before: wanted,
        wanted: wanted + 1,
        scaled: true,
        mass_silence: false,
        recovering: false,
        plan: Vec::new(),
        waits: Vec::new(),
    }
}

fn encode(decision: &Decision) -> Vec<u8> {
    record::encode_decision(&record::Record {
        decision: decision.clone(),
        engine: "test".to_owned(),
        evidence: Vec::new(),
    })
}

/// Writes them to the journal, as the loop of `pong` would.
pub async fn write(host: &Host, decisions: &[Decision]) {
    let entries: Vec<Entry> = decisions
        .iter()
        .map(|decision| Entry::new(&pong(), decision, encode(decision)))
        .collect();
    host.api.store.append(&entries).await.unwrap();
}

fn wanted(page: &Value) -> Vec<u64> {
    let decisions = page["decisions"].as_array().unwrap().iter();
    decisions
        .map(|decision| decision["wanted"].as_u64().unwrap())
        .collect()
}

/// All pages of a list, each asked for by what the one before gave as `next`.
async fn pages(host: &Host, path: &str) -> Vec<Vec<u64>> {
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = host.get(&format!("{path}{cursor}")).await;
        seen.push(wanted(&page));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn decisions_come_newest_first_in_pages_that_go_on_from_next() {
    let host = Host::with_pong().await;
    let decisions: Vec<Decision> = (0..5).map(decision).collect();
    write(&host, &decisions).await;
    let seen = pages(&host, "/scheduler/pong/decisions?limit=2").await;
    assert_eq!(seen, [vec![5, 4], vec![3, 2], vec![1]]);
    host.stop().await;
}

#[tokio::test]
async fn decisions_are_filtered_by_time_by_change_and_by_who_made_them() {
    let host = Host::with_pong().await;
    let mut decisions: Vec<Decision> = (0..6).map(decision).collect();
    decisions[2].actor = Actor::Manual;
    decisions[3].actor = Actor::File;
    decisions[4].before = decisions[4].wanted;
    write(&host, &decisions).await;
    let seconds = START / 1_000;
    for (query, expected) in [
        ("", vec![6, 5, 4, 3, 2, 1]),
        ("changes=true", vec![6, 4, 3, 2, 1]),
        ("actor=manual", vec![3]),
        ("actor=file", vec![4]),
        ("actor=loop&changes", vec![6, 2, 1]),
        ("since=2023-11-14T22:13:24Z", vec![6, 5]),
        ("until=2023-11-14T22:13:21.000Z", vec![2, 1]),
        (
            &format!("since={}&until={}", START + 1_000, seconds + 3),
            vec![4, 3, 2],
        ),
        (
            &format!("since={}&until={}&actor=loop", seconds + 1, seconds + 3),
            vec![2],
        ),
        (&format!("since={}", seconds + 60), vec![]),
    ] {
        let page = host.get(&format!("/scheduler/pong/decisions?{query}")).await;
        assert_eq!(wanted(&page), expected, "{query}");
    }
    let path = "/scheduler/pong/decisions?limit=1&changes&actor=loop";
    let seen = pages(&host, path).await;
    assert_eq!(seen, [vec![6], vec![2], vec![1]]);
    host.stop().await;
}

#[tokio::test]
async fn equal_holds_are_found_at_any_time_of_the_row_that_they_share() {
    let host = Host::with_pong().await;
    let holds: Vec<Decision> = (0..10)
        .map(|n| Decision {
            before: 1,
            wanted: 1,
            scaled: false,
            ..decision(n)
        })
        .collect();
    write(&host, &holds).await;
    for (query, count) in [
        ("since=1700000009", 1),
        ("until=1700000000", 1),
        ("since=1700000010", 0),
    ] {
        let page = host.get(&format!("/scheduler/pong/decisions?{query}")).await;
        assert_eq!(wanted(&page).len(), count, "{query}: {page}");
    }
    host.stop().await;
}
