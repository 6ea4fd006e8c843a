//! A cluster on the testbed's API server, and what a test does there besides.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use maestro::cluster::contract::{self, Behaviour, Harness};
use maestro::cluster::kubernetes::{Access, Config, Kubernetes};
use maestro::cluster::{Cluster, Error, Object, Order};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::scheduler::{Resources, Scheduler};
use maestro_core::time::Span;
use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than anything takes here, on a machine that does much else.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// The pause between two looks.
const MOMENT: Duration = Duration::from_millis(100);

/// Where the testbed says how an administrator reaches its API server.
pub(crate) fn kubeconfig() -> String {
    told("MAESTRO_TESTBED_KUBECONFIG")
}

/// And how Maestro does, with the rights that its chart gives it and no others.
fn maestro_kubeconfig() -> String {
    told("MAESTRO_TESTBED_MAESTRO_KUBECONFIG")
}

fn told(variable: &str) -> String {
    std::env::var(variable)
        .expect("the feature `testbed` needs the servers of deploy/testbed; run deploy/testbed/test")
}

pub(crate) fn config() -> Config {
    Config {
        access: Access::Kubeconfig {
            file: maestro_kubeconfig().into(),
            context: None,
        },
        installation: "maestro".parse().unwrap(),
        api_url: "http://127.0.0.1:9".to_owned(),
        timeout: Duration::from_secs(20),
        calls_per_second: 200,
        calls_at_once: 200,
    }
}

/// What kind of node the contract's rooms run on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nodes {
    /// Pods that are said to run.
    Simulated,
    /// Pods whose processes run.
    Real,
}

impl Nodes {
    /// The best ones of this testbed.
    pub(crate) fn best() -> Self {
        match std::env::var("MAESTRO_TESTBED_TIER").as_deref() {
            Ok("node") => Self::Real,
            _ => Self::Simulated,
        }
    }
}

/// A cluster whose schedulers' names no other test has.
pub(crate) struct Bench {
    pub(crate) kubernetes: Arc<Kubernetes>,
    /// The administrator's.
    pub(crate) client: kube::Client,
    prefix: String,
    /// What the simulated nodes must be told of these schedulers' rooms.
    behaviours: Mutex<BTreeMap<SchedulerName, Behaviour>>,
    nodes: Nodes,
    _watches: DropGuard,
}

impl Bench {
    pub(crate) async fn new(test: &str) -> Self {
        Self::on(Nodes::Simulated, test).await
    }

