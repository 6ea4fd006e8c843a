//! Each verb against a running Maestro: what it prints for people and for programs, and its exit code.
//!
//! The real `maestro dev` runs beside, on a free port of this machine, and ends with its test.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it can't go on"
)]

#[path = "../../../host/tests/shared/running.rs"]
mod running;
mod beside;
mod door;
mod apply;
mod contexts;
mod events;
mod follow;
mod mistakes;
mod pictures;
mod safe;
mod terminals;
mod tokens;

use std::process::{Command, Stdio};

use beside::{CLI, Dev, PATIENCE, eventually, run, stranger};
use serde_json::Value;

/// Two rooms at once, and no trigger that changes that.
pub(crate) const ARENA: &str = "
name: arena
game: test
image: none
ports: [{name: game, containerPort: 5050, protocol: TCP}]
shutdownTimeout: 5
autoscaling: {min: 2, max: 6}
";

/// Its last key has a warning.
const ODD: &str = "name: odd\ngame: test\nimage: none\nautoscaling: {min: 0}\nshutdownTimeout: 0\n";

#[test]
fn schedulers_are_created_changed_and_deleted() {
    let dev = Dev::start(&[]);
    let arena = dev.file("arena.yaml", ARENA);
    let told = dev.ok(&["create", &arena]);
    assert_eq!(
        told,
        "created arena; see how it comes up: maestro-cli status arena\n"
    );
    let again = dev.run(&["create", &arena]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("maestro-cli update"), "{}", again.err);
    let odd = dev.run(&["create", &dev.file("odd.yaml", ODD), "-o", "json"]);
    let created: Value = serde_json::from_str(&odd.out).unwrap();
    assert_eq!(created[0]["schedulers"][0], "odd");
    assert_eq!(created[0]["version"], "v1.0");
    assert!(odd.err.contains("odd.yaml:5:18: shutdownTimeout"), "{}", odd.err);

    let listed = dev.ok(&["get"]);
    assert!(listed.starts_with("NAME "), "{listed}");
    assert!(listed.contains("\narena "), "{listed}");
    assert_eq!(dev.json(&["get"])[0]["name"], "arena");
    assert!(dev.ok(&["get", "-o", "yaml"]).starts_with("- name: arena\n"));
    assert_eq!(dev.ok(&["get", "arena"]), ARENA);
    assert_eq!(dev.ok(&["get", "scheduler", "arena", "-o", "yaml"]), ARENA);
    assert_eq!(dev.json(&["get", "arena"])["autoscaling"]["min"], 2);

    let same = dev.ok(&["update", &arena]);
    assert_eq!(same, "arena: nothing changed, it stays v1.0\n");
    let changed = dev.file("arena.yaml", ARENA.replace("max: 6", "max: 5"));
    let updated = dev.json(&["update", &changed]);
    assert_eq!(
        (&updated[0]["schedulers"][0], &updated[0]["version"]),
        (&"arena".into(), &"v1.1".into())
    );
    assert!(dev.ok(&["get", "arena", "--version", "v1.0"]).contains("max: 6"));

    let gone = dev.run(&["delete", "nobody", "odd", "--yes", "-o", "yaml"]);
    assert_eq!(gone.code, 3, "one of them is unknown");
    assert!(
        gone.out.contains("- odd"),
        "the other is deleted all the same: {}",
        gone.out
    );
    assert!(gone.err.contains("nobody"), "{}", gone.err);
    assert!(dev.ok(&["delete", "arena", "--yes"]).starts_with("arena: "));
    eventually("both are gone", PATIENCE, || {
        (dev.json(&["get"]).as_array()?.len() == 1).then_some(())
    });
}

