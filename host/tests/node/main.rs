//! Maestro on a real node: containers that a kubelet starts and ends, ports that players reach, memory that runs out.
//!
//! Needs the testbed's tier `node`, which needs root, so these tests have a feature of their own, `testbed-node`. They
//! share the only node; the one that takes it away runs alone.
#![cfg(feature = "testbed-node")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

#[allow(dead_code, reason = "what only `maestro dev` and other packages need")]
#[path = "../shared/running.rs"]
mod running;
mod stage;
mod reached;
mod triggers;
mod ended;
mod lost;
mod account;
