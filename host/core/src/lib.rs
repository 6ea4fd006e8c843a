//! The domain of Maestro, pure: no IO, no clock, no randomness, no environment, no serialisation.
//!
//! What comes in are facts and `now`; what goes out are values: a decision, a plan, a sentence. The shell around
//! it makes them true. In reading order:

pub mod time;
pub mod names;
pub mod scheduler;
pub mod report;
pub mod room;
pub mod deadlines;
pub mod window;
pub mod votes;
pub mod guard;
pub mod decision;
pub mod victim;
pub mod rollout;
pub mod placement;
pub mod plan;
pub mod ports;
pub mod explain;
