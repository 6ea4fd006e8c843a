//! The whole of Maestro as a user has it: the real binary, real room processes, loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "../shared/running.rs"]
mod running;
mod harness;
mod hello;
mod documents;
mod restart;
mod upgrade;
mod ending;
mod gone;
mod triggers;
mod policies;
mod problems;
mod safety;
mod terminal;
mod tour;
