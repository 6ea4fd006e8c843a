//! Contexts: what is kept of them, and which Maestro is meant.

use std::path::Path;
use std::process::Stdio;

use super::beside::{Dev, Ran, command, ended};

/// Runs the program with a config folder and no MAESTRO_URL.
fn run(config: &Path, arguments: &[&str]) -> Ran {
    ended(
        command("", arguments)
            .env_remove("MAESTRO_URL")
            .env("XDG_CONFIG_HOME", config)
            .stdin(Stdio::null()),
    )
}

#[test]
fn contexts_are_kept_used_and_forgotten() {
    let dev = Dev::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path();
    let ok = |arguments: &[&str]| {
        let ran = run(config, arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        ran.out
    };
    assert_eq!(ok(&["context", "list"]), "");
    let url = dev.url();
    assert_eq!(
        ok(&["context", "add", "here", "--url", url]),
        format!("added here: {url}; it is in use\n")
    );
    assert_eq!(
        ok(&["context", "add", "away", "--url", "http://127.0.0.1:1"]),
        "added away: http://127.0.0.1:1\n"
    );
    assert_eq!(
        ok(&["status", "idle", "-o", "yaml"]).lines().next(),
        Some("game: test")
    );
    assert_eq!(run(config, &["--context", "away", "get"]).code, 4);
    assert_eq!(
        ok(&["context", "use", "away"]),
        "away is in use: http://127.0.0.1:1\n"
    );
    assert_eq!(run(config, &["get"]).code, 4);
    assert_eq!(run(config, &["get", "--context", "here"]).code, 0);
    let around = |name: &str| {
        let mut get = command("", &["get"]);
        get.env_remove("MAESTRO_URL").env("XDG_CONFIG_HOME", config);
        ended(get.env("MAESTRO_CONTEXT", name)).code
    };
    assert_eq!((around("here"), around("away"), around("")), (0, 4, 4));

    let listed = ok(&["context", "list"]);
    assert!(listed.starts_with("NAME "), "{listed}");
    assert!(
        listed.contains("\naway  http://127.0.0.1:1 ") && listed.contains('*'),
        "{listed}"
    );
    let json: serde_json::Value = serde_json::from_str(&ok(&["context", "list", "-o", "json"])).unwrap();
    assert_eq!(
        (&json[0]["inUse"], &json[1]["inUse"]),
        (&true.into(), &false.into())
    );
    assert_eq!(
        ok(&["context", "remove", "away"]),
        "away is forgotten; none is in use now\n"
    );
}

#[test]
fn a_context_that_is_none_is_wrong_usage_and_the_file_is_its_owners() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path();
    assert_eq!(
        run(config, &["context", "add", "prod", "--url", "http://p"]).code,
        0
    );
    let cases: [(&[&str], i32, &str); 7] = [
        (&["--context", "prd", "get"], 2, "did you mean `prod`?"),
        (&["context", "use", "prd"], 2, "did you mean `prod`?"),
        (&["context", "remove", "other"], 2, "maestro-cli context list"),
        (&["context", "add", "x"], 2, "--url"),
        (
            &["context", "add", "x y", "--url", "http://p"],
            2,
            "is no name of a context",
        ),
        (
            &["context", "add", "x", "--url", "nonsense"],
            2,
            "is not a URL of Maestro",
        ),
        (
            &["get", "--context", "prod", "--url", "http://p"],
            2,
            "give one of them",
        ),
    ];
    for (arguments, code, words) in cases {
        let ran = run(config, arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
    }
    let file = config.join("maestro").join("contexts.json");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let entries = std::fs::read_dir(config.join("maestro")).unwrap().count();
    assert_eq!(entries, 1, "nothing is left beside it");
    std::fs::write(&file, "{").unwrap();
    let broken = run(config, &["get"]);
    assert_eq!(broken.code, 1);
    assert!(
        broken.err.contains("contexts.json does not hold contexts"),
        "{}",
        broken.err
    );
}
