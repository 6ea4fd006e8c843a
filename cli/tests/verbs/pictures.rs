//! Pictures of what was decided.

use super::ARENA;
use super::beside::{Dev, PATIENCE, eventually};

#[test]
fn decisions_are_drawn() {
    let dev = Dev::start(&[]);
    dev.ok(&["create", &dev.file("arena.yaml", ARENA)]);
    dev.ok(&["wait", "arena", "--for", "ready"]);
    dev.ok(&["scale", "arena", "-r", "5"]);
    let points = eventually("a decision with five rooms", PATIENCE, || {
        let points = dev.json(&["explain", "arena", "--plot"]);
        (points.as_array()?.last()?["ready"] == 5).then_some(points)
    });
    assert_eq!(points.as_array().unwrap().last().unwrap()["wanted"], 5);
    let drawn = dev.ok(&["explain", "arena", "--plot", "-n", "50"]);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines.len(), 1 + 12 + 3, "{drawn}");
    assert!(lines[1].starts_with("    5 │"), "{drawn}");
    assert!(lines[15].contains("█ occupied  ░ ready  ▁ wanted"), "{drawn}");
    assert!(!drawn.contains('\x1b'), "no colours in a file");

    let file = dev.file("arena.svg", "");
    assert_eq!(
        dev.ok(&["export", "arena", "--svg", &file]),
        format!("wrote {file}\n")
    );
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with("<svg ") && text.contains("<title>Rooms of arena</title>"),
        "{text}"
    );
    assert!(dev.ok(&["export", "arena", "--svg", "-"]).starts_with("<svg "));
    assert!(dev.json(&["export", "arena", "--svg", &file])["points"].as_u64() > Some(1));
    let nowhere = dev.run(&["export", "arena", "--svg", "/nowhere/arena.svg"]);
    assert_eq!(nowhere.code, 1);
    assert!(
        nowhere.err.contains("can't write /nowhere/arena.svg"),
        "{}",
        nowhere.err
    );
}
