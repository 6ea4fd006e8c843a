//! The HTTP API as a whole, over a real connection, with everything behind it but the loops: what they would do to a
//! room is done here by hand, so that each state of it can be looked at.

mod harness;
mod client;
mod rooms;
mod schedulers;
mod refusals;
mod policies;
