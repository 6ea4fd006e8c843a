//! Processor time and memory that containers really use, measured by kubelet and served by metrics-server, move the
//! number of rooms up and down.

use super::stage::{LONG, ROOM, Stage, eventually};

/// A scheduler that one trigger moves; one room can use three times what it requests. Usage is measured every 10 s, and
/// the newest measurement says nothing yet of how long it was so: a shorter `time` would see nothing at all.
fn document(kind: &str) -> String {
    format!(
        "
game: test
image: {ROOM}
imagePullPolicy: Never
ports: [{{name: web, containerPort: 8080, protocol: TCP}}]
requests: {{cpu: 50m, memory: 32Mi}}
limits: {{cpu: 150m, memory: 128Mi}}
shutdownTimeout: 5
autoscaling:
  min: 1
  max: 3
  up:
    cooldown: 1
    metricsTrigger: [{{type: {kind}, usage: 70, threshold: 40, time: 30}}]
  down:
    cooldown: 1
    metricsTrigger: [{{type: {kind}, usage: 40, threshold: 40, time: 30}}]
"
    )
}

/// Waits until a decision by this trigger was told with its figures, and gives the number that it came to.
fn moves(stage: &Stage, scheduler: &str, trigger: &str, is_so: impl Fn(u64) -> bool) {
    let wanted = eventually(&format!("{trigger} moves {scheduler}"), LONG, || {
        Some(stage.wanted(scheduler)).filter(|wanted| is_so(*wanted))
    });
    eventually("the explanation has the figures", LONG, || {
        let told = stage.cli_ok(&["explain", scheduler, "--changes", "-n", "20"]);
        let has_all = [trigger, "%", &wanted.to_string()]
            .iter()
            .all(|part| told.contains(*part));
        has_all.then_some(())
    });
}

#[test]
fn used_processors_and_memory_move_the_number_of_rooms() {
    let stage = Stage::shared("used");
    let cpu = stage.create("cpu", &document("cpu"));
    let memory = stage.create("memory", &document("memory"));
    let (busy, full) = (stage.ready(&cpu, 1).remove(0), stage.ready(&memory, 1).remove(0));
    stage.ask(&busy, "/burn/45");
    stage.ask(&full, "/take/60");
    moves(&stage, &cpu, "cpu", |wanted| wanted > 1);
    moves(&stage, &memory, "memory", |wanted| wanted > 1);
    // The memory goes with its room, whose successor is as small as the others.
    stage.end_by(&full, "/exit/0");
    moves(&stage, &memory, "memory", |wanted| wanted == 1);
    moves(&stage, &cpu, "cpu", |wanted| wanted == 1);
}
