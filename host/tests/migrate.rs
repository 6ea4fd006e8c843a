//! `maestro migrate` as an operator types it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "testbed")]
#[path = "shared/database.rs"]
mod database;

use std::process::{Command, Output};

#[cfg(feature = "testbed")]
use database::Database;

fn maestro(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maestro"));
    command
        .arg("migrate")
        .args(arguments)
        .env_remove("MAESTRO_DATABASE");
    command.output().unwrap()
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_place_that_is_none_is_refused_with_what_was_expected_and_without_its_password() {
    for (place, reason) in [
        (
            "mysql://me:s3cret@db/rooms",
            "postgres://user:password@host:5432/database",
        ),
        ("postgres://me:s3cret@db:port/rooms", "port"),
        ("sqlite:", "path of a file"),
    ] {
        let (code, _, stderr) = told(&maestro(&["--database", place]));
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(reason), "{stderr}");
        assert!(!stderr.contains("s3cret"), "{stderr}");
    }
    let (code, _, stderr) = told(&maestro(&[]));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--database"), "{stderr}");
}

#[test]
fn a_file_is_checked_as_it_is_then_brought_up_to_date_and_none_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("maestro.db");
    let place = format!("sqlite:{}", path.display());
    let check = ["--check", "--database", &place];
    for arguments in [&check[1..], &check] {
        let (code, _, stderr) = told(&maestro(arguments));
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains("is not there"), "{stderr}");
        assert!(!path.exists());
    }
    let earlier = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/data-0.1.0/maestro.db"
    );
    std::fs::copy(earlier, &path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let (code, stdout, stderr) = told(&maestro(&check));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stdout.starts_with("pending: m0002_events"), "{stdout}");
    assert_eq!(std::fs::read(&path).unwrap(), before, "a check changes nothing");
    let (code, stdout, stderr) = told(&maestro(&check[1..]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("applied m0002_events\n"), "{stdout}");
    let (code, stdout, stderr) = told(&maestro(&check));
    assert_eq!((code, stdout.as_str()), (Some(0), "up to date\n"), "{stderr}");
}

#[test]
fn a_server_that_is_away_is_named_and_its_password_is_not() {
    let place = "postgres://me:s3cret@127.0.0.1:1/rooms";
    for arguments in [
        ["--database", place].as_slice(),
        &["--check", "--database", place],
    ] {
        let (code, _, stderr) = told(&maestro(arguments));
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains("refused"), "{stderr}");
        assert!(!stderr.contains("s3cret"), "{stderr}");
    }
}

#[cfg(feature = "testbed")]
#[tokio::test]
async fn a_server_is_checked_migrated_and_checked_again() {
    let database = Database::new().await;
    let place = database.place.as_str();
    let (code, stdout, stderr) = told(&maestro(&["--check", "--database", place]));
    assert_eq!(
        (code, stdout.starts_with("pending: m0001_tables")),
        (Some(2), true),
        "{stderr}"
    );
    let (code, stdout, stderr) = told(&maestro(&["--database", place]));
    assert_eq!(
        (code, stdout.starts_with("applied m0001_tables\n")),
        (Some(0), true),
        "{stderr}"
    );
    for arguments in [
        ["--database", place].as_slice(),
        &["--check", "--database", place],
    ] {
        let (code, stdout, stderr) = told(&maestro(arguments));
        assert_eq!((code, stdout.as_str()), (Some(0), "up to date\n"), "{stderr}");
    }
    database.remove().await;
}

#[cfg(feature = "testbed")]
#[tokio::test]
async fn a_data_folder_moves_to_a_server_whole_and_once() {
    use maestro::store::{Store, postgres};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("maestro.db");
    let earlier = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/data-0.1.0/maestro.db"
    );
    std::fs::copy(earlier, &path).unwrap();
    std::fs::write(folder.path().join("key"), [7; 32]).unwrap();
    let file = format!("sqlite:{}", path.display());
    let database = Database::new().await;
    let arguments = ["--from", &file, "--to", &database.place];
    let (code, stdout, stderr) = told(&maestro(&arguments));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("--key $(od"), "{stderr}");

    let before = Store::open(&path).await.unwrap();
    let config = postgres::Config::parse(&database.place, 4).unwrap();
    let after = Store::on_server(config).unwrap();
    let schedulers = before.schedulers().await.unwrap();
    assert!(!schedulers.is_empty() && stdout.contains(&format!("copied {} schedulers\n", schedulers.len())));
    assert_eq!(after.schedulers().await.unwrap(), schedulers);
    for stored in &schedulers {
        let name = &stored.name;
        assert_eq!(
            after.releases(name).await.unwrap(),
            before.releases(name).await.unwrap()
        );
        let (old, new) = (
            before.decisions(name, None, 1_000).await,
            after.decisions(name, None, 1_000).await,
        );
        assert!(!old.as_ref().unwrap().is_empty());
        assert_eq!(format!("{:?}", new.unwrap()), format!("{:?}", old.unwrap()));
        // What is written from now on gets numbers of its own.
        let now = maestro::registry::clock::system()();
        after
            .delete_scheduler(name, &stored.managed_by, false, now)
            .await
            .unwrap();
    }
    after.close().await.unwrap();
    let (code, stdout, stderr) = told(&maestro(&arguments));
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains("schedulers in it already"), "{stderr}");
    database.remove().await;
}
