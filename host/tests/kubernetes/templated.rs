//! What a document says of pods beyond its own keys, and the ways in which rooms are reached without a service.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::api::{Api, DeleteParams, GetParams, ListParams, PostParams};
use kube::core::Request;
use maestro::cluster::{Cluster, Object};
use maestro_core::room::Phase;
use maestro_core::scheduler::Scheduler;
use maestro_core::time::Span;
use serde_json::{Value, json};

use crate::bench::{Bench, eventually};

fn is_reachable(object: &Object) -> bool {
    matches!(object.phase, Phase::Running { .. }) && !object.addresses.is_empty()
}

fn is_crowded_out(object: &Object) -> bool {
    matches!(&object.phase, Phase::Exited { reason, code: None, .. } if reason.starts_with("HostPortTaken"))
}

async fn services(bench: &Bench, scheduler: &Scheduler) -> usize {
    let services: Api<Service> = Api::namespaced(bench.client.clone(), scheduler.name.as_str());
    services.list(&ListParams::default()).await.unwrap().items.len()
}

#[tokio::test]
async fn the_server_takes_all_that_the_example_of_a_template_says() {
    let bench = Bench::new("templated").await;
    let classes: Api<PriorityClass> = Api::all(bench.client.clone());
    let class = json!({"metadata": {"name": "games"}, "value": 1000});
    let class: PriorityClass = serde_json::from_value(class).unwrap();
    let made = classes.create(&PostParams::default(), &class).await;
    assert!(made.is_ok() || matches!(&made, Err(kube::Error::Api(status)) if status.is_already_exists()));
    let scheduler = bench.with_document("arena", include_str!("../../../deploy/examples/arena.yaml"));
    let room = bench.create(&scheduler, 1).await.unwrap();
    let pod = bench.pods(&scheduler).get(room.as_str()).await.unwrap();
    let pod = serde_json::to_value(pod).unwrap();
    let said =
        |pointer: &str, expected: Value| assert_eq!(pod.pointer(pointer), Some(&expected), "{pointer}");
    said("/metadata/labels/team", json!("arena"));
    said("/spec/priority", json!(1_000));
    // On the testbed's highest tier the server adds which kind of node it is to be.
    said("/spec/nodeSelector/pool", json!("games"));
    said("/spec/imagePullSecrets", json!([{"name": "registry"}]));
    said("/spec/restartPolicy", json!("Never"));
    said("/spec/securityContext/runAsNonRoot", json!(true));
    said("/spec/containers/0/resources/limits/nvidia.com~1gpu", json!("1"));
    said(
        "/spec/containers/0/securityContext/capabilities",
        json!({"drop": ["ALL"]}),
    );
    said(
        "/spec/containers/0/securityContext/readOnlyRootFilesystem",
        json!(true),
    );
    said("/spec/containers/0/volumeMounts/0/mountPath", json!("/maps"));
    let pending = Phase::Pending {
        reason: "Unschedulable".to_owned(),
    };
    bench
        .once(&scheduler, &room, |object| object.phase == pending)
        .await;
    bench.end(&scheduler).await;
    classes.delete("games", &DeleteParams::default()).await.unwrap();
}

fn document(network: &str, range: (u16, u16)) -> String {
    let (start, end) = range;
    format!(
        "
name: any
game: any
image: any/room:1
network: {network}
portRange: {{start: {start}, end: {end}}}
ports: [{{containerPort: 5050, protocol: UDP, name: gamePort}}]
autoscaling: {{min: 1}}
"
    )
}

#[tokio::test]
async fn a_room_that_holds_ports_of_its_node_is_reached_by_them() {
    let bench = Bench::new("templated").await;
    let range = (23_000, 23_004);
    let one = bench.with_document("held", &document("hostPort", range));
    let other = bench.with_document("too", &document("hostPort", range));
    let mut taken = BTreeSet::new();
    for suffix in 1..=2 {
        for scheduler in [&one, &other] {
            let room = bench.create(scheduler, suffix).await.unwrap();
            let object = bench.once(scheduler, &room, is_reachable).await;
            assert!(object.exposed);
            assert_eq!(object.ports.len(), 1);
            let port = &object.ports[0];
            assert_eq!(port.name, "gamePort");
            assert!((range.0..=range.1).contains(&port.port));
            assert!(taken.insert(port.port), "{} is free elsewhere", port.port);
            let nodes: Api<Node> = Api::all(bench.client.clone());
            let node = nodes.get(object.node.as_deref().unwrap()).await.unwrap();
            let of_node = node.status.unwrap().addresses.unwrap();
            assert!(
                of_node
                    .iter()
                    .any(|address| address.address == object.addresses[0].host)
            );
        }
    }
    for scheduler in [&one, &other] {
        assert_eq!(services(&bench, scheduler).await, 0);
        bench.end(scheduler).await;
    }
}

