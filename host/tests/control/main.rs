//! The control loop over the real in-process registry, the real engine and a cluster in memory, with a clock that
//! tests move: nothing waits, and every run is the same.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it can't go on"
)]

mod policies;
mod steps;
mod ends;
mod deletion;
mod nodes;
mod world;
mod yard;
