//! A plain client of Kubernetes: the floor that Maestro is compared with, and what counts calls.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hyper::Request;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// Nodes that are added to the testbed's own, which take 110 rooms each.
const NODES: usize = 10;

/// The longest that clearing away may take.
const CLEARING: Duration = Duration::from_secs(240);

/// What Maestro could write.
const KINDS: [&str; 7] = [
    "pods",
    "services",
    "namespaces",
    "serviceaccounts",
    "poddisruptionbudgets",
    "rolebindings",
    "nodes",
];

const WRITES: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];

/// A client, as the file says.
pub(crate) async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let read = Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// Adds simulated nodes for as many rooms as any bench has.
pub(crate) async fn add_nodes(client: &kube::Client, prefix: &str) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    for number in 1..=NODES {
        let name = format!("{prefix}-{number}");
        let room = json!({"cpu": "1000", "memory": "1000Gi", "pods": "1000"});
        let node = json!({
            "metadata": {
                "name": name,
                "labels": {"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
                "annotations": {"kwok.x-k8s.io/node": "fake"},
            },
            "status": {"allocatable": room, "capacity": room},
        });
        let node: Node = serde_json::from_value(node)?;
        nodes.create(&PostParams::default(), &node).await?;
    }
    Ok(())
}

/// Removes namespaces and nodes whose names begin so, and waits for it.
pub(crate) async fn clear(client: &kube::Client, prefix: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let at_once = DeleteParams::default().grace_period(0);
    let is_ours = |name: Option<&str>| name.is_some_and(|name| name.starts_with(prefix));
    let began = Instant::now();
    for namespace in namespaces.list_metadata(&ListParams::default()).await? {
        let name = namespace.metadata.name.as_deref();
        if let Some(name) = name.filter(|name| is_ours(Some(name))) {
            let pods: Api<Pod> = Api::namespaced(client.clone(), name);
            pods.delete_collection(&at_once, &ListParams::default()).await?;
            namespaces.delete(name, &DeleteParams::default()).await?;
        }
    }
    loop {
        let left = namespaces.list_metadata(&ListParams::default()).await?;
        let left = left.iter().filter(|left| is_ours(left.metadata.name.as_deref()));
        let left = left.count();
        if left == 0 {
            break;
        }
        if began.elapsed() > CLEARING {
            eprintln!("{left} namespaces are still being removed");
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let nodes: Api<Node> = Api::all(client.clone());
    for node in nodes.list_metadata(&ListParams::default()).await? {
        let name = node.metadata.name.as_deref();
        if let Some(name) = name.filter(|name| is_ours(Some(name))) {
            nodes.delete(name, &DeleteParams::default()).await?;
        }
    }
    Ok(())
}

/// What an object looked like before the server completed it, under another name and in another namespace.
pub(crate) fn again<K>(model: &K, names: &[(&str, &str)]) -> Result<K>
where
    K: Serialize + DeserializeOwned,
{
    let mut value = serde_json::to_value(model)?;
    if let Some(whole) = value.as_object_mut() {
        whole.remove("status");
    }
    for (part, keys) in [
        (
            "metadata",
            &[
                "uid",
                "resourceVersion",
                "creationTimestamp",
                "managedFields",
                "generation",
            ][..],
        ),
        (
            "spec",
            &[
                "nodeName",
                "clusterIP",
                "clusterIPs",
                "ports",
                "healthCheckNodePort",
            ][..],
        ),
    ] {
        let Some(part) = value.get_mut(part).and_then(|part| part.as_object_mut()) else {
            continue;
        };
        for key in keys {
            let ports = part.remove(*key).filter(|_| *key == "ports");
            if let Some(ports) = ports {
                part.insert("ports".to_owned(), unassigned(ports));
            }
        }
    }
    let mut text = value.to_string();
    for (from, to) in names {
        text = text.replace(from, to);
    }
    Ok(serde_json::from_str(&text)?)
}

fn unassigned(mut ports: serde_json::Value) -> serde_json::Value {
    for port in ports.as_array_mut().into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            port.remove("nodePort");
        }
    }
    ports
}

/// A room of Maestro's, to be made again by a plain client.
pub(crate) struct Model {
    pub(crate) pod: Pod,
    pub(crate) service: Option<Service>,
}

impl Model {
    /// Some room of this namespace.
    pub(crate) async fn of(client: &kube::Client, namespace: &str) -> Result<Self> {
        let service = first::<Service>(Api::namespaced(client.clone(), namespace)).await?;
        let name = service
            .as_ref()
            .and_then(|service| service.metadata.owner_references.as_ref()?.first())
            .map(|owner| owner.name.clone());
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let pod = match name {
            Some(name) => Some(pods.get(&name).await?),
            None => first(pods).await?,
        };
        Ok(Self {
            pod: pod.context("there is no room")?,
            service,
        })
    }
}

async fn first<K: Clone + DeserializeOwned + Debug>(api: Api<K>) -> Result<Option<K>> {
    let list = api.list(&ListParams::default().limit(1)).await?;
    Ok(list.items.into_iter().next())
}

/// Calls that the API server has had, by verb, kind and part of an object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(BTreeMap<(String, String, String), u64>);

impl Calls {
    /// Up to now.
    pub(crate) async fn count(client: &kube::Client) -> Result<Self> {
        let text = client
            .request_text(Request::get("/metrics").body(Vec::new())?)
            .await?;
        let mut calls = BTreeMap::new();
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("apiserver_request_total{") else {
                continue;
            };
            let Some((labels, count)) = rest.rsplit_once("} ") else {
                continue;
            };
            let label = |name: &str| {
                let start = format!("{name}=\"");
                let text = labels.split(',').find_map(|label| label.strip_prefix(&start));
                text.unwrap_or("").trim_end_matches('"').to_owned()
            };
            let count: f64 = count.parse()?;
            *calls
                .entry((label("verb"), label("resource"), label("subresource")))
                .or_default() += count as u64;
        }
        Ok(Self(calls))
    }

    /// Those that came after `before`.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for (call, count) in &mut self.0 {
            *count -= before.0.get(call).copied().unwrap_or(0).min(*count);
        }
        self
    }

    /// Writes of what Maestro could write, whoever wrote it and whichever part.
    pub(crate) fn writes(&self) -> u64 {
        let writes = self.0.iter().filter(|((verb, kind, _), _)| is_write(verb, kind));
        writes.map(|(_, count)| count).sum()
    }

    /// The same without statuses and bindings, which only Kubernetes itself writes.
    pub(crate) fn writes_of_whole(&self) -> u64 {
        let writes = self
            .0
            .iter()
            .filter(|((verb, kind, part), _)| part.is_empty() && is_write(verb, kind));
        writes.map(|(_, count)| count).sum()
    }

    /// Reads of pods and services that were no watches.
    pub(crate) fn reads(&self) -> u64 {
        let reads = self.0.iter().filter(|((verb, kind, _), _)| {
            matches!(verb.as_str(), "GET" | "LIST") && matches!(kind.as_str(), "pods" | "services")
        });
        reads.map(|(_, count)| count).sum()
    }

    /// The writes, for people.
    pub(crate) fn show_writes(&self) -> String {
        let writes = self
            .0
            .iter()
            .filter(|((verb, kind, _), count)| **count > 0 && is_write(verb, kind));
        let shown = writes.map(|((verb, kind, part), count)| match part.is_empty() {
            true => format!("{verb} {kind} {count}"),
            false => format!("{verb} {kind}/{part} {count}"),
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}

fn is_write(verb: &str, kind: &str) -> bool {
    WRITES.contains(&verb) && KINDS.contains(&kind)
}
