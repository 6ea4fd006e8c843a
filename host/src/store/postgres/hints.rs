//! Hints that definitions changed, from whichever process changed them.
//!
//! A hint only makes a look at the store come earlier. While the server can't be listened to, looks come when they
//! are due, and nothing is lost. Whoever only listens does not notice that the server is gone, unless it says so: it is asked
//! now and then.

use std::convert::Infallible;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{CHANNEL, Config, PATIENCE, soon};
use crate::store::Store;

/// Time between two attempts to listen again. Looks at the store go on meanwhile, so that there is no hurry.
const AGAIN: Duration = Duration::from_secs(5);

/// After so long without a hint the server is asked whether it is still there: one that was lost without a word costs hints for a
/// minute, and a question a minute costs nothing.
const QUIET: Duration = Duration::from_secs(60);

impl Store {
    /// Wakes `changed` whenever definitions may have changed, until `stop`. A store in a file has no other process
    /// that could change it, and only waits.
    pub async fn listen(self, changed: &Notify, stop: CancellationToken) -> Result<(), Infallible> {
        let Some(config) = self.server else {
            stop.cancelled().await;
            return Ok(());
        };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                error = hear(&config, changed) => {
                    tracing::warn!("changes by others are seen a few seconds later for now: {error}");
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = sleep(AGAIN) => {}
            }
        }
    }
}

/// Listens until the server is lost.
async fn hear(config: &Config, changed: &Notify) -> sqlx::Error {
    // A connection that listens waits for ever, so it is not taken from those that work.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .connect_lazy_with(config.limited(Duration::ZERO));
    let mut listener = match PgListener::connect_with(&pool).await {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    if let Err(error) = soon(listener.listen(CHANNEL)).await {
        return error;
    }
    loop {
        // What was told while nobody listened, at first and after a lost connection, is made up for by one look.
        changed.notify_one();
        if let Err(error) = next(&mut listener).await {
            return error;
        }
    }
}

/// Waits for the next hint, or for a lost connection to be made anew.
async fn next(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    loop {
        // Nothing of a hint is lost when the wait for it is given up: it is read whole or not at all.
        match timeout(QUIET, listener.try_recv()).await {
            Ok(told) => return told.map(|_| ()),
            // The listener of a server that does not answer is let go of, with its connection: it waits for its end by itself.
            Err(_) => _ = soon(sqlx::query("SELECT 1").execute(&mut *listener)).await?,
        }
    }
}
