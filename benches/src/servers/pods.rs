//! When pods of Maestro's rooms came to be and began to run, as a watch over all of them tells.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What all rooms have.
const LABEL: &str = "app.kubernetes.io/managed-by=maestro";

/// A pod, where it is and what it is called.
pub(crate) type Name = (String, String);

/// When a pod was first seen, and first seen running.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) created: Instant,
    pub(crate) running: Option<Instant>,
}

/// A watch that goes on until it is dropped.
pub(crate) struct Pods {
    seen: Arc<Mutex<BTreeMap<Name, Seen>>>,
    task: JoinHandle<()>,
}

impl Pods {
    /// Watches from now on; pods that begin to run are told to `running`.
    pub(crate) async fn watch(client: &kube::Client, running: mpsc::UnboundedSender<Name>) -> Result<Self> {
        let api: Api<Pod> = Api::all(client.clone());
        let list = api
            .list_metadata(&ListParams::default().labels(LABEL).limit(1))
            .await?;
        let from = list.metadata.resource_version.unwrap_or_default();
        let seen = Arc::<Mutex<BTreeMap<Name, Seen>>>::default();
        let task = tokio::spawn(follow(api, from, Arc::clone(&seen), running));
        Ok(Self { seen, task })
    }

    /// What was seen in a namespace.
    pub(crate) fn of(&self, namespace: &str) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = seen.iter().filter(|((place, _), _)| place == namespace);
        ours.map(|(_, seen)| *seen).collect()
    }

    /// Waits until so many pods of a namespace run; answers when the last of them was created, and when it ran.
    pub(crate) async fn wait(
        &self,
        namespace: &str,
        count: usize,
        time: Duration,
    ) -> Result<(Instant, Instant)> {
        let began = Instant::now();
        loop {
            let seen = self.of(namespace);
            let running: Vec<Instant> = seen.iter().filter_map(|seen| seen.running).collect();
            if let (true, Some(created), Some(ran)) = (
                running.len() >= count,
                seen.iter().map(|seen| seen.created).max(),
                running.iter().max(),
            ) {
                return Ok((created, *ran));
            }
            if began.elapsed() > time {
                bail!(
                    "of {count} pods of {namespace}, {} were made and {} ran",
                    seen.len(),
                    running.len()
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(
    api: Api<Pod>,
    mut from: String,
    seen: Arc<Mutex<BTreeMap<Name, Seen>>>,
    running: mpsc::UnboundedSender<Name>,
) {
    loop {
        let params = WatchParams::default().labels(LABEL).timeout(290);
        let events = match api.watch(&params, &from).await {
            Ok(events) => events.map_err(anyhow::Error::from).boxed(),
            Err(error) => {
                eprintln!("the watch of pods can't go on: {error}");
                return;
            }
        };
        let mut events = pin!(events);
        while let Ok(Some(event)) = events.try_next().await {
            match event {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                    from = pod.metadata.resource_version.clone().unwrap_or(from);
                    if let Some(name) = take(&seen, &pod)
                        && running.send(name).is_err()
                    {
                        // Nobody plays rooms any more.
                        return;
                    }
                }
                WatchEvent::Deleted(pod) => from = pod.metadata.resource_version.unwrap_or(from),
                WatchEvent::Bookmark(bookmark) => from = bookmark.metadata.resource_version,
                WatchEvent::Error(error) => {
                    eprintln!("the watch of pods can't go on: {error}");
                    return;
                }
            }
        }
    }
}

/// Takes down what is new of a pod; answers its name if it has just begun to run.
fn take(seen: &Mutex<BTreeMap<Name, Seen>>, pod: &Pod) -> Option<Name> {
    let now = Instant::now();
    let name = (pod.metadata.namespace.clone()?, pod.metadata.name.clone()?);
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let this = seen.entry(name.clone()).or_insert(Seen {
        created: now,
        running: None,
    });
    let is_news = phase == Some("Running") && this.running.is_none();
    if is_news {
        this.running = Some(now);
    }
    is_news.then_some(name)
}
