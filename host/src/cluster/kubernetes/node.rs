//! One watch of all nodes: which of them stay, and which are going away.
//!
//! A node that is merely not ready is not going away: whether its rooms still live is for their pings to say. What is
//! kept is a word per node. A hint goes to whoever waits for any scheduler when one of those words changes, and the list
//! that follows writes it into the rooms' facts. Run by [`super::Watches`].

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{
    Affinity, Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod,
};
use kube::api::{ListParams, WatchEvent, WatchParams};

use super::call::{Caller, Failure};
use super::watch::{Hints, PAUSES, SESSION, SILENCE};
use crate::cluster::{Nodes, Standing};

/// Nodes of one page of a list: each may have fifty images, so that this is some 5 MB.
const PAGE: u32 = 250;

/// Nodes that are gone and remembered as such, so that no room that is still listed there looks well. The names of
/// machines that come and go are new each time; these are the last ones.
const REMEMBERED: usize = 500;

/// What says of a node that it will end soon, or was found to have: of Kubernetes itself and of those who take nodes
/// away. Matched against the keys of its taints; one that ends with `/` is a prefix.
const ENDING: [&str; 8] = [
    "node.kubernetes.io/out-of-service",
    "node.cloudprovider.kubernetes.io/shutdown",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
    "karpenter.sh/disrupted",
    // Before its first stable release.
    "karpenter.sh/disruption",
    // The notice of Google's machines that they are taken back.
    "cloud.google.com/impending-node-termination",
    // Amazon's: spot machines that are taken back, maintenance, groups that shrink.
    "aws-node-termination-handler/",
];

/// The nodes as the watch saw them last.
#[derive(Default)]
pub(super) struct Watched(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    nodes: Arc<Nodes>,
    /// Nodes that are gone, the longest first.
    gone: VecDeque<String>,
}

impl Watched {
    /// The nodes as they were seen last; none before the first list.
    pub(super) fn nodes(&self) -> Arc<Nodes> {
        self.seen().nodes.clone()
    }

