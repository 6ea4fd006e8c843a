//! An engine whose compiler is this program, and policies for it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use maestro_engine::{Class, Compiler, Config, Engine, Policy};

/// What this program is called with to compile a policy.
pub(crate) const VERB: &str = "compile-policy";

pub(crate) fn engine(cache: &Path) -> Result<Arc<Engine>> {
    let compiler = Compiler {
        program: std::env::current_exe()?,
        args: vec![VERB.to_owned()],
    };
    Ok(Engine::new(Config {
        cache_dir: cache.to_owned(),
        compiler,
    })?)
}

/// The built-in policy `room`.
pub(crate) fn room() -> Result<&'static [u8]> {
    let builtin = maestro_policies::POLICIES
        .iter()
        .find(|policy| policy.name == "room");
    Ok(builtin.context("there is no built-in policy `room`")?.component)
}

/// The policy in `trend/`, built as its author would.
pub(crate) fn trend(target: &Path) -> Result<Vec<u8>> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/trend/Cargo.toml");
    let mut build = Command::new("cargo");
    build.args(["rustc", "--lib", "--crate-type", "cdylib", "--release", "--quiet"]);
    build.args([
        "--config",
        "profile.release.opt-level=\"s\"",
        "--config",
        "profile.release.lto=true",
    ]);
    build.args([
        "--config",
        "profile.release.codegen-units=1",
        "--config",
        "profile.release.panic=\"abort\"",
    ]);
    build.args(["--target", TARGET, "--manifest-path", manifest, "--target-dir"]);
    build
        .arg(target)
        .args(["--", "-C", "link-arg=-zstack-size=65536"]);
    if !build.status().context("cargo did not start")?.success() {
        bail!("the policy in {manifest} does not build");
    }
    let module = target.join(TARGET).join("release/maestro_policy_trend.wasm");
    Ok(maestro_engine::package::wrap(&std::fs::read(module)?)?)
}

/// A policy, ready to be asked.
pub(crate) fn load(engine: &Arc<Engine>, component: &[u8]) -> Result<Policy> {
    Ok(engine.load(component, Class::Native)?)
}
