//! The nodes of a cluster, as far as rooms care: whether each stays, and whether it is lost.
//!
//! What an adapter saw of its nodes at one time, cheap to ask for. A node that is missing here may be new, or nothing is
//! known of any node yet: whoever asks keeps what it knew before.
//!
//! A node is lost when it is gone, or the cluster itself no longer hears of it; but only while at least half of all nodes
//! are heard of. When most of them fall silent at once, the fault is likely the cluster's own connection to them, and nothing
//! is concluded. Kubernetes' node lifecycle controller reasons the same way: by the disruption states of its zones, it then
//! evicts more slowly, or not at all. A node that says of itself that it is not ready is heard of.

use std::collections::{BTreeMap, BTreeSet};

/// Nodes by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes(BTreeMap<String, Known>);

/// What is known of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    standing: Standing,
    contact: Contact,
}

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

/// Whether the cluster hears of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// It does, or never said anything else.
    Heard,
    /// It does, and it is one that takes no rooms (the cluster's own machines are near to it), which says nothing of others.
    Apart,
    /// It does not, for so short a time that whether others follow is not known yet.
    Missed,
    /// It does not, and whoever else fell silent with this one is known.
    Lost,
    /// There is no such node any more.
    Gone,
}

impl Nodes {
    /// How a node stands; `None` while nothing is known of it.
    pub fn standing(&self, node: &str) -> Option<&Standing> {
        Some(&self.0.get(node)?.standing)
    }

    /// Whether the cluster hears of a node; `None` while nothing is known of it.
    pub fn contact(&self, node: &str) -> Option<Contact> {
        Some(self.0.get(node)?.contact)
    }

    /// Whether a node is lost, as far as can be concluded from all of them.
    pub fn is_lost(&self, node: &str) -> bool {
        self.contact(node).is_some_and(Contact::is_lost) && self.is_conclusive()
    }

