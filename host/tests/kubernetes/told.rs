//! Why a room does not start, or ended, and what a cluster that does not answer comes to.

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{Api, PostParams};
use maestro::cluster::kubernetes::{Access, Config, Kubernetes};
use maestro::cluster::{Cluster, Error};
use maestro_core::names::RoomId;
use maestro_core::room::Phase;
use serde_json::json;

use crate::bench::{Bench, config, kubeconfig};

fn pending(reason: &str) -> Phase {
    Phase::Pending {
        reason: reason.to_owned(),
    }
}

#[tokio::test]
async fn a_room_that_cannot_start_says_why() {
    let bench = Bench::new("told").await;
    let pull = bench.with_image("pull", "maestro.test/image-pull:1");
    let mut huge = bench.with_image("huge", "any/room:1");
    huge.template.containers[0].requests.cpu_milli = Some(1_000_000);
    for (scheduler, reason) in [(&pull, "ImagePullBackOff"), (&huge, "Unschedulable")] {
        let room = bench.create(scheduler, 1).await.unwrap();
        let object = bench.once(scheduler, &room, |o| o.phase == pending(reason)).await;
        assert!(object.exposed, "{object:?}");
        if reason == "Unschedulable" {
            assert_eq!(
                (object.node, object.addresses.len(), object.ports.len()),
                (None, 0, 0)
            );
        }
        bench.end(scheduler).await;
    }
}

#[tokio::test]
async fn a_room_that_took_too_much_memory_says_so() {
    let bench = Bench::new("told").await;
    let scheduler = bench.with_image("oom", "maestro.test/oom:1");
    let room = bench.create(&scheduler, 1).await.unwrap();
    let is_over = |phase: &Phase| match phase {
        Phase::Exited { code, reason, .. } => *code == Some(137) && reason == "OOMKilled",
        _ => false,
    };
    let object = bench
        .once(&scheduler, &room, |object| is_over(&object.phase))
        .await;
    assert_eq!((object.addresses.len(), object.ports.len()), (0, 0));
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn a_room_that_did_not_begin_has_written_nothing_and_an_unknown_one_is_unknown() {
    let bench = Bench::new("told").await;
    let mut scheduler = bench.with_image("silent", "any/room:1");
    scheduler.template.containers[0].requests.cpu_milli = Some(1_000_000);
    let room = bench.create(&scheduler, 1).await.unwrap();
    let text = bench
        .kubernetes
        .logs(&scheduler.name, &room, 9, false)
        .await
        .unwrap();
    assert_eq!(text, "");
    let unknown = RoomId::new(&scheduler.name, 2);
    let answer = bench.kubernetes.logs(&scheduler.name, &unknown, 9, false).await;
    assert!(matches!(answer, Err(Error::UnknownRoom(room)) if room == unknown));
    let answer = bench.kubernetes.expose(&scheduler, &unknown).await;
    assert!(matches!(answer, Err(Error::UnknownRoom(room)) if room == unknown));
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn what_kubernetes_does_not_accept_is_refused_with_its_words() {
    let bench = Bench::new("told").await;
    let scheduler = bench.with_image("image", " any room ");
    let error = bench.create(&scheduler, 1).await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { reason, .. } if reason.contains("image")),
        "{error}"
    );
    assert!(!error.is_retryable());
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_the_schedulers_trouble() {
    let bench = Bench::new("told").await;
    let scheduler = bench.with_image("quota", "any/room:1");
    bench.create(&scheduler, 1).await.unwrap();
    let quotas: Api<ResourceQuota> = Api::namespaced(bench.client.clone(), scheduler.name.as_str());
    let quota = json!({"metadata": {"name": "one"}, "spec": {"hard": {"pods": "1"}}});
    let quota = serde_json::from_value(quota).unwrap();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    let error = crate::bench::eventually("the quota holds", async || {
        // Until the server knows of the quota it lets rooms through.
        bench.create(&scheduler, rand::random()).await.err()
    })
    .await;
    assert!(
        matches!(&error, Error::Exhausted { what, .. } if what.contains("quota")),
        "{error}"
    );
    assert!(error.is_retryable());
    bench.end(&scheduler).await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable() {
    let bench = Bench::new("told").await;
    let scheduler = bench.with_image("away", "any/room:1");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let text = std::fs::read_to_string(kubeconfig()).unwrap();
    let (before, after) = text.split_once("https://").unwrap();
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ':'));
    // The discard port: nothing listens there.
    std::fs::write(&file, format!("{before}https://127.0.0.1:9{after}")).unwrap();
    let away = Config {
        access: Access::Kubeconfig { file, context: None },
        ..config()
    };
    let (away, _watches) = Kubernetes::new(away).await.unwrap();
    let errors = [
        away.list(&scheduler.name).await.unwrap_err(),
        away.remove(&scheduler.name).await.unwrap_err(),
        away.usage(&scheduler.name).await.unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(error, Error::Unavailable { .. }) && error.is_retryable(),
            "{error:?}"
        );
    }
}
