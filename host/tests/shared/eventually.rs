//! Waiting for what comes in its own time, in tests that have no runtime; the tests of other packages include this
//! file too.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take here. Generous, because two cores may be shared with a compiler.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `check` gives something, for at most `deadline`; fails with `what` was waited for.
pub(crate) fn eventually<T>(what: &str, deadline: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
