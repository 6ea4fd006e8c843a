//! What happened, told once and as it happens.

use super::ARENA;
use super::beside::{Dev, Following, PATIENCE, eventually};
use super::door::Door;

fn with_arena() -> Dev {
    let dev = Dev::start(&[]);
    dev.ok(&["create", &dev.file("arena.yaml", ARENA)]);
    dev
}

#[test]
fn events_are_listed_newest_last() {
    let dev = with_arena();
    dev.ok(&["scale", "arena", "-r", "3"]);
    let table = dev.ok(&["events", "arena"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("TIME ") && lines[0].ends_with("DETAILS"),
        "{table}"
    );
    assert!(
        lines[1].contains("schedulerCreated") && lines[1].ends_with("version=v1.0"),
        "{table}"
    );
    let list = dev.json(&["events", "arena"]);
    let scaled = list
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["name"] == "scaleRequested");
    assert_eq!(scaled.unwrap()["metadata"]["wanted"], 3);
    assert_eq!(
        dev.json(&["events", "idle", "-n", "9"])[0]["schedulerName"],
        "idle"
    );

    let all = dev.ok(&["events", "--since", "1h"]);
    assert!(all.contains(" idle ") && all.contains(" arena "), "{all}");
    assert_eq!(dev.json(&["events", "-n", "1"]).as_array().unwrap().len(), 1);
    let later = dev.run(&["events", "--since", "2999-01-01T00:00:00Z"]);
    assert_eq!((later.code, later.out.as_str()), (0, ""));
    assert!(later.err.contains("nothing happened"), "{}", later.err);

    for (arguments, code, words) in [
        (["events", "aren"].as_slice(), 3, "did you mean `arena`?"),
        (&["events", "--since", "soon"], 2, "as in 90s, 10m or 2h"),
        (&["events", "--room", "arena"], 2, "is not a room's name"),
        (
            &["events", "idle", "--room", "arena-0000000a"],
            3,
            "is no room of idle",
        ),
        (&["events", "-n", "10001"], 2, "1..=10000"),
        (&["events", "-n", "0"], 2, "1..=10000"),
    ] {
        let ran = dev.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn events_are_followed_until_the_scheduler_is_gone() {
    let dev = with_arena();
    let mut follow = Following::start(dev.url(), &["events", "arena", "-f"]);
    let all = Following::start(dev.url(), &["events", "-f", "-n", "1", "-o", "json"]);
    follow.says("schedulerCreated");
    all.says("\"schedulerName\":\"arena\"");
    dev.ok(&["scale", "arena", "-r", "3"]);
    follow.says("scaleRequested    arena  wanted=3");
    all.says("\"metadata\":{\"wanted\":3}");
    dev.ok(&["delete", "arena", "--yes"]);
    let code = eventually("the end", PATIENCE, || follow.code());
    assert_eq!(code, 0, "{:?}", follow.lines());
    follow.says("schedulerDeleted");
    follow.says("schedulerRemoved");
    follow.tells("arena is gone", 1);
    all.says("\"schedulerRemoved\"");
}

/// How often a line with these words came.
fn count(follow: &Following, words: &str) -> usize {
    follow.lines().iter().filter(|line| line.contains(words)).count()
}

#[test]
fn nothing_is_missed_and_nothing_told_twice_when_maestro_goes_away() {
    let (dev, other) = (with_arena(), with_arena());
    let door = Door::to(dev.url());
    let follow = Following::start(&door.url, &["events", "-f"]);
    follow.says("schedulerCreated  arena");
    door.shut();
    follow.tells("; trying again", 1);
    // More than one answer holds.
    for n in 0..210 {
        dev.ok(&["scale", "arena", "-r", &(2 + n % 3).to_string()]);
    }
    door.lead(dev.url());
    follow.tells("Maestro answers again", 1);
    eventually("all that was asked for", PATIENCE, || {
        (count(&follow, "scaleRequested") >= 210).then_some(())
    });
    dev.ok(&["scale", "arena", "-r", "6"]);
    follow.says("scaleRequested    arena  wanted=6");
    assert_eq!(count(&follow, "scaleRequested"), 211);
    assert_eq!(count(&follow, "schedulerCreated  arena"), 1);

    // Another one, whose numbers begin anew: what happened there is all new.
    door.shut();
    follow.tells("; trying again", 2);
    other.ok(&["scale", "arena", "-r", "5"]);
    door.lead(other.url());
    follow.says("scaleRequested    arena  wanted=5");
    assert_eq!(count(&follow, "schedulerCreated  arena"), 2);
}

#[test]
fn a_watch_goes_on_when_maestro_is_back() {
    let dev = with_arena();
    dev.ok(&["wait", "arena", "--for", "ready"]);
    let door = Door::to(dev.url());
    let watch = Following::start(&door.url, &["watch", "arena"]);
    watch.says("2 ready, 0 occupied, 0 creating, 0 ending; wanted 2; ");
    door.shut();
    watch.tells("; trying again", 1);
    dev.ok(&["scale", "arena", "-r", "4"]);
    door.lead(dev.url());
    watch.says("4 ready, 0 occupied, 0 creating, 0 ending; wanted 4; ");
    watch.tells("Maestro answers again", 1);
}
