//! The store in a file, or in memory: SQLite.
//!
//! Writing goes through one connection, so that writers queue here instead of failing with "database is locked";
//! readers have connections of their own, which write-ahead logging never blocks. The tables are brought up to date
//! when the file is opened: whoever has the file is the only one who could.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

use super::{Connections, Error, PATIENCE, Store};

/// Readers that may work beside each other; queries are short, so that few serve many requests.
const READERS: u32 = 4;

pub(super) async fn open(path: &Path) -> Result<Store, Error> {
    let opened = |cause| Error::Open {
        place: path.display().to_string(),
        cause,
    };
    let writer = Connections::to_file(connect(path, 1).await.map_err(opened)?);
    let store = Store {
        reader: writer.clone(),
        events: writer.clone(),
        writer,
        server: None,
        told: Arc::default(),
    };
    store.migrate().await?;
    let reader = Connections::to_file(connect(path, READERS).await.map_err(opened)?);
    Ok(Store { reader, ..store })
}

/// Opens a file that is there, and neither makes nor changes anything in it.
pub(super) async fn open_as_it_is(path: &Path) -> Result<Store, Error> {
    let file = path.to_owned();
    let mut options = options("sqlite:maestro.db", 1);
    options.map_sqlx_sqlite_opts(move |sqlite: SqliteConnectOptions| {
        sqlite
            .filename(&file)
            .create_if_missing(false)
            .busy_timeout(PATIENCE)
    });
    let database = Database::connect(options).await.map_err(|cause| Error::Open {
        place: path.display().to_string(),
        cause,
    })?;
    let database = Connections::to_file(database);
    Ok(Store {
        reader: database.clone(),
        events: database.clone(),
        writer: database,
        server: None,
        told: Arc::default(),
    })
}

pub(super) async fn in_memory() -> Result<Store, Error> {
    let mut options = options("sqlite::memory:", 1);
    // Each connection to `:memory:` is a database of its own: the only one must never be closed.
    options
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>);
    let writer = Database::connect(options).await.map_err(|cause| Error::Open {
        place: ":memory:".to_owned(),
        cause,
    })?;
    let writer = Connections::to_file(writer);
    let store = Store {
        reader: writer.clone(),
        events: writer.clone(),
        writer,
        server: None,
        told: Arc::default(),
    };
    store.migrate().await?;
    Ok(store)
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
