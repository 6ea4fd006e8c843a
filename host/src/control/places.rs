//! Which nodes rooms are to leave: those of which the cluster says so, and those that people drain.
//!
//! Pure but for [`Drained`], by which the supervisor hands the second kind to all loops of a process. What is not known
//! (no node was listed yet, the store was not asked yet) changes nothing: a loop that takes over goes on with what the
//! rooms' facts say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use maestro_core::time::Timestamp;

use crate::cluster::{Contact, Nodes, Standing};

/// Why a node is left that a person drains.
pub const DRAINED: &str = "is being drained";

/// Most nodes that a new room is told to stay away from. Each is a line of every pod; those that a person drains come
/// first, and from the others the cluster keeps rooms away by itself.
const AVOIDED: usize = 64;

/// Nodes that people drain, and since when.
pub type DrainedNodes = BTreeMap<String, Timestamp>;

/// The nodes that people drain, as the store had them last. Cheap to clone; all clones say the same.
#[derive(Clone, Debug, Default)]
pub struct Drained(Arc<RwLock<Option<Arc<DrainedNodes>>>>);

impl Drained {
    /// Takes over what the store has; answers whether that is news.
    pub fn set(&self, nodes: DrainedNodes) -> bool {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_news = kept.as_deref() != Some(&nodes);
        if is_news {
            *kept = Some(Arc::new(nodes));
        }
        is_news
    }

    /// What the store had; `None` before it was asked.
    pub fn get(&self) -> Option<Arc<DrainedNodes>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// All that is known of nodes at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Places {
    pub(super) nodes: Arc<Nodes>,
    pub(super) drained: Option<Arc<DrainedNodes>>,
}

impl Places {
    /// Why a node is being left, where `before` was known until now.
    pub(super) fn leaving(&self, node: Option<&str>, before: Option<&str>) -> Option<String> {
        let node = node?;
        let is_drained = self.drained.as_ref().map(|drained| drained.contains_key(node));
        let why = match (is_drained, self.nodes.standing(node)) {
            (_, Some(Standing::Leaving { why })) => Some(why.as_str()),
            (Some(true), _) => Some(DRAINED),
            (Some(false), Some(Standing::Open)) => None,
            (Some(false), None) => before.filter(|why| *why != DRAINED),
            (None, Some(Standing::Open)) => before.filter(|why| *why == DRAINED),
            (None, None) => before,
        };
        why.map(str::to_owned)
    }

    /// Whether the cluster no longer hears of a node, where `before` was known until now.
    pub(super) fn is_lost(&self, node: Option<&str>, before: bool) -> bool {
        node.is_some_and(|node| match self.nodes.contact(node) {
            None => before,
            // Whoever takes over sees a node that is long lost as one that was just missed.
            Some(Contact::Missed) => before && self.nodes.is_conclusive(),
            Some(Contact::Heard | Contact::Apart | Contact::Lost | Contact::Gone) => self.nodes.is_lost(node),
        })
    }

    /// Nodes of which `before` told something else.
    pub(super) fn news<'p>(&'p self, before: &'p Self) -> BTreeSet<&'p str> {
        let mut news = match Arc::ptr_eq(&self.nodes, &before.nodes) {
            true => BTreeSet::new(),
            false => self.nodes.news(&before.nodes),
        };
        let is_same = match (&self.drained, &before.drained) {
            (Some(now), Some(then)) => Arc::ptr_eq(now, then),
            (now, then) => now.is_none() && then.is_none(),
        };
        if !is_same {
            let drained = |places: &'p Self| -> BTreeSet<&'p str> {
                let nodes = places.drained.iter().flat_map(|drained| drained.keys());
                nodes.map(String::as_str).collect()
            };
            news.extend(&drained(self) ^ &drained(before));
        }
        news
    }

