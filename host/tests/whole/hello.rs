//! The loop as a newcomer sees it: occupancy rises, rooms come; matches end, rooms go; no match is cut short.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::harness::{Dev, PATIENCE, eventually, file, room_processes};

/// Rooms report only what the test says; short windows, so that a minute is enough.
const MANUAL: &str = "
name: arena
game: test
image: none
ports:
  - {name: game, containerPort: 5050, protocol: TCP}
shutdownTimeout: 5
autoscaling:
  min: 2
  max: 8
  up:
    cooldown: 1
    metricsTrigger:
      - {type: room, usage: 60, threshold: 50, time: 3, limit: 90}
  down:
    cooldown: 1
    metricsTrigger:
      - {type: room, usage: 40, threshold: 50, time: 3}
";

fn wanted(dev: &Dev) -> u64 {
    dev.get("/scheduler/arena")["wanted"].as_u64().unwrap()
}

#[test]
fn occupancy_scales_up_and_down_and_no_occupied_room_is_ended() {
    let (_folder, path) = file("arena.yaml", MANUAL);
    let dev = Dev::start(&[&path, "--matches", "none"]);
    let ready = eventually("two rooms are ready", PATIENCE, || {
        let ready = dev.in_state("arena", "ready");
        (ready.len() == 2).then_some(ready)
    });

    // Both get a match: use is 100 %, above `limit`, so more rooms come at once.
    for room in &ready {
        begin_match(&dev, room, Duration::from_secs(300));
    }
    eventually("both rooms report their match", PATIENCE, || {
        (dev.in_state("arena", "occupied").len() == 2).then_some(())
    });
    let up = eventually("the room policy asks for more", PATIENCE, || {
        Some(wanted(&dev)).filter(|n| *n > 2)
    });
    eventually(
        "the explanation names the trigger and the number",
        PATIENCE,
        || {
            let told = dev.cli_ok(&["explain", "arena", "--changes", "-n", "3"]);
            (told.contains("up[0]") && told.contains(&up.to_string())).then_some(())
        },
    );
    eventually("the new rooms are ready", PATIENCE, || {
        (dev.in_state("arena", "ready").len() as u64 + 2 >= up).then_some(())
    });

    // More rooms by hand, so that two matches are little; then the policy takes the idle ones back.
    dev.cli_ok(&["scale", "arena", "--replicas", "8"]);
    eventually("eight rooms", PATIENCE, || {
        (dev.in_state("arena", "ready").len() == 6).then_some(())
    });
    let down = eventually("the room policy asks for fewer", PATIENCE, || {
        Some(wanted(&dev)).filter(|n| *n < 8)
    });
    assert!(down >= 2, "below the rooms in use: {down}");
    eventually("idle rooms leave", PATIENCE, || {
        (dev.rooms("arena").len() < 8).then_some(())
    });
    let occupied: BTreeSet<String> = dev.in_state("arena", "occupied").into_iter().collect();
    assert_eq!(
        occupied,
        ready.iter().cloned().collect(),
        "a room in a match is gone:\n{}",
        dev.log()
    );
    eventually(
        "the explanation of the scale-down has its figures",
        PATIENCE,
        || {
            let told = dev.cli_ok(&["explain", "arena", "-n", "20"]);
            told.contains("40").then_some(())
        },
    );

    let url = dev.url.clone();
    assert!(dev.terminate().success());
    eventually("no room is left behind", PATIENCE, || {
        room_processes(&url).is_empty().then_some(())
    });
}

/// Starts a match in an example room the way a matchmaker does.
pub(crate) fn begin_match(dev: &Dev, room: &str, length: Duration) {
    use std::io::{BufRead, BufReader, Write};
    let scheduler = room.rsplit_once('-').unwrap().0;
    let address: Value = dev.get(&format!("/scheduler/{scheduler}/rooms/{room}/address"));
    let port = u16::try_from(address["ports"][0]["port"].as_u64().unwrap()).unwrap();
    let mut stream = std::net::TcpStream::connect((address["host"].as_str().unwrap(), port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    writeln!(stream, "match {}", length.as_millis()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert_eq!(answer.trim(), "ok");
}

#[test]
fn hello_scales_up_and_down_within_its_squeezed_day() {
    let dev = Dev::start(&[]);
    let numbers = |dev: &Dev| -> Vec<u64> {
        // The API answers before the scheduler is stored: then there is nothing to read yet.
        let page = dev.get("/scheduler/hello/decisions?limit=100&changes=true");
        let decisions = page["decisions"].as_array().cloned().unwrap_or_default();
        let mut wanted: Vec<u64> = decisions.iter().filter_map(|d| d["wanted"].as_u64()).collect();
        wanted.reverse();
        wanted
    };
    let day = Duration::from_secs(120);
    eventually("more rooms are wanted", day, || {
        numbers(&dev).windows(2).any(|w| w[1] > w[0]).then_some(())
    });
    eventually("fewer rooms are wanted", day, || {
        numbers(&dev).windows(2).any(|w| w[1] < w[0]).then_some(())
    });
    let told = dev.cli_ok(&["explain", "hello"]);
    assert!(told.lines().count() > 1, "{told}");
    let url = dev.url.clone();
    assert!(dev.terminate().success());
    eventually("no room is left behind", PATIENCE, || {
        room_processes(&url).is_empty().then_some(())
    });
}
