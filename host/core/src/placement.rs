//! Which worker acts for which scheduler, so that each asks for its own leases and nobody assigns anything.
//!
//! Rendezvous hashing (Thaler and Ravishankar, 1996): each worker has a weight for each scheduler, made from both names, and
//! the greatest one wins. All who know the same workers agree without a word; when one comes or goes, only its own schedulers
//! move. A worker that lost the store, which others have, is passed over: it would hear of no new scheduler and of no change.
//! All of this is a suggestion: the lease decides who may act.

use std::collections::BTreeMap;

use crate::names::SchedulerName;

/// How a worker reaches the store, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It has had it for a while.
    Steady,
    /// It has had it for a moment only, or missed it for one, or does not say.
    Unsure,
    /// It has missed it for a while.
    Lost,
}

/// Those of `members` that keep schedulers: all but those that lost the store, if any is sure to have it. If none is, the
/// store may be away for all of them, or have come back just now; then all keep what they have.
pub fn keepers(members: &BTreeMap<String, Reach>) -> impl Iterator<Item = &str> {
    let is_there = members.values().any(|reach| *reach == Reach::Steady);
    let may_keep = move |reach: Reach| match reach {
        Reach::Steady | Reach::Unsure => true,
        Reach::Lost => !is_there,
    };
    let keepers = members.iter().filter(move |(_, reach)| may_keep(**reach));
    keepers.map(|(member, _)| member.as_str())
}

/// The one of `keepers` that keeps `scheduler`; `None` when there is none. Does not depend on their order.
pub fn keeper<'m>(scheduler: &SchedulerName, keepers: impl IntoIterator<Item = &'m str>) -> Option<&'m str> {
    let weighed = keepers
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
    use super::*;

    const REACHES: [Reach; 3] = [Reach::Steady, Reach::Unsure, Reach::Lost];

    fn members(reaches: [Reach; 3]) -> BTreeMap<String, Reach> {
        let names = ["a", "b", "c"].map(str::to_owned);
        names.into_iter().zip(reaches).collect()
    }

    fn keepers_of(reaches: [Reach; 3]) -> Vec<String> {
        keepers(&members(reaches)).map(str::to_owned).collect()
    }

    /// Each of three workers in each way.
    fn all() -> impl Iterator<Item = [Reach; 3]> {
        let of = |number: usize| [number % 3, number / 3 % 3, number / 9].map(|reach| REACHES[reach]);
        (0..27).map(of)
    }

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
    fn whoever_lost_the_store_is_passed_over_while_somebody_is_sure_to_have_it() {
        use Reach::{Lost, Steady, Unsure};
        for (reaches, expected) in [
            ([Steady, Steady, Steady], "abc"),
            ([Steady, Unsure, Steady], "abc"),
            ([Steady, Unsure, Lost], "ab"),
            ([Lost, Steady, Lost], "b"),
            ([Lost, Unsure, Lost], "abc"),
            ([Unsure, Unsure, Lost], "abc"),
            ([Lost, Lost, Lost], "abc"),
        ] {
            assert_eq!(keepers_of(reaches).concat(), expected, "{reaches:?}");
        }
        assert_eq!(keepers(&BTreeMap::new()).next(), None);
    }

    #[test]
    fn nobody_who_has_the_store_is_passed_over_and_somebody_always_keeps() {
        for reaches in all() {
            let keepers = keepers_of(reaches);
            assert!(!keepers.is_empty(), "{reaches:?}");
            for (member, reach) in members(reaches) {
                assert!(reach == Reach::Lost || keepers.contains(&member), "{reaches:?}");
            }
        }
    }

    #[test]
    fn a_worker_that_loses_the_store_leaves_its_own_and_no_others() {
        let reaches = |reach| members([Reach::Steady, reach, Reach::Unsure]);
        let (has, lost) = (reaches(Reach::Unsure), reaches(Reach::Lost));
        for scheduler in schedulers() {
            let before = keeper(&scheduler, keepers(&has));
            let after = keeper(&scheduler, keepers(&lost));
            assert!(before == after || before == Some("b"), "{scheduler}");
            assert_ne!(after, Some("b"), "{scheduler}");
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
