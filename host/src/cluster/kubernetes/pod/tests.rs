//! Rooms' pods, services and namespaces as they are sent, for the documents of `deploy/examples` and each special key.

use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::scheduler::Scheduler;

use super::super::installation::Installation;
use super::super::namespace::Level;
use super::super::{namespace, service};
use super::*;

/// One without anything that need not be there.
const PLAIN: &str = "
name: plain
game: any
image: any/room:1
autoscaling: {min: 1}
";

/// One with all that a container can have, twice.
const FULL: &str = "
name: 2v2-full
game: Any Game, Really
affinity: game-nodes
toleration: games
shutdownTimeout: 1500ms
containers:
  - name: server
    image: any/server:1
    imagePullPolicy: Always
    ports:
      - {containerPort: 5050, protocol: UDP, name: clientPort}
      - {containerPort: 5050, protocol: TCP, name: rcon}
    requests: {cpu: 250m, memory: 96Mi}
    limits: {cpu: '1', memory: 1000000000}
    env:
      - {name: PLAIN, value: 'quotes \" and $(MAESTRO_ROOM_ID)'}
      - {name: MAESTRO_ROOM_TOKEN, value: mine}
      - name: SECRET
        valueFrom: {secretKeyRef: {name: vault, key: password}}
      - name: NODE
        valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
    cmd: ['./server', '--name', 'it''s mine']
  - name: logger
    image: any/logger:1
    imagePullPolicy: Never
autoscaling: {min: 1}
";

fn installation(name: &str) -> Installation {
    name.parse().unwrap()
}

fn scheduler(document: &str) -> Scheduler {
    let mut documents = maestro_wire::document::read(document).unwrap();
    documents.remove(0).scheduler
}

/// One that says all that only Kubernetes knows, in all ways to be merged.
const TEMPLATED: &str = "
name: templated
game: any
affinity: game-nodes
toleration: games
security: restricted
containers:
  - name: server
    image: any/server:1
    ports: [{containerPort: 5050, protocol: UDP, name: game}]
    requests: {cpu: 250m}
    env: [{name: MODE, value: ranked}]
  - {name: logger, image: 'any/logger:1'}
podTemplate:
  metadata:
    labels: {team: blue}
    annotations: {example.com/note: any text}
  spec:
    imagePullSecrets: [{name: registry}]
    nodeSelector: {pool: games}
    priorityClassName: high
    runtimeClassName: gvisor
    dnsPolicy: Default
    serviceAccountName: rooms
    securityContext: {fsGroup: 2000, runAsUser: 1000}
    tolerations: [{key: gpu, operator: Exists}]
    affinity:
      nodeAffinity:
        preferredDuringSchedulingIgnoredDuringExecution:
          - {weight: 5, preference: {matchExpressions: [{key: zone, operator: In, values: [a, b]}]}}
    volumes:
      - {name: maps, persistentVolumeClaim: {claimName: maps, readOnly: true}}
      - {name: scratch, emptyDir: {sizeLimit: 1Gi}}
    initContainers:
      - {name: fetch, image: any/fetch:1, volumeMounts: [{name: scratch, mountPath: /scratch}]}
    containers:
      - name: server
        args: ['--fast']
        env: [{name: REGION, valueFrom: {configMapKeyRef: {name: where, key: region}}}]
        resources: {limits: {nvidia.com/gpu: 1}}
        livenessProbe: {httpGet: {path: /alive, port: 8080}, periodSeconds: 5}
        volumeMounts: [{name: maps, mountPath: /maps}, {name: scratch, mountPath: /scratch}]
        securityContext: {readOnlyRootFilesystem: true, capabilities: {add: [NET_BIND_SERVICE]}}
autoscaling: {min: 1}
";

/// One whose rooms hold ports of their nodes.
const HELD: &str = "
name: held
game: any
image: any/room:1
network: hostPort
portRange: {start: 7000, end: 7999}
ports:
  - {containerPort: 5050, protocol: UDP, name: game}
  - {containerPort: 8888, protocol: TCP, name: chat}
autoscaling: {min: 1}
";

fn made(document: &str) -> Pod {
    let scheduler = scheduler(document);
    let order = Order {
        room: RoomId::new(&scheduler.name, 0x1a),
        version: Version { major: 2, minor: 1 },
        token: "secret".to_owned(),
        avoid: Vec::new(),
    };
    let host_ports: &[u16] = match scheduler.template.network {
        Network::HostPort => &[7_001, 7_002],
        Network::NodePort | Network::Pod => &[],
    };
    pod(&scheduler, &order, "http://maestro.maestro:8080", host_ports).unwrap()
}

