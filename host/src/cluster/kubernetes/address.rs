//! Under which addresses nodes are reached, and what is remembered of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use maestro_core::room::Address;

use super::call::Caller;
use super::failure::Failure;

/// Kinds of addresses, the one to be preferred first. `Hostname` is left out: nobody outside can resolve it.
const KINDS: [&str; 4] = ["ExternalDNS", "ExternalIP", "InternalDNS", "InternalIP"];

/// On nodes whose cloud has not said everything about them yet, their outer address included.
const UNFINISHED: &str = "node.cloudprovider.kubernetes.io/uninitialized";

/// After this a node is asked again: a new address of a node that lives is rare.
const FRESH: Duration = Duration::from_secs(60);

/// So many nodes are asked one by one; more are cheaper to list all at once.
const FEW: usize = 3;

/// The nodes' addresses, by name.
#[derive(Default)]
pub(super) struct Nodes {
    known: Mutex<BTreeMap<String, Known>>,
}

struct Known {
    addresses: Vec<Address>,
    since: Instant,
}

impl Nodes {
    /// The addresses of these nodes. One that is unknown or whose addresses are incomplete has none, and is asked for
    /// again the next time.
    pub(super) async fn addresses(
        &self,
        caller: &Caller,
        names: BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Vec<Address>>, Failure> {
        let (mut found, missing) = self.remembered(&names, Instant::now());
        let nodes = match missing.len() {
            0 => return Ok(found),
            1..=FEW => {
                let api = caller.nodes();
                let asked = missing.iter().map(|name| caller.call(api.get_opt(name)));
                try_join_all(asked).await?.into_iter().flatten().collect()
            }
            _ => caller.all(&caller.nodes(), ListParams::default()).await?,
        };
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, node| now.duration_since(node.since) < FRESH);
        for node in nodes {
            let (Some(name), addresses) = (node.metadata.name.clone(), of_node(&node)) else {
                continue;
            };
            if addresses.is_empty() {
                continue;
            }
            if names.contains(name.as_str()) {
                found.insert(name.clone(), addresses.clone());
            }
            known.insert(
                name,
                Known {
                    addresses,
                    since: now,
                },
            );
        }
        Ok(found)
    }

    fn remembered<'n>(
        &self,
        names: &BTreeSet<&'n str>,
        now: Instant,
    ) -> (BTreeMap<String, Vec<Address>>, Vec<&'n str>) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
        for name in names {
            match known.get(*name) {
                Some(node) if now.duration_since(node.since) < FRESH => {
                    found.insert((*name).to_owned(), node.addresses.clone());
                }
                _ => missing.push(*name),
            }
        }
        (found, missing)
    }
}

/// A node's addresses, the preferred kind first and in the node's order within a kind; none while incomplete.
fn of_node(node: &Node) -> Vec<Address> {
    let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    if taints.any(|taint| taint.key == UNFINISHED) {
        return Vec::new();
    }
    let listed = || {
        let status = node.status.iter();
        status.flat_map(|status| status.addresses.iter().flatten())
    };
    let of_kind = |kind: &'static str| {
        let of_it = listed().filter(move |address| address.type_ == kind && !address.address.is_empty());
        of_it.map(move |address| Address {
            kind: kind.to_owned(),
            family: family(&address.address).to_owned(),
            host: address.address.clone(),
        })
    };
    KINDS.into_iter().flat_map(of_kind).collect()
}

/// What kind of text an address is.
pub(super) fn family(host: &str) -> &'static str {
    match host.parse() {
        Ok(IpAddr::V4(_)) => "IPv4",
        Ok(IpAddr::V6(_)) => "IPv6",
        Err(_) => "DNS",
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{NodeAddress, NodeSpec, NodeStatus, Taint};

    use super::*;

    fn node(addresses: &[(&str, &str)], taints: &[&str]) -> Node {
        let address = |(kind, host): &(&str, &str)| NodeAddress {
            type_: (*kind).to_owned(),
            address: (*host).to_owned(),
        };
        let taint = |key: &&str| Taint {
            key: (*key).to_owned(),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        };
        Node {
            spec: Some(NodeSpec {
                taints: Some(taints.iter().map(taint).collect()),
                ..NodeSpec::default()
            }),
            status: Some(NodeStatus {
                addresses: Some(addresses.iter().map(address).collect()),
                ..NodeStatus::default()
            }),
            ..Node::default()
        }
    }

    fn check(addresses: &[(&str, &str)], expected: &[(&str, &str, &str)]) {
        let seen = of_node(&node(addresses, &["dedicated"]));
        let seen: Vec<_> = seen
            .iter()
            .map(|a| (a.kind.as_str(), a.family.as_str(), a.host.as_str()))
            .collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn names_and_addresses_that_players_can_reach_come_first() {
        check(
            &[
                ("InternalIP", "10.0.0.7"),
                ("InternalIP", "fd00::7"),
                ("Hostname", "seven"),
                ("InternalDNS", "seven.internal"),
                ("ExternalIP", "203.0.113.7"),
                ("ExternalIP", "2001:db8::7"),
                ("ExternalDNS", "seven.example.com"),
            ],
            &[
                ("ExternalDNS", "DNS", "seven.example.com"),
                ("ExternalIP", "IPv4", "203.0.113.7"),
                ("ExternalIP", "IPv6", "2001:db8::7"),
                ("InternalDNS", "DNS", "seven.internal"),
                ("InternalIP", "IPv4", "10.0.0.7"),
                ("InternalIP", "IPv6", "fd00::7"),
            ],
        );
        check(&[("InternalIP", "fd00::7")], &[("InternalIP", "IPv6", "fd00::7")]);
    }

    #[test]
    fn half_a_list_of_addresses_is_none() {
        check(&[("Hostname", "seven"), ("ExternalIP", "")], &[]);
        let unfinished = node(&[("InternalIP", "10.0.0.7")], &[UNFINISHED]);
        assert_eq!(of_node(&unfinished), []);
    }

    #[test]
    fn what_is_remembered_is_asked_for_again_after_a_while() {
        let nodes = Nodes::default();
        let since = Instant::now();
        let addresses = of_node(&node(&[("InternalIP", "10.0.0.7")], &[]));
        let known = Known {
            addresses: addresses.clone(),
            since,
        };
        nodes.known.lock().unwrap().insert("seven".to_owned(), known);
        let names = BTreeSet::from(["eight", "seven"]);
        let seven = BTreeMap::from([("seven".to_owned(), addresses)]);
        assert_eq!(nodes.remembered(&names, since), (seven, vec!["eight"]));
        let later = since + FRESH;
        assert_eq!(
            nodes.remembered(&names, later),
            (BTreeMap::new(), vec!["eight", "seven"])
        );
    }
}
