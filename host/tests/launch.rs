//! The hidden verb `launch-room`: whose fate a room shares, and what the guard ends.
#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

#[path = "shared/eventually.rs"]
mod eventually;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use maestro::cluster::local::{Config, Local, Program};
use maestro::cluster::{Cluster, Order, contract};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::scheduler::PortRange;

use eventually::{PATIENCE, eventually};

const MAESTRO: &str = env!("CARGO_BIN_EXE_maestro");

/// The number that a room printed.
async fn eventually_told(local: &Local, scheduler: &SchedulerName, room: &RoomId) -> u32 {
    let end = Instant::now() + PATIENCE;
    loop {
        let text = local.logs(scheduler, room, 1, false).await.unwrap();
        if let Ok(number) = text.trim().parse() {
            return number;
        }
        assert!(Instant::now() < end, "waited in vain: a number in {text:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs: it is there and no zombie.
fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
    })
}

/// A process that stands in for Maestro: it launches a room, and waits.
fn parent(fate: &str, folder: &Path) -> Child {
    let script = r#""$0" launch-room $$ "$1" "$2" sleep 600 & wait"#;
    Command::new("sh")
        .args(["-c", script, MAESTRO, fate])
        .arg(folder)
        .spawn()
        .unwrap()
}

/// The room's pid, as its launcher wrote it down, once its program runs.
fn room(folder: &Path) -> u32 {
    eventually("the room", PATIENCE, || {
        let note = std::fs::read_to_string(folder.join("process")).ok()?;
        let pid = note.split('-').next()?.parse().ok()?;
        let program = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (program == "sleep\n").then_some(pid)
    })
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_room_that_shares_our_fate_is_killed_with_us() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = parent("die", folder.path());
    let room = room(folder.path());
    parent.kill().unwrap();
    eventually("its end", PATIENCE, || (!is_running(room)).then_some(()));
    parent.wait().unwrap();
}

#[test]
fn a_room_with_a_fate_of_its_own_survives_us() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = parent("survive", folder.path());
    let room = room(folder.path());
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(is_running(room));
    kill(room);
    eventually("its end", PATIENCE, || (!is_running(room)).then_some(()));
}

#[test]
fn a_room_without_its_maestro_never_begins() {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    // A launcher whose parent is not the one that it was told.
    let output = Command::new(MAESTRO)
        .args(["launch-room", "1", "survive"])
        .arg(folder.path())
        .arg("touch")
        .arg(&begun)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Maestro ended before the room began"));
    assert!(!begun.exists());
}

#[tokio::test]
async fn the_guard_ends_all_that_rooms_started() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::new(Config {
        folder: folder.path().to_owned(),
        ports: PortRange {
            start: 22_500,
            end: 22_549,
        },
        advertise_host: "127.0.0.1".to_owned(),
        api_url: "http://127.0.0.1:9".to_owned(),
        program: Program::Document,
        survive: true,
        log_bytes: 1 << 20,
        measure_every: Duration::from_secs(1),
        maestro: PathBuf::from(MAESTRO),
        host_env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
    })
    .unwrap();
    let name = SchedulerName::parse("pong").unwrap();
    let script = "sleep 600 & echo $!; wait";
    let scheduler = contract::scheduler(&name, ["sh", "-c", script].map(str::to_owned).to_vec());
    let room = RoomId::new(&name, 1);
    let order = Order {
        room: room.clone(),
        version: Version::FIRST,
        token: "secret".to_owned(),
        avoid: Vec::new(),
    };
    local.create(&scheduler, &order).await.unwrap();
    let helper: u32 = eventually_told(&local, &name, &room).await;
    let first: u32 = local.list(&name).await.unwrap()[0]
        .uid
        .split('-')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    drop(local);

    let mut guard = Command::new(MAESTRO)
        .args(["launch-room", "guard"])
        .arg(folder.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(is_running(first) && is_running(helper));
    // As the kernel does when Maestro is killed; the helper is all that is left then.
    kill(first);
    eventually("the end of the room's first process", PATIENCE, || {
        (!is_running(first)).then_some(())
    });
    assert!(is_running(helper));
    drop(guard.stdin.take());
    assert!(guard.wait().unwrap().success());
    eventually("the helper's end", PATIENCE, || {
        (!is_running(helper)).then_some(())
    });
}
