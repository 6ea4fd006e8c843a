//! The HTTP API as a whole, over a real connection, with everything behind it but the loops: what they would do to a
//! room is done here by hand, so that each state of it can be looked at.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails as the test itself does"
)]
#![allow(unreachable_pub, reason = "modules of a test are seen by nobody else")]

#[path = "../shared/eventually_async.rs"]
mod eventually;
mod harness;
mod client;
mod connections;
mod rooms;
mod schedulers;
mod scale_in;
mod decisions;
mod events;
mod windows;
mod watch;
mod etags;
mod openapi;
mod refusals;
mod policies;
mod operators;
mod probes;
mod metrics;
mod outages;
mod nodes;