#[test]
fn a_schedulers_rooms_are_told_and_scaled() {
    let dev = Dev::start(&[]);
    dev.ok(&["create", &dev.file("arena.yaml", ARENA)]);
    let rooms = eventually("two ready rooms", PATIENCE, || {
        let rooms = dev.json(&["rooms", "arena", "ready"]);
        (rooms.as_array()?.len() == 2).then_some(rooms)
    });
    let room = rooms[0]["roomId"].as_str().unwrap();

    let status = dev.ok(&["status", "arena"]);
    assert!(status.starts_with("arena v1.0 of the game test, "), "{status}");
    assert!(status.contains("\nrooms   2 ready, 0 occupied, "), "{status}");
    assert_eq!(dev.json(&["status", "arena"])["roomsAtReady"], 2);
    let table = dev.ok(&["rooms", "arena"]);
    assert!(table.starts_with("ROOM ") && table.contains(room), "{table}");
    assert!(dev.ok(&["rooms", "arena", "-o", "yaml"]).contains(room));

    let one = dev.ok(&["room", room]);
    assert!(one.starts_with(&format!("{room} is ready (well)\n")), "{one}");
    assert_eq!(
        dev.ok(&["room", "arena", room, "-o", "json"]),
        dev.ok(&["room", room, "-o", "json"])
    );
    assert_eq!(dev.json(&["room", room])["roomId"], room);
    let log = eventually("its first words", PATIENCE, || {
        Some(dev.json(&["logs", room])).filter(|log| log["lines"][0].is_string())
    });
    assert_eq!(log["room"], room);
    assert!(dev.ok(&["logs", room, "-n", "1"]).lines().count() == 1);

    assert_eq!(
        dev.ok(&["scale", "arena", "--replicas", "3"]),
        "arena: wanted is 3 now\n"
    );
    let clamped = dev.ok(&["scale", "arena", "--up", "9"]);
    assert!(
        clamped.starts_with("arena: wanted is 6 now (12 asked for)\n"),
        "{clamped}"
    );
    assert_eq!(dev.json(&["scale", "arena", "--down", "2"])["wanted"], 4);
}

#[test]
fn scaling_down_is_paused_and_resumed() {
    let dev = Dev::start(&[]);
    let paused = dev.ok(&["scale-in", "pause", "idle"]);
    let words = "idle: scaling down is paused by hand since ";
    assert!(paused.starts_with(words), "{paused}");
    assert!(
        paused.ends_with("; maestro-cli scale-in resume idle\n"),
        "{paused}"
    );
    assert_eq!(
        dev.ok(&["scale-in", "pause", "idle"]),
        paused,
        "twice is harmless"
    );
    let status = dev.ok(&["status", "idle"]);
    assert!(
        status.contains("\npaused  scaling down is paused by hand since "),
        "{status}"
    );
    assert!(dev.json(&["status", "idle"])["scaleInPausedSince"].is_string());
    let offered = dev.ok(&["__names", "--", "scale-in", "resume"]);
    assert_eq!(offered, "idle\n");
    assert_eq!(dev.json(&["scale-in", "resume", "idle"])["paused"], false);
    assert!(!dev.ok(&["status", "idle"]).contains("paused"));
}

#[test]
fn decisions_are_explained() {
    let dev = Dev::start(&[]);
    dev.ok(&["create", &dev.file("arena.yaml", ARENA)]);
    dev.ok(&["scale", "arena", "-r", "5"]);
    dev.ok(&["scale", "arena", "-r", "2"]);
    eventually("both decisions", PATIENCE, || {
        (dev.json(&["explain", "arena", "--changes", "-n", "2"])
            .as_array()?
            .len()
            == 2)
            .then_some(())
    });
    let told = dev.ok(&["explain", "arena", "--changes", "-n", "2"]);
    let (up, down) = told.split_once("\n\n").unwrap();
    assert!(up.contains("Scaled up from 2 to 5 rooms by hand."), "{told}");
    assert!(down.contains("Scaled down from 5 to 2 rooms by hand."), "{told}");
    assert!(told.lines().count() > 4, "there are reasons: {told}");
    let page = dev.json(&["explain", "arena", "--changes", "-n", "2"]);
    assert_eq!((&page[0]["wanted"], &page[1]["wanted"]), (&5.into(), &2.into()));
    assert!(dev.ok(&["explain", "arena", "-o", "yaml"]).starts_with("- at: "));
}

/// A plain core module, as a compiler leaves it: two more rooms than are occupied.
fn two_more() -> Vec<u8> {
    let prelude = include_str!("../../../host/engine/tests/engine/prelude.wat");
    let evaluate = include_str!("../../../host/engine/tests/hostile/healthy.wat");
    let description = serde_json::json!({
        "name": "two-more", "version": "1.0.0", "summary": "Two more than are occupied.", "inputs": ["rooms"],
        "parameters": {"type": "object", "properties": {"rooms": {"type": "integer", "default": 2}}},
    });
    let description = description.to_string().replace('"', "\\\"");
    wat::parse_str(format!(
        "(module {prelude}\n{evaluate}\n(@custom \"maestro-policy\" \"{description}\"))"
    ))
    .unwrap()
}

