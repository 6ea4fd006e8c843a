//! Which worker acts for which scheduler, so that each asks for its own leases and nobody assigns anything.
//!
//! Rendezvous hashing (Thaler and Ravishankar, 1996): each worker has a weight for each scheduler, made from both names, and
//! the greatest one wins. All who know the same workers agree without a word; when one comes or goes, only its own schedulers
//! move. It is a suggestion: the lease decides who may act.

use crate::names::SchedulerName;

/// The one of `members` that keeps `scheduler`; `None` when there is none. Does not depend on their order.
pub fn keeper<'m>(scheduler: &SchedulerName, members: impl IntoIterator<Item = &'m str>) -> Option<&'m str> {
    let weighed = members
        .into_iter()
        .map(|member| (weight(scheduler.as_str(), member), member));
    // The name breaks a tie, so that even then all agree.
    weighed.max().map(|(_, member)| member)
}

/// FNV-1a over both names, and the last mixing of SplitMix64 over that: FNV's high bits hardly know of the last bytes.
fn weight(scheduler: &str, member: &str) -> u64 {
    let bytes = scheduler.bytes().chain([0]).chain(member.bytes());
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn schedulers() -> Vec<SchedulerName> {
        (0..3_000)
            .map(|n| SchedulerName::parse(&format!("game-{n}")).unwrap())
            .collect()
    }

    #[test]
    fn nobody_keeps_what_nobody_can() {
        assert_eq!(keeper(&schedulers()[0], []), None);
        assert_eq!(keeper(&schedulers()[0], ["only"]), Some("only"));
    }

    #[test]
    fn the_order_of_members_says_nothing() {
        for scheduler in schedulers() {
            assert_eq!(
                keeper(&scheduler, ["a", "b", "c"]),
                keeper(&scheduler, ["c", "a", "b"])
            );
        }
    }

    #[test]
    fn whoever_goes_leaves_its_own_and_no_others() {
        for scheduler in schedulers() {
            let before = keeper(&scheduler, ["a", "b", "c"]);
            let after = keeper(&scheduler, ["a", "b"]);
            assert!(before == after || before == Some("c"), "{scheduler}");
        }
    }

    #[test]
    fn each_has_about_its_share() {
        let members = ["worker-0-1f", "worker-1-2e", "worker-2-3d", "worker-3-4c"];
        let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
        for scheduler in schedulers() {
            *shares.entry(keeper(&scheduler, members).unwrap()).or_default() += 1;
        }
        // 750 each, with a standard deviation of 24.
        assert!(
            shares.values().all(|share| (650..850).contains(share)),
            "{shares:?}"
        );
    }
}
