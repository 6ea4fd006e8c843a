//! `maestro migrate` as an operator types it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

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
    use sqlx::{AssertSqlSafe, Executor};
    let server = std::env::var("MAESTRO_TESTBED_POSTGRES").unwrap();
    let name = format!("test_{:016x}", rand::random::<u64>());
    let options = sqlx::postgres::PgPoolOptions::new();
    let admin = options.connect(&server).await.unwrap();
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    admin.execute(create).await.unwrap();
    let place = server.replace("/postgres?", &format!("/{name}?"));

    let (code, stdout, stderr) = told(&maestro(&["--check", "--database", &place]));
    assert_eq!(
        (code, stdout.starts_with("pending: m0001_tables")),
        (Some(2), true),
        "{stderr}"
    );
    let (code, stdout, stderr) = told(&maestro(&["--database", &place]));
    assert_eq!(
        (code, stdout.starts_with("applied m0001_tables\n")),
        (Some(0), true),
        "{stderr}"
    );
    for arguments in [
        ["--database", &place].as_slice(),
        &["--check", "--database", &place],
    ] {
        let (code, stdout, stderr) = told(&maestro(arguments));
        assert_eq!((code, stdout.as_str()), (Some(0), "up to date\n"), "{stderr}");
    }
    let drop = AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
    admin.execute(drop).await.unwrap();
}
