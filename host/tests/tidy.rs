//! The invariants of the architecture that a compiler does not see, as tests over the source tree.
//!
//! Each test names every place that breaks its rule, with the file and the line. What a lint can say is said by
//! lints (root `Cargo.toml`, `clippy.toml`); what is here is about who may know whom.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// One source file: its path below the root with forward slashes, and its text.
struct Source {
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the workspace")
        .to_owned()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | ".git" | "node_modules") {
                walk(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

fn files() -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    walk(&root, &mut found);
    found
        .iter()
        .map(|path| {
            path.strip_prefix(&root)
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/")
        })
        .collect()
}

fn sources() -> Vec<Source> {
    let root = root();
    let rust = |path: &String| path.ends_with(".rs") && !is_generated(path);
    files()
        .into_iter()
        .filter(rust)
        .map(|path| Source {
            text: fs::read_to_string(root.join(&path)).unwrap(),
            path,
        })
        .collect()
}

/// Bindings that a tool wrote and a test compares with what it would write today.
fn is_generated(path: &str) -> bool {
    path == "policy-sdk/src/bindings.rs"
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// The lines of a file outside its `#[cfg(test)]` module, with their numbers; comments are left out.
fn production_lines(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    source
        .text
        .lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

/// Fails with a list when any of `words` stands in production code of files for which `applies` and not `allowed`.
fn forbid(words: &[&str], rule: &str, applies: impl Fn(&str) -> bool, allowed: impl Fn(&str) -> bool) {
    let mut broken = Vec::new();
    for source in sources()
        .iter()
        .filter(|s| !is_test(&s.path) && applies(&s.path) && !allowed(&s.path))
    {
        for (number, line) in production_lines(source) {
            if words.iter().any(|word| line.contains(word)) {
                broken.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert!(broken.is_empty(), "{rule}\n{}", broken.join("\n"));
}

fn in_host(path: &str) -> bool {
    path.starts_with("host/src/")
}

/// The names under `[dependencies]` of a manifest.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    text.lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn core_depends_on_nothing() {
    assert_eq!(
        dependencies("host/core/Cargo.toml"),
        Vec::<String>::new(),
        "the core is pure: std only"
    );
}

#[test]
fn core_knows_no_clock_environment_or_io() {
    let words = [
        "SystemTime",
        "Instant::",
        "std::env",
        "std::fs",
        "std::net",
        "std::thread",
        "async fn",
        "println!",
    ];
    forbid(
        &words,
        "the core is pure",
        |path| path.starts_with("host/core/src/"),
        |_| false,
    );
}

#[test]
fn crates_of_ours_depend_only_downwards() {
    let allowed: [(&str, &[&str]); 11] = [
        ("host/wire", &["maestro-core"]),
        ("host/engine", &["maestro-core"]),
        (
            "host",
            &[
                "maestro-core",
                "maestro-wire",
                "maestro-engine",
                "maestro-migrations",
                "maestro-policies",
                "maestro-client",
            ],
        ),
        ("cli", &["maestro-core", "maestro-wire", "maestro-engine"]),
        ("policy-sdk", &[]),
        ("policies/room", &["maestro-policy-sdk"]),
        ("policies/cpu", &["maestro-policy-sdk"]),
        ("policies/memory", &["maestro-policy-sdk"]),
        ("policies/bundle", &[]),
        ("clients/rust", &[]),
        ("migrations", &[]),
    ];
    for (crate_folder, ours) in allowed {
        for name in dependencies(&format!("{crate_folder}/Cargo.toml")) {
            let is_ours = name.starts_with("maestro-");
            assert!(
                !is_ours || ours.contains(&name.as_str()),
                "{crate_folder} may not depend on {name}"
            );
        }
    }
}

#[test]
fn only_tasks_spawns() {
    let words = [
        "tokio::spawn",
        "task::spawn",
        "spawn_blocking",
        "JoinSet",
        "spawn_local",
    ];
    forbid(&words, "only host/src/tasks.rs spawns tasks", in_host, |path| {
        path == "host/src/tasks.rs"
    });
}

#[test]
fn only_config_reads_the_environment() {
    let words = ["env::var", "env::vars", "env::set_var"];
    forbid(
        &words,
        "only host/src/config.rs reads the environment",
        in_host,
        |path| path == "host/src/config.rs",
    );
}

#[test]
fn kubernetes_types_stay_in_their_adapter() {
    let words = ["kube::", "k8s_openapi"];
    // The benches compare it with a plain client.
    let allowed = |path: &str| {
        path.starts_with("host/src/cluster/kubernetes") || path.starts_with("benches/src/servers/")
    };
    forbid(
        &words,
        "kube types stay under cluster/kubernetes*",
        |_| true,
        allowed,
    );
}

#[test]
fn sql_stays_in_the_store() {
    let allowed = |path: &str| path.starts_with("host/src/store");
    forbid(
        &["sea_orm::", "sqlx::"],
        "SQL stays under store*",
        in_host,
        allowed,
    );
}

#[test]
fn redis_stays_in_its_adapter() {
    // The port's own file passes on the adapter of that name.
    let allowed = |path: &str| path.starts_with("host/src/registry/redis") || path == "host/src/registry.rs";
    forbid(
        &["redis::"],
        "Redis stays under registry/redis*",
        in_host,
        allowed,
    );
}

#[test]
fn only_the_engine_names_wasmtime() {
    let allowed = |path: &str| path.starts_with("host/engine/");
    forbid(
        &["wasmtime::", "use wasmtime"],
        "only host/engine names wasmtime",
        |_| true,
        allowed,
    );
}

#[test]
fn http_statuses_stay_in_problem() {
    let allowed = |path: &str| path == "host/src/api/problem.rs";
    forbid(
        &["StatusCode"],
        "HTTP statuses stay in api/problem.rs",
        in_host,
        allowed,
    );
}

#[test]
fn files_are_short_and_open_with_what_they_are() {
    let mut broken = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > 500 {
            broken.push(format!("{}: {lines} lines; 500 is the wall", source.path));
        }
        // A README can be a crate's front page.
        if !source.text.starts_with("//!") && !source.text.starts_with("#![doc = include_str!") {
            broken.push(format!("{}: does not open with `//!`", source.path));
        }
        if source.path.ends_with("/mod.rs") {
            broken.push(format!(
                "{}: is a `mod.rs`; name the file after the module",
                source.path
            ));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_test_sleeps_or_is_skipped() {
    // Put together here so that this file does not find itself.
    let words = [
        ["#[ign", "ore"].concat(),
        ["thread::sl", "eep("].concat(),
        ["time::sl", "eep("].concat(),
    ];
    let mut broken = Vec::new();
    for source in sources() {
        let mut in_tests = is_test(&source.path);
        let mut in_eventually = false;
        for (index, line) in source.text.lines().enumerate() {
            in_tests |= line.starts_with("#[cfg(test)]");
            // The one place that may wait a moment between two looks.
            if line.contains("fn eventually") {
                in_eventually = true;
            } else if line.starts_with('}') || line.starts_with("    }") {
                in_eventually = false;
            }
            let is_found = words.iter().any(|word| line.contains(word.as_str()));
            if in_tests && is_found && !in_eventually && !line.trim_start().starts_with("//") {
                broken.push(format!("{}:{}: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "tests wait with `eventually(deadline, check)`\n{}",
        broken.join("\n")
    );
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
        ["FIX", "ME"].concat(),
    ];
    let mut broken = Vec::new();
    for source in sources() {
        for (index, line) in source.text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word.as_str())) {
                broken.push(format!("{}:{}: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn readme_map_matches_the_disk() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let map = readme
        .split("## Map")
        .nth(1)
        .expect("README.md has a section `## Map`");
    let map = map.split("\n## ").next().unwrap();
    let mut named: Vec<&str> = map
        .lines()
        .filter_map(|line| line.strip_prefix("| [`"))
        .filter_map(|line| line.split("/`]").next())
        .collect();
    named.sort_unstable();
    let mut folders: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    folders.sort_unstable();
    assert_eq!(
        named, folders,
        "the map in README.md and the top-level folders differ"
    );
}

#[test]
fn every_top_level_folder_explains_itself() {
    for entry in fs::read_dir(root()).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !name.starts_with('.') && name != "target" {
            assert!(
                entry.path().join("README.md").is_file(),
                "{name}/ has no README.md"
            );
        }
    }
}
