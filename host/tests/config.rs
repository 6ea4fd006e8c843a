//! Settings as an operator gives them: by options, the environment and a file.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::Command;

use tempfile::TempDir;

/// Runs `maestro` with these arguments and variables; its code, stdout and stderr.
fn maestro(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maestro"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MAESTRO_")) {
        command.env_remove(name);
    }
    let output = command
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A file of settings in a folder of its own.
fn file(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("maestro.yaml");
    fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_and_no_password() {
    let (_folder, path) = file(
        "max-rooms: 0\nlisten: [a, b]\nredsi: x\ndatabase: [postgres://a:s3cret@b/c, two]\nlog-format: xml\nprune: maybe\nlease: 3s\nconfig: other.yaml\ninstallation: games/eu\n",
    );
    let (code, stdout, stderr) = maestro(&["worker", "--config", &path], &[]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(!stderr.contains("s3cret"), "{stderr}");
    let told: Vec<&str> = stderr.trim_start_matches("error: ").lines().collect();
    let expected = [
        ":1:1: max-rooms: 0 is not in 1..=5000",
        ":2:1: listen: expected one value",
        ":3:1: redsi: there is no setting `redsi`; did you mean `redis`?",
        ":4:1: database: expected one value",
        ":5:1: log-format: expected text, json",
        ":6:1: prune: expected true or false",
        ":7:1: lease: expected 9s to 5m: shorter ones end before a call to Kubernetes does",
        ":8:1: config: a file of settings names no other",
        ":9:1: installation: expected a label's value, as in games-eu: at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends",
    ];
    for (line, expected) in told.iter().zip(expected) {
        assert_eq!(*line, format!("{path}{expected}"));
    }
    assert_eq!(told.len(), expected.len(), "{stderr}");
}

#[test]
fn an_option_beats_a_variable_which_beats_the_file_which_beats_the_default() {
    let (_folder, path) = file(
        "max-rooms: 1\nkube-calls: 1\nlease: 60\nredis: [redis://a:s3cret@b]\ninstallation: games-eu\nfiles:\n- one\n- two\n",
    );
    let variables = [
        ("MAESTRO_MAX_ROOMS", "2"),
        ("MAESTRO_KUBE_CALLS", "2"),
        ("MAESTRO_CONFIG", &path),
    ];
    let (code, stdout, stderr) = maestro(&["config", "--max-rooms", "3", "-o", "json"], &variables);
    assert_eq!(code, Some(0), "{stderr}");
    let told: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let of_file = format!("file {path}");
    for (key, value, source) in [
        ("max-rooms", vec!["3"], "option --max-rooms"),
        ("kube-calls", vec!["2"], "environment MAESTRO_KUBE_CALLS"),
        ("lease", vec!["60"], &of_file),
        ("installation", vec!["games-eu"], &of_file),
        ("files", vec!["one", "two"], &of_file),
        ("kube-burst", vec!["100"], "default"),
        ("redis", vec!["(hidden)"], &of_file),
        ("database", vec![], "not set"),
    ] {
        assert_eq!(told[key]["values"], serde_json::json!(value), "{key}");
        assert_eq!(told[key]["source"], source, "{key}");
    }
    assert!(!stdout.contains("s3cret"));
    // What it prints as YAML is a file of settings.
    let (_, yaml, _) = maestro(&["config", "-o", "yaml"], &variables);
    let (_folder, again) = file(&yaml);
    let (code, table, stderr) = maestro(&["config", "--config", &again], &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(table.contains("one,two"), "{table}");
}

#[test]
fn a_role_tells_all_that_it_lacks_and_what_can_not_be_read() {
    for (arguments, expected) in [
        (
            ["worker"].as_slice(),
            ["--database", "--redis", "--key", "--rooms-url"].as_slice(),
        ),
        (&["start"], &["--database", "--redis", "--key"]),
        (&["serve"], &["--data DIR", "--rooms-url"]),
        (
            &[
                "serve",
                "--data",
                "d",
                "--database",
                "postgres://a@b/c",
                "--rooms-url",
                "http://a",
            ],
            &["--redis beside"],
        ),
        (
            &[
                "api",
                "--database",
                "mysql://a:s3cret@b",
                "--redis",
                "redis://b",
                "--key",
                "s3cret",
            ],
            &["--database: ", "--key: expected 64 hexadecimal digits"],
        ),
    ] {
        let (code, _, stderr) = maestro(arguments, &[]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(!stderr.contains("s3cret"), "{stderr}");
        for part in expected {
            assert!(stderr.contains(part), "{arguments:?}: {part}: {stderr}");
        }
        let errors = stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, expected.len(), "{stderr}");
    }
    let (code, _, stderr) = maestro(&["serve", "--config", "missing.yaml"], &[]);
    assert_eq!(code, Some(2));
    assert!(stderr.starts_with("error: can't read missing.yaml: "), "{stderr}");
}
