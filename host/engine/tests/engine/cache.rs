//! Compiled code on disk, from outside: whatever happens to it, policies load and are right.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use maestro_engine::Class;
use tempfile::tempdir;

use crate::support::{compiler_behind, engine_in, engine_with, is_healthy, observation, sample};

/// The only entry of a cache.
fn entry(cache: &Path) -> PathBuf {
    let mut entries: Vec<_> = fs::read_dir(cache)
        .expect("the cache")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0)
}

#[test]
fn code_is_compiled_once_and_kept_for_us_alone() {
    let folder = tempdir().expect("a folder");
    let cache = folder.path().join("a/cache");
    drop(
        engine_in(cache.clone())
            .load(&sample("healthy"), Class::Native)
            .expect("it loads"),
    );
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&cache), mode(&entry(&cache))), (0o700, 0o600));
    // A compiler that cannot compile is enough from here on.
    let engine = engine_with(cache, compiler_behind("exit 1"));
    let policy = engine
        .load(&sample("healthy"), Class::Native)
        .expect("it is in the cache");
    assert!(is_healthy(&policy.evaluate(&observation())));
    assert!(
        engine.load(&sample("unreachable"), Class::Native).is_err(),
        "which this one is not"
    );
}

#[test]
fn a_folder_that_was_open_is_closed() {
    let folder = tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).expect("a folder");
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).expect("an open folder");
    drop(engine_in(cache.clone()));
    assert_eq!(
        fs::metadata(&cache).expect("it is there").permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "in the way").expect("a file");
    let error = maestro_engine::Engine::new(maestro_engine::Config {
        cache_dir: file.join("cache"),
        compiler: crate::support::compiler(),
    });
    assert!(
        matches!(error, Err(maestro_engine::Error::Cache { .. })),
        "{error:?}"
    );
}

#[test]
fn changed_code_is_never_loaded_but_made_again() {
    let folder = tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let log = folder.path().join("log");
    let script = format!("echo compiled >> '{}'; exec \"$0\"", log.display());
    let load = || {
        let engine = engine_with(cache.clone(), compiler_behind(&script));
        let policy = engine.load(&sample("healthy"), Class::Native).expect("it loads");
        assert!(is_healthy(&policy.evaluate(&observation())));
    };
    load();
    let path = entry(&cache);
    let good = fs::read(&path).expect("an entry");
    let flipped = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bad
    };
    let cases = [
        flipped(0),
        flipped(33),
        // Machine code: nothing but the checksum would notice.
        flipped(good.len() / 2),
        flipped(good.len() - 1),
        good[..good.len() / 2].to_vec(),
        good[..40].to_vec(),
        good[..8].to_vec(),
        Vec::new(),
        [good.as_slice(), b"more"].concat(),
    ];
    for (number, bad) in cases.iter().enumerate() {
        fs::write(&path, bad).expect("a changed entry");
        load();
        assert_eq!(
            fs::read_to_string(&log).expect("a log").lines().count(),
            number + 2
        );
        assert_eq!(fs::read(&path).expect("an entry"), good, "it is right again");
    }
    load();
    assert_eq!(
        fs::read_to_string(&log).expect("a log").lines().count(),
        cases.len() + 1
    );
}

#[test]
fn code_under_the_name_of_another_is_not_loaded() {
    let folder = tempdir().expect("a folder");
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
    drop(
        engine_in(one.clone())
            .load(&sample("healthy"), Class::Native)
            .expect("it loads"),
    );
    drop(
        engine_in(other.clone())
            .load(&sample("remembers"), Class::Native)
            .expect("it loads"),
    );
    fs::copy(entry(&other), entry(&one)).expect("a copy");
    let engine = engine_in(one);
    let policy = engine.load(&sample("healthy"), Class::Native).expect("it loads");
    assert!(is_healthy(&policy.evaluate(&observation())));
}

#[test]
fn code_of_one_class_is_not_loaded_for_another() {
    let folder = tempdir().expect("a folder");
    let engine = engine_in(folder.path().join("cache"));
    let large = sample("memory-65-mib");
    for _ in 0..2 {
        assert!(engine.load(&large, Class::Heavy).is_ok());
        let refused = engine.load(&large, Class::Native).expect_err("it is too large");
        assert_eq!(refused.code(), "precheck-failed", "{refused}");
    }
}
