//! cpu and memory triggers act on what room processes really use.

use std::time::Duration;

use super::harness::{Dev, PATIENCE, eventually, file};
use super::hello::begin_match;

/// One room whose example program works or remembers while it holds a match.
fn document(kind: &str) -> String {
    format!(
        "
name: heavy
game: test
image: none
ports: [{{name: game, containerPort: 5050, protocol: TCP}}]
requests: {{cpu: 200m, memory: 48Mi}}
shutdownTimeout: 5
autoscaling:
  min: 1
  max: 4
  up:
    cooldown: 1
    metricsTrigger:
      - {{type: {kind}, usage: 70, threshold: 50, time: 4}}
"
    )
}

fn fires(kind: &str, load: &[&str]) {
    let (_folder, path) = file("heavy.yaml", &document(kind));
    let program = format!("{} room {}", env!("CARGO_BIN_EXE_maestro"), load.join(" "));
    let dev = Dev::start(&[&path, "--room", &program]);
    let room = eventually("one room is ready", PATIENCE, || {
        dev.in_state("heavy", "ready").pop()
    });
    begin_match(&dev, &room, Duration::from_secs(120));
    let wanted = eventually("the trigger asks for more rooms", PATIENCE, || {
        dev.get("/scheduler/heavy")["wanted"]
            .as_u64()
            .filter(|wanted| *wanted > 1)
    });
    eventually("the explanation has the figures", PATIENCE, || {
        let told = dev.cli_ok(&["explain", "heavy", "--changes", "-n", "20"]);
        (told.contains(&wanted.to_string()) && told.contains('%')).then_some(())
    });
    assert!(dev.terminate().success());
}

#[test]
fn a_cpu_trigger_fires_on_real_load() {
    fires("cpu", &["--burn-cpu", "0.8"]);
}

#[test]
fn a_memory_trigger_fires_on_real_load() {
    fires("memory", &["--hold-memory", "96MiB"]);
}
