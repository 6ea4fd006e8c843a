//! Being the only one who changes tables.

use std::time::Duration;

use sea_orm::DatabaseConnection;
use sqlx::{Connection, PgConnection};

use super::{Config, LOCKS, connect};
use crate::store::Error;

/// The second half of the lock of whoever migrates.
const MIGRATION: i32 = 0;

/// The longest that changing the tables may take, and waiting for another who does. Far more than any migration
/// takes; a limit at all, so that a process that hangs can't block upgrades for ever.
const LIMIT: Duration = Duration::from_secs(600);

/// The only one who changes tables, as long as this lives: the lock is its connection's, which does nothing else, so
/// that no transaction's end and no pool gives it up. What is asked here has no limit but [`LIMIT`], which the server keeps:
/// a change that was cut short on this side would go on over there, and nobody would know how it ended.
pub(in crate::store) struct Alone {
    lock: PgConnection,
    database: DatabaseConnection,
    config: Config,
}

/// Waits until nobody else changes tables.
pub(in crate::store) async fn alone(config: &Config) -> Result<Alone, Error> {
    let failed = |cause| config.failed(cause);
    let options = config.limited(LIMIT);
    let mut lock = connect(config, &options).await?;
    let (is_free,): (bool,) = sqlx::query_as("SELECT pg_try_advisory_lock($1, $2)")
        .bind(LOCKS)
        .bind(MIGRATION)
        .fetch_one(&mut lock)
        .await
        .map_err(failed)?;
    if !is_free {
        tracing::info!("another process brings the tables up to date; waiting for it");
        sqlx::query("SELECT pg_advisory_lock($1, $2)")
            .bind(LOCKS)
            .bind(MIGRATION)
            .execute(&mut lock)
            .await
            .map_err(failed)?;
    }
    let pool = config.pool().max_connections(1).connect_lazy_with(options);
    Ok(Alone {
        lock,
        database: pool.into(),
        config: config.clone(),
    })
}

impl Alone {
    /// Through which the tables are changed.
    pub(in crate::store) fn connection(&self) -> &DatabaseConnection {
        &self.database
    }

    /// Lets others go on.
    pub(in crate::store) async fn end(self) -> Result<(), Error> {
        let closed = self.database.close().await;
        self.lock
            .close()
            .await
            .map_err(|cause| self.config.failed(cause))?;
        closed.map_err(crate::store::failed("close a connection"))
    }
}