#[test]
fn policies_are_deployed_and_a_document_waits_for_its_own() {
    let document = ARENA.replace("max: 6}", "max: 6, policies: [{type: two-more}]}");
    let dev = Dev::start(&[("waiting.yaml", &document)]);
    eventually("the missing policy is named", PATIENCE, || {
        dev.log().contains("there is no policy `two-more`").then_some(())
    });
    assert_eq!(dev.run(&["status", "arena"]).code, 3);

    let module = dev.file("two_more.wasm", two_more());
    let told = dev.ok(&["deploy-policy", &module]);
    assert!(told.starts_with("deployed two-more@1.0.0 ("), "{told}");
    assert_eq!(
        dev.json(&["policy", "deploy", &module])["name"],
        "two-more",
        "twice is harmless"
    );
    eventually("the document is applied", PATIENCE, || {
        (dev.run(&["status", "arena"]).code == 0).then_some(())
    });
    eventually("the policy is asked", PATIENCE, || {
        let told = dev.run(&["explain", "arena"]).out;
        told.contains("two more than are occupied").then_some(())
    });

    let listed = dev.ok(&["policies"]);
    assert!(
        listed.starts_with("NAME ") && listed.contains("\ntwo-more "),
        "{listed}"
    );
    assert_eq!(
        dev.ok(&["policy", "list", "-o", "json"]),
        dev.ok(&["policies", "-o", "json"])
    );
    let room = dev.ok(&["policy", "get", "room"]);
    assert!(room.contains("PARAMETER ") && room.contains("required"), "{room}");
    assert_eq!(dev.json(&["policy", "get", "two-more@1.0"])["version"], "1.0.0");
    assert!(
        dev.ok(&["policy", "get", "two-more", "-o", "yaml"])
            .starts_with("name: two-more\n")
    );
}

#[test]
fn what_is_refused_or_unknown_has_its_exit_code_and_a_sentence() {
    let dev = Dev::start(&[]);
    let bad = dev.file("bad.yaml", ARENA.replace("image", "imgae"));
    let two = dev.file(
        "two.yaml",
        format!("{ARENA}---{}", ARENA.replace("arena", "other")),
    );
    let garbage = dev.file("garbage.wasm", "no wasm");
    let cases: [(&[&str], i32, &str); 35] = [
        (
            &["create", &bad],
            1,
            "bad.yaml:4:1: imgae: unknown key; did you mean `image`?",
        ),
        (&["create", "nowhere.yaml"], 1, "can't read nowhere.yaml"),
        (&["create"], 2, "<FILE>"),
        (
            &["update", &two],
            1,
            "update takes one scheduler a file; this one has 2",
        ),
        (
            &["update", &dev.file("arena.yaml", ARENA)],
            3,
            "there is no scheduler `arena`",
        ),
        (&["get", "idel"], 3, "did you mean `idle`?"),
        (&["get", "idle", "--version", "v7.0"], 3, "did you mean `v1.0`?"),
        (&["get", "idle", "other"], 2, "`get idle …` is not known"),
        (&["status", "idel"], 3, "did you mean `idle`?"),
        (&["status", ""], 2, "a value is required"),
        (&["rooms", "idel"], 3, "did you mean `idle`?"),
        (&["rooms", "idle", "redy"], 2, "possible values: creating, ready"),
        (&["room", "idle-00000000"], 3, "idle-00000000"),
        (&["room", "idle"], 2, "maestro-cli rooms SCHEDULER"),
        (&["logs", "idle-00000000"], 3, "idle-00000000"),
        (&["scale", "idel", "-r", "1"], 3, "did you mean `idle`?"),
        (&["scale", "idle"], 2, "--replicas"),
        (&["scale-in", "pause", "idel"], 3, "did you mean `idle`?"),
        (&["scale-in", "stop", "idle"], 2, "unrecognized subcommand"),
        (&["explain", "idel"], 3, "did you mean `idle`?"),
        (&["explain", "idle", "-n", "0"], 2, "1..=200"),
        (&["delete", "idel", "--yes"], 3, "did you mean `idle`?"),
        (
            &["delete", "idle", "--force"],
            2,
            "maestro-cli delete idle --force --yes",
        ),
        (&["watch", "idel"], 3, "did you mean `idle`?"),
        (&["wait", "idel", "--for", "ready"], 3, "did you mean `idle`?"),
        (&["wait", "idle"], 2, "--for <GOAL>"),
        (
            &["wait", "idle", "--for", "ready", "--timeout", "soon"],
            2,
            "expected number",
        ),
        (&["logs", "idle-00000000", "-f"], 3, "idle-00000000"),
        (&["explain", "idel", "--plot"], 3, "did you mean `idle`?"),
        (&["export", "idel", "--svg", "-"], 3, "did you mean `idle`?"),
        (&["export", "idle"], 2, "--svg <FILE>"),
        (&["apply"], 2, "<FILE>"),
        (&["apply", &bad], 1, "did you mean `image`?"),
        (&["policy", "get", "romo"], 3, "there is no policy `romo`"),
        (&["deploy-policy", &garbage], 1, "this is not WebAssembly"),
    ];
    for (arguments, code, words) in cases {
        let ran = dev.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?}: errors are no data");
    }
}

