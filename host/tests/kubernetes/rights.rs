//! What Maestro does with the few rights that its chart gives it. `deploy/chart/check` tries the rights themselves; all
//! tests of this binary run with them.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, DeleteParams, PostParams};
use maestro::cluster::{Cluster, Error};
use maestro_core::scheduler::Scheduler;
use maestro_core::time::Span;
use serde_json::json;

use crate::bench::{Bench, eventually};

fn bindings(bench: &Bench, scheduler: &Scheduler) -> Api<RoleBinding> {
    Api::namespaced(bench.client.clone(), scheduler.name.as_str())
}

/// Makes the scheduler's namespace, to be used by Maestro or not.
async fn make_namespace(bench: &Bench, scheduler: &Scheduler, labels: serde_json::Value) {
    let namespace = json!({"metadata": {"name": scheduler.name.as_str(), "labels": labels}});
    let namespace: Namespace = serde_json::from_value(namespace).unwrap();
    let (namespaces, params) = (bench.namespaces(), PostParams::default());
    namespaces.create(&params, &namespace).await.unwrap();
}

#[tokio::test]
async fn where_there_is_no_namespace_there_are_no_rooms_and_nothing_to_delete() {
    let bench = Bench::new("rights").await;
    let scheduler = bench.with_image("none", "any/room:1");
    let name = &scheduler.name;
    assert_eq!(bench.kubernetes.list(name).await.unwrap(), []);
    assert_eq!(bench.kubernetes.usage(name).await.unwrap(), []);
    let room = maestro_core::names::RoomId::new(name, 1);
    bench
        .kubernetes
        .delete(name, &room, "any", Span::ZERO)
        .await
        .unwrap();
    bench.kubernetes.remove(name).await.unwrap();
}

#[tokio::test]
async fn maestro_binds_one_role_to_itself_before_the_first_room_of_a_namespace() {
    let bench = Bench::new("rights").await;
    let scheduler = bench.with_image("first", "any/room:1");
    bench.create(&scheduler, 1).await.unwrap();
    let binding = bindings(&bench, &scheduler).get("maestro-rooms").await.unwrap();
    let role = binding.role_ref;
    assert_eq!(
        (role.kind.as_str(), role.name.as_str()),
        ("ClusterRole", "maestro-rooms")
    );
    let subjects = binding.subjects.unwrap();
    let [only] = subjects.as_slice() else {
        panic!("bound to {subjects:?}");
    };
    let namespace = only.namespace.as_deref().unwrap();
    let account = std::env::var("MAESTRO_TESTBED_MAESTRO_ACCOUNT").unwrap();
    assert_eq!(format!("{namespace}/{}", only.name), account);
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn rights_that_somebody_took_away_are_taken_up_again() {
    let bench = Bench::new("rights").await;
    let scheduler = bench.with_image("again", "any/room:1");
    bench.create(&scheduler, 1).await.unwrap();
    let params = DeleteParams::default();
    bindings(&bench, &scheduler)
        .delete("maestro-rooms", &params)
        .await
        .unwrap();
    let listed = eventually("the room is listed by rights of today", async || {
        let listed = bench.kubernetes.list(&scheduler.name).await.unwrap();
        let binding = bindings(&bench, &scheduler)
            .get_opt("maestro-rooms")
            .await
            .unwrap();
        binding.map(|_| listed)
    });
    assert_eq!(listed.await.len(), 1);
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn rights_in_a_lent_namespace_are_given_back() {
    let bench = Bench::new("rights").await;
    let scheduler = bench.with_image("lent", "any/room:1");
    make_namespace(&bench, &scheduler, json!({"maestro.dev/managed": "true"})).await;
    assert_eq!(bench.kubernetes.list(&scheduler.name).await.unwrap(), []);
    bench.create(&scheduler, 1).await.unwrap();
    bench.end(&scheduler).await;
    let left = bindings(&bench, &scheduler)
        .get_opt("maestro-rooms")
        .await
        .unwrap();
    assert!(left.is_none(), "{left:?}");
    // A second time there is nothing to be given back, and no right to ask.
    bench.kubernetes.remove(&scheduler.name).await.unwrap();
    bench.remove_namespace(&scheduler).await;
}

#[tokio::test]
async fn of_a_namespace_that_is_not_lent_nothing_is_claimed_to_be_known() {
    let bench = Bench::new("rights").await;
    let scheduler = bench.with_image("foreign", "any/room:1");
    make_namespace(&bench, &scheduler, json!({})).await;
    let error = bench.kubernetes.list(&scheduler.name).await.unwrap_err();
    let Error::Unavailable { cause } = &error else {
        panic!("{error}");
    };
    assert!(cause.to_string().contains("maestro.dev/managed"), "{cause}");
    let left = bindings(&bench, &scheduler)
        .get_opt("maestro-rooms")
        .await
        .unwrap();
    assert!(left.is_none(), "{left:?}");
    bench.remove_namespace(&scheduler).await;
}
