//! One watch of all nodes: which of them stay, which are going away, and which Kubernetes itself no longer hears of.
//!
//! A node that is merely not ready is not going away, nor is it lost: whether its rooms still live is for their pings to
//! say. What is kept is two words per node. When one of them changes, a hint goes to whoever waits for a scheduler with rooms
//! on that node, and the list that follows writes it into the rooms' facts. Run by [`super::Watches`].

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::api::{ListParams, WatchEvent, WatchParams};

use super::call::Caller;
use super::failure::Failure;
use super::watch::{Hints, PAUSES, SESSION, SILENCE};
use crate::cluster::{Contact, Nodes, Standing};

/// Nodes of one page of a list: each may have fifty images, so that this is some 5 MB.
const PAGE: u32 = 250;

/// Nodes that are gone and remembered as such, so that no room that is still listed there looks well. The names of
/// machines that come and go are new each time; these are the last ones.
const REMEMBERED: usize = 500;

/// After this much silence a node counts as lost. Kubelets renew their leases each ten seconds and the server's controller
/// looks at them each five, so that nodes that were cut off at once are found silent one by one over that time; the first
/// of them must not be given up before it is known how many they are.
const SETTLED: Duration = Duration::from_secs(15);

/// Time between two looks for nodes that have been silent for so long.
const LOOK: Duration = Duration::from_secs(1);

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

/// The taint of machines that are kept for the cluster's own parts.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// The nodes as the watch saw them last.
#[derive(Default)]
pub(super) struct Watched(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    nodes: Arc<Nodes>,
    /// Nodes that are gone, the longest first.
    gone: VecDeque<String>,
    /// Nodes that are not heard of, since when.
    missed: BTreeMap<String, Instant>,
}

/// A node as its object shows it.
struct Shown {
    name: String,
    standing: Standing,
    contact: Contact,
}

impl Watched {
    /// The nodes as they were seen last; none before the first list.
    pub(super) fn nodes(&self) -> Arc<Nodes> {
        self.seen().nodes.clone()
    }

    /// Watches for as long as it is polled.
    pub(super) async fn follow(&self, caller: &Caller, hints: &Hints) -> Infallible {
        tokio::select! {
            biased;
            never = self.watch(caller, hints) => never,
            never = self.settle(caller, hints) => never,
        }
    }

    async fn watch(&self, caller: &Caller, hints: &Hints) -> Infallible {
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

    /// Gives up nodes that have been silent for long enough, by a list that shows how the others are: the watch may be cut
    /// off itself.
    async fn settle(&self, caller: &Caller, hints: &Hints) -> Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            if !self.seen().is_due(Instant::now()) {
                continue;
            }
            if let Err(failure) = self.list(caller, hints).await {
                tracing::debug!("nodes that are not heard of are not given up: {failure}");
                tokio::time::sleep(PAUSES.1).await;
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
                    self.take(hints, |seen| seen.note(&node, Instant::now()));
                    node.metadata.resource_version
                }
                Some(WatchEvent::Deleted(node)) => {
                    if let Some(name) = &node.metadata.name {
                        self.take(hints, |seen| seen.lose(name));
                    }
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
            nodes.extend(page.items.iter().filter_map(Shown::of));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => {
                    self.take(hints, |seen| seen.replace(nodes, Instant::now()));
                    return Ok(page.metadata.resource_version.unwrap_or_default());
                }
            }
        }
    }

    /// Takes over what was seen; whoever has rooms on a node of which it is news is woken.
    fn take(&self, hints: &Hints, change: impl FnOnce(&mut Seen)) {
        let (before, after) = {
            let mut seen = self.seen();
            let before = Arc::clone(&seen.nodes);
            change(&mut seen);
            (before, Arc::clone(&seen.nodes))
        };
        if !Arc::ptr_eq(&before, &after) {
            hints.wake_on(&after.news(&before));
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn note(&mut self, node: &Node, now: Instant) {
        let Some(shown) = Shown::of(node) else {
            return;
        };
        let Shown {
            name,
            standing,
            contact,
        } = shown;
        let contact = self.contact(&name, contact, now);
        self.gone.retain(|gone| *gone != name);
        // Nodes tell of themselves every few seconds; that copies nothing.
        let is_known =
            self.nodes.standing(&name) == Some(&standing) && self.nodes.contact(&name) == Some(contact);
        if !is_known {
            let nodes = Arc::make_mut(&mut self.nodes);
            nodes.set(&name, standing);
            nodes.set_contact(&name, contact);
        }
    }

    /// A node is gone: its rooms are too, or will be found to be.
    fn lose(&mut self, name: &str) {
        self.missed.remove(name);
        let nodes = Arc::make_mut(&mut self.nodes);
        if !self.gone.iter().any(|gone| gone == name) {
            self.gone.push_back(name.to_owned());
        }
        if self.gone.len() > REMEMBERED
            && let Some(oldest) = self.gone.pop_front()
        {
            nodes.remove(&oldest);
        }
        let why = "is gone".to_owned();
        nodes.set(name, Standing::Leaving { why });
        nodes.set_contact(name, Contact::Gone);
    }

    /// Takes over a full list: what it lacks is gone, and what has been silent for long enough is given up.
    fn replace(&mut self, shown: Vec<Shown>, now: Instant) {
        let mut nodes = Vec::with_capacity(shown.len());
        for node in shown {
            let contact = self.contact(&node.name, node.contact, now);
            nodes.push((node.name, node.standing, contact));
        }
        let nodes: Nodes = nodes.into_iter().collect();
        let before = std::mem::replace(&mut self.nodes, Arc::new(nodes));
        self.gone.retain(|gone| self.nodes.standing(gone).is_none());
        for (name, _) in before.iter() {
            if self.nodes.standing(name).is_none() {
                self.lose(name);
            }
        }
    }

    /// Whether a node has been silent for long enough and was not given up.
    fn is_due(&self, now: Instant) -> bool {
        self.missed.iter().any(|(name, since)| {
            now.duration_since(*since) >= SETTLED && self.nodes.contact(name) == Some(Contact::Missed)
        })
    }

    /// Whether a node is heard of, where its object shows this. Its silence counts from when it was first seen here.
    fn contact(&mut self, name: &str, shown: Contact, now: Instant) -> Contact {
        if shown != Contact::Missed {
            self.missed.remove(name);
            return shown;
        }
        let since = *self.missed.entry(name.to_owned()).or_insert(now);
        match now.duration_since(since) >= SETTLED {
            true => Contact::Lost,
            false => Contact::Missed,
        }
    }
}

impl Shown {
    fn of(node: &Node) -> Option<Self> {
        Some(Self {
            name: node.metadata.name.clone()?,
            standing: standing(node),
            contact: contact(node),
        })
    }
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

/// Whether Kubernetes hears of a node. What a node says of itself is `True` or `False`; the server's controller writes
/// `Unknown` over it when nothing is said any more.
fn contact(node: &Node) -> Contact {
    let status = node.status.iter();
    let mut conditions = status.flat_map(|status| status.conditions.iter().flatten());
    if conditions.any(|condition| condition.type_ == "Ready" && condition.status == "Unknown") {
        return Contact::Missed;
    }
    let spec = node.spec.iter();
    let mut taints = spec.flat_map(|spec| spec.taints.iter().flatten());
    match taints.any(|taint| taint.key == CONTROL_PLANE && taint.effect != "PreferNoSchedule") {
        true => Contact::Apart,
        false => Contact::Heard,
    }
}

#[cfg(test)]
mod tests;
