//! Load that comes and goes: of matches, and of what rooms use.

use std::time::Duration;

use crate::running::eventually;
use crate::stage::Stage;

/// Usage gets into the Metrics API up to 40 s after it changed, and a policy sees it a period later.
const MEASURED: Duration = Duration::from_secs(150);

pub(super) fn rises_and_falls(stage: &mut Stage) {
    stage.rise(70);
    stage.fall(25);
}

pub(super) fn usage_rises(stage: &mut Stage) {
    for (scheduler, kind) in [(&stage.cpu, "cpu"), (&stage.memory, "memory")] {
        eventually("usage asks for more rooms", MEASURED, || {
            let scheduler = stage.installation.get(&format!("/scheduler/{scheduler}"));
            scheduler["wanted"].as_u64().filter(|wanted| *wanted > 2)
        });
        reasoned(stage, scheduler, kind);
    }
    // What they do with it takes as long; other phases go by meanwhile.
    for scheduler in [&stage.cpu, &stage.memory] {
        stage.installation.world.use_up(scheduler, "5m", "2Mi");
    }
}

pub(super) fn usage_falls(stage: &mut Stage) {
    if stage.installation.changes(&stage.cpu).len() < 2 {
        usage_rises(stage);
    }
    for (scheduler, kind) in [(&stage.cpu, "cpu"), (&stage.memory, "memory")] {
        stage.installation.world.use_up(scheduler, "5m", "2Mi");
        eventually("usage asks for no more rooms than the least", MEASURED, || {
            let scheduler = stage.installation.get(&format!("/scheduler/{scheduler}"));
            (scheduler["wanted"] == 2).then_some(())
        });
        reasoned(stage, scheduler, kind);
        stage.installation.settled(scheduler, 2);
    }
}

/// The newest change tells of figures of this kind.
fn reasoned(stage: &Stage, scheduler: &str, kind: &str) {
    eventually("the explanation has the figures", MEASURED, || {
        let told = stage
            .installation
            .cli(&["explain", scheduler, "--changes", "-n", "1"]);
        (told.contains(kind) && told.contains('%')).then_some(())
    });
}
