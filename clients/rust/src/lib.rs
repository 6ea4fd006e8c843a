//! What a game server in Rust tells Maestro, and what it hears.
//!
//! In reading order: who the room is (`identity`), the handle that a game server holds (`room`), the thread that
//! tells Maestro (`ping`), and the one that hears SIGTERM (`signal`). Nothing in here panics, and no call but
//! [`Room::leave`] and [`Room::flush`] waits for the network.
//!
#![doc = include_str!("../README.md")]

mod identity;
mod room;
mod ping;
#[cfg(unix)]
mod signal;

pub use identity::{Identity, IdentityError};
pub use room::{Error, Options, Room, Status};
