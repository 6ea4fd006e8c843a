//! What belongs to no scheduler: who works, and copies of what the store has.

use maestro_core::names::SchedulerName;
use maestro_core::time::Span;

use super::{Harness, Outcome};

/// Runs these checks.
pub async fn all(harness: &dyn Harness) -> Outcome {
    whoever_says_nothing_is_no_longer_there(harness).await?;
    the_newest_copy_is_kept(harness).await
}

const TTL: Span = Span::from_secs(1_000);

/// A worker is there from its first word until it goes, or until it has said nothing for so long.
pub async fn whoever_says_nothing_is_no_longer_there(harness: &dyn Harness) -> Outcome {
    let registry = harness.registry();
    let there = |all: &std::collections::BTreeSet<String>| -> Vec<String> {
        let ours = all.iter().filter(|member| member.starts_with("c-members-"));
        ours.cloned().collect()
    };
    registry.join("c-members-a", TTL).await?;
    harness.pass(Span::from_secs(600));
    let both = registry.join("c-members-b", TTL).await?;
    assert_eq!(there(&both), ["c-members-a", "c-members-b"]);
    harness.pass(Span::from_secs(600));
    let left = registry.join("c-members-b", TTL).await?;
    assert_eq!(
        there(&left),
        ["c-members-b"],
        "the other one was silent for too long"
    );
    registry.join("c-members-a", TTL).await?;
    registry.leave("c-members-b").await?;
    registry.leave("c-members-nobody").await?;
    let left = registry.join("c-members-a", TTL).await?;
    assert_eq!(there(&left), ["c-members-a"], "the other one went");
    registry.leave("c-members-a").await?;
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
    let copies = registry.copies().await?;
    assert_eq!(copies.get(&one), Some(&bytes));
    assert_eq!(
        copies.get(&other).map(Vec::as_slice),
        Some(b"of another".as_slice())
    );
    registry.keep_copy(&one, None).await?;
    registry.keep_copy(&one, None).await?;
    let copies = registry.copies().await?;
    assert!(!copies.contains_key(&one) && copies.contains_key(&other));
    registry.keep_copy(&other, None).await?;
    Ok(())
}
