//! Verbs that go on: what they print as things happen, and how they end.

use super::ARENA;
use super::beside::{Dev, Following, PATIENCE, eventually};

#[test]
fn a_scheduler_is_watched_until_it_is_gone() {
    let dev = Dev::start(&[]);
    dev.ok(&["create", &dev.file("arena.yaml", ARENA)]);
    dev.ok(&["wait", "arena", "--for", "ready"]);
    let mut watch = Following::start(dev.url(), &["watch", "arena"]);
    let json = Following::start(dev.url(), &["watch", "arena", "-o", "json"]);
    watch.says("2 ready, 0 occupied, 0 creating, 0 ending; wanted 2; ");
    json.says("\"roomsAtReady\":2,");
    dev.ok(&["scale", "arena", "-r", "3"]);
    watch.says("3 ready, 0 occupied, 0 creating, 0 ending; wanted 3; ");
    json.says("\"roomsAtReady\":3,");
    dev.ok(&["delete", "arena", "--yes"]);
    assert_eq!(
        eventually("the end", PATIENCE, || watch.code()),
        0,
        "{:?}",
        watch.lines()
    );
    let lines = watch.lines();
    let bodies: Vec<&str> = lines
        .iter()
        .filter_map(|line| Some(line.split_once("  ")?.1))
        .collect();
    assert!(
        bodies.len() == lines.len() && bodies.windows(2).all(|pair| pair[0] != pair[1]),
        "a line for each change: {lines:?}"
    );
}

#[test]
fn all_schedulers_are_told_once_where_nobody_looks() {
    let dev = Dev::start(&[]);
    dev.ok(&["create", &dev.file("arena.yaml", ARENA)]);
    dev.ok(&["wait", "arena", "--for", "ready"]);
    let top = dev.ok(&["top"]);
    let lines: Vec<&str> = top.lines().collect();
    assert_eq!(
        lines[0],
        "2 schedulers; 2 rooms ready, 0 occupied, 0 creating, 0 ending; 2 wanted"
    );
    assert!(
        lines[1].starts_with("NAME ") && lines[2].starts_with("arena ") && lines[3].starts_with("idle "),
        "{top}"
    );
    assert_eq!(dev.json(&["top"])[0]["roomsReady"], 2);
}

#[test]
fn a_rooms_output_is_followed_line_by_line() {
    let dev = Dev::start(&[]);
    dev.ok(&["create", &dev.file("arena.yaml", ARENA)]);
    dev.ok(&["wait", "arena", "--for", "ready"]);
    let rooms = dev.json(&["rooms", "arena"]);
    let room = rooms[0]["roomId"].as_str().unwrap();
    let mut follow = Following::start(dev.url(), &["logs", room, "--follow"]);
    let json = Following::start(dev.url(), &["logs", room, "-f", "--previous", "-o", "json"]);
    follow.says(&format!("{room} is getting ready"));
    json.says(&format!(
        "{{\"room\":\"{room}\",\"line\":\"{room} is getting ready\"}}"
    ));
    dev.ok(&["delete", "arena", "--yes"]);
    let code = eventually("the room is gone", PATIENCE, || follow.code());
    let lines = follow.lines();
    assert_eq!(code, 0, "{lines:?}");
    let begins = lines
        .iter()
        .filter(|line| line.ends_with(" is getting ready"))
        .count();
    assert_eq!(begins, 1, "no line comes twice: {lines:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_rooms_output_ends_with_the_room() {
    let dev = Dev::start(&[]);
    dev.ok(&["create", &dev.file("arena.yaml", ARENA)]);
    dev.ok(&["wait", "arena", "--for", "ready"]);
    let room = dev.json(&["rooms", "arena"])[0]["roomId"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut follow = Following::start(dev.url(), &["logs", "-f", &room]);
    let before = dev.json(&["logs", &room])["lines"].as_array().unwrap().len();
    let mut newest = Following::start(dev.url(), &["logs", "-f", "-n", "1", &room]);
    follow.says(&format!("{room} is getting ready"));
    eventually("the newest line", PATIENCE, || newest.lines().pop());
    kill(&room);
    for (what, following) in [("all", &mut follow), ("the newest", &mut newest)] {
        let code = eventually(what, PATIENCE, || following.code());
        assert_eq!(code, 0, "{what}: {:?}", following.lines());
        following.tells(&format!("{room} is gone"), 1);
    }
    // Its log outlives it, and is what was followed.
    let log = dev.json(&["logs", &room]);
    let whole: Vec<&str> = log["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|line| line.as_str())
        .collect();
    assert_eq!(follow.lines(), whole);
    assert!(
        newest.lines().len() <= 1 + whole.len() - before.min(whole.len()),
        "{:?}",
        newest.lines()
    );
}

/// Kills the process of a room, which its environment tells.
#[cfg(target_os = "linux")]
fn kill(room: &str) {
    let variable = format!("MAESTRO_ROOM_ID={room}");
    for process in std::fs::read_dir("/proc").unwrap().map_while(Result::ok) {
        let Some(id) = process.file_name().to_str().and_then(|id| id.parse().ok()) else {
            continue;
        };
        // Those of others can't be read.
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        if environment
            .split(|byte| *byte == 0)
            .any(|one| one == variable.as_bytes())
        {
            let id = rustix::process::Pid::from_raw(id).unwrap();
            rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
        }
    }
}

#[test]
fn what_was_just_asked_for_is_waited_for() {
    let dev = Dev::start(&[]);
    dev.ok(&["create", &dev.file("arena.yaml", ARENA)]);
    for rooms in [5_u32, 3, 6, 2, 4, 6] {
        dev.ok(&["scale", "arena", "-r", &rooms.to_string()]);
        dev.ok(&["wait", "arena", "--for", "ready"]);
        let status = dev.json(&["status", "arena"]);
        let there = status["roomsByState"]["ready"].as_u64().unwrap();
        assert_eq!(
            (&status["wanted"], &status["pending"]),
            (&rooms.into(), &serde_json::json!([]))
        );
        assert!(there >= rooms.into(), "{status}");
    }
    // The same of a new version: its minimum counts.
    let more = dev.file("arena.yaml", ARENA.replace("min: 2", "min: 5"));
    dev.ok(&["scale", "arena", "-r", "2"]);
    dev.ok(&["wait", "arena", "--for", "ready"]);
    dev.ok(&["apply", "-f", &more]);
    dev.ok(&["wait", "arena", "--for", "ready"]);
    // Some of before may still be on their way out, and are no rooms to count on.
    assert_eq!(dev.json(&["status", "arena"])["roomsByState"]["ready"], 5);
}