/// As the API server answers with it.
fn stored(document: &str) -> Pod {
    let mut pod = made(document);
    pod.metadata.uid = Some("8d3c".to_owned());
    pod
}

#[test]
fn the_pod_of_the_example() {
    insta::assert_yaml_snapshot!(made(include_str!("../../../../../deploy/examples/pong.yaml")));
    assert_eq!(
        made(include_str!("../../../../../deploy/examples/pong.yaml")),
        made(include_str!("../../../../../deploy/examples/pong.json")),
    );
}

#[test]
fn the_pod_of_a_document_with_everything() {
    insta::assert_yaml_snapshot!(made(FULL));
}

#[test]
fn the_pod_of_a_document_with_nothing() {
    insta::assert_yaml_snapshot!(made(PLAIN));
}

#[test]
fn the_pod_of_a_document_with_a_template() {
    insta::assert_yaml_snapshot!(made(TEMPLATED));
}

#[test]
fn the_pod_of_a_room_that_holds_ports_of_its_node() {
    insta::assert_yaml_snapshot!(made(HELD));
}

#[test]
fn the_pod_of_a_room_that_is_reached_by_its_own_address() {
    insta::assert_yaml_snapshot!(made(&HELD.replace("hostPort", "pod")));
}

#[test]
fn the_pods_of_the_example_of_a_template() {
    let text = include_str!("../../../../../deploy/examples/arena.yaml");
    insta::assert_yaml_snapshot!(made(text));
}

#[test]
fn what_is_reached_without_a_service_has_none() {
    for document in [HELD.to_owned(), HELD.replace("hostPort", "pod")] {
        assert_eq!(service::service(&stored(&document)), None);
    }
    assert!(service::service(&stored(&HELD.replace("hostPort", "nodePort"))).is_some());
}

#[test]
fn a_template_of_another_release_is_an_error_and_no_panic() {
    let mut scheduler = scheduler(PLAIN);
    scheduler.template.pod_template = Some(r#"{"spec":{"priority":"high"}}"#.to_owned());
    let order = Order {
        room: RoomId::new(&scheduler.name, 1),
        version: Version::FIRST,
        token: String::new(),
        avoid: Vec::new(),
    };
    assert!(pod(&scheduler, &order, "http://any", &[]).is_err());
}

/// Each field that a document may have is one that pods are made with: none is lost, and none is of another type.
#[test]
fn each_field_of_a_template_is_known_here_too() {
    let types = include_str!("../../../../wire/src/document/pod/fields.txt");
    let mut of_types: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    let mut name = "";
    for line in types
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        match line.trim_start().split_once(' ') {
            Some((field, kind)) => {
                of_types
                    .get_mut(name)
                    .unwrap()
                    .push((field.trim_end_matches('!'), kind));
            }
            None => {
                name = line;
                of_types.insert(name, Vec::new());
            }
        }
    }
    let template = sample(&of_types, "PodTemplate");
    let read: k8s_openapi::api::core::v1::PodTemplateSpec = serde_json::from_value(template.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), template);
}

/// A value of this type that says all that it can.
fn sample(types: &BTreeMap<&str, Vec<(&str, &str)>>, kind: &str) -> serde_json::Value {
    use serde_json::{Value, json};
    let within = |open: char, close: char| kind.strip_prefix(open)?.strip_suffix(close);
    if let Some(inner) = within('[', ']') {
        return json!([sample(types, inner)]);
    }
    if let Some(inner) = within('{', '}') {
        return json!({ "any": sample(types, inner) });
    }
    if let Some(words) = within('(', ')') {
        return words.split('|').next().unwrap().into();
    }
    match kind {
        "text" => "any".into(),
        "flag" => true.into(),
        "i32" => i32::MIN.into(),
        "i64" => i64::MIN.into(),
        "number-or-text" => i32::MAX.into(),
        "amount" => "500m".into(),
        name => {
            let fields = &types[name];
            let fields = fields
                .iter()
                .map(|(name, kind)| ((*name).to_owned(), sample(types, kind)));
            Value::Object(fields.collect())
        }
    }
}

#[test]
fn the_service_of_a_room_has_the_ports_of_all_its_containers() {
    insta::assert_yaml_snapshot!(service::service(&stored(FULL)).unwrap());
}

