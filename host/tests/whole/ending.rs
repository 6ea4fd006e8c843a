//! How Maestro and its rooms end on signals, and what a Maestro that was killed leaves.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::harness::{Dev, PATIENCE, eventually, file};

const ARENA: &str = "
name: arena
game: test
image: none
shutdownTimeout: 300
autoscaling: {min: 1, max: 1}
";

/// Runs one room of this script, which writes the file `up` when it is ready for signals.
fn with_room(script: &str) -> (tempfile::TempDir, Dev) {
    let (folder, path) = file("arena.yaml", ARENA);
    let room = folder.path().join("room.sh");
    fs::write(&room, format!("cd \"$(dirname \"$0\")\"\n{script}")).unwrap();
    let dev = Dev::start(&[&path, "--room", &format!("sh {}", room.display())]);
    eventually("the room is up", PATIENCE, || {
        folder.path().join("up").exists().then_some(())
    });
    (folder, dev)
}

#[test]
fn an_echo_of_the_first_signal_leaves_rooms_their_time() {
    let script = "trap 'sleep 2; echo > asked; exit' TERM\necho > up\nwhile :; do sleep 0.1; done\n";
    let (folder, mut dev) = with_room(script);
    dev.signal(Signal::INT);
    dev.signal(Signal::TERM);
    let ended = eventually("maestro ends", PATIENCE, || dev.ended());
    assert!(ended.success());
    assert!(
        folder.path().join("asked").exists(),
        "the room was killed:\n{}",
        dev.log()
    );
}

#[test]
fn a_signal_some_time_after_the_first_ends_rooms_at_once() {
    let script = "trap '' TERM\necho > up\nwhile :; do sleep 0.1; done\n";
    let (_folder, mut dev) = with_room(script);
    let ended = eventually(
        "maestro ends long before the room's time is over",
        PATIENCE,
        || {
            dev.signal(Signal::INT);
            dev.ended()
        },
    );
    assert!(ended.success());
    assert!(dev.log().contains("ending the rooms at once"), "{}", dev.log());
}

fn temporary_folders(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.collect();
    found.sort();
    found
}

#[test]
fn what_a_killed_maestro_leaves_is_removed_by_the_next_one() {
    let root = tempfile::tempdir().unwrap();
    let (_folder, path) = file(
        "idle.yaml",
        "name: idle\ngame: test\nimage: none\nautoscaling: {min: 0}\n",
    );
    let start = || {
        Dev::start_changed(|command| {
            command.arg(&path).env("TMPDIR", root.path());
        })
    };
    let killed = start();
    let left = temporary_folders(root.path());
    assert_eq!(left.len(), 1);
    let beside = start();
    let both = temporary_folders(root.path());
    assert_eq!(both.len(), 2, "one that is in use was removed");
    killed.kill();
    assert_eq!(temporary_folders(root.path()), both);

    let next = start();
    let now = temporary_folders(root.path());
    assert_eq!(now.len(), 2, "its own, and that of the one beside");
    assert!(!now.contains(&left[0]));
    let told = format!("removed {}", left[0].display());
    assert!(next.log().contains(&told), "{}", next.log());
    assert!(beside.terminate().success() && next.terminate().success());
    assert_eq!(temporary_folders(root.path()), [] as [PathBuf; 0]);
}