    pub(crate) async fn on(nodes: Nodes, test: &str) -> Self {
        let (kubernetes, watches) = Kubernetes::new(config()).await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(watches.run(stop.clone()));
        let read = Kubeconfig::read_from(kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let mut access = kube::Config::from_custom_kubeconfig(read, &options)
            .await
            .unwrap();
        // A refusal is an answer, and not to be asked for again.
        access.default_retry = false;
        Self {
            kubernetes: Arc::new(kubernetes),
            client: kube::Client::try_from(access).unwrap(),
            prefix: format!("t{:06x}-{test}", rand::random::<u32>() >> 8),
            behaviours: Mutex::default(),
            nodes,
            _watches: stop.drop_guard(),
        }
    }

    /// A scheduler whose rooms have this image.
    pub(crate) fn with_image(&self, name: &str, image: &str) -> Scheduler {
        let name = SchedulerName::parse(&format!("{}-{name}", self.prefix)).unwrap();
        let mut scheduler = contract::scheduler(&name, Vec::new());
        let container = &mut scheduler.template.containers[0];
        container.image = image.to_owned();
        container.requests = Resources {
            cpu_milli: Some(10),
            memory_bytes: Some(1 << 20),
        };
        scheduler
    }

    /// The scheduler of a document, under a name of this test.
    pub(crate) fn with_document(&self, name: &str, document: &str) -> Scheduler {
        let mut documents = maestro_wire::document::read(document).unwrap();
        let mut scheduler = documents.remove(0).scheduler;
        scheduler.name = self.with_image(name, "any").name;
        scheduler
    }

    pub(crate) fn pods(&self, scheduler: &Scheduler) -> Api<Pod> {
        Api::namespaced(self.client.clone(), scheduler.name.as_str())
    }

    pub(crate) fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    pub(crate) async fn create(&self, scheduler: &Scheduler, suffix: u32) -> Result<RoomId, Error> {
        let room = RoomId::new(&scheduler.name, suffix);
        let order = Order {
            room: room.clone(),
            version: Version::FIRST,
            token: "secret".to_owned(),
            avoid: Vec::new(),
        };
        self.kubernetes.create(scheduler, &order).await?;
        Ok(room)
    }

    pub(crate) async fn find(&self, scheduler: &Scheduler, room: &RoomId) -> Option<Object> {
        let listed = self.kubernetes.list(&scheduler.name).await.unwrap();
        listed.into_iter().find(|object| object.room == *room)
    }

    /// The room, once `is_so`.
    pub(crate) async fn once(
        &self,
        scheduler: &Scheduler,
        room: &RoomId,
        is_so: impl Fn(&Object) -> bool,
    ) -> Object {
        eventually("the room is as it should be", async || {
            self.find(scheduler, room).await.filter(|object| is_so(object))
        })
        .await
    }

    /// Removes all rooms of a scheduler, and what else is Maestro's.
    pub(crate) async fn end(&self, scheduler: &Scheduler) {
        let name = &scheduler.name;
        for object in self.kubernetes.list(name).await.unwrap() {
            let deleted = self
                .kubernetes
                .delete(name, &object.room, &object.uid, Span::ZERO);
            deleted.await.unwrap();
        }
        eventually("the last room is gone", async || {
            self.kubernetes.list(name).await.unwrap().is_empty().then_some(())
        })
        .await;
        self.kubernetes.remove(name).await.unwrap();
    }

    /// Removes a namespace that a test made.
    pub(crate) async fn remove_namespace(&self, scheduler: &Scheduler) {
        let params = DeleteParams::default();
        self.namespaces()
            .delete(scheduler.name.as_str(), &params)
            .await
            .unwrap();
    }

    /// Gives a scheduler a namespace whose pods run on the real node.
    fn place_on_real_node(&self, scheduler: &Scheduler) {
        let name = scheduler.name.as_str();
        let selector = json!({"scheduler.alpha.kubernetes.io/node-selector": "type=real"});
        let labels = json!({"maestro.dev/managed": "true"});
        let metadata = json!({"name": name, "annotations": selector, "labels": labels});
        let namespace: Namespace = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        let made = async { self.namespaces().create(&PostParams::default(), &namespace).await };
        tokio::task::block_in_place(|| Handle::current().block_on(made)).unwrap();
    }

    /// Removes the namespaces of the contract's checks that Maestro did not make.
    pub(crate) async fn remove_namespaces(&self) {
        if self.nodes == Nodes::Real {
            let names = self.behaviours.lock().unwrap().clone();
            for name in names.keys() {
                let params = DeleteParams::default();
                self.namespaces().delete(name.as_str(), &params).await.unwrap();
            }
        }
    }

    /// Does what a kubelet would do, and a simulated node does not do by itself.
    async fn play(&self) {
        if self.nodes == Nodes::Real {
            return;
        }
        let behaviours = self.behaviours.lock().unwrap().clone();
        for (name, behaviour) in behaviours {
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), name.as_str());
            for pod in pods.list(&ListParams::default()).await.unwrap() {
                let is_running = pod
                    .status
                    .is_some_and(|status| status.phase.as_deref() == Some("Running"));
                let name = pod.metadata.name.unwrap();
                match &behaviour {
                    Behaviour::Exits(code, line) if is_running => exit(&pods, &name, *code, line).await,
                    Behaviour::Works => {
                        let usage =
                            json!({"kwok.x-k8s.io/usage-cpu": "600m", "kwok.x-k8s.io/usage-memory": "20Mi"});
                        let patch = Patch::Merge(json!({"metadata": {"annotations": usage}}));
                        drop(pods.patch(&name, &PatchParams::default(), &patch).await);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// How the testbed's room is told to behave so.
fn words(behaviour: &Behaviour) -> Vec<String> {
    match behaviour {
        Behaviour::Waits => vec!["waits".to_owned()],
        Behaviour::Stubborn => vec!["stubborn".to_owned()],
        Behaviour::Prints(lines) => ["prints".to_owned()]
            .into_iter()
            .chain(lines.iter().cloned())
            .collect(),
        Behaviour::Exits(code, line) => vec!["exits".to_owned(), code.to_string(), line.clone()],
        Behaviour::Works => vec!["works".to_owned()],
    }
}

async fn exit(pods: &Api<Pod>, name: &str, code: i32, line: &str) {
    let now = "2026-01-01T00:00:00Z";
    let reason = if code == 0 { "Completed" } else { "Error" };
    let ended = json!({
        "exitCode": code, "reason": reason, "message": line, "startedAt": now, "finishedAt": now,
    });
    let container = json!({
        "name": "room", "image": "any", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": ended},
    });
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let patch = Patch::Merge(json!({"status": {"phase": phase, "containerStatuses": [container]}}));
    // The pod may have gone meanwhile.
    drop(pods.patch_status(name, &PatchParams::default(), &patch).await);
}

#[async_trait]
impl Harness for Bench {
    fn cluster(&self) -> &dyn Cluster {
        &*self.kubernetes
    }

    fn scheduler(&self, name: &str, behaviour: Behaviour) -> Scheduler {
        let image = match (self.nodes, &behaviour) {
            (Nodes::Real, _) => "maestro.test/room:1",
            (Nodes::Simulated, Behaviour::Stubborn) => "maestro.test/stubborn:1",
            (Nodes::Simulated, _) => "any/room:1",
        };
        let mut scheduler = self.with_image(name, image);
        let container = &mut scheduler.template.containers[0];
        container.name = "room".to_owned();
        if self.nodes == Nodes::Real {
            container.cmd = ["/room".to_owned(), "act".to_owned()]
                .into_iter()
                .chain(words(&behaviour))
                .collect();
            container.requests = Resources::default();
            self.place_on_real_node(&scheduler);
        }
        let mut behaviours = self.behaviours.lock().unwrap();
        behaviours.insert(scheduler.name.clone(), behaviour);
        scheduler
    }

    fn keeps_output(&self) -> bool {
        self.nodes == Nodes::Real
    }

    async fn moment(&self, so_far: u32) -> bool {
        self.play().await;
        eventually_pause().await;
        MOMENT * so_far < DEADLINE
    }
}

async fn eventually_pause() {
    tokio::time::sleep(MOMENT).await;
}

/// Looks again and again until there is something to be seen.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begun.elapsed() < DEADLINE, "never came: {what}");
        tokio::time::sleep(MOMENT).await;
    }
}
