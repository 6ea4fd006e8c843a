//! The local cluster with real processes: the contract of every cluster, and what is promised only here.
#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

#[path = "shared/eventually_async.rs"]
mod eventually;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use maestro::cluster::contract::{self, Behaviour, Harness, Outcome};
use maestro::cluster::local::{Config, Ending, Local, OpenError, Program};
use maestro::cluster::{Cluster, Error, Object, Order};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::room::Phase;
use maestro_core::scheduler::{PortRange, Scheduler};
use maestro_core::time::Span;

use eventually::{PATIENCE, eventually};

/// The pause between two looks.
const MOMENT: Duration = Duration::from_millis(20);

struct Bench(Local);

#[async_trait]
impl Harness for Bench {
    fn cluster(&self) -> &dyn Cluster {
        &self.0
    }

    fn scheduler(&self, name: &str, behaviour: Behaviour) -> Scheduler {
        scheduler(name, contract::command(&behaviour))
    }

    async fn moment(&self, so_far: u32) -> bool {
        eventually_pause().await;
        MOMENT * so_far < PATIENCE
    }
}

async fn eventually_pause() {
    tokio::time::sleep(MOMENT).await;
}

fn scheduler(name: &str, cmd: Vec<String>) -> Scheduler {
    contract::scheduler(&SchedulerName::parse(name).unwrap(), cmd)
}

fn sh(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

/// Each test has ports of its own, because tests of this file run at the same time.
fn config(folder: &Path, ports: u16) -> Config {
    Config {
        folder: folder.to_owned(),
        ports: PortRange {
            start: ports,
            end: ports + 49,
        },
        advertise_host: "127.0.0.1".to_owned(),
        api_url: "http://127.0.0.1:9".to_owned(),
        program: Program::Document,
        survive: false,
        log_bytes: 1 << 20,
        measure_every: Duration::from_millis(250),
        maestro: PathBuf::from(env!("CARGO_BIN_EXE_maestro")),
        host_env: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
    }
}

async fn create(local: &Local, scheduler: &Scheduler, suffix: u32) -> Result<RoomId, Error> {
    let room = RoomId::new(&scheduler.name, suffix);
    let order = Order {
        room: room.clone(),
        version: Version::FIRST,
        token: "secret".to_owned(),
        avoid: Vec::new(),
    };
    local.create(scheduler, &order).await?;
    Ok(room)
}

async fn find(local: &Local, scheduler: &Scheduler, room: &RoomId) -> Option<Object> {
    local
        .list(&scheduler.name)
        .await
        .unwrap()
        .into_iter()
        .find(|object| object.room == *room)
}

async fn exited(local: &Local, scheduler: &Scheduler, room: &RoomId) -> (Option<i32>, String) {
    eventually("the room's end", PATIENCE, || async {
        match find(local, scheduler, room).await?.phase {
            Phase::Exited { code, reason, .. } => Some((code, reason)),
            _ => None,
        }
    })
    .await
}

/// The first line that the room printed.
async fn told(local: &Local, scheduler: &Scheduler, room: &RoomId) -> String {
    eventually("a line of output", PATIENCE, || async {
        let text = local.logs(&scheduler.name, room, 9, false).await.unwrap();
        text.lines().next().map(str::to_owned)
    })
    .await
}

/// Whether a process runs: it is there and no zombie.
fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
    })
}

