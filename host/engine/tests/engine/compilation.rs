//! Compilation in a process with limits.

use std::time::{Duration, Instant};

use maestro_engine::{Class, CompileError, LoadError};
use tempfile::tempdir;
use wit_component::StringEncoding;

use crate::support::{
    CONTRACT, ENGINE, compiler_behind, engine_with, is_healthy, load, module, observation, sample, wrap,
};

/// Class heavy allows functions of this size: each has 28,000 branches, and costs the compiler the better part of a
/// second and 200 MB.
fn bomb() -> Vec<u8> {
    const BRANCH: &str = "(if (i32.eq (local.get $x) (i32.load (local.get $x))) (then (local.set $x (i32.add (local.get $x) (i32.const 7)))))";
    let branches = BRANCH.repeat(28_000);
    let evaluate =
        r#"(func (export "maestro:policy/policy@0.1.0#evaluate") (param i32) (result i32) unreachable)"#;
    let parts = format!("(func (param $x i32) {branches})").repeat(6);
    wrap(
        module(&format!("{evaluate} {parts}")),
        CONTRACT,
        StringEncoding::UTF8,
    )
}

/// The error of compiling the bomb when the shell limits the compiler further, and how long that took.
fn compile_bomb(limit: &str) -> (CompileError, Duration) {
    let folder = tempdir().expect("a folder");
    let engine = engine_with(
        folder.path().join("cache"),
        compiler_behind(&format!("{limit}; exec \"$0\"")),
    );
    let started = Instant::now();
    match engine.load(&bomb(), Class::Heavy) {
        Err(LoadError::Compile(error)) => (error, started.elapsed()),
        other => panic!("{limit}: {other:?}"),
    }
}

#[test]
fn a_compile_bomb_ends_by_its_limit_on_time() {
    let healthy = load("healthy");
    let (error, took) = compile_bomb("ulimit -t 2");
    assert!(
        matches!(
            error,
            CompileError::Time {
                kind: "processor",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.code(), "compile-timeout");
    assert!(!error.is_retryable());
    // A second of processor time, however long that takes with others on the machine.
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert!(is_healthy(&healthy.evaluate(&observation())));
}

#[test]
fn a_compile_bomb_ends_by_its_limit_on_memory() {
    let (error, took) = compile_bomb("ulimit -v 200000");
    assert!(matches!(error, CompileError::Died { .. }), "{error}");
    assert!(error.to_string().contains("memory allocation"), "{error}");
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[test]
fn a_compiler_of_another_build_is_not_believed() {
    let folder = tempdir().expect("a folder");
    // It answers with what it was given.
    let engine = engine_with(folder.path().join("cache"), compiler_behind("exec cat"));
    let error = engine
        .load(&sample("healthy"), Class::Native)
        .expect_err("no code");
    assert!(
        matches!(error, LoadError::Compile(CompileError::Foreign { .. })),
        "{error}"
    );
    assert!(error.is_retryable());
}

#[test]
fn the_compiler_sees_nothing_of_our_environment() {
    let folder = tempdir().expect("a folder");
    let seen = folder.path().join("seen");
    let script = format!("/usr/bin/env > '{}'; exec \"$0\"", seen.display());
    let engine = engine_with(folder.path().join("cache"), compiler_behind(&script));
    engine.load(&sample("healthy"), Class::Native).expect("it loads");
    let environment = std::fs::read_to_string(seen).expect("the environment");
    // The shell sets these by itself.
    let ours = environment.lines().filter(|line| {
        !["PWD=", "SHLVL=", "_=", "OLDPWD="]
            .iter()
            .any(|own| line.starts_with(own))
    });
    assert_eq!(ours.count(), 0, "{environment}");
}

#[test]
fn the_verb_says_what_it_is_for_when_called_by_hand() {
    let output = std::process::Command::new(crate::support::COMPILER)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it starts");
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing to call by hand"));
}

#[test]
fn several_loads_of_one_component_compile_it_once() {
    let folder = tempdir().expect("a folder");
    let log = folder.path().join("log");
    let script = format!("echo compiled >> '{}'; exec \"$0\"", log.display());
    let engine = engine_with(folder.path().join("cache"), compiler_behind(&script));
    let component = sample("healthy");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let policy = engine.load(&component, Class::Native).expect("it loads");
                assert!(is_healthy(&policy.evaluate(&observation())));
            });
        }
    });
    assert_eq!(std::fs::read_to_string(log).expect("a log"), "compiled\n");
}

#[test]
fn a_bad_component_never_displaces_a_good_one() {
    let healthy = load("healthy");
    for name in ["start-loop", "empty-interface", "memory-4-gib"] {
        assert!(ENGINE.load(&sample(name), Class::Native).is_err(), "{name}");
        assert!(is_healthy(&healthy.evaluate(&observation())), "{name}");
    }
}
