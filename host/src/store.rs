//! The store: what schedulers, policies and operations shall be, the journal of what was decided, and events.
//!
//! SQLite in a file, or a PostgreSQL server, through the same statements of sea-orm; what differs stands in `sqlite`
//! and `postgres`. It never asks what time it is: `now` is a parameter. Rooms are not in here, and no room's ping
//! ever waits for it. Each call ends in time, also where a server says nothing: `connections` sees to that, and what goes on for
//! longer says so. Callers: the API, the control loop, the catalog.

pub mod schedulers;
pub mod scale_in;
pub mod versions;
pub mod policies;
pub mod operations;
pub mod journal;
pub mod samples;
pub mod events;
pub mod copy;
pub mod transfer;
mod nodes;
mod ends;
pub mod postgres;
pub mod migration;
mod sqlite;
mod connections;
mod entity;
mod error;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, IsolationLevel, SqliteTransactionMode, TransactionOptions};

use crate::metrics::Metrics;
use connections::{Connections, Transaction};

pub use error::Error;

/// How long a call waits for a connection, and a statement for another's lock, before it fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// The store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    writer: Connections,
    reader: Connections,
    /// Rooms that say much wait for each other here, and take no connection from decisions.
    events: Connections,
    /// Events written since the last look at how many there are.
    told: Arc<AtomicU64>,
    /// Where a server is asked; `None` for a file.
    server: Option<Arc<postgres::Config>>,
}

/// What a transaction writes. Writers of one subject go one after the other on either database, so that what a
/// transaction read is still so when it writes, and rows are numbered in the order in which others come to see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// Schedulers, versions, policies, operations, drained nodes.
    Definitions,
    /// Decisions, recorded samples, and what was dropped of them.
    Journal,
    /// What rooms, players and people did.
    Events,
}

impl Store {
    /// Opens the database in this file, creates it when it is not there, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        sqlite::open(path).await
    }

    /// Opens the database in this file as it is: it is neither made nor brought up to date.
    pub async fn open_as_it_is(path: &Path) -> Result<Self, Error> {
        sqlite::open_as_it_is(path).await
    }

    /// A store that lives as long as this value.
    pub async fn in_memory() -> Result<Self, Error> {
        sqlite::in_memory().await
    }

    /// A store on a PostgreSQL server. Nothing is asked of the server yet, so that one that is away for the moment
    /// keeps nobody from starting; [`Store::standing`] tells whether its tables are what this release needs.
    pub fn on_server(config: postgres::Config) -> Result<Self, Error> {
        postgres::open(config)
    }

    /// The same, counting its statements.
    pub fn metered(mut self, metrics: &Arc<Metrics>) -> Self {
        self.reader.meter(metrics, "read");
        self.writer.meter(metrics, "write");
        self.events.meter(metrics, "write");
        self
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        let Err(cause) = self.reader.execute_unprepared("SELECT 1").await else {
            return Ok(());
        };
        if let Some(config) = &self.server {
            // A pool only tells that it waited in vain.
            postgres::reach(config).await?;
        }
        Err(failed("reach the store")(cause))
    }

    /// Ends all connections; the write-ahead log of a file is folded into it.
    pub async fn close(self) -> Result<(), Error> {
        self.reader.close().await.map_err(failed("close the store"))?;
        self.events.close().await.map_err(failed("close the store"))?;
        self.writer.close().await.map_err(failed("close the store"))
    }

    /// Begins a transaction that only reads: everything in it is of one moment, so that a scheduler that is removed
    /// meanwhile is not half there. Ends when it is dropped.
    async fn look(&self, what: &'static str) -> Result<Transaction, Error> {
        let look = self.reader.begin(self.of_one_moment()).await;
        look.map_err(failed(what))
    }

    /// What such a transaction is begun with.
    fn of_one_moment(&self) -> TransactionOptions {
        TransactionOptions {
            // A transaction of SQLite is of one moment anyway.
            isolation_level: self.server.as_ref().map(|_| IsolationLevel::RepeatableRead),
            ..TransactionOptions::default()
        }
    }

    /// Begins a transaction that is the only one to write its subject from the start: one that read first and wrote
    /// later could find that another did the same meanwhile.
    async fn begin(&self, subject: Subject, what: &'static str) -> Result<Transaction, Error> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            // Each statement sees what was committed before it, so that what is read after the lock is the newest.
            isolation_level: self.server.as_ref().map(|_| IsolationLevel::ReadCommitted),
            ..TransactionOptions::default()
        };
        let connections = match subject {
            Subject::Definitions | Subject::Journal => &self.writer,
            Subject::Events => &self.events,
        };
        let transaction = connections.begin(options).await.map_err(failed(what))?;
        postgres::lock(&transaction, subject)
            .await
            .map_err(failed(what))?;
        Ok(transaction)
    }
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
