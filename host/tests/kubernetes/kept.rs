//! What is never taken from anybody: foreign namespaces, lent ones with all that they hold, and rooms in a match.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, EvictParams, ListParams, PostParams};
use maestro::cluster::contract::{Behaviour, Harness};
use maestro::cluster::{Cluster, Error};
use maestro_core::room::Phase;
use maestro_core::scheduler::Scheduler;
use maestro_core::time::Span;
use serde_json::json;

use crate::bench::{Bench, eventually};

/// Makes the scheduler's namespace as somebody else would, with a secret in it.
async fn occupy(bench: &Bench, scheduler: &Scheduler, labels: serde_json::Value) -> Api<Secret> {
    let namespace = json!({"metadata": {"name": scheduler.name.as_str(), "labels": labels}});
    let namespace: Namespace = serde_json::from_value(namespace).unwrap();
    bench
        .namespaces()
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    let secrets: Api<Secret> = Api::namespaced(bench.client.clone(), scheduler.name.as_str());
    let secret = json!({"metadata": {"name": "vault"}, "stringData": {"password": "any"}});
    let secret: Secret = serde_json::from_value(secret).unwrap();
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    secrets
}

async fn is_there(bench: &Bench, scheduler: &Scheduler) -> bool {
    let found = bench.namespaces().get_opt(scheduler.name.as_str()).await.unwrap();
    found.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_none())
}

#[tokio::test]
async fn a_namespace_of_somebody_else_is_refused_and_left_alone() {
    let bench = Bench::new("kept").await;
    let scheduler = bench.with_image("foreign", "any/room:1");
    let secrets = occupy(&bench, &scheduler, json!({})).await;
    let error = bench.create(&scheduler, 1).await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { reason, .. } if reason.contains("maestro.dev/managed")),
        "{error}"
    );
    let pods = bench.pods(&scheduler).list(&ListParams::default()).await.unwrap();
    assert_eq!(pods.items, []);
    bench.kubernetes.remove(&scheduler.name).await.unwrap();
    assert!(is_there(&bench, &scheduler).await);
    secrets.get("vault").await.unwrap();
    bench.remove_namespace(&scheduler).await;
}

#[tokio::test]
async fn a_lent_namespace_is_used_and_stays_with_all_that_it_holds() {
    let bench = Bench::new("kept").await;
    let scheduler = bench.with_image("lent", "any/room:1");
    let secrets = occupy(&bench, &scheduler, json!({"maestro.dev/managed": ""})).await;
    bench.create(&scheduler, 1).await.unwrap();
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(bench.client.clone(), scheduler.name.as_str());
    budgets.get("maestro-rooms").await.unwrap();
    bench.end(&scheduler).await;
    assert!(is_there(&bench, &scheduler).await);
    secrets.get("vault").await.unwrap();
    assert!(budgets.get_opt("maestro-rooms").await.unwrap().is_none());
    bench.remove_namespace(&scheduler).await;
}

#[tokio::test]
async fn a_namespace_that_maestro_made_goes_with_its_scheduler_and_comes_back_with_it() {
    let bench = Bench::new("kept").await;
    let scheduler = bench.with_image("ours", "any/room:1");
    bench.create(&scheduler, 1).await.unwrap();
    bench.end(&scheduler).await;
    eventually("the namespace is gone", async || {
        let found = bench.namespaces().get_opt(scheduler.name.as_str()).await.unwrap();
        found.is_none().then_some(())
    })
    .await;
    bench.create(&scheduler, 1).await.unwrap();
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn a_pod_of_somebody_else_is_neither_taken_over_nor_listed() {
    let bench = Bench::new("kept").await;
    let scheduler = bench.with_image("squat", "any/room:1");
    let room = bench.create(&scheduler, 1).await.unwrap();
    bench.once(&scheduler, &room, |_| true).await;
    let pods = bench.pods(&scheduler);
    let name = format!("{}-00000002", scheduler.name);
    let pod = json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "any", "image": "any"}]}});
    let pod = serde_json::from_value(pod).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let error = bench.create(&scheduler, 2).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let listed = bench.kubernetes.list(&scheduler.name).await.unwrap();
    assert_eq!(listed.len(), 1);
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn no_room_is_evicted() {
    let bench = Bench::new("kept").await;
    let scheduler = bench.with_image("evicted", "any/room:1");
    let room = bench.create(&scheduler, 1).await.unwrap();
    bench
        .once(&scheduler, &room, |object| {
            matches!(object.phase, Phase::Running { .. })
        })
        .await;
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(bench.client.clone(), scheduler.name.as_str());
    eventually("the budget counts the room", async || {
        let listed = budgets.list(&ListParams::default()).await.unwrap();
        let status = listed.items.first()?.status.clone()?;
        (status.current_healthy == 1).then_some(())
    })
    .await;
    let evicted = bench
        .pods(&scheduler)
        .evict(room.as_str(), &EvictParams::default())
        .await;
    assert!(
        matches!(&evicted, Err(kube::Error::Api(status)) if status.code == 429),
        "{evicted:?}"
    );
    assert!(
        bench
            .find(&scheduler, &room)
            .await
            .is_some_and(|object| !object.deleting)
    );
    bench.end(&scheduler).await;
}

/// The server's part of what a kubelet does not do.
#[tokio::test]
async fn a_room_has_its_grace_and_a_second_deletion_can_shorten_it() {
    let bench = Bench::new("kept").await;
    let scheduler = bench.scheduler("stubborn", Behaviour::Stubborn);
    let room = bench.create(&scheduler, 1).await.unwrap();
    let running = |object: &maestro::cluster::Object| matches!(object.phase, Phase::Running { .. });
    let object = bench.once(&scheduler, &room, running).await;
    let delete = |grace| {
        bench
            .kubernetes
            .delete(&scheduler.name, &room, &object.uid, grace)
    };
    delete(Span::from_secs(3_600)).await.unwrap();
    let object_now = bench.find(&scheduler, &room).await.unwrap();
    assert!(
        object_now.deleting && running(&object_now),
        "asked, and not heeded: {object_now:?}"
    );
    let error = bench.create(&scheduler, 1).await.unwrap_err();
    assert!(
        error.is_retryable(),
        "its name is free once it has ended: {error}"
    );
    delete(Span::from_ms(50)).await.unwrap();
    eventually("the room is gone", async || {
        bench.find(&scheduler, &room).await.is_none().then_some(())
    })
    .await;
    bench.end(&scheduler).await;
}
