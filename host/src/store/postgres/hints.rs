//! Hints that definitions changed, from whichever process changed them.
//!
//! A hint only makes a look at the store come earlier. While the server can't be listened to, looks come when they
//! are due, and nothing is lost.

use std::convert::Infallible;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{CHANNEL, Config, PATIENCE};
use crate::store::Store;

/// Time between two attempts to listen again. Looks at the store go on meanwhile, so that there is no hurry.
const AGAIN: Duration = Duration::from_secs(5);

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
    if let Err(error) = listener.listen(CHANNEL).await {
        return error;
    }
    loop {
        // What was told while nobody listened, at first and after a lost connection, is made up for by one look.
        changed.notify_one();
        match listener.try_recv().await {
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}
