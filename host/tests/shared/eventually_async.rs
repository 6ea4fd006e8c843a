//! Waiting for what comes in its own time, in tests that have a runtime.

use std::time::{Duration, Instant};

/// How long anything may take here. Generous, because two cores may be shared with a compiler.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `check` gives something, for at most `deadline`; fails with `what` was waited for.
pub(crate) async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut check: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
