//! What belongs to no scheduler: who works, and copies of what the store has.

use std::collections::BTreeMap;

use maestro_core::names::SchedulerName;
use maestro_core::placement::Reach;
use maestro_core::time::Span;

use super::{Harness, Outcome};

const TTL: Span = Span::from_secs(1_000);

/// A worker is there from its first word until it goes, or until it has said nothing for so long.
pub async fn whoever_says_nothing_is_no_longer_there(harness: &dyn Harness) -> Outcome {
    let registry = harness.registry();
    let there = |all: &BTreeMap<String, Reach>| -> Vec<String> {
        let ours = all.keys().filter(|member| member.starts_with("c-members-"));
        ours.cloned().collect()
    };
    registry.join("c-members-a", Reach::Steady, TTL).await?;
    harness.pass(Span::from_secs(600));
    let both = registry.join("c-members-b", Reach::Steady, TTL).await?;
    assert_eq!(there(&both), ["c-members-a", "c-members-b"]);
    harness.pass(Span::from_secs(600));
    let left = registry.join("c-members-b", Reach::Steady, TTL).await?;
    assert_eq!(
        there(&left),
        ["c-members-b"],
        "the other one was silent for too long"
    );
    registry.join("c-members-a", Reach::Steady, TTL).await?;
    registry.leave("c-members-b").await?;
    registry.leave("c-members-nobody").await?;
    let left = registry.join("c-members-a", Reach::Steady, TTL).await?;
    assert_eq!(there(&left), ["c-members-a"], "the other one went");
    registry.leave("c-members-a").await?;
    Ok(())
}

/// Each worker's newest word of it, which lasts as long as the worker is there.
pub async fn workers_hear_how_each_of_them_reaches_the_store(harness: &dyn Harness) -> Outcome {
    let registry = harness.registry();
    let said = |all: BTreeMap<String, Reach>| -> Vec<(String, Reach)> {
        let ours = all.into_iter().filter_map(|(member, reach)| {
            let name = member.strip_prefix("c-reach-")?;
            Some((name.to_owned(), reach))
        });
        ours.collect()
    };
    let word = |name: &str, reach| (name.to_owned(), reach);
    registry.join("c-reach-a", Reach::Steady, TTL).await?;
    registry.join("c-reach-b", Reach::Lost, TTL).await?;
    let all = registry.join("c-reach-c", Reach::Unsure, TTL).await?;
    let each = [
        word("a", Reach::Steady),
        word("b", Reach::Lost),
        word("c", Reach::Unsure),
    ];
    assert_eq!(said(all), each);
    registry.join("c-reach-b", Reach::Steady, TTL).await?;
    let all = registry.join("c-reach-a", Reach::Lost, TTL).await?;
    let turned = [
        word("a", Reach::Lost),
        word("b", Reach::Steady),
        word("c", Reach::Unsure),
    ];
    assert_eq!(said(all), turned);
    registry.leave("c-reach-a").await?;
    registry.leave("c-reach-b").await?;
    harness.pass(Span::from_secs(600));
    let all = registry.join("c-reach-a", Reach::Unsure, TTL).await?;
    assert_eq!(
        said(all),
        [word("a", Reach::Unsure), word("c", Reach::Unsure)],
        "of those who are there"
    );
    harness.pass(Span::from_secs(600));
    let all = registry.join("c-reach-a", Reach::Unsure, TTL).await?;
    assert_eq!(said(all), [word("a", Reach::Unsure)]);
    registry.leave("c-reach-a").await?;
    Ok(())
}

/// Byte for byte, and none of a scheduler that is no more.
pub async fn the_newest_copy_is_kept(harness: &dyn Harness) -> Outcome {
    let registry = harness.registry();
    let (one, other) = (
        SchedulerName::parse("c-copy-one")?,
        SchedulerName::parse("c-copy-other")?,
    );
    let bytes: Vec<u8> = (0..=255).collect();
    registry.keep_copy(&one, Some(b"older")).await?;
    registry.keep_copy(&one, Some(&bytes)).await?;
    registry.keep_copy(&other, Some(b"of another")).await?;
    let copied = registry.copied().await?;
    assert!(copied.contains(&one) && copied.contains(&other), "{copied:?}");
    let copies = registry.copies().await?;
    assert_eq!(copies.get(&one), Some(&bytes));
    assert_eq!(
        copies.get(&other).map(Vec::as_slice),
        Some(b"of another".as_slice())
    );
    registry.keep_copy(&one, None).await?;
    registry.keep_copy(&one, None).await?;
    let copied = registry.copied().await?;
    assert!(!copied.contains(&one) && copied.contains(&other), "{copied:?}");
    let copies = registry.copies().await?;
    assert!(!copies.contains_key(&one) && copies.contains_key(&other));
    registry.keep_copy(&other, None).await?;
    Ok(())
}