    /// Nodes that new rooms are to stay away from.
    pub(super) fn avoided(&self) -> Vec<String> {
        let is_drained = |node: &str| {
            self.drained
                .as_ref()
                .is_some_and(|drained| drained.contains_key(node))
        };
        let known = || self.nodes.iter();
        let drained = known().filter(|(node, _)| is_drained(node));
        let others = known()
            .filter(|(node, standing)| matches!(standing, Standing::Leaving { .. }) && !is_drained(node));
        let names = drained.chain(others).map(|(node, _)| node.to_owned());
        names.take(AVOIDED).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORDONED: &str = "is cordoned";

    fn places(standing: Option<Standing>, drained: Option<bool>) -> Places {
        let nodes = standing.map(|standing| ("node-1".to_owned(), standing));
        let at = Timestamp::from_ms(1);
        Places {
            nodes: Arc::new(nodes.into_iter().collect()),
            drained: drained.map(|is| {
                let node = is.then(|| ("node-1".to_owned(), at));
                Arc::new(node.into_iter().collect())
            }),
        }
    }

    #[test]
    fn what_is_not_known_changes_nothing() {
        let cordoned = || {
            Some(Standing::Leaving {
                why: CORDONED.to_owned(),
            })
        };
        let open = || Some(Standing::Open);
        for (standing, drained, before, expected) in [
            (None, None, None, None),
            (None, None, Some(CORDONED), Some(CORDONED)),
            (None, None, Some(DRAINED), Some(DRAINED)),
            (None, Some(false), Some(DRAINED), None),
            (None, Some(false), Some(CORDONED), Some(CORDONED)),
            (None, Some(true), None, Some(DRAINED)),
            (open(), None, Some(CORDONED), None),
            (open(), None, Some(DRAINED), Some(DRAINED)),
            (open(), Some(false), Some(DRAINED), None),
            (open(), Some(true), None, Some(DRAINED)),
            (cordoned(), None, None, Some(CORDONED)),
            (cordoned(), Some(true), None, Some(CORDONED)),
            (cordoned(), Some(false), Some(DRAINED), Some(CORDONED)),
        ] {
            let places = places(standing.clone(), drained);
            let leaving = places.leaving(Some("node-1"), before);
            assert_eq!(
                leaving.as_deref(),
                expected,
                "{standing:?} {drained:?} {before:?}"
            );
        }
        assert_eq!(places(cordoned(), Some(true)).leaving(None, None), None);
    }

    #[test]
    fn a_node_is_lost_when_the_cluster_says_so_and_until_it_says_otherwise() {
        let contact = |contact| {
            let others = ["a", "b"].map(|node| (node.to_owned(), Standing::Open, Contact::Heard));
            let node = ("node-1".to_owned(), Standing::Open, contact);
            Places {
                nodes: Arc::new(others.into_iter().chain([node]).collect()),
                drained: None,
            }
        };
        let node = Some("node-1");
        for before in [false, true] {
            assert_eq!(Places::default().is_lost(node, before), before, "not known yet");
            assert_eq!(
                contact(Contact::Missed).is_lost(node, before),
                before,
                "not yet either"
            );
            assert!(contact(Contact::Lost).is_lost(node, before));
            assert!(!contact(Contact::Heard).is_lost(node, before));
            assert!(!contact(Contact::Lost).is_lost(None, before));
        }
    }

    #[test]
    fn only_nodes_that_stand_otherwise_are_news() {
        let open = places(Some(Standing::Open), Some(false));
        let drained = places(Some(Standing::Open), Some(true));
        assert_eq!(open.news(&open), BTreeSet::new());
        let only = BTreeSet::from(["node-1"]);
        assert_eq!(
            (drained.news(&open), open.news(&drained)),
            (only.clone(), only.clone())
        );
        assert_eq!(open.news(&Places::default()), only);
    }

    #[test]
    fn new_rooms_stay_away_from_nodes_that_there_are_and_that_are_left() {
        let leaving = |number: usize| Standing::Leaving {
            why: format!("goes for reason {number}"),
        };
        let mut nodes: Nodes = (0..100).map(|n| (format!("node-{n:03}"), leaving(n))).collect();
        nodes.set("zone-a", Standing::Open);
        nodes.set("zone-b", Standing::Open);
        let at = Timestamp::from_ms(1);
        let drained = ["zone-a", "gone-long-ago"].map(|node| (node.to_owned(), at));
        let places = Places {
            nodes: Arc::new(nodes),
            drained: Some(Arc::new(drained.into_iter().collect())),
        };
        let avoided = places.avoided();
        assert_eq!(avoided.len(), AVOIDED);
        assert_eq!(avoided[..2], ["zone-a", "node-000"]);
    }
}
