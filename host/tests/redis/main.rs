//! The registry on Redis keeps every promise of a registry, on one server and on a cluster, through broken connections,
//! restarts and losses; over TLS, and as a user who may do no more than it needs.
//!
//! Takes the servers of `deploy/testbed` from the environment, and starts some of its own to break them.
#![cfg(feature = "testbed")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod bench;
mod server;

mod contract;
mod shared;
mod outages;
mod access;
mod moves;
