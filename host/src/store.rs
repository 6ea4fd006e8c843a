//! The store: what schedulers, policies and operations shall be, the journal of what was decided, and events.
//!
//! SQLite through sea-orm, in statements that PostgreSQL takes too. Writing goes through one connection, so that
//! writers queue here instead of failing with "database is locked"; readers have connections of their own, which
//! write-ahead logging never blocks. It never asks what time it is: `now` is a parameter. Rooms are not in here,
//! and no room's ping ever waits for it. Callers: the API, the control loop, the catalog.

pub mod schedulers;
pub mod scale_in;
pub mod versions;
pub mod policies;
pub mod operations;
pub mod journal;
pub mod samples;
pub mod events;
mod ends;
mod entity;
mod error;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use maestro_migrations::{Migrator, MigratorTrait};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

pub use error::Error;

/// Readers that may work beside each other; queries are short, so that few serve many requests.
const READERS: u32 = 4;

/// How long a call waits for a connection, and a connection for another process's lock, before it fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// The store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
}

impl Store {
    /// Opens the database in this file, creates it when it is not there, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let opened = |cause| Error::Open {
            path: path.to_owned(),
            cause,
        };
        let writer = connect(path, 1).await.map_err(opened)?;
        migrate(&writer).await?;
        let reader = connect(path, READERS).await.map_err(opened)?;
        Ok(Self { writer, reader })
    }

    /// A store that lives as long as this value.
    pub async fn in_memory() -> Result<Self, Error> {
        let mut options = options("sqlite::memory:", 1);
        // Each connection to `:memory:` is a database of its own: the only one must never be closed.
        options
            .idle_timeout(None::<Duration>)
            .max_lifetime(None::<Duration>);
        let writer = Database::connect(options).await.map_err(|cause| Error::Open {
            path: ":memory:".into(),
            cause,
        })?;
        migrate(&writer).await?;
        Ok(Self {
            reader: writer.clone(),
            writer,
        })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        let answer = self.reader.execute_unprepared("SELECT 1").await;
        answer.map(|_| ()).map_err(failed("reach the store"))
    }

    /// Ends all connections; the write-ahead log is folded into the file.
    pub async fn close(self) -> Result<(), Error> {
        self.reader.close().await.map_err(failed("close the store"))?;
        self.writer.close().await.map_err(failed("close the store"))
    }

    /// Begins a transaction that holds the write lock from the start: one that read first and wrote later could
    /// find the lock taken by another process and could not wait for it.
    async fn begin(&self, what: &'static str) -> Result<DatabaseTransaction, Error> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.writer
            .begin_with_options(options)
            .await
            .map_err(failed(what))
    }
}

async fn connect(path: &Path, connections: u32) -> Result<DatabaseConnection, DbErr> {
    let path = path.to_owned();
    let mut options = options("sqlite:maestro.db", connections);
    options.map_sqlx_sqlite_opts(move |sqlite: SqliteConnectOptions| {
        sqlite
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // With a write-ahead log, `Normal` can lose the last moments to a power cut, and never consistency.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(PATIENCE)
    });
    Database::connect(options).await
}

fn options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .sqlx_logging(false);
    options
}

async fn migrate(database: &DatabaseConnection) -> Result<(), Error> {
    Migrator::up(database, None)
        .await
        .map_err(|cause| Error::Migrate { cause })
}

/// Names what was to be done when a statement fails; reads on from "failed to ".
fn failed(what: &'static str) -> impl Fn(DbErr) -> Error {
    move |cause| Error::Statement { what, cause }
}

/// What a column holds that this release can't read.
fn unreadable(what: &'static str, reason: impl std::fmt::Display) -> Error {
    Error::Unreadable {
        what,
        reason: reason.to_string(),
    }
}

/// A count, size or version number as a column holds it.
fn column(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// A column that never holds a negative number.
fn number<T: TryFrom<i64>>(what: &'static str, column: i64) -> Result<T, Error> {
    T::try_from(column).map_err(|_| unreadable(what, format_args!("{column} is out of range")))
}
