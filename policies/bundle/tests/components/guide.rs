//! The guide's policy, word for word from `policy-sdk/README.md`, in a folder outside of the workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use maestro_core::votes::Vote;
use maestro_engine::{Class, package};
use maestro_policy_sdk::TestWindow;

use crate::engine::{engine, shown};

const TARGET: &str = "wasm32-unknown-unknown";

pub(crate) fn leads_to_a_policy_that_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let guide = fs::read_to_string(root.join("policy-sdk/README.md")).unwrap();
    let beside = tempfile::tempdir().unwrap();
    let folder = beside.path().join("headroom");
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest =
        block(&guide, "toml").replace("../maestro/policy-sdk", root.join("policy-sdk").to_str().unwrap());
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), block(&guide, "rust")).unwrap();
    // The versions that the workspace has already fetched, so that the test needs no network.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();

    cargo(&folder, &["test", "--quiet", "--offline"]);
    let output = cargo(&folder, &["build", "--release", "--offline", "--target", TARGET]);
    let module = fs::read(output.join(TARGET).join("release/headroom.wasm")).unwrap();

    let component = package::wrap(&module).unwrap();
    let manifest = package::read_manifest(&component).unwrap();
    assert_eq!(
        (manifest.name.as_str(), manifest.version.as_str()),
        ("headroom", "1.0.0")
    );
    let policy = engine().load(&component, Class::Native).unwrap();
    let seen = TestWindow::new(60, 10)
        .rooms(&[(5, 5), (4, 6), (3, 7), (2, 8)])
        .parameters(r#"{"spare":3,"lead":60}"#);
    let verdict = policy.evaluate(&shown(&seen.build())).unwrap().verdict;
    assert_eq!(verdict.vote, Vote::Total(14));
    assert_eq!(
        verdict.reason,
        "8 rooms are busy, 6 more in 60 s at this rate: 6 shall be free"
    );
}

/// The first block of the guide in this language.
fn block<'a>(guide: &'a str, language: &str) -> &'a str {
    let (_, rest) = guide.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// Runs cargo as an author would, without what the outer build set; says where its output is.
fn cargo(folder: &Path, arguments: &[&str]) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide");
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(folder);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if (text.starts_with("CARGO") && text != "CARGO_HOME")
            || text.starts_with("RUSTC")
            || text == "RUSTFLAGS"
        {
            command.env_remove(&name);
        }
    }
    command.env("CARGO_TARGET_DIR", &target);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}:\n{said}");
    target
}