    /// All nodes, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Standing)> {
        self.0
            .iter()
            .map(|(name, known)| (name.as_str(), &known.standing))
    }

    /// Nodes of which `before` told something else: how they stand, or whether they are lost.
    pub fn news<'n>(&'n self, before: &'n Self) -> BTreeSet<&'n str> {
        let (now, then) = (self.is_conclusive(), before.is_conclusive());
        let names = self.0.keys().chain(before.0.keys()).map(String::as_str);
        names
            .filter(|name| self.told(name, now) != before.told(name, then))
            .collect()
    }

    /// Takes down how a node stands; answers whether that is news. One that was unknown is heard of.
    pub fn set(&mut self, node: &str, standing: Standing) -> bool {
        let contact = match self.0.get(node) {
            Some(known) if known.standing == standing => return false,
            Some(known) => known.contact,
            None => Contact::Heard,
        };
        self.0.insert(node.to_owned(), Known { standing, contact });
        true
    }

    /// Takes down whether the cluster hears of a node that is known; answers whether that is news.
    pub fn set_contact(&mut self, node: &str, contact: Contact) -> bool {
        match self.0.get_mut(node) {
            Some(known) if known.contact != contact => {
                known.contact = contact;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Forgets a node.
    pub fn remove(&mut self, node: &str) {
        self.0.remove(node);
    }

    /// Whether at most half of the nodes that there are for rooms are unheard of. Those that are gone are no longer
    /// counted: their end was told.
    pub fn is_conclusive(&self) -> bool {
        let (mut heard, mut unheard) = (0, 0);
        for known in self.0.values() {
            match known.contact {
                Contact::Heard => heard += 1,
                Contact::Missed | Contact::Lost => unheard += 1,
                Contact::Apart | Contact::Gone => {}
            }
        }
        unheard <= heard
    }

    fn told(&self, node: &str, is_conclusive: bool) -> Option<(&Standing, bool)> {
        let known = self.0.get(node)?;
        Some((&known.standing, is_conclusive && known.contact.is_lost()))
    }
}

impl Contact {
    fn is_lost(self) -> bool {
        match self {
            Self::Heard | Self::Apart | Self::Missed => false,
            Self::Lost | Self::Gone => true,
        }
    }
}

impl FromIterator<(String, Standing)> for Nodes {
    fn from_iter<I: IntoIterator<Item = (String, Standing)>>(nodes: I) -> Self {
        let heard = |(name, standing)| (name, standing, Contact::Heard);
        nodes.into_iter().map(heard).collect()
    }
}

impl FromIterator<(String, Standing, Contact)> for Nodes {
    fn from_iter<I: IntoIterator<Item = (String, Standing, Contact)>>(nodes: I) -> Self {
        let known = |(name, standing, contact)| (name, Known { standing, contact });
        Self(nodes.into_iter().map(known).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(contacts: &[Contact]) -> Nodes {
        let node = |(number, contact): (usize, &Contact)| (number.to_string(), Standing::Open, *contact);
        contacts.iter().enumerate().map(node).collect()
    }

    #[test]
    fn a_node_is_lost_unless_most_are_unheard_of_at_once() {
        use Contact::{Apart, Gone, Heard, Lost, Missed};

        let check = |contacts: &[Contact], expected: &[usize]| {
            let nodes = nodes(contacts);
            let lost: Vec<usize> = (0..contacts.len())
                .filter(|number| nodes.is_lost(&number.to_string()))
                .collect();
            assert_eq!(lost, expected, "{contacts:?}");
        };
        check(&[], &[]);
        check(&[Heard, Heard], &[]);
        check(&[Lost, Heard], &[0]);
        check(&[Lost, Lost, Heard], &[]);
        check(&[Lost, Lost, Heard, Heard], &[0, 1]);
        check(&[Lost], &[]);
        // Others may be about to follow: they count, and are not given up yet.
        check(&[Lost, Missed, Heard, Heard], &[0]);
        check(&[Lost, Missed, Missed, Heard], &[]);
        // The control plane's own machines are always heard.
        check(&[Lost, Lost, Lost, Heard, Apart, Apart, Apart], &[]);
        // What was removed says nothing of the connection to what is there.
        check(&[Gone, Gone, Gone, Heard], &[0, 1, 2]);
        check(&[Gone, Lost, Heard], &[0, 1]);
        check(&[Gone, Lost, Lost, Heard], &[]);
        check(&[Gone], &[0]);
        assert!(!nodes(&[Lost, Heard]).is_lost("unknown"));
    }

    #[test]
    fn news_are_of_nodes_that_stand_otherwise_and_of_those_that_are_lost_or_no_longer() {
        use Contact::{Heard, Lost, Missed};

        let check = |before: &Nodes, after: &Nodes, expected: &[&str]| {
            let news: Vec<&str> = after.news(before).into_iter().collect();
            assert_eq!(news, expected, "{before:?} {after:?}");
        };
        let well = nodes(&[Heard; 4]);
        check(&well, &well, &[]);
        check(&Nodes::default(), &well, &["0", "1", "2", "3"]);
        check(&well, &nodes(&[Heard; 3]), &["3"]);
        let mut cordoned = well.clone();
        let leaving = Standing::Leaving {
            why: "is cordoned".to_owned(),
        };
        assert!(cordoned.set("1", leaving.clone()) && !cordoned.set("1", leaving));
        check(&well, &cordoned, &["1"]);
        let missed = nodes(&[Missed, Heard, Heard, Heard]);
        check(&well, &missed, &[]);
        let mut lost = missed.clone();
        assert!(lost.set_contact("0", Lost) && !lost.set_contact("0", Lost));
        assert!(!lost.set_contact("unknown", Lost));
        check(&missed, &lost, &["0"]);
        // With the third one, the first is no longer to be believed lost.
        check(&lost, &nodes(&[Lost, Missed, Missed, Heard]), &["0"]);
    }
}
