//! Rooms that end by themselves or never begin: each tells why, is replaced, and disturbs no other.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::running::{PATIENCE, eventually};
use crate::stage::Stage;

pub(super) fn broken(stage: &mut Stage) {
    stage.at_least(35);
    let wanted = stage.count();
    let out_of_memory = format!("oom-{}", stage.installation.bed.run);
    let not_there = format!("pull-{}", stage.installation.bed.run);
    stage.installation.create(&document(&out_of_memory, "oom"));
    stage.installation.create(&document(&not_there, "image-pull"));

    let (lost, reason) = match_lost(stage);
    assert!(reason.contains("OOMKilled"), "{reason}");

    eventually("a room that can't be pulled says so", PATIENCE, || {
        let rooms = stage.installation.rooms(0, &not_there).ok()?;
        let is_told = |room: &Value| {
            let reason = room["reason"].as_str();
            reason.is_some_and(|reason| reason.contains("ImagePullBackOff"))
        };
        (rooms.len() == 2 && rooms.iter().all(is_told)).then_some(())
    });
    eventually("the scheduler says so", PATIENCE, || {
        let told = stage.installation.cli(&["events", &not_there]);
        let status = stage.installation.get(&format!("/scheduler/{not_there}"));
        let explained = stage.installation.cli(&["explain", &not_there]);
        let all = format!("{told}{status}{explained}");
        all.contains("ImagePullBackOff").then_some(())
    });
    eventually("rooms that ran out of memory are told of", PATIENCE, || {
        let told = stage.installation.cli(&["events", &out_of_memory]);
        (told.matches("OOMKilled").count() >= 2).then_some(())
    });

    stage.installation.settled(&stage.arena, wanted);
    let told = stage.installation.cli(&["room", &stage.arena, &lost]);
    assert!(told.contains("OOMKilled") && told.contains("137"), "{told}");
    for scheduler in [&out_of_memory, &not_there] {
        stage.installation.cli(&["delete", scheduler, "--force", "--yes"]);
        stage
            .installation
            .cli(&["wait", scheduler, "--for", "gone", "--timeout", "60s"]);
    }
    stage.installation.settled(&stage.arena, wanted);
}

/// Ends a room in a match, as the system of its node does when it takes too much memory; its name, and what is said of it.
fn match_lost(stage: &Stage) -> (String, String) {
    let world = &stage.installation.world;
    let rooms = world.rooms(&stage.arena);
    let room = rooms
        .iter()
        .find(|room| room.now.lock().unwrap().in_match)
        .unwrap();
    room.now.lock().unwrap().is_forfeit = true;
    let name = room.identity.name.clone();
    let pods: Api<Pod> = Api::namespaced(stage.installation.bed.client.clone(), &stage.arena);
    let (begun, ended) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
    let killed = json!({"exitCode": 137, "reason": "OOMKilled", "startedAt": begun, "finishedAt": ended});
    let container = stage
        .installation
        .pods(&stage.arena)
        .iter()
        .find(|pod| pod.metadata.name.as_ref() == Some(&name))
        .and_then(|pod| Some(pod.spec.as_ref()?.containers.first()?.name.clone()))
        .unwrap();
    let container = json!({
        "name": container, "image": "any/room:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": killed},
    });
    let failed = json!({"status": {"phase": "Failed", "containerStatuses": [container]}});
    let patched = async {
        let patch = Patch::Merge(failed);
        pods.patch_status(&name, &PatchParams::default(), &patch).await
    };
    stage.installation.bed.runtime.block_on(patched).unwrap();
    let reason = eventually("its end is told", PATIENCE, || {
        let told = stage
            .installation
            .get(&format!("/scheduler/{}/rooms/{name}", stage.arena));
        let reason = told["lastWords"].as_str().unwrap_or_default().to_owned();
        (told["exitCode"] == 137).then_some(reason)
    });
    (name, reason)
}

fn document(name: &str, image: &str) -> String {
    format!(
        "
name: {name}
game: system
image: maestro.test/{image}:1
ports: [{{name: game, containerPort: 5050, protocol: UDP}}]
shutdownTimeout: 5
autoscaling: {{min: 2, max: 2}}
"
    )
}
