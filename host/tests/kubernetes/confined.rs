//! What rooms may do on their nodes, and what Maestro itself may not.

use k8s_openapi::api::core::v1::Namespace;
use maestro::cluster::kubernetes::{Access, Config, Kubernetes};
use maestro::cluster::{Cluster, Error, Order};
use maestro_core::names::{RoomId, Version};
use maestro_core::room::Phase;
use maestro_core::scheduler::{Network, Scheduler, Security};

use crate::bench::{Bench, config, kubeconfig};

const PLAIN: &str = "
name: any
game: any
image: any/room:1
ports: [{containerPort: 5050, protocol: UDP, name: game}]
autoscaling: {min: 1}
";

/// Which pods the scheduler's namespace takes.
async fn enforced(bench: &Bench, scheduler: &Scheduler) -> String {
    let found: Namespace = bench.namespaces().get(scheduler.name.as_str()).await.unwrap();
    found.metadata.labels.unwrap()["pod-security.kubernetes.io/enforce"].clone()
}

#[tokio::test]
async fn rooms_keep_to_the_standard_that_their_namespace_enforces() {
    let bench = Bench::new("confined").await;
    for (text, expected) in [
        ("security: legacy", "baseline"),
        ("security: restricted", "restricted"),
        ("network: pod", "baseline"),
        ("network: hostPort", "privileged"),
    ] {
        let name = text.split(' ').next_back().unwrap().to_lowercase();
        let scheduler = bench.with_document(&name, &format!("{PLAIN}{text}\n"));
        let room = bench.create(&scheduler, 1).await.unwrap();
        let is_running = |object: &maestro::cluster::Object| matches!(object.phase, Phase::Running { .. });
        bench.once(&scheduler, &room, is_running).await;
        assert_eq!(enforced(&bench, &scheduler).await, expected, "{text}");
        bench.end(&scheduler).await;
    }
}

#[tokio::test]
async fn a_namespace_takes_rooms_of_the_next_version_and_goes_on_taking_those_of_the_last() {
    let bench = Bench::new("confined").await;
    let mut scheduler = bench.with_document("next", &format!("{PLAIN}security: restricted\n"));
    bench.create(&scheduler, 1).await.unwrap();
    scheduler.template.security = Security::Legacy;
    bench.create(&scheduler, 2).await.unwrap();
    assert_eq!(enforced(&bench, &scheduler).await, "baseline");
    scheduler.template.network = Network::HostPort;
    bench.create(&scheduler, 3).await.unwrap();
    scheduler.template.network = Network::NodePort;
    bench.create(&scheduler, 4).await.unwrap();
    assert_eq!(enforced(&bench, &scheduler).await, "privileged");
    assert_eq!(bench.kubernetes.list(&scheduler.name).await.unwrap().len(), 4);
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn a_room_that_wants_more_than_its_namespace_takes_is_refused_with_the_reason() {
    let bench = Bench::new("confined").await;
    let template = "podTemplate: {spec: {volumes: [{name: maps, hostPath: {path: /maps}}]}}\n";
    let scheduler = bench.with_document("path", &format!("{PLAIN}{template}"));
    let error = bench.create(&scheduler, 1).await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { reason, .. } if reason.contains("hostPath")),
        "{error}"
    );
    assert!(!error.is_retryable());
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let bench = Bench::new("confined").await;
    let scheduler = bench.with_document("rights", PLAIN);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let text = std::fs::read_to_string(kubeconfig()).unwrap();
    let changed = text.replace("token: testbed-admin", "token: testbed-admin, as: nobody");
    assert_ne!(changed, text);
    std::fs::write(&file, changed).unwrap();
    let powerless = Config {
        access: Access::Kubeconfig { file, context: None },
        ..config()
    };
    let (powerless, _watches) = Kubernetes::new(powerless).await.unwrap();
    let order = Order {
        room: RoomId::new(&scheduler.name, 1),
        version: Version::FIRST,
        token: "secret".to_owned(),
        avoid: Vec::new(),
    };
    let check = |error: Error, verb_of: &str, what: &str| {
        assert!(
            matches!(&error, Error::Forbidden { verb, resource, .. } if verb == verb_of && resource == what),
            "{error}"
        );
        assert!(!error.is_retryable());
        error.to_string()
    };
    let name = &scheduler.name;
    let error = check(powerless.list(name).await.unwrap_err(), "list", "pods");
    assert_eq!(
        error,
        format!("not allowed to list pods in the namespace {name}; grant Maestro that right")
    );
    check(
        powerless.create(&scheduler, &order).await.unwrap_err(),
        "get",
        "namespaces",
    );
    check(powerless.remove(name).await.unwrap_err(), "get", "namespaces");
    check(powerless.usage(name).await.unwrap_err(), "list", "pods");
}
