//! The domain of Maestro, pure: no IO, no clock, no randomness, no environment, no serialisation.
//!
//! What comes in are facts and `now`; what goes out are values: a decision, a plan, a sentence. The shell around
//! it makes them true. In reading order:

pub mod deadlines;
pub mod decision;
pub mod explain;
pub mod guard;
pub mod names;
pub mod plan;
pub mod report;
pub mod rollout;
pub mod room;
pub mod scheduler;
pub mod time;
pub mod victim;
pub mod votes;
pub mod window;
