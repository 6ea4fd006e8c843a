//! The settings that the Helm chart writes are settings of this release: each of its reviewed renderings is handed to
//! `maestro config`, which takes nothing that it does not know.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it can't go on, its helpers too"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the chart's renderings are kept.
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart/golden")
}

/// The file of settings in a rendering.
fn settings(rendered: &str) -> String {
    let (_, after) = rendered
        .split_once("  maestro.yaml: |\n")
        .expect("the chart writes settings");
    let lines = after.lines().map_while(|line| line.strip_prefix("    "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What `maestro config` says of these settings.
fn config(settings: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("maestro.yaml");
    fs::write(&file, settings).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_maestro"))
        .args(["config", "--config"])
        .arg(&file)
        .env_clear()
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn the_settings_of_the_chart_are_settings_of_maestro() {
    for name in ["single", "distributed", "all"] {
        let rendered = fs::read_to_string(golden().join(format!("{name}.yaml"))).unwrap();
        let settings = settings(&rendered);
        assert!(settings.contains("listen: 0.0.0.0:8080\n"), "{name}:\n{settings}");
        let (is_taken, said) = config(&settings);
        assert!(is_taken, "{name}:\n{said}");
        assert!(said.contains("0.0.0.0:8081"), "{name}:\n{said}");
        let (is_taken, said) = config(&format!("{settings}replicas: 3\n"));
        assert!(
            !is_taken && said.contains("there is no setting `replicas`"),
            "{name}:\n{said}"
        );
    }
}