#[tokio::test]
async fn a_room_for_whose_port_there_is_no_node_says_so_and_takes_nothing_from_the_others() {
    let bench = Bench::new("templated").await;
    let scheduler = bench.with_document("crowd", &document("hostPort", (23_100, 23_100)));
    let nodes: Api<Node> = Api::all(bench.client.clone());
    let nodes = nodes.list(&ListParams::default()).await.unwrap().items.len();
    for suffix in 0..=nodes {
        bench
            .create(&scheduler, u32::try_from(suffix).unwrap())
            .await
            .unwrap();
    }
    let objects = eventually("each room runs, or says that its port is taken", async || {
        let objects = bench.kubernetes.list(&scheduler.name).await.unwrap();
        let is_settled = |object: &Object| is_reachable(object) || is_crowded_out(object);
        (objects.iter().all(is_settled) && objects.len() == nodes + 1).then_some(objects)
    })
    .await;
    let homes: BTreeSet<_> = objects
        .iter()
        .filter_map(|object| object.node.as_deref())
        .collect();
    let crowded: Vec<_> = objects.iter().filter(|object| is_crowded_out(object)).collect();
    assert_eq!(
        homes.len() + crowded.len(),
        objects.len(),
        "one room a node: {objects:?}"
    );
    assert!(!crowded.is_empty());
    let room = crowded[0];
    let name = &scheduler.name;
    let delete = bench
        .kubernetes
        .delete(name, &room.room, &room.uid, Span::from_secs(30));
    delete.await.unwrap();
    eventually("it goes at once, since it never began", async || {
        bench.find(&scheduler, &room.room).await.is_none().then_some(())
    })
    .await;
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn a_room_can_be_reached_by_its_own_address() {
    let bench = Bench::new("templated").await;
    let scheduler = bench.with_document("pod", &document("pod", (1, 2)));
    let room = bench.create(&scheduler, 1).await.unwrap();
    let object = bench.once(&scheduler, &room, is_reachable).await;
    let pod = bench.pods(&scheduler).get(room.as_str()).await.unwrap();
    assert_eq!(
        Some(&object.addresses[0].host),
        pod.status.unwrap().pod_ip.as_ref()
    );
    assert_eq!(object.addresses[0].kind, "PodIP");
    assert_eq!(
        (object.ports[0].name.as_str(), object.ports[0].port),
        ("gamePort", 5_050)
    );
    assert!(object.exposed);
    assert_eq!(services(&bench, &scheduler).await, 0);
    bench.end(&scheduler).await;
}

/// How `fields.txt` writes this type of the server's.
fn written(schema: &Value) -> String {
    let schema = schema.pointer("/allOf/0").unwrap_or(schema);
    if let Some(reference) = schema["$ref"].as_str() {
        return match reference.rsplit('.').next().unwrap() {
            "Quantity" => "amount".to_owned(),
            "IntOrString" => "number-or-text".to_owned(),
            "ObjectMeta" => "Metadata".to_owned(),
            name => name.to_owned(),
        };
    }
    match (schema["type"].as_str().unwrap(), schema["format"].as_str()) {
        ("array", _) => format!("[{}]", written(&schema["items"])),
        ("object", _) => format!("{{{}}}", written(&schema["additionalProperties"])),
        ("boolean", _) => "flag".to_owned(),
        ("integer", Some("int32")) => "i32".to_owned(),
        ("integer", Some("int64")) => "i64".to_owned(),
        ("string", None) => match schema["enum"].as_array() {
            Some(words) => {
                let words = words.iter().map(|word| word.as_str().unwrap());
                let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
                format!("({})", words.join("|"))
            }
            None => "text".to_owned(),
        },
        (kind, format) => format!("{kind} {format:?}"),
    }
}

#[tokio::test]
async fn fields_of_templates_are_those_of_the_server() {
    let bench = Bench::new("templated").await;
    let request = Request::new("/openapi/v3/api").get("v1", &GetParams::default());
    let described: Value = bench.client.request(request.unwrap()).await.unwrap();
    let schemas = described["components"]["schemas"].as_object().unwrap();
    let text = include_str!("../../wire/src/document/pod/fields.txt");
    let (mut name, mut seen) = ("", 0);
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let Some((field, kind)) = line.trim_start().split_once(' ') else {
            name = line;
            continue;
        };
        // These two are but a part of theirs.
        if ["PodTemplate", "Metadata"].contains(&name) {
            continue;
        }
        let mut found = schemas
            .iter()
            .filter(|(key, _)| key.rsplit('.').next() == Some(name));
        let (_, schema) = found.next().unwrap();
        let (field, is_required) = (field.trim_end_matches('!'), field.ends_with('!'));
        assert_eq!(written(&schema["properties"][field]), kind, "{name}.{field}");
        let required = schema["required"]
            .as_array()
            .is_some_and(|all| all.contains(&json!(field)));
        assert_eq!(required, is_required, "{name}.{field}");
        seen += 1;
    }
    assert!(seen > 400, "{seen}");
}
