//! Workers and APIs that end, in every way.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::installation::lease;
use crate::running::{PATIENCE, eventually};
use crate::stage::{Stage, rooms_down, rooms_up};

pub(super) fn killed_scaling_up(stage: &mut Stage) {
    let matches = 56;
    let before = stage.count();
    stage.demand(matches);
    stage.midway(before + 3, rooms_up(matches) - 3);
    stage.kill_acting();
    stage.installation.settled(&stage.arena, rooms_up(matches));
    stage.installation.staff();
}

pub(super) fn killed_scaling_down(stage: &mut Stage) {
    stage.at_least(56);
    let matches = 20;
    let before = stage.count();
    stage.demand(matches);
    stage.midway(rooms_down(matches) + 3, before - 3);
    stage.kill_acting();
    stage.installation.settled(&stage.arena, rooms_down(matches));
    stage.installation.staff();
}

pub(super) fn hands_over(stage: &mut Stage) {
    let mut worker = stage.take_acting();
    let (process, since) = (worker.child.id(), Instant::now());
    worker.signal(Signal::TERM);
    let took = stage.installation.taken_over(&stage.arena, process, since);
    println!("  handed over {:.2} s after SIGTERM", took.as_secs_f64());
    assert!(took < Duration::from_secs(1), "{took:?}");
    let ended = eventually("the worker ends", PATIENCE, || worker.ended());
    assert!(ended.success(), "{ended}");
    stage.installation.bury(&worker);
    stage.installation.staff();
    stage.rise(35);
}

/// Two holders after each other that both believe in themselves: the one that slept must do nothing with what it knew.
pub(super) fn stopped_past_its_lease(stage: &mut Stage) {
    stage.at_least(35);
    let matches = 49;
    let before = stage.count();
    stage.demand(matches);
    // In the middle of something, so that there is something it would go on with.
    stage.midway(before, rooms_up(matches));
    let mut worker = stage.take_acting();
    let (process, since) = (worker.child.id(), Instant::now());
    worker.signal(Signal::STOP);
    let took = stage.installation.taken_over(&stage.arena, process, since);
    println!(
        "  taken over {:.2} s after SIGSTOP, of a lease of {:?}",
        took.as_secs_f64(),
        lease()
    );
    assert!(took <= lease() + Duration::from_secs(1), "{took:?}");
    stage.installation.settled(&stage.arena, rooms_up(matches));
    worker.signal(Signal::CONT);
    // It is one of three again, and acts only if it is to.
    stage.installation.workers.push(worker);
    stage.installation.check_for(Duration::from_secs(3));
    stage.installation.settled(&stage.arena, rooms_up(matches));
}

pub(super) fn api_killed(stage: &mut Stage) {
    let before = stage.installation.world.figures.read();
    stage.installation.replace_api(1);
    stage.installation.check_for(Duration::from_secs(2));
    let after = stage.installation.world.figures.read();
    assert!(after.0 > before.0, "no room was answered");
    stage.installation.settled(&stage.arena, stage.count());
}
