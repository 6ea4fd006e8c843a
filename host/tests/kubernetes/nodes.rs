//! Nodes that go away, as the API server tells of them, and rooms that leave them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use maestro::cluster::{Cluster, Contact, Standing};
use maestro::control::{Control, Deps, Desired, Drained, DrainedNodes, Settings};
use maestro::registry::{Call, Memory, Registry, clock};
use maestro_core::names::Version;
use maestro_core::report::{Report, Reported};
use maestro_core::room::{Phase, Room, Stage, Use};
use maestro_core::scheduler::Scheduler;
use maestro_core::time::Span;
use maestro_engine::Evaluator;
use serde_json::{Value, json};
use tokio::sync::Notify;

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

/// Waits until whoever has rooms there is woken.
async fn soon(woken: &Notify) {
    let in_time = tokio::time::timeout(Duration::from_secs(30), woken.notified());
    in_time.await.expect("whoever has rooms there is woken");
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
    soon(&woken).await;
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

/// No kubelet ever tells of it, so that the server's own controller comes to say that it does not know how it is.
#[tokio::test]
async fn a_node_that_is_not_heard_of_is_lost_and_so_is_one_that_is_removed() {
    let bench = Bench::new("nodes").await;
    // Enough of those that a run left behind would be most of all nodes.
    for left in nodes(&bench).list(&ListParams::default()).await.unwrap() {
        let left = left.metadata.name.unwrap();
        if left.ends_with("-mute") {
            nodes(&bench)
                .delete(&left, &DeleteParams::default())
                .await
                .unwrap();
        }
    }
    let name = format!("t{:06x}-mute", rand::random::<u32>() >> 8);
    let ready = json!([{"type": "Ready", "status": "True"}]);
    // No other test's rooms are to come to it: they would not run there.
    let taint = json!([{"key": "maestro-test", "effect": "NoSchedule"}]);
    let node =
        json!({"metadata": {"name": name}, "spec": {"taints": taint}, "status": {"conditions": ready}});
    let node: Node = serde_json::from_value(node).unwrap();
    nodes(&bench).create(&PostParams::default(), &node).await.unwrap();
    let is_lost = |nodes: &maestro::cluster::Nodes| nodes.is_lost(&name).then(|| nodes.contact(&name));
    eventually("the node is heard of", async || {
        let contact = bench.kubernetes.nodes().contact(&name)?;
        (contact == Contact::Heard).then_some(())
    })
    .await;
    let lost = eventually("the node is lost", async || is_lost(&bench.kubernetes.nodes())).await;
    assert_eq!(lost, Some(Contact::Lost));
    nodes(&bench)
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    shown(&bench, &name, Some("is gone")).await;
    assert_eq!(is_lost(&bench.kubernetes.nodes()), Some(Some(Contact::Gone)));
}

/// Makes a simulated node that takes no rooms but those that [`on`] makes for it.
async fn own_node(bench: &Bench) -> String {
    let name = format!("t{:06x}-own", rand::random::<u32>() >> 8);
    let capacity = json!({"cpu": "8", "memory": "16Gi", "pods": "110"});
    let node = json!({
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "maestro-test": name, "type": "kwok"},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {"taints": [{"key": "maestro-test", "effect": "NoSchedule"}]},
        "status": {"allocatable": capacity, "capacity": capacity},
    });
    let node: Node = serde_json::from_value(node).unwrap();
    nodes(bench).create(&PostParams::default(), &node).await.unwrap();
    name
}

/// A scheduler whose rooms come to this node and to no other.
fn on(bench: &Bench, name: &str, node: &str) -> Scheduler {
    let document = format!(
        "
name: any
game: any
image: any/room:1
autoscaling: {{min: 1}}
podTemplate:
  spec:
    nodeSelector: {{maestro-test: {node}}}
    tolerations: [{{key: maestro-test, operator: Exists}}]
"
    );
    bench.with_document(name, &document)
}

/// Ends a scheduler's rooms, and leaves its namespace.
async fn empty(bench: &Bench, scheduler: &Scheduler) {
    let name = &scheduler.name;
    eventually("the last room is gone", async || {
        let objects = bench.kubernetes.list(name).await.unwrap();
        for object in &objects {
            let deleted = bench
                .kubernetes
                .delete(name, &object.room, &object.uid, Span::ZERO);
            deleted.await.unwrap();
        }
        objects.is_empty().then_some(())
    })
    .await;
}

/// Waits until nobody was woken for two seconds.
async fn quiet(waits: &[Arc<Notify>]) {
    let mut calm = 0;
    eventually("nobody is woken any more", async || {
        let woken = waits
            .iter()
            .filter(|wait| wait.notified().now_or_never().is_some());
        calm = match woken.count() {
            0 => calm + 1,
            _ => 0,
        };
        (calm >= 20).then_some(())
    })
    .await;
}

#[tokio::test]
async fn news_of_a_node_wake_those_who_have_rooms_there_and_nobody_else() {
    let bench = Bench::new("news").await;
    let node = own_node(&bench).await;
    // By their names, the one that is not to be woken would be woken first.
    let (apart, there) = (on(&bench, "apart", &node), on(&bench, "there", &node));
    let waits = [&apart, &there].map(|scheduler| bench.kubernetes.nudges(&scheduler.name));
    for scheduler in [&apart, &there] {
        let room = bench.create(scheduler, 1).await.unwrap();
        let is_there = |object: &maestro::cluster::Object| {
            matches!(object.phase, Phase::Running { .. }) && object.node.as_ref() == Some(&node)
        };
        bench.once(scheduler, &room, is_there).await;
    }
    empty(&bench, &apart).await;
    quiet(&waits).await;
    cordon(&bench, &node, true).await;
    shown(&bench, &node, Some("is cordoned")).await;
    let [not_woken, woken] = &waits;
    soon(woken).await;
    assert!(
        not_woken.notified().now_or_never().is_none(),
        "its last list showed no room there"
    );
    bench.end(&there).await;
    bench.end(&apart).await;
    nodes(&bench)
        .delete(&node, &DeleteParams::default())
        .await
        .unwrap();
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
