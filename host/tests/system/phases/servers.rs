//! Servers that lose what they had, hang, or are away.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::installation::lease;
use crate::running::{PATIENCE, eventually};
use crate::stage::{Stage, outage, rooms_down, rooms_up};

pub(super) fn redis_flushed(stage: &mut Stage) {
    stage.at_least(42);
    let (wanted, before) = (stage.count(), stage.installation.world.standing(&stage.arena));
    stage.installation.bed.redis(&["FLUSHALL"]);
    let since = Instant::now();
    stage.installation.settled(&stage.arena, wanted);
    println!(
        "  all is known again {:.1} s after FLUSHALL",
        since.elapsed().as_secs_f64()
    );
    let after = stage.installation.world.standing(&stage.arena);
    assert_eq!(before, after, "rooms were replaced");
    stage.installation.copied(&stage.arena);
    // It goes on: what is wanted was not forgotten, and can change.
    stage.rise(49.max(wanted * 7 / 10 + 4));
}

pub(super) fn redis_hangs(stage: &mut Stage) {
    stage.at_least(42);
    let (wanted, before) = (stage.count(), stage.installation.world.standing(&stage.arena));
    stage.installation.bed.server("redis", "pause");
    stage.installation.check_for(outage() / 2);
    stage.installation.bed.server("redis", "continue");
    stage.installation.settled(&stage.arena, wanted);
    let after = stage.installation.world.standing(&stage.arena);
    assert_eq!(before, after, "rooms were replaced");
}

pub(super) fn redis_away(stage: &mut Stage) {
    stage.at_least(42);
    let before = stage.installation.world.standing(&stage.arena);
    let matches = stage.installation.world.in_match(&stage.arena).len() + 7;
    stage.installation.bed.server("redis", "stop");
    stage.demand(matches);
    stage.installation.check_for(outage());
    let during = stage.installation.world.standing(&stage.arena);
    assert_eq!(before, during, "something was done without a registry");
    stage.installation.bed.server("redis", "start");
    let since = Instant::now();
    stage.installation.settled(&stage.arena, rooms_up(matches));
    println!(
        "  settled {:.1} s after an empty Redis came",
        since.elapsed().as_secs_f64()
    );
    stage.installation.copied(&stage.arena);
}

/// While the store is away scaling goes on, by workers that start then too, and changes are refused.
pub(super) fn postgres_away(stage: &mut Stage) {
    stage.at_least(42);
    stage.installation.bed.server("postgres", "stop");
    stage.installation.hire();
    let old: Vec<_> = (0..3).map(|_| stage.installation.take(0)).collect();
    let mut since = Instant::now();
    let mut ended = Vec::new();
    for mut worker in old {
        since = Instant::now();
        worker.signal(Signal::KILL);
        ended.push(worker.child.id());
        stage.installation.bury(&worker);
    }
    let arena = stage.arena.clone();
    eventually("a worker that never saw the store acts", PATIENCE, || {
        let holder = stage.installation.holder(&arena)?;
        (!ended.contains(&holder)).then_some(())
    });
    println!(
        "  acting from a copy {:.1} s after the others were killed",
        since.elapsed().as_secs_f64()
    );
    // A worker that starts looks for the store first, for as long as that may take to answer.
    assert!(since.elapsed() <= lease() + Duration::from_secs(10));
    let matches = stage.installation.world.in_match(&stage.arena).len() + 7;
    stage.demand(matches);
    eventually("rooms are added without the store", 2 * PATIENCE, || {
        stage.installation.check();
        (stage.count() == rooms_up(matches)).then_some(())
    });
    let rooms = stage.installation.rooms(1, &stage.arena);
    assert!(rooms.is_ok(), "rooms are not told: {rooms:?}");
    let status = stage.installation.get(&format!("/scheduler/{arena}"));
    assert_eq!(status["wanted"], rooms_up(matches), "{status}");
    refused(stage);
    stage.installation.bed.server("postgres", "start");
    stage.installation.staff();
    stage.installation.settled(&stage.arena, rooms_up(matches));
}

/// A change is refused for now, with a time to come back at.
fn refused(stage: &Stage) {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = config
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into();
    let url = format!("{}/scheduler/{}", stage.installation.apis[0].url, stage.arena);
    let mut answer = agent.post(url).send_json(json!({"replicas": 30})).unwrap();
    let again = answer.headers().contains_key("retry-after");
    let text = answer.body_mut().read_to_string().unwrap();
    assert_eq!((answer.status().as_u16(), again), (503, true), "{text}");
}

/// Nothing is made and nothing ended while nobody can be told to; then it is caught up with.
pub(super) fn kubernetes_away(stage: &mut Stage) {
    stage.at_least(42);
    let matches = 18;
    let before = stage.installation.world.standing(&stage.arena);
    stage.installation.bed.server("apiserver", "stop");
    stage.demand(matches);
    stage.installation.check_for(outage());
    let since = Instant::now();
    stage.installation.bed.server("apiserver", "start");
    eventually("the rooms are seen again", PATIENCE, || {
        stage.installation.check();
        (stage.count() < before.len()).then_some(())
    });
    stage.installation.settled(&stage.arena, rooms_down(matches));
    println!(
        "  caught up {:.1} s after the API server was started",
        since.elapsed().as_secs_f64()
    );
}
