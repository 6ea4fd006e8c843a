//! The behaviour of the core: golden scenarios, properties of each rule, and a small world that plans are applied to.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is test code: what it takes for granted fails the test when it is not so"
)]

mod world;
mod script;
mod scenarios;
mod reports;
mod rooms;
mod ends;
mod silence;
mod windows;
mod rulings;
mod plans;
mod nodes;
mod texts;
