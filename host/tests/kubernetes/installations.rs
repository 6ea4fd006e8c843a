//! Two installations on one cluster, of which one has all rights: neither takes the other's namespaces for its own.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams, PostParams};
use maestro::cluster::kubernetes::{Access, Config, Kubernetes};
use maestro::cluster::{Cluster, Error, Order};
use maestro_core::names::{RoomId, Version};
use maestro_core::scheduler::Scheduler;
use maestro_core::time::Span;
use serde_json::{Value, json};

use crate::bench::{Bench, config, eventually, kubeconfig};

const LABEL: &str = "maestro.dev/installation";

/// Another installation, with the rights of an administrator.
async fn other() -> Kubernetes {
    let config = Config {
        access: Access::Kubeconfig {
            file: kubeconfig().into(),
            context: None,
        },
        installation: "other".parse().unwrap(),
        ..config()
    };
    let (other, _watches) = Kubernetes::new(config).await.unwrap();
    other
}

async fn create(cluster: &Kubernetes, scheduler: &Scheduler, suffix: u32) -> Result<(), Error> {
    let order = Order {
        room: RoomId::new(&scheduler.name, suffix),
        version: Version::FIRST,
        token: "secret".to_owned(),
        avoid: Vec::new(),
    };
    cluster.create(scheduler, &order).await
}

async fn named(bench: &Bench, scheduler: &Scheduler) -> Option<String> {
    let found: Namespace = bench.namespaces().get(scheduler.name.as_str()).await.unwrap();
    found.metadata.labels.unwrap().get(LABEL).cloned()
}

async fn label(bench: &Bench, scheduler: &Scheduler, value: Value) {
    let patch = Patch::Merge(json!({"metadata": {"labels": {LABEL: value}}}));
    let (namespaces, params) = (bench.namespaces(), PatchParams::default());
    let patched = namespaces.patch(scheduler.name.as_str(), &params, &patch).await;
    patched.unwrap();
}

/// Whether it is told whose the namespace is.
fn names(error: &Error, owner: &str) -> bool {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let told = format!("{error}: {}", cause.unwrap_or_default());
    told.contains(&format!("belongs to the installation {owner},"))
}

#[tokio::test]
async fn what_is_another_installations_is_neither_used_nor_looked_into_nor_removed() {
    let (bench, other) = (Bench::new("pair").await, other().await);
    let scheduler = bench.with_image("pong", "any/room:1");
    let name = &scheduler.name;
    bench.create(&scheduler, 1).await.unwrap();
    assert_eq!(named(&bench, &scheduler).await.as_deref(), Some("maestro"));
    let refused = create(&other, &scheduler, 2).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    for error in [
        refused,
        other.list(name).await.unwrap_err(),
        other.usage(name).await.unwrap_err(),
    ] {
        assert!(names(&error, "maestro"), "{error:?}");
    }
    other.remove(name).await.unwrap();
    let listed = bench.kubernetes.list(name).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(!listed[0].deleting);
    bench.end(&scheduler).await;
    eventually("the namespace is gone", async || {
        let found = bench.namespaces().get_opt(name.as_str()).await.unwrap();
        found.is_none().then_some(())
    })
    .await;

    // Who has the name next has the namespace.
    create(&other, &scheduler, 3).await.unwrap();
    assert_eq!(named(&bench, &scheduler).await.as_deref(), Some("other"));
    for error in [
        bench.create(&scheduler, 4).await.unwrap_err(),
        bench.kubernetes.list(name).await.unwrap_err(),
    ] {
        assert!(names(&error, "other"), "{error:?}");
    }
    for object in other.list(name).await.unwrap() {
        let deleted = other.delete(name, &object.room, &object.uid, Span::ZERO);
        deleted.await.unwrap();
    }
    other.remove(name).await.unwrap();
}

#[tokio::test]
async fn a_namespace_that_names_no_installation_is_used_by_whoever_has_its_scheduler() {
    let (bench, other) = (Bench::new("pair").await, other().await);
    let scheduler = bench.with_image("old", "any/room:1");
    bench.create(&scheduler, 1).await.unwrap();
    // As earlier releases made it.
    label(&bench, &scheduler, Value::Null).await;
    assert_eq!(other.list(&scheduler.name).await.unwrap().len(), 1);
    let again = Bench::new("pair").await;
    again.create(&scheduler, 2).await.unwrap();
    assert_eq!(named(&bench, &scheduler).await, None);
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn a_namespace_can_be_lent_to_one_of_two_installations() {
    let (bench, other) = (Bench::new("pair").await, other().await);
    let scheduler = bench.with_image("lent", "any/room:1");
    let labels = json!({"maestro.dev/managed": "true", LABEL: "other"});
    let namespace = json!({"metadata": {"name": scheduler.name.as_str(), "labels": labels}});
    let namespace: Namespace = serde_json::from_value(namespace).unwrap();
    let (namespaces, params) = (bench.namespaces(), PostParams::default());
    namespaces.create(&params, &namespace).await.unwrap();
    let refused = bench.create(&scheduler, 1).await.unwrap_err();
    assert!(names(&refused, "other"), "{refused:?}");
    create(&other, &scheduler, 1).await.unwrap();
    // Lent to both, and then by both.
    label(&bench, &scheduler, Value::Null).await;
    bench.create(&scheduler, 2).await.unwrap();
    assert_eq!(
        named(&bench, &scheduler).await,
        None,
        "it keeps the labels that it has"
    );
    bench.end(&scheduler).await;
    bench.remove_namespace(&scheduler).await;
}