    /// Watches for as long as it is polled.
    pub(super) async fn follow(&self, caller: &Caller, hints: &Hints) -> Infallible {
        let mut place = None;
        let mut pause = PAUSES.0;
        loop {
            match self.session(caller, hints, &mut place).await {
                Ok(()) => pause = PAUSES.0,
                Err(failure) => {
                    tracing::debug!("watching the nodes is interrupted: {failure}");
                    if failure.is_gone() {
                        place = None;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// One watch, from `place` in the history of changes, or from a new list; `place` follows it.
    async fn session(
        &self,
        caller: &Caller,
        hints: &Hints,
        place: &mut Option<String>,
    ) -> Result<(), Failure> {
        let from = match place.take() {
            Some(known) => known,
            None => self.list(caller, hints).await?,
        };
        *place = Some(from.clone());
        let seconds = u32::try_from(SESSION.as_secs()).unwrap_or(u32::MAX);
        let params = WatchParams::default().timeout(seconds);
        let events = caller.call(caller.nodes().watch(&params, &from)).await?;
        let mut events = std::pin::pin!(events);
        loop {
            let event = tokio::time::timeout(SILENCE, events.try_next()).await;
            let version = match event.map_err(|_| Failure::late(SILENCE))?? {
                None => return Ok(()),
                Some(WatchEvent::Added(node) | WatchEvent::Modified(node)) => {
                    self.take(hints, |seen| seen.note(&node));
                    node.metadata.resource_version
                }
                Some(WatchEvent::Deleted(node)) => {
                    self.take(hints, |seen| {
                        node.metadata.name.as_deref().is_some_and(|name| seen.lose(name))
                    });
                    node.metadata.resource_version
                }
                Some(WatchEvent::Bookmark(bookmark)) => Some(bookmark.metadata.resource_version),
                Some(WatchEvent::Error(status)) => return Err(Failure::Answer(status)),
            };
            if version.is_some() {
                *place = version;
            }
        }
    }

    /// Reads all nodes; answers where in the history of changes that was.
    async fn list(&self, caller: &Caller, hints: &Hints) -> Result<String, Failure> {
        let mut params = ListParams::default().limit(PAGE);
        let mut nodes = Vec::new();
        loop {
            let page = caller.call(caller.nodes().list(&params)).await?;
            nodes.extend(page.items.iter().filter_map(named));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => {
                    self.take(hints, |seen| seen.replace(nodes.into_iter().collect()));
                    return Ok(page.metadata.resource_version.unwrap_or_default());
                }
            }
        }
    }

    /// Takes over what was seen; whoever waits is woken when it is news.
    fn take(&self, hints: &Hints, change: impl FnOnce(&mut Seen) -> bool) {
        let is_news = change(&mut self.seen());
        if is_news {
            hints.wake_all();
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn note(&mut self, node: &Node) -> bool {
        let Some((name, standing)) = named(node) else {
            return false;
        };
        self.gone.retain(|gone| *gone != name);
        // Nodes tell of themselves every few seconds; that copies nothing.
        if self.nodes.standing(&name) == Some(&standing) {
            return false;
        }
        Arc::make_mut(&mut self.nodes).set(&name, standing)
    }

    /// A node is gone: its rooms are too, or will be found to be.
    fn lose(&mut self, name: &str) -> bool {
        let nodes = Arc::make_mut(&mut self.nodes);
        if !self.gone.iter().any(|gone| gone == name) {
            self.gone.push_back(name.to_owned());
        }
        if self.gone.len() > REMEMBERED
            && let Some(oldest) = self.gone.pop_front()
        {
            nodes.remove(&oldest);
        }
        nodes.set(
            name,
            Standing::Leaving {
                why: "is gone".to_owned(),
            },
        )
    }

    /// Takes over a full list: what it lacks is gone.
    fn replace(&mut self, nodes: Nodes) -> bool {
        let before = Arc::clone(&self.nodes);
        let lost: Vec<String> = before
            .iter()
            .filter(|(name, _)| nodes.standing(name).is_none())
            .map(|(name, _)| name.to_owned())
            .collect();
        self.gone.retain(|gone| nodes.standing(gone).is_none());
        self.nodes = Arc::new(nodes);
        for name in lost {
            self.lose(&name);
        }
        *before != *self.nodes
    }
}

fn named(node: &Node) -> Option<(String, Standing)> {
    Some((node.metadata.name.clone()?, standing(node)))
}

/// How a node stands, by what its object says.
fn standing(node: &Node) -> Standing {
    let spec = node.spec.as_ref();
    let mut taints = spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let is_ending = |key: &str| {
        ENDING
            .iter()
            .any(|known| key == *known || (known.ends_with('/') && key.starts_with(known)))
    };
    let why = match taints.find(|taint| is_ending(&taint.key)) {
        _ if node.metadata.deletion_timestamp.is_some() => "is being removed".to_owned(),
        Some(taint) => format!("is to end soon ({})", taint.key),
        None if spec.is_some_and(|spec| spec.unschedulable == Some(true)) => "is cordoned".to_owned(),
        None => return Standing::Open,
    };
    Standing::Leaving { why }
}

/// Keeps a pod away from these nodes. Conditions on a node's name hold one name each, and those of one term hold
/// together; terms are alternatives, so that each of those that the pod has gets them.
pub(super) fn avoid(pod: &mut Pod, nodes: &[String]) {
    let Some(spec) = pod.spec.as_mut().filter(|_| !nodes.is_empty()) else {
        return;
    };
    let unlike = |name: &String| NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "NotIn".to_owned(),
        values: Some(vec![name.clone()]),
    };
    let affinity = spec.affinity.get_or_insert_with(Affinity::default);
    let of_node = affinity.node_affinity.get_or_insert_with(NodeAffinity::default);
    let required = of_node
        .required_during_scheduling_ignored_during_execution
        .get_or_insert_with(NodeSelector::default);
    if required.node_selector_terms.is_empty() {
        required.node_selector_terms.push(NodeSelectorTerm::default());
    }
    for term in &mut required.node_selector_terms {
        let fields = term.match_fields.get_or_insert_with(Vec::new);
        fields.extend(nodes.iter().map(unlike));
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{NodeSpec, PodSpec, Taint};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn node(name: &str, unschedulable: bool, taints: &[&str]) -> Node {
        let taint = |key: &&str| Taint {
            key: (*key).to_owned(),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        };
        Node {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec {
                unschedulable: unschedulable.then_some(true),
                taints: Some(taints.iter().map(taint).collect()),
                ..NodeSpec::default()
            }),
            ..Node::default()
        }
    }

    fn check(node: &Node, expected: Option<&str>) {
        let expected = match expected {
            Some(why) => Standing::Leaving { why: why.to_owned() },
            None => Standing::Open,
        };
        assert_eq!(standing(node), expected);
    }

    #[test]
    fn a_node_that_is_going_away_is_told_from_one_that_is_unwell() {
        check(&node("a", false, &[]), None);
        let unwell = [
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/unreachable",
            "dedicated",
        ];
        check(&node("a", false, &unwell), None);
        check(&node("a", true, &[]), Some("is cordoned"));
        for key in ENDING {
            let key = match key.strip_suffix('/') {
                Some(prefix) => format!("{prefix}/spot-itn"),
                None => key.to_owned(),
            };
            let why = format!("is to end soon ({key})");
            check(&node("a", true, &["dedicated", &key]), Some(&why));
        }
        let mut removed = node("a", true, &["karpenter.sh/disrupted"]);
        removed.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        check(&removed, Some("is being removed"));
    }

    #[test]
    fn only_a_node_that_stands_otherwise_is_news() {
        let mut seen = Seen::default();
        let all = |nodes: &[Node]| nodes.iter().filter_map(named).collect::<Nodes>();
        assert!(seen.replace(all(&[node("a", false, &[]), node("b", false, &[])])));
        let before = Arc::clone(&seen.nodes);
        assert!(!seen.note(&node("a", false, &["node.kubernetes.io/not-ready"])));
        assert!(Arc::ptr_eq(&before, &seen.nodes), "nothing is copied");
        assert!(seen.note(&node("a", true, &[])));
        assert!(seen.lose("b") && !seen.lose("b"));
        assert!(
            !seen.replace(all(&[node("a", true, &[])])),
            "what is gone stays gone"
        );
        let gone = Standing::Leaving {
            why: "is gone".to_owned(),
        };
        assert_eq!(seen.nodes.standing("b"), Some(&gone));
        assert!(
            seen.replace(all(&[node("b", false, &[])])),
            "it is back, and the other one is not"
        );
        assert_eq!(seen.nodes.standing("b"), Some(&Standing::Open));
        assert_eq!(seen.nodes.standing("a"), Some(&gone));
        for number in 0..2 * REMEMBERED {
            seen.lose(&format!("spot-{number}"));
        }
        assert_eq!(seen.nodes.iter().count(), 1 + REMEMBERED);
        assert_eq!(seen.nodes.standing("a"), None, "that was long ago");
    }

    #[test]
    fn a_pod_stays_away_from_nodes_whatever_else_it_wants() {
        let mut pod = Pod {
            spec: Some(PodSpec::default()),
            ..Pod::default()
        };
        avoid(&mut pod, &[]);
        assert_eq!(pod.spec, Some(PodSpec::default()));
        let of_zone = NodeSelectorTerm {
            match_expressions: Some(vec![NodeSelectorRequirement {
                key: "zone".to_owned(),
                operator: "Exists".to_owned(),
                values: None,
            }]),
            match_fields: None,
        };
        let terms = |pod: &Pod| {
            let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
            let of_node = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
            let required =
                of_node.and_then(|nodes| nodes.required_during_scheduling_ignored_during_execution.as_ref());
            required.unwrap().node_selector_terms.clone()
        };
        avoid(&mut pod, &["a".to_owned()]);
        let required = terms(&pod);
        assert_eq!(required.len(), 1);
        let affinity = pod.spec.as_mut().and_then(|spec| spec.affinity.as_mut()).unwrap();
        let of_node = affinity.node_affinity.as_mut().unwrap();
        let required = of_node
            .required_during_scheduling_ignored_during_execution
            .as_mut()
            .unwrap();
        required.node_selector_terms = vec![of_zone.clone(), of_zone];
        avoid(&mut pod, &["a".to_owned(), "b".to_owned()]);
        for term in terms(&pod) {
            let fields = term.match_fields.unwrap();
            let values: Vec<_> = fields
                .iter()
                .flat_map(|field| field.values.clone().unwrap())
                .collect();
            assert_eq!(values, ["a", "b"]);
            assert!(fields.iter().all(|field| field.operator == "NotIn"));
            assert!(term.match_expressions.is_some());
        }
    }
}
