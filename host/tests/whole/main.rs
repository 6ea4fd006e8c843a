//! The whole of Maestro as a user has it: the real binary, real room processes, loopback.

mod harness;
mod hello;
mod documents;
mod restart;
mod triggers;
mod policies;
mod problems;
