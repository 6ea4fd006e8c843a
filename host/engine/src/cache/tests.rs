//! The cache by itself: what it takes for code is never loaded here.

use std::time::Duration;

use super::*;

const COMPONENT: Key = key(1);

const fn key(number: u8) -> Key {
    Key {
        component: Digest([number; 32]),
        class: Class::Native,
    }
}

fn code(text: &str) -> Code {
    Code::from_own_compiler(text.as_bytes().to_vec())
}

fn got(cache: &Cache, key: Key) -> Option<String> {
    cache
        .get(key)
        .map(|code| String::from_utf8_lossy(code.bytes()).into_owned())
}

fn open(folder: &Path, fingerprint: u8, limit: u64) -> Cache {
    Cache::open(folder.join("cache"), [fingerprint; 32], limit).expect("a cache")
}

#[test]
fn what_was_put_is_got() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = open(folder.path(), 1, 1_000);
    assert_eq!(got(&cache, COMPONENT), None);
    cache.put(COMPONENT, &code("code"));
    assert_eq!(got(&cache, COMPONENT).as_deref(), Some("code"));
    cache.put(COMPONENT, &code("newer"));
    assert_eq!(
        got(&open(folder.path(), 1, 1_000), COMPONENT).as_deref(),
        Some("newer")
    );
    assert_eq!(
        got(&open(folder.path(), 2, 1_000), COMPONENT),
        None,
        "another engine's"
    );
    cache.drop_entry(COMPONENT);
    assert_eq!(got(&cache, COMPONENT), None);
}

#[test]
fn no_changed_byte_goes_unnoticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = open(folder.path(), 1, 1_000);
    cache.put(COMPONENT, &code("some code"));
    let path = cache.path(COMPONENT);
    let good = fs::read(&path).expect("an entry");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        fs::write(&path, &bad).expect("a changed entry");
        assert_eq!(got(&cache, COMPONENT), None, "byte {at}");
        fs::write(&path, &good[..at]).expect("a cut entry");
        assert_eq!(got(&cache, COMPONENT), None, "cut at {at}");
    }
    fs::write(&path, &good).expect("an entry");
    assert!(got(&cache, COMPONENT).is_some());
}

#[test]
fn an_entry_is_good_under_its_own_name_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = open(folder.path(), 1, 1_000);
    cache.put(COMPONENT, &code("code"));
    let as_heavy = Key {
        class: Class::Heavy,
        ..COMPONENT
    };
    for other in [key(2), as_heavy] {
        fs::copy(cache.path(COMPONENT), cache.path(other)).expect("a copy");
        assert_eq!(got(&cache, other), None, "{other:?}");
    }
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let folder = tempfile::tempdir().expect("a folder");
    // Room for three entries of 32 + 68 bytes.
    let cache = open(folder.path(), 1, 300);
    let digests = [1, 2, 3, 4].map(key);
    let text = "x".repeat(68);
    let start = SystemTime::now() - Duration::from_secs(1_000);
    for (number, digest) in digests.iter().take(3).enumerate() {
        cache.put(*digest, &code(&text));
        let file = File::open(cache.path(*digest)).expect("an entry");
        file.set_modified(start + Duration::from_secs(number as u64))
            .expect("a time");
    }
    // Used just now, so the second one is the oldest.
    assert!(got(&cache, digests[0]).is_some());
    cache.put(digests[3], &code(&text));
    let left: Vec<_> = digests
        .iter()
        .map(|digest| got(&cache, *digest).is_some())
        .collect();
    assert_eq!(left, [true, false, true, true]);
}

#[test]
fn what_never_fits_is_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = open(folder.path(), 1, 300);
    cache.put(COMPONENT, &code(&"x".repeat(301)));
    assert_eq!(
        fs::read_dir(folder.path().join("cache"))
            .expect("the cache")
            .count(),
        0
    );
}

#[test]
fn remains_of_a_dead_process_are_dropped_and_strange_files_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = open(folder.path(), 1, 200);
    let inside = |name: &str| folder.path().join("cache").join(name);
    fs::write(inside("1-1.unfinished"), vec![0; 300]).expect("remains");
    // In our own way, if the number of a process comes again.
    fs::write(inside(&format!("{}-0.unfinished", std::process::id())), "remains").expect("remains");
    fs::write(inside("README"), vec![0; 300]).expect("somebody's file");
    let old = SystemTime::now() - Duration::from_secs(1_000);
    let remains = File::open(inside("1-1.unfinished")).expect("remains");
    remains.set_modified(old).expect("a time");
    cache.put(COMPONENT, &code("code"));
    assert!(got(&cache, COMPONENT).is_some());
    assert!(!inside("1-1.unfinished").exists());
    assert!(inside("README").exists());
}