fn pid(object: &Object) -> u32 {
    object.uid.split('-').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn local_processes_keep_the_contract_of_every_cluster() -> Outcome {
    let folder = tempfile::tempdir()?;
    let bench = Bench(Local::new(config(folder.path(), 21_000))?);
    contract::all(&bench).await
}

#[tokio::test]
async fn a_program_that_cannot_run_is_refused_and_leaves_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let local = Local::new(config(folder.path(), 21_050))?;
    let missing = scheduler("pong", vec!["./no-such-room".to_owned()]);
    let error = create(&local, &missing, 1).await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { reason, .. } if reason.contains("/no-such-room does not exist")),
        "{error}"
    );
    assert_eq!(local.list(&missing.name).await?, []);
    // Its name and its ports are free again.
    create(&local, &scheduler("pong", sh("sleep 600")), 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_file_that_the_kernel_cannot_run_ends_with_the_reason() -> Outcome {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("server.sh");
    // As a script that was saved on Windows has it.
    std::fs::write(&program, "#!/bin/sh\r\nexit 0\r\n")?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let local = Local::new(config(folder.path(), 21_100))?;
    let broken = scheduler("pong", vec![program.display().to_string()]);
    let room = create(&local, &broken, 1).await?;
    let (code, reason) = exited(&local, &broken, &room).await;
    assert_eq!(code, Some(127));
    assert!(reason.contains("could not be started"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn ports_run_out_with_a_way_out_and_come_back() -> Outcome {
    let folder = tempfile::tempdir()?;
    let narrow = Config {
        ports: PortRange {
            start: 21_150,
            end: 21_152,
        },
        ..config(folder.path(), 21_150)
    };
    let local = Local::new(narrow)?;
    let pong = scheduler("pong", sh("sleep 600"));
    let first = create(&local, &pong, 1).await?;
    let error = create(&local, &pong, 2).await.unwrap_err();
    assert!(
        matches!(&error, Error::Exhausted { what, .. } if what.contains("21150-21152")),
        "{error}"
    );
    assert!(error.is_retryable());
    let object = find(&local, &pong, &first).await.unwrap();
    local.delete(&pong.name, &first, &object.uid, Span::ZERO).await?;
    eventually("room for another", PATIENCE, || async {
        create(&local, &pong, 2).await.ok()
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_room_sees_a_clean_environment_and_its_ports() -> Outcome {
    let folder = tempfile::tempdir()?;
    let local = Local::new(config(folder.path(), 21_200))?;
    let pong = scheduler("pong", sh("env | sort; echo end; sleep 600"));
    let room = create(&local, &pong, 1).await?;
    let text = eventually("the environment", PATIENCE, || async {
        let text = local.logs(&pong.name, &room, 50, false).await.unwrap();
        text.ends_with("end\n").then_some(text)
    })
    .await;
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    let ours = [
        "MAESTRO_API_URL",
        "MAESTRO_PORT_CHAT",
        "MAESTRO_PORT_GAME",
        "MAESTRO_ROOM_ID",
        "MAESTRO_ROOM_TOKEN",
        "MAESTRO_SCHEDULER_NAME",
        "PATH",
    ];
    // The shell itself adds PWD and, some of them, SHLVL and `_`.
    let seen: Vec<&str> = names
        .into_iter()
        .filter(|name| !matches!(*name, "PWD" | "SHLVL" | "_" | "OLDPWD"))
        .collect();
    assert_eq!(seen, ours);
    let object = find(&local, &pong, &room).await.unwrap();
    for port in object.ports {
        assert!(text.contains(&format!(
            "MAESTRO_PORT_{}={}\n",
            port.name.to_uppercase(),
            port.port
        )));
    }
    Ok(())
}

#[tokio::test]
async fn an_end_by_signal_says_so() -> Outcome {
    let folder = tempfile::tempdir()?;
    let local = Local::new(config(folder.path(), 21_250))?;
    let pong = scheduler("pong", sh("echo out of luck; kill -SEGV $$"));
    let room = create(&local, &pong, 1).await?;
    assert_eq!(
        exited(&local, &pong, &room).await,
        (None, "SIGSEGV; out of luck".to_owned())
    );
    Ok(())
}

#[tokio::test]
async fn what_a_room_started_ends_with_it() -> Outcome {
    let folder = tempfile::tempdir()?;
    let local = Local::new(config(folder.path(), 21_300))?;
    let pong = scheduler("pong", sh("trap '' TERM; sleep 600 & echo $!"));
    let room = create(&local, &pong, 1).await?;
    let helper: u32 = told(&local, &pong, &room).await.parse()?;
    exited(&local, &pong, &room).await;
    eventually("the helper's end", PATIENCE, || async {
        (!is_running(helper)).then_some(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn output_stays_within_its_bound() -> Outcome {
    let folder = tempfile::tempdir()?;
    let local = Local::new(Config {
        log_bytes: 20_000,
        ..config(folder.path(), 21_350)
    })?;
    let pong = scheduler(
        "pong",
        sh("i=0; while :; do i=$((i+1)); echo line $i; sleep 0.0001; done"),
    );
    let room = create(&local, &pong, 1).await?;
    let before = eventually("a rotation", PATIENCE, || async {
        let text = local.logs(&pong.name, &room, 9_999, true).await.unwrap();
        (!text.is_empty()).then_some(text)
    })
    .await;
    assert!(before.len() <= 20_000);
    eventually("more output after it", PATIENCE, || async {
        let text = local.logs(&pong.name, &room, 9, false).await.unwrap();
        text.contains("line ").then_some(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn the_output_of_a_deleted_room_can_still_be_read() -> Outcome {
    let folder = tempfile::tempdir()?;
    let local = Local::new(config(folder.path(), 21_400))?;
    let pong = scheduler("pong", sh("echo last words; exit 1"));
    let room = create(&local, &pong, 1).await?;
    exited(&local, &pong, &room).await;
    let object = find(&local, &pong, &room).await.unwrap();
    local.delete(&pong.name, &room, &object.uid, Span::ZERO).await?;
    assert_eq!(local.list(&pong.name).await?, []);
    assert_eq!(told(&local, &pong, &room).await, "last words");
    local.remove(&pong.name).await?;
    assert!(matches!(
        local.logs(&pong.name, &room, 9, false).await,
        Err(Error::UnknownRoom(_))
    ));
    Ok(())
}

#[tokio::test]
async fn surviving_rooms_are_adopted_by_the_next_cluster() -> Outcome {
    let folder = tempfile::tempdir()?;
    let surviving = Config {
        survive: true,
        ..config(folder.path(), 21_450)
    };
    let pong = scheduler(
        "pong",
        sh("trap 'echo bye; exit 4' TERM; echo up; sleep 600 & wait $!"),
    );
    let brief = scheduler(
        "brief",
        sh("read line < /proc/sys/kernel/random/uuid; echo $line; sleep 600 & wait $!"),
    );

    let first = Local::new(surviving.clone())?;
    let room = create(&first, &pong, 1).await?;
    told(&first, &pong, &room).await;
    let doomed = create(&first, &brief, 1).await?;
    told(&first, &brief, &doomed).await;
    let before = find(&first, &pong, &room).await.unwrap();
    let doomed_pid = pid(&find(&first, &brief, &doomed).await.unwrap());
    drop(first);
    assert!(is_running(pid(&before)) && is_running(doomed_pid));
    // One ends while nobody looks.
    kill(doomed_pid);
    eventually("its end", PATIENCE, || async {
        (!is_running(doomed_pid)).then_some(())
    })
    .await;

    let second = Local::new(surviving)?;
    assert_eq!(
        find(&second, &pong, &room).await.unwrap(),
        before,
        "same uid, ports and start"
    );
    assert!(matches!(
        find(&second, &brief, &doomed).await.unwrap().phase,
        Phase::Exited { .. }
    ));
    let other = create(&second, &pong, 2).await?;
    let other = find(&second, &pong, &other).await.unwrap();
    assert!(
        other.ports.iter().all(|port| !before.ports.contains(port)),
        "an adopted room keeps its ports"
    );
    second.shutdown(Ending::Graceful).await;
    assert!(!is_running(pid(&before)) && !is_running(pid(&other)));
    assert_eq!(told(&second, &pong, &room).await, "up");
    assert!(
        second.logs(&pong.name, &room, 9, false).await?.contains("bye"),
        "it was asked before it ended"
    );
    Ok(())
}

#[tokio::test]
async fn rooms_end_with_a_cluster_that_is_dropped() -> Outcome {
    let folder = tempfile::tempdir()?;
    let local = Local::new(config(folder.path(), 21_500))?;
    let pong = scheduler("pong", sh("trap '' TERM; echo up; while :; do sleep 600; done"));
    let room = create(&local, &pong, 1).await?;
    told(&local, &pong, &room).await;
    let pid = pid(&find(&local, &pong, &room).await.unwrap());
    drop(local);
    assert!(!is_running(pid));
    Ok(())
}

#[tokio::test]
async fn a_second_shutdown_cuts_the_first_one_short() -> Outcome {
    let folder = tempfile::tempdir()?;
    let local = Local::new(config(folder.path(), 21_550))?;
    let mut pong = scheduler(
        "pong",
        sh("trap 'echo asked' TERM; echo up; while :; do sleep 600 & wait $!; done"),
    );
    pong.template.shutdown = Span::from_secs(3_600);
    let room = create(&local, &pong, 1).await?;
    told(&local, &pong, &room).await;
    let asked = async {
        eventually("the room is asked", PATIENCE, || async {
            let text = local.logs(&pong.name, &room, 9, false).await.unwrap();
            text.contains("asked").then_some(())
        })
        .await;
        assert!(
            create(&local, &pong, 2).await.is_err(),
            "no room is created while all are ended"
        );
        local.shutdown(Ending::Immediate).await;
    };
    tokio::join!(local.shutdown(Ending::Graceful), asked);
    assert_eq!(local.list(&pong.name).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_folder_has_one_cluster_at_a_time() -> Outcome {
    let folder = tempfile::tempdir()?;
    let first = Local::new(config(folder.path(), 21_600))?;
    assert!(matches!(
        Local::new(config(folder.path(), 21_600)),
        Err(OpenError::InUse { .. })
    ));
    drop(first);
    Local::new(config(folder.path(), 21_600))?;
    Ok(())
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
