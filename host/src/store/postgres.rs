//! The store on a server: PostgreSQL.
//!
//! What SQLite's single writer gives for nothing is asked for here: a transaction takes its subject's advisory lock
//! before it reads. Each statement has a time limit on the server, so that a query that hangs gives its connection
//! back; each call has one of ours, for a server that hangs itself. A change of definitions is told to whoever listens, as a
//! hint: looking every few seconds is the truth.

mod alone;
mod hints;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, Row};
use tokio::time::timeout;

use super::{Connections, Error, PATIENCE, Store, Subject};

pub(super) use alone::alone;

/// The first half of every advisory lock of ours; spells `Mstr`. The locks are the database's, not a table's.
const LOCKS: i32 = 0x4d73_7472;

/// The channel on which changes of definitions are told.
const CHANNEL: &str = "maestro_definitions";

/// The longest that one statement may take on the server.
const STATEMENT: Duration = Duration::from_secs(10);

/// The longest that a call may take, in a transaction all its statements together. More than it takes to wait for a connection
/// and then for one statement at its own limit, so that a server that lives says itself what was wrong.
pub const LIMIT: Duration = Duration::from_secs(20);

/// The longest that a transaction may stay open without a statement: its owner hangs or is gone.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(30);

/// Connections for events. They are written one after the other anyway; the second hides the first's way there and back.
const EVENTS: u32 = 2;

/// A connection is replaced after this time, so that connections spread again after a fail-over.
const LIFETIME: Duration = Duration::from_secs(1_800);

/// Where the server is, and how much of it may be used.
#[derive(Clone)]
pub struct Config {
    options: PgConnectOptions,
    shown: String,
    connections: u32,
    limit: Duration,
}

impl Config {
    /// What this URL says, as in `postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=ca.pem`,
    /// with at most `connections` connections, and at least four.
    pub fn parse(url: &str, connections: u32) -> Result<Self, Error> {
        let unreadable = |cause: DbErr| Error::Open {
            // What can't be read could hold a password anywhere.
            place: "at the URL given".to_owned(),
            cause,
        };
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|start| url.starts_with(start))
        {
            let reason = "expected a URL like postgres://user:password@host:5432/database".to_owned();
            return Err(unreadable(DbErr::Conn(RuntimeErr::Internal(reason))));
        }
        let options: PgConnectOptions = url
            .parse()
            .map_err(|cause: sqlx::Error| unreadable(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(cause)))))?;
        let database = options.get_database().unwrap_or(options.get_username());
        let shown = format!("{}:{}/{database}", options.get_host(), options.get_port());
        Ok(Self {
            shown,
            connections,
            options: options.application_name("maestro"),
            limit: LIMIT,
        })
    }

    /// The same, where a call is given up after this time.
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The options of a connection whose statements may take so long; zero is for ever.
    fn limited(&self, statement: Duration) -> PgConnectOptions {
        let ms = |limit: Duration| limit.as_millis().to_string();
        self.options.clone().options([
            ("statement_timeout", ms(statement)),
            ("idle_in_transaction_session_timeout", ms(IDLE_IN_TRANSACTION)),
        ])
    }

    fn pool(&self) -> PgPoolOptions {
        PgPoolOptions::new()
            .max_connections(self.connections)
            .acquire_timeout(PATIENCE)
            .max_lifetime(LIFETIME)
            .after_release(|connection, _| Box::pin(async move { Ok(is_at_rest(connection).await) }))
    }

    fn failed(&self, cause: sqlx::Error) -> Error {
        Error::Open {
            place: self.shown.clone(),
            cause: DbErr::Conn(RuntimeErr::SqlxError(Arc::new(cause))),
        }
    }
}

/// Never shows the password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres at {}", self.shown)
    }
}

pub(super) fn open(config: Config) -> Result<Store, Error> {
    let options = sqlx::ConnectOptions::disable_statement_logging(config.limited(STATEMENT));
    // Whoever waits for a lock holds a connection meanwhile: readers have their own, and events no more than a few.
    let readers = config.connections.div_ceil(2);
    let writers = config.connections.saturating_sub(readers + EVENTS).max(1);
    let pool = |connections| {
        let pool = config.pool().max_connections(connections);
        Connections::to_server(pool.connect_lazy_with(options.clone()).into(), config.limit)
    };
    Ok(Store {
        reader: pool(readers),
        writer: pool(writers),
        events: pool(EVENTS),
        told: Arc::default(),
        server: Some(Arc::new(config)),
    })
}

/// Whether a connection that comes back to its pool may be used again; otherwise it is closed.
///
/// A call that is given up (at its limit, or with the request that made it) leaves its connection in the middle of an answer.
/// sqlx reads the rest of that before it pools the connection, so that nobody gets another's answer. But it would read for as
/// long as the server is silent, and count the connection as one of the pool's meanwhile; here that ends in time. And sqlx does
/// not know of a transaction whose `BEGIN` was given up: a server that goes on begins it all the same, and what the next caller
/// writes over that connection would be part of a transaction that nobody commits.
///
/// What remains is a server that freezes between this answer and that to sqlx's own test after it: such a connection counts
/// until the server goes on, or its machine is found to be gone.
async fn is_at_rest(connection: &mut PgConnection) -> bool {
    // Both are the time at which this statement came, unless a transaction was begun before it. Sent as plain text, so that it
    // is one message: parsed, bound and executed it would be three, each of which has a time of its own.
    const ASK: &str = "SELECT transaction_timestamp() = statement_timestamp()";
    match timeout(PATIENCE, connection.fetch_one(ASK)).await {
        Ok(Ok(row)) => row.try_get(0).unwrap_or(false),
        Ok(Err(_)) | Err(_) => false,
    }
}

/// A connection outside the pool, soon or not at all.
async fn connect(config: &Config, options: &PgConnectOptions) -> Result<PgConnection, Error> {
    let connection = soon(PgConnection::connect_with(options)).await;
    connection.map_err(|cause| config.failed(cause))
}

/// What is answered within moments, or not at all.
async fn soon<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let answer = timeout(PATIENCE, answer).await;
    answer.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Connects once, outside the pool; an error says why that can't be.
pub(super) async fn reach(config: &Config) -> Result<(), Error> {
    let connection = connect(config, &config.limited(STATEMENT)).await?;
    soon(connection.close())
        .await
        .map_err(|cause| config.failed(cause))
}

/// Waits until nobody else writes this subject, for as long as the transaction lasts. SQLite's transactions are alone
/// already.
pub(super) async fn lock(transaction: &impl ConnectionTrait, subject: Subject) -> Result<(), DbErr> {
    if transaction.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let (number, hint) = match subject {
        // The server tells it when the transaction is committed, and forgets it when it is not.
        Subject::Definitions => (1, format!(", pg_notify('{CHANNEL}', '')")),
        Subject::Journal => (2, String::new()),
        Subject::Events => (3, String::new()),
    };
    let statement = format!("SELECT pg_advisory_xact_lock({LOCKS}, {number}){hint}");
    transaction.execute_unprepared(&statement).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_an_error_nor_a_debug_line_shows_the_password() {
        let config = Config::parse("postgres://me:s3cret@db.example:6000/rooms?sslmode=require", 4).unwrap();
        assert_eq!(format!("{config:?}"), "postgres at db.example:6000/rooms");
        for wrong in [
            "mysql://me:s3cret@db",
            "postgres://me:s3cret@db:port/rooms",
            "s3cret",
        ] {
            let error = Config::parse(wrong, 4).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}
