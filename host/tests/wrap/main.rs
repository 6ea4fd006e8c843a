//! The first hour of somebody with a game server that knows nothing of Maestro: `maestro wrap`, `maestro dev init`, and
//! the hint for rooms that say nothing. Real processes under a real `maestro dev`, on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "../shared/running.rs"]
#[allow(dead_code, reason = "each of its users needs another part of it")]
mod running;
#[path = "../whole/harness.rs"]
#[allow(
    dead_code,
    reason = "other tests start `maestro dev` too, and need more of it"
)]
mod harness;
mod programs;
mod rooms;
mod alone;
mod first_hour;
