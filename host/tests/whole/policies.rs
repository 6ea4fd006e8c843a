//! A policy of one's own: written outside the workspace with what the guide says, built, deployed, used; and bad ones
//! that change nothing for the others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::harness::{Dev, PATIENCE, eventually, file, root};

const STEADY: &str = r##"
use maestro_policy_sdk::prelude::*;

parameters! {
    /// Settings of `steady`.
    pub struct Parameters {
        /// So many rooms, always.
        rooms: u32 = 2 in 1..=100,
    }
}

policy!(evaluate, Parameters, "Wants a fixed number of rooms.", inputs = []);

fn evaluate(observation: &Observation, parameters: &Parameters) -> Result<Verdict, Error> {
    let total = parameters.rooms;
    Ok(Verdict::total(total, format!("{total} rooms are enough for anybody, {} are wanted", observation.wanted)))
}

#[test]
fn wants_what_it_was_told() {
    let seen = TestWindow::new(60, 10).build();
    let parameters = from_json(r#"{"rooms": 3}"#).unwrap();
    assert_eq!(evaluate(&seen, &parameters).unwrap().vote, Vote::Total(3));
}
"##;

const SPINNING: &str = r#"
use maestro_policy_sdk::prelude::*;

parameters! {
    /// Settings of `spinning`.
    pub struct Parameters {}
}

policy!(evaluate, Parameters, "Never answers.", inputs = []);

fn evaluate(observation: &Observation, _parameters: &Parameters) -> Result<Verdict, Error> {
    let mut turns = u64::from(observation.wanted);
    while core::hint::black_box(turns) < u64::MAX {
        turns = core::hint::black_box(turns).wrapping_add(2) & !1;
    }
    Ok(Verdict::total(0, "done".to_owned()))
}
"#;

/// Builds a policy crate in a folder of its own, as the guide says; gives the core module that cargo leaves.
fn build(folder: &Path, name: &str, source: &str, is_tested: bool) -> PathBuf {
    let crate_folder = folder.join(name);
    fs::create_dir_all(crate_folder.join("src")).unwrap();
    let sdk = root().join("policy-sdk");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"1.2.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\", \
         \"rlib\"]\n\n[dependencies]\nmaestro-policy-sdk = {{ path = \"{}\" }}\n",
        sdk.display()
    );
    fs::write(crate_folder.join("Cargo.toml"), manifest).unwrap();
    // The versions that are downloaded already.
    fs::copy(root().join("Cargo.lock"), crate_folder.join("Cargo.lock")).unwrap();
    fs::write(crate_folder.join("src/lib.rs"), source).unwrap();
    let cargo = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .arg("--offline")
            .current_dir(&crate_folder)
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .env("RUSTUP_TOOLCHAIN", toolchain())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    if is_tested {
        cargo(&["test", "--release"]);
    }
    cargo(&["build", "--release", "--target", "wasm32-unknown-unknown"]);
    folder
        .join("target/wasm32-unknown-unknown/release")
        .join(format!("{}.wasm", name.replace('-', "_")))
}

/// The pinned toolchain also outside the workspace, where rustup would take its default one.
fn toolchain() -> String {
    let text = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let line = text.lines().find(|line| line.starts_with("channel")).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

fn scheduler(name: &str, policy: &str, rest: &str) -> String {
    format!(
        "
name: {name}
game: test
image: none
ports: [{{name: game, containerPort: 5050, protocol: TCP}}]
shutdownTimeout: 5
autoscaling:
  min: 1
  max: 6
  up: {{cooldown: 1}}
  down: {{cooldown: 1}}
  policies:
    - type: {policy}
{rest}
"
    )
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_authors_policy_is_built_deployed_and_used_and_bad_ones_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let steady = build(folder.path(), "steady", STEADY, true);
    let spinning = build(folder.path(), "spinning", SPINNING, false);
    let (_idle_folder, idle) = file(
        "idle.yaml",
        "name: idle\ngame: test\nimage: none\nautoscaling: {min: 0}\n",
    );
    let dev = Dev::start(&[&idle, "--matches", "none"]);

    let unknown = write(folder.path(), "early.yaml", &scheduler("early", "steady", ""));
    let refused = dev.cli(&["create", path(&unknown)]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(
        words.contains("steady") && words.contains("autoscaling.policies[0].type"),
        "{words}"
    );

    let told = dev.cli_ok(&["deploy-policy", path(&steady)]);
    assert!(told.contains("steady@1.2.0"), "{told}");
    assert!(
        dev.cli_ok(&["policies"])
            .contains("Wants a fixed number of rooms.")
    );

    let bad = write(
        folder.path(),
        "bad.yaml",
        &scheduler("bad", "steady", "      parameters: {romos: 4}"),
    );
    let refused = dev.cli(&["create", path(&bad)]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("romos") && words.contains("rooms"), "{words}");

    let good = write(
        folder.path(),
        "good.yaml",
        &scheduler("good", "steady@1.2", "      parameters: {rooms: 4}"),
    );
    dev.cli_ok(&["create", path(&good)]);
    eventually("the policy's number of rooms", PATIENCE, || {
        (dev.in_state("good", "ready").len() == 4).then_some(())
    });
    let told = dev.cli_ok(&["explain", "good", "--changes"]);
    assert!(told.contains("4 rooms are enough for anybody"), "{told}");

    // Broken bytes, a core module of something else, and one that never answers.
    let garbage = write(folder.path(), "garbage.wasm", "no wasm at all");
    assert_eq!(dev.cli(&["deploy-policy", path(&garbage)]).status.code(), Some(1));
    let empty = folder.path().join("empty.wasm");
    fs::write(&empty, wat::parse_str("(module)").unwrap()).unwrap();
    let refused = dev.cli(&["deploy-policy", path(&empty)]);
    assert_eq!(
        refused.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&refused.stderr)
    );
    dev.cli_ok(&["deploy-policy", path(&spinning)]);
    let spins = write(folder.path(), "spins.yaml", &scheduler("spins", "spinning", ""));
    dev.cli_ok(&["create", path(&spins)]);
    let told = eventually("the failure is told", PATIENCE, || {
        let told = dev.cli_ok(&["explain", "spins"]);
        (told.contains("fuel") || told.contains("deadline")).then_some(told)
    });
    assert!(told.contains("spinning"), "{told}");

    // The others have not noticed.
    dev.cli_ok(&["scale", "good", "--replicas", "2"]);
    eventually("the policy brings its number back", PATIENCE, || {
        (dev.get("/scheduler/good")["wanted"] == 4).then_some(())
    });
    eventually("its minimum is there all the same", PATIENCE, || {
        (dev.in_state("spins", "ready").len() == 1).then_some(())
    });
    assert!(dev.terminate().success());
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    file
}