#[test]
fn without_a_maestro_each_verb_says_how_to_start_one() {
    let verbs: [&[&str]; 11] = [
        &["watch", "arena"],
        &["top"],
        &["explain", "arena", "--plot"],
        &["get"],
        &["status", "arena"],
        &["rooms", "arena"],
        &["room", "arena-00000000"],
        &["logs", "arena-00000000"],
        &["scale", "arena", "-r", "1"],
        &["explain", "arena"],
        &["policies"],
    ];
    for verb in verbs {
        // Nobody listens on the first port, which takes rights to do.
        let ran = run("http://127.0.0.1:1", verb);
        assert_eq!(ran.code, 4, "{verb:?}: {}", ran.err);
        assert!(
            ran.err.contains("maestro dev") && ran.err.contains("MAESTRO_URL"),
            "{}",
            ran.err
        );
    }
    for url in ["nonsense", "http://", "http://no host:80"] {
        let ran = run(url, &["get"]);
        assert_eq!(ran.code, 2, "{url}: {}", ran.err);
        assert!(ran.err.contains("is not a URL of Maestro"), "{}", ran.err);
    }
}

#[test]
fn what_answers_and_is_no_maestro_is_told_as_that() {
    let dev = Dev::start(&[]);
    let wrong = format!("{}/wrong/path", dev.url());
    let page = stranger("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<h1>Hi</h");
    let missing = stranger("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
    let cases = [
        (&wrong, "its API is not there"),
        (&page, "is not Maestro: it gave status 200, `<h1>Hi</h`"),
        (&missing, "is not Maestro: it gave status 404"),
    ];
    for (url, words) in cases {
        for verb in [
            &["get"] as &[&str],
            &["status", "idle"],
            &["get", "idle"],
            &["policies"],
        ] {
            let ran = run(url, verb);
            assert_eq!(ran.code, 4, "{url} {verb:?}: {}", ran.err);
            assert!(
                ran.err.contains(words) && ran.err.contains("--url"),
                "{}",
                ran.err
            );
            assert_eq!(ran.out, "", "what a stranger says is no data");
        }
    }
    // A slash at the end is no path.
    assert_eq!(run(&format!("{}/", dev.url()), &["status", "idel"]).code, 3);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for (arguments, code) in [(["completions", "bash"], 0), (["status", "arena"], 4)] {
        let mut child = Command::new(CLI)
            .args(arguments)
            .env("MAESTRO_URL", "http://127.0.0.1:1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().unwrap().code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_node_is_drained_shown_and_taken_back() {
    let dev = Dev::start(&[("arena.yaml", ARENA)]);
    // Those that are tried in vain later come and go.
    let room = eventually("two ready rooms", PATIENCE, || {
        let rooms = dev.json(&["rooms", "arena", "ready"]);
        (rooms.as_array()?.len() == 2).then(|| rooms[0]["roomId"].clone())
    });
    assert_eq!(
        dev.ok(&["nodes"]),
        "NODE   STANDING  ROOMS    MATCHES  SCHEDULERS\nlocal  open      2 ready  0        arena\n"
    );
    let drained = dev.ok(&["drain-node", "local"]);
    let words = "local: 0 matches left in 2 rooms; see how it empties: maestro-cli nodes\n";
    assert_eq!(drained, words);
    let node = &dev.json(&["nodes"])[0];
    assert_eq!(
        (&node["standing"], &node["why"]),
        (&"leaving".into(), &"is being drained".into())
    );
    eventually("the room knows", PATIENCE, || {
        let told = dev.ok(&["room", room.as_str()?]);
        told.contains("local, which is being drained").then_some(())
    });
    // There is no other machine: its rooms stay, and whoever waits is told so.
    let late = dev.run(&["drain-node", "local", "--wait", "--timeout", "1s"]);
    assert_eq!(late.code, 1);
    let left = "local: 0 matches left in 2 rooms\n";
    assert!(late.err.starts_with(left), "{}", late.err);
    assert!(late.err.contains("local is not empty in time"), "{}", late.err);
    let undone = dev.ok(&["drain-node", "local", "--undo"]);
    assert_eq!(undone, "local: rooms may come to it again\n");
    let nobody = dev.run(&["drain-node", "local", "--undo"]);
    assert_eq!(nobody.code, 3, "{}", nobody.err);
    let elsewhere = dev.run(&["drain-node", "node-7", "--wait"]);
    assert_eq!(elsewhere.out, "node-7: no room is left on it\n");
    assert_eq!(dev.run(&["drain-node", "Node 7"]).code, 1);
}
