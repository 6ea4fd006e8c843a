//! Nodes that go away, as the API server tells of them, and rooms that leave them.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use maestro::cluster::{Cluster, Standing};
use maestro::control::{Control, Deps, Desired, Drained, DrainedNodes, Settings};
use maestro::registry::{Call, Memory, Registry, clock};
use maestro_core::names::Version;
use maestro_core::report::{Report, Reported};
use maestro_core::room::{Phase, Room, Stage, Use};
use maestro_core::scheduler::Scheduler;
use maestro_engine::Evaluator;
use serde_json::{Value, json};

use crate::bench::{Bench, eventually};

fn nodes(bench: &Bench) -> Api<Node> {
    Api::all(bench.client.clone())
}

async fn patch(bench: &Bench, node: &str, change: Value) {
    let (api, params) = (nodes(bench), PatchParams::default());
    api.patch(node, &params, &Patch::Merge(change)).await.unwrap();
}

async fn cordon(bench: &Bench, node: &str, is_cordoned: bool) {
    patch(bench, node, json!({"spec": {"unschedulable": is_cordoned}})).await;
}

/// Waits until the watch shows why the node is left, or that it is not.
async fn shown(bench: &Bench, node: &str, expected: Option<&str>) {
    eventually(&format!("{node}: {expected:?}"), async || {
        let nodes = bench.kubernetes.nodes();
        let why = match nodes.standing(node)? {
            Standing::Open => None,
            Standing::Leaving { why } => Some(why.as_str()),
        };
        (why == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_watch_shows_whether_nodes_stay() {
    let bench = Bench::new("nodes").await;
    let name = format!("t{:06x}-node", rand::random::<u32>() >> 8);
    let node = json!({"metadata": {"name": name}, "spec": {}});
    let node: Node = serde_json::from_value(node).unwrap();
    let woken = bench.kubernetes.nudges(&bench.with_image("any", "any").name);
    nodes(&bench).create(&PostParams::default(), &node).await.unwrap();
    // No kubelet ever tells of it: it is not ready, and stays.
    shown(&bench, &name, None).await;
    woken.notified().await;
    cordon(&bench, &name, true).await;
    shown(&bench, &name, Some("is cordoned")).await;
    cordon(&bench, &name, false).await;
    shown(&bench, &name, None).await;
    let taint = json!([{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]);
    patch(&bench, &name, json!({"spec": {"taints": taint}})).await;
    shown(&bench, &name, Some("is to end soon (karpenter.sh/disrupted)")).await;
    nodes(&bench)
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    shown(&bench, &name, Some("is gone")).await;
}

/// A loop over rooms that say they are ready as soon as they run.
struct Fleet {
    control: Control,
    registry: Arc<Memory>,
    scheduler: Scheduler,
    drained: Drained,
}

impl Fleet {
    fn new(bench: &Bench, scheduler: Scheduler) -> Self {
        let registry = Arc::new(Memory::new(clock::system()));
        let drained = Drained::default();
        drained.set(DrainedNodes::new());
        let deps = Deps {
            registry: Arc::<Memory>::clone(&registry),
            cluster: bench.kubernetes.clone() as Arc<dyn Cluster>,
            evaluator: Evaluator::inline(),
            holder: "test".to_owned(),
            seed: rand::random(),
            token: Arc::new(|_, _| "secret".to_owned()),
            clock: clock::system(),
            drained: drained.clone(),
            settings: Settings::default(),
        };
        let desired = Desired {
            scheduler: scheduler.clone(),
            version: Version::FIRST,
            policies: BTreeMap::new(),
            deleting: None,
            scale_in_paused: None,
            last: None,
        };
        Self {
            control: Control::new(deps, Arc::new(desired)),
            registry,
            scheduler,
            drained,
        }
    }

    async fn rooms(&self) -> Vec<Room> {
        self.registry.rooms(&self.scheduler.name).await.unwrap()
    }

    /// One step; then all rooms that run tell how they are. Answers those that are ready.
    async fn step(&mut self) -> Vec<Room> {
        self.registry.beat().await.unwrap();
        self.control.cluster_changed();
        let report = self.control.step(clock::system()()).await;
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        for room in self.rooms().await {
            if !matches!(room.phase, Phase::Running { .. }) {
                continue;
            }
            let report = Report {
                status: Reported::Ready,
                sent_at: clock::system()(),
                metadata: None,
                running_matches: None,
                capacity: None,
            };
            let call = Call::Report {
                report,
                authentic: true,
                version: Version::FIRST,
            };
            let told = self.registry.report(&self.scheduler.name, &room.id, call).await;
            told.unwrap();
        }
        let mut rooms = self.rooms().await;
        rooms.retain(|room| (room.stage(), room.usage()) == (Stage::Running, Use::Idle));
        rooms
    }

    /// Steps until all rooms are ready, none of them on `left`; from the first step on as many as were wanted are.
    async fn settle(&mut self, wanted: usize, left: Option<&str>) -> Vec<Room> {
        let is_elsewhere = |room: &Room| room.node.as_deref() != left && room.leaving.is_none();
        eventually("as many rooms as wanted where they are to be", async || {
            let ready = self.step().await;
            assert!(left.is_none() || ready.len() >= wanted, "{ready:?}");
            let is_so = ready.len() == wanted && ready.iter().all(is_elsewhere);
            (is_so && self.rooms().await.len() == wanted).then_some(ready)
        })
        .await
    }
}

#[tokio::test]
async fn rooms_move_off_a_cordoned_node_and_off_one_that_somebody_drains() {
    let bench = Bench::new("nodes").await;
    let mut scheduler = bench.with_image("moving", "any/room:1");
    scheduler.autoscaling.min = 3;
    let mut fleet = Fleet::new(&bench, scheduler.clone());
    let ready = fleet.settle(3, None).await;
    let first = ready[0].node.clone().unwrap();
    cordon(&bench, &first, true).await;
    shown(&bench, &first, Some("is cordoned")).await;
    let ready = fleet.settle(3, Some(&first)).await;
    cordon(&bench, &first, false).await;
    shown(&bench, &first, None).await;

    let second = ready[0].node.clone().unwrap();
    let since = clock::system()();
    fleet.drained.set(DrainedNodes::from([(second.clone(), since)]));
    let ready = fleet.settle(3, Some(&second)).await;
    let told = json!({"key": "metadata.name", "operator": "NotIn", "values": [second]});
    let pods = bench.pods(&scheduler);
    let mut avoiding = 0;
    for room in &ready {
        let pod = pods.get(room.id.as_str()).await.unwrap();
        let pod = serde_json::to_value(pod).unwrap();
        let required = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
        // Beside it, there may be nodes that other tests cordon at the same time.
        let fields = pod.pointer(&format!("{required}/nodeSelectorTerms/0/matchFields"));
        let fields = fields.and_then(Value::as_array);
        avoiding += usize::from(fields.is_some_and(|fields| fields.contains(&told)));
    }
    assert!(avoiding > 0, "new rooms are told to stay away");
    bench.end(&scheduler).await;
}
