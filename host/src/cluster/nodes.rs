//! The nodes of a cluster, as far as rooms care: whether each stays.
//!
//! What an adapter saw of its nodes at one time, cheap to ask for. A node that is missing here may be new, or nothing is
//! known of any node yet: whoever asks keeps what it knew before.

use std::collections::BTreeMap;

/// Nodes by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes(BTreeMap<String, Standing>);

/// Whether a node stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It stays.
    Open,
    /// It is going away, or is to be emptied.
    Leaving {
        /// Why, as in "is cordoned".
        why: String,
    },
}

impl Nodes {
    /// How a node stands; `None` while nothing is known of it.
    pub fn standing(&self, node: &str) -> Option<&Standing> {
        self.0.get(node)
    }

    /// All nodes, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Standing)> {
        self.0.iter().map(|(name, standing)| (name.as_str(), standing))
    }

    /// Takes down how a node stands; answers whether that is news.
    pub fn set(&mut self, node: &str, standing: Standing) -> bool {
        if self.0.get(node) == Some(&standing) {
            return false;
        }
        self.0.insert(node.to_owned(), standing);
        true
    }

    /// Forgets a node.
    pub fn remove(&mut self, node: &str) {
        self.0.remove(node);
    }
}

impl FromIterator<(String, Standing)> for Nodes {
    fn from_iter<I: IntoIterator<Item = (String, Standing)>>(nodes: I) -> Self {
        Self(nodes.into_iter().collect())
    }
}
