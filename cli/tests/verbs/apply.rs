//! Documents against what is stored, and waiting for what comes of it.

use std::thread;

use super::ARENA;
use super::beside::{Dev, PATIENCE, Ran, eventually, run, run_with};

#[test]
fn documents_are_compared_applied_and_waited_for() {
    let dev = Dev::start(&[]);
    let other = "name: other\ngame: test\nimage: none\nautoscaling: {min: 0}\n";
    let both = dev.file("both.yaml", format!("{ARENA}---\n{other}"));
    let new = dev.run(&["diff", "-f", &both]);
    assert_eq!(new.code, 2, "{}", new.err);
    assert!(
        new.out.starts_with("--- stored: arena\n+++ ") && new.out.contains("\n+name: other\n"),
        "{}",
        new.out
    );

    let created = dev.ok(&["apply", "-f", &both]);
    assert_eq!(
        created,
        "arena: created as v1.0; at least 2 rooms come up\nother: created as v1.0; at least 0 rooms come up\n"
    );
    assert_eq!(
        dev.ok(&["wait", "arena", "--for", "ready", "--timeout", "60"]),
        "arena is ready\n"
    );
    assert_eq!(dev.json(&["status", "arena"])["roomsAtReady"], 2);
    let same = dev.run(&["apply", &both, "--exit-code"]);
    assert_eq!(same.code, 0, "{}", same.err);
    assert_eq!(
        same.out,
        "arena: unchanged, it stays v1.0\nother: unchanged, it stays v1.0\n"
    );
    // Order, comments and ways to write a value are no difference.
    let reordered = "# the same\nautoscaling: {max: 6, min: 2}\nshutdownTimeout: 5s\nimage: none\ngame: test\nname: arena\n\
                     ports: [{protocol: TCP, name: game, containerPort: 5050}]\n";
    let ran = run_with(dev.url(), &["diff", "-"], reordered);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);

    let changed = ARENA.replace("max: 6", "max: 5");
    let ran = run_with(dev.url(), &["diff", "-f", "-", "-o", "json"], &changed);
    assert_eq!(ran.code, 2, "{}", ran.err);
    let found: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found[0]["different"], true);
    let diff = found[0]["diff"].as_str().unwrap();
    assert!(diff.contains("\n-  max: 6\n+  max: 5\n"), "{diff}");
    let ran = run_with(dev.url(), &["apply", "--exit-code", "-"], &changed);
    assert_eq!(ran.code, 10, "{}", ran.err);
    assert_eq!(ran.out, "arena: changed, stored as v1.1; no room is touched\n");
    let applied = dev.json(&["apply", &both]);
    assert_eq!(applied[0]["change"], "changed");
    assert_eq!(applied[1]["change"], "unchanged");

    let late = dev.run(&["wait", "other", "--for", "gone", "--timeout", "0"]);
    assert_eq!((late.code, late.out.as_str()), (1, ""));
    assert!(
        late.err.contains("other is not gone after 0s: it is "),
        "{}",
        late.err
    );
    dev.ok(&["delete", "arena", "--yes"]);
    let gone = dev.json(&["wait", "arena", "--for", "gone"]);
    assert_eq!(
        (&gone["scheduler"], &gone["is"]),
        (&"arena".into(), &"gone".into())
    );
    assert_eq!(dev.run(&["status", "arena"]).code, 3);
}

#[test]
fn what_maestro_refuses_is_told_with_the_line_of_the_file() {
    let dev = Dev::start(&[]);
    let strange =
        "name: strange\ngame: test\nimage: none\nautoscaling: {min: 0, policies: [{type: nobody}]}\n";
    let file = dev.file("two.yaml", format!("{ARENA}---\n{strange}"));
    let line = format!("{ARENA}---\n").lines().count() + 4;
    let ran = dev.run(&["apply", &file, "-o", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(
        ran.err.contains("two.yaml: strange") && ran.err.contains(&format!("\n  {line}:")),
        "{}",
        ran.err
    );
    let applied: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        applied[0]["change"], "created",
        "programs learn of what was done before"
    );
}

#[test]
fn a_difference_is_not_mistaken_for_a_failure() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ARENA).unwrap();
    let file = file.path().to_str().unwrap();
    let nobody = "http://127.0.0.1:1";
    for arguments in [
        &["diff", file] as &[&str],
        &["diff", file, "--nonsense"],
        &["diff"],
        &["--url", "nonsense", "diff", file],
        &["diff", "nowhere.yaml"],
    ] {
        let ran = run(nobody, arguments);
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (1, ""),
            "{arguments:?}: {}",
            ran.err
        );
        assert_ne!(ran.err, "", "{arguments:?}");
    }
    assert_eq!(run(nobody, &["diff", "--help"]).code, 0);
}

#[test]
fn whoever_loses_the_race_to_create_finds_it_there() {
    let dev = Dev::start(&[]);
    let file = dev.file("arena.yaml", ARENA);
    let ran: Vec<Ran> = thread::scope(|scope| {
        let runs: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| dev.run(&["apply", &file])))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for one in &ran {
        assert_eq!(one.code, 0, "{}", one.err);
    }
    let created = ran.iter().filter(|one| one.out.starts_with("arena: created "));
    assert_eq!(created.count(), 1);
    assert_eq!(dev.json(&["status", "arena"])["version"], "v1.0");
}

#[test]
fn what_is_being_deleted_is_not_as_its_document_says() {
    let dev = Dev::start(&[]);
    let file = dev.file("arena.yaml", ARENA);
    dev.ok(&["apply", &file]);
    dev.ok(&["wait", "arena", "--for", "ready"]);
    dev.ok(&["delete", "arena", "--yes"]);
    let created = eventually("it is created anew", PATIENCE, || {
        let ran = dev.run(&["apply", &file]);
        (ran.code == 0).then_some(ran.out)
    });
    assert!(created.starts_with("arena: created "), "{created}");
}

#[test]
fn a_file_that_maestro_keeps_to_is_applied_without_a_change() {
    let dev = Dev::start(&[("arena.yaml", ARENA)]);
    eventually("the file is applied", PATIENCE, || {
        (dev.run(&["status", "arena"]).code == 0).then_some(())
    });
    let same = dev.ok(&["apply", &dev.file("same.yaml", ARENA)]);
    assert_eq!(same, "arena: unchanged, it stays v1.0\n");
    let other = dev.file("other.yaml", ARENA.replace("max: 6", "max: 5"));
    let refused = dev.run(&["apply", &other]);
    assert_eq!(refused.code, 1, "{}", refused.out);
    assert!(refused.err.contains("arena.yaml"), "{}", refused.err);
}
