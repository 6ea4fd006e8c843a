//! What rooms are started as, and what is refused.

use super::*;
use crate::cluster::contract;
use maestro_core::scheduler::{EnvVar, PortRange, Protocol, Scheduler};
use std::time::Duration;

fn config(program: Program) -> Config {
    Config {
        folder: PathBuf::from("/nowhere"),
        ports: PortRange { start: 1, end: 2 },
        advertise_host: "127.0.0.1".to_owned(),
        api_url: "http://127.0.0.1:8080".to_owned(),
        program,
        survive: false,
        log_bytes: 1,
        measure_every: Duration::from_secs(1),
        maestro: PathBuf::from("/bin/true"),
        host_env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
    }
}

fn scheduler(cmd: &[&str]) -> Scheduler {
    let name = SchedulerName::parse("pong").unwrap();
    contract::scheduler(&name, cmd.iter().map(|word| (*word).to_owned()).collect())
}

fn with_env(name: &str, value: EnvValue) -> Scheduler {
    let mut scheduler = scheduler(&["sh"]);
    scheduler.template.containers[0].env.push(EnvVar {
        name: name.to_owned(),
        value,
    });
    scheduler
}

fn plan(program: Program, scheduler: &Scheduler) -> Result<Blueprint, String> {
    let ports = [OpenPort {
        name: "game-binary".to_owned(),
        protocol: Protocol::Udp,
        port: 20_001,
    }];
    let room = RoomId::new(&scheduler.name, 1);
    let tenant = Tenant {
        scheduler: &scheduler.name,
        room: &room,
        version: Version::FIRST,
        token: "secret",
        ports: &ports,
    };
    blueprint(&config(program), &scheduler.template, &tenant)
}

#[track_caller]
fn refused(program: Program, scheduler: &Scheduler, expected: &str) {
    let reason = plan(program, scheduler).unwrap_err();
    assert!(reason.contains(expected), "{reason}");
}

#[test]
fn a_room_sees_its_identity_and_nothing_of_the_host() {
    let scheduler = with_env("MODE", EnvValue::Literal("ranked".to_owned()));
    let env = plan(Program::Document, &scheduler).unwrap().env;
    let expected = [
        ("MAESTRO_API_URL", "http://127.0.0.1:8080"),
        ("MAESTRO_PORT_GAME_BINARY", "20001"),
        ("MAESTRO_ROOM_ID", "pong-00000001"),
        ("MAESTRO_ROOM_TOKEN", "secret"),
        ("MAESTRO_SCHEDULER_NAME", "pong"),
        ("MODE", "ranked"),
        ("PATH", "/usr/bin:/bin"),
    ];
    assert_eq!(
        env.iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn a_document_overrides_the_host_and_never_us() {
    let mut scheduler = with_env("PATH", EnvValue::Literal("/bin".to_owned()));
    let id = EnvVar {
        name: ROOM_ID.to_owned(),
        value: EnvValue::Literal("other".to_owned()),
    };
    scheduler.template.containers[0].env.push(id);
    let env = plan(Program::Document, &scheduler).unwrap().env;
    assert_eq!(
        (env["PATH"].as_str(), env[ROOM_ID].as_str()),
        ("/bin", "pong-00000001")
    );
}

#[test]
fn fields_of_the_pod_have_local_counterparts() {
    let field = |path: &str| {
        let scheduler = with_env(
            "F",
            EnvValue::Field {
                path: path.to_owned(),
            },
        );
        plan(Program::Document, &scheduler).map(|blueprint| blueprint.env["F"].clone())
    };
    assert_eq!(field("metadata.name").unwrap(), "pong-00000001");
    assert_eq!(field("status.podIP").unwrap(), "127.0.0.1");
    assert!(
        field("status.startTime").unwrap_err().contains("metadata.name"),
        "those that exist are named"
    );
}

#[test]
fn secrets_are_refused_with_a_way_out() {
    let secret = EnvValue::SecretKey {
        name: "db".to_owned(),
        key: "password".to_owned(),
    };
    refused(
        Program::Document,
        &with_env("PASSWORD", secret),
        "give it a `value`",
    );
}

#[test]
fn programs_are_found_as_a_shell_finds_them() {
    let blueprint = plan(Program::Document, &scheduler(&["sh", "-c", "true"])).unwrap();
    assert!(blueprint.program.ends_with("sh") && blueprint.program.is_absolute());
    assert_eq!(blueprint.args, ["-c", "true"]);
    let own = Program::Command("/bin/sh -c 'echo \"a b\"'".to_owned());
    assert_eq!(plan(own, &scheduler(&[])).unwrap().args, ["-c", "echo \"a b\""]);
    let example = Program::Example {
        args: vec!["--matches".to_owned(), "none".to_owned()],
    };
    assert_eq!(
        plan(example, &scheduler(&[])).unwrap().args,
        ["room", "--matches", "none"]
    );
    let wrapped = Program::Command("maestro wrap -- sh".to_owned());
    let blueprint = plan(wrapped, &scheduler(&[])).unwrap();
    assert_eq!(
        blueprint.program,
        Path::new("/bin/true"),
        "the one that runs here"
    );
    assert_eq!(blueprint.args, ["wrap", "--", "sh"]);
}

#[test]
fn programs_that_cannot_run_are_refused_with_a_hint() {
    refused(
        Program::Document,
        &scheduler(&["./no-such-room"]),
        "paths count from the folder",
    );
    refused(
        Program::Document,
        &scheduler(&["no-such-room"]),
        "in none of the folders of PATH",
    );
    refused(Program::Document, &scheduler(&["/etc/passwd"]), "chmod +x");
    refused(Program::Document, &scheduler(&["/tmp"]), "is a folder");
    refused(Program::Document, &scheduler(&[]), "--room");
    refused(Program::Command("  ".to_owned()), &scheduler(&[]), "is empty");
    refused(
        Program::Command("server 'half".to_owned()),
        &scheduler(&[]),
        "open quote",
    );
    let mut two = scheduler(&["sh"]);
    two.template.containers.push(two.template.containers[0].clone());
    refused(Program::Document, &two, "2 containers");
}

#[test]
fn addresses_tell_their_family() {
    let family = |host: &str| address(host).family;
    assert_eq!(
        [family("10.0.0.1"), family("::1"), family("play.example.org")],
        ["IPv4", "IPv6", "DNS"]
    );
}
