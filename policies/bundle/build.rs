//! Compiles the built-in policies to components, by the steps that any author's policy takes: cargo for
//! `wasm32-unknown-unknown`, then the engine's wrapper.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use maestro_engine::Class;

const TARGET: &str = "wasm32-unknown-unknown";

const POLICIES: [&str; 3] = ["room", "cpu", "memory"];

/// What the outer build says to its own compiler and must not reach this one: a shared target folder would wait for
/// the outer build's lock for ever, and flags and wrappers are for the host's machine.
const OUTER: [&str; 12] = [
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    // Clippy sets it for its driver, which would check the policies instead of compiling them.
    "CLIPPY_ARGS",
];

/// Small, and without unwinding; the workspace's one profile is made for fast builds of the host.
const PROFILE: [&str; 6] = [
    "profile.release.opt-level=\"s\"",
    "profile.release.lto=true",
    "profile.release.codegen-units=1",
    "profile.release.panic=\"abort\"",
    "profile.release.strip=true",
    "profile.release.incremental=false",
];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let policies = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("..");
    let watched = [
        "../../Cargo.toml",
        "../../Cargo.lock",
        "../../policy-sdk/Cargo.toml",
        "../../policy-sdk/src",
        "../../policy-sdk/wit",
    ];
    let own = POLICIES
        .iter()
        .flat_map(|name| [format!("../{name}/Cargo.toml"), format!("../{name}/src")]);
    for path in watched
        .map(str::to_owned)
        .into_iter()
        .chain(own)
        .chain(["build.rs".to_owned()])
    {
        println!("cargo:rerun-if-changed={path}");
    }
    ensure_target()?;
    for name in POLICIES {
        let module = compile(&policies.join(name), name, &out.join("wasm"))?;
        let refused = |error: &dyn Error| format!("policy `{name}`: {}", chain(error));
        let component =
            maestro_engine::package::wrap(&fs::read(&module)?).map_err(|error| refused(&error))?;
        maestro_engine::check(&component, Class::Native).map_err(|error| refused(&error))?;
        fs::write(out.join(format!("{name}.wasm")), component)?;
    }
    Ok(())
}

/// Compiles the crate in `folder` and says where its module is.
fn compile(folder: &Path, name: &str, target_dir: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let mut command = Command::new(variable("CARGO")?);
    command.args([
        "rustc",
        "--lib",
        "--crate-type",
        "cdylib",
        "--release",
        "--locked",
        "--quiet",
    ]);
    command
        .args(["--target", TARGET])
        .arg("--target-dir")
        .arg(target_dir);
    command.arg("--manifest-path").arg(folder.join("Cargo.toml"));
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    // The stack comes first in memory; a small one keeps stack, data and arena within what the engine keeps resident.
    command.args(["--", "-C", "link-arg=-zstack-size=65536"]);
    isolate(&mut command);
    // Panics name their source. A digest must not depend on whose home folder the sources lie in.
    if let Some(home) = cargo_home() {
        command.env(
            "CARGO_ENCODED_RUSTFLAGS",
            format!("--remap-path-prefix={}=cargo", home.display()),
        );
    }
    let output = command
        .output()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(
            format!("the built-in policy `{name}` could not be compiled for {TARGET}:\n{said}").into(),
        );
    }
    Ok(target_dir
        .join(TARGET)
        .join("release")
        .join(format!("maestro_policy_{name}.wasm")))
}

/// Removes the outer build's variables, and those that would give the same sources other bytes, and so another digest:
/// of its profile, of how it unites features, of flags for the target.
fn isolate(command: &mut Command) {
    const FAMILIES: [&str; 3] = ["CARGO_PROFILE_", "CARGO_RESOLVER_", "CARGO_TARGET_WASM32"];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if OUTER.contains(&&*text) || FAMILIES.iter().any(|family| text.starts_with(family)) {
            command.env_remove(&name);
        }
    }
}

fn cargo_home() -> Option<PathBuf> {
    let usual = || env::home_dir().map(|home| home.join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(usual)
}

/// Makes sure that the standard library for the target is there; rustup adds it when it is the one in charge.
fn ensure_target() -> Result<(), Box<dyn Error>> {
    if has_target()? {
        return Ok(());
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).output();
    if added.is_ok_and(|output| output.status.success()) && has_target()? {
        return Ok(());
    }
    Err(format!("Rust's standard library for {TARGET} is missing; run `rustup target add {TARGET}`").into())
}

fn has_target() -> Result<bool, Box<dyn Error>> {
    let mut command = Command::new(variable("RUSTC")?);
    command.args(["--print", "target-libdir", "--target", TARGET]);
    let output = command.output()?;
    Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("cargo sets {name} for a build script: {error}").into())
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
