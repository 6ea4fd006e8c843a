//! The journal is whole, and nothing stays of what is deleted.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};

use crate::running::{PATIENCE, eventually};
use crate::stage::Stage;

pub(super) fn deleted(stage: &mut Stage) {
    let all = [stage.arena.clone(), stage.cpu.clone(), stage.memory.clone()];
    for scheduler in &all {
        let (changes, gaps) = stage.installation.explained(scheduler);
        println!(
            "  {scheduler}: {changes} changes, each with its reason; {} are lacking",
            gaps.len()
        );
        // The journal is written five times a second: a worker that is killed takes what it decided last with it.
        assert!(gaps.len() <= stage.installation.kills, "{gaps:?}");
    }

    stage.demand(5);
    eventually("five matches are left", PATIENCE, || {
        (stage.installation.world.in_match(&stage.arena).len() == 5).then_some(())
    });
    for scheduler in &all {
        stage.installation.cli(&["delete", scheduler, "--yes"]);
    }
    eventually("idle rooms go at once", PATIENCE, || {
        stage.installation.check();
        (stage.count() == 5).then_some(())
    });
    stage.installation.check_for(Duration::from_secs(2));
    assert_eq!(stage.installation.world.in_match(&stage.arena).len(), 5);
    stage.demand(0);
    for scheduler in &all {
        stage
            .installation
            .cli(&["wait", scheduler, "--for", "gone", "--timeout", "60s"]);
    }
    eventually("no namespace is left", PATIENCE, || {
        let namespaces: Api<Namespace> = Api::all(stage.installation.bed.client.clone());
        let params = ListParams::default();
        let listed = namespaces.list(&params);
        let listed = stage.installation.bed.runtime.block_on(listed).unwrap();
        let mut names = listed
            .items
            .into_iter()
            .filter_map(|namespace| namespace.metadata.name);
        let run = &stage.installation.bed.run;
        (!names.any(|name| name.ends_with(run.as_str()))).then_some(())
    });
    eventually("no key of theirs is left", PATIENCE, || {
        let keys = stage.installation.bed.keys();
        (!keys.iter().any(|key| key.contains('{'))).then_some(())
    });
}
