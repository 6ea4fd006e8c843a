//! A registry's clock: what time it is, as a value that is handed in.
//!
//! Only the in-process registry needs one of this process; one that is a server of its own has its own time. Tests
//! and the simulator hand in clocks that they move themselves.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use maestro_core::time::Timestamp;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// This machine's clock.
pub fn system() -> Clock {
    Arc::new(|| {
        // A clock set before 1970 reads as 1970: everything then looks old, and nothing fails.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_ms(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    })
}