#[test]
fn a_room_without_ports_or_a_pod_that_does_not_exist_has_no_service() {
    assert_eq!(service::service(&stored(PLAIN)), None);
    assert_eq!(service::service(&made(FULL)), None);
}

#[test]
fn a_service_belongs_to_one_pod_and_to_no_later_one_of_its_name() {
    let first = stored(FULL);
    let of_first = service::service(&first).unwrap();
    let mut second = first.clone();
    second.metadata.uid = Some("9e4d".to_owned());
    assert!(service::is_of(&of_first, &first));
    assert!(!service::is_of(&of_first, &second));
}

#[test]
fn the_namespace_and_the_budget_of_a_scheduler() {
    let name = SchedulerName::parse("pong").unwrap();
    let made = namespace::namespace(&name, Level::Baseline, &installation("maestro"));
    insta::assert_yaml_snapshot!((made, namespace::budget(&name)));
}

#[test]
fn a_namespace_takes_what_its_rooms_are_and_no_more() {
    let name = SchedulerName::parse("any").unwrap();
    for (document, level, word) in [
        (PLAIN, Level::Baseline, "baseline"),
        (TEMPLATED, Level::Restricted, "restricted"),
        (HELD, Level::Privileged, "privileged"),
    ] {
        assert_eq!(Level::of(&scheduler(document).template), level);
        let made = namespace::namespace(&name, level, &installation("maestro"));
        assert!(level.is_of(&made));
        let labels = made.metadata.labels.unwrap();
        assert_eq!(labels["pod-security.kubernetes.io/enforce"], word);
        assert_eq!(labels["pod-security.kubernetes.io/warn"], "restricted");
    }
}

#[test]
fn a_namespace_is_ours_by_its_marks() {
    use namespace::Standing;

    let us = installation("maestro");
    let standing = |namespace| namespace::standing(namespace, &us);
    let ours = namespace::namespace(&SchedulerName::parse("pong").unwrap(), Level::Baseline, &us);
    assert_eq!(standing(&ours), Standing::Ours);
    let mut lent = ours.clone();
    lent.metadata.annotations = None;
    assert_eq!(standing(&lent), Standing::Lent);
    let mut foreign = ours.clone();
    foreign.metadata.labels = None;
    assert_eq!(standing(&foreign), Standing::Foreign);
}

#[test]
fn a_namespace_of_another_installation_is_not_used_and_one_that_names_none_is() {
    use namespace::Standing;

    let (us, them) = (installation("maestro"), installation("games-eu"));
    let name = SchedulerName::parse("pong").unwrap();
    let mut made = namespace::namespace(&name, Level::Baseline, &them);
    assert_eq!(namespace::standing(&made, &them), Standing::Ours);
    assert_eq!(namespace::standing(&made, &us), Standing::Taken);
    let why = namespace::taken(&made, &us);
    let expected = "the namespace pong belongs to the installation games-eu, and this one is maestro";
    assert!(why.starts_with(expected), "{why}");
    let labels = made.metadata.labels.as_mut().unwrap();
    // As earlier releases made them.
    labels.remove("maestro.dev/installation").unwrap();
    assert_eq!(namespace::standing(&made, &us), Standing::Ours);
    made.metadata.annotations = None;
    assert_eq!(namespace::standing(&made, &us), Standing::Lent);
    let labels = made.metadata.labels.as_mut().unwrap();
    labels.insert("maestro.dev/installation".to_owned(), "games-eu".to_owned());
    assert_eq!(
        namespace::standing(&made, &us),
        Standing::Taken,
        "lent to one of two"
    );
    assert_eq!(namespace::standing(&made, &them), Standing::Lent);
}

#[test]
fn amounts_are_written_in_units_without_a_rest() {
    for (bytes, expected) in [
        (0, "0"),
        (1_000, "1000"),
        (1_024, "1Ki"),
        (1_536, "1536"),
        (3 << 19, "1536Ki"),
        (1 << 30, "1Gi"),
        (1_000_000_000, "1000000000"),
    ] {
        assert_eq!(memory(bytes), expected);
    }
    assert_eq!(
        [cpu(0), cpu(250), cpu(1_000), cpu(1_500)],
        ["0", "250m", "1", "1500m"]
    );
}

#[test]
fn a_begun_second_counts_whole() {
    assert_eq!(
        [seconds(0), seconds(1), seconds(1_000), seconds(1_001)],
        [0, 1, 1, 2]
    );
}
