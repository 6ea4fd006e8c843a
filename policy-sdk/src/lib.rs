//! What a policy's author writes against.
//!
//! A policy is one function from an [`Observation`] and its parameters to a [`Verdict`]. It sees nothing else: no
//! clock, no randomness, no network, no files, so the same observation gives the same verdict, bit for bit.
//! [`policy!`] makes a WebAssembly component of the function, [`parameters!`] declares its settings, and
//! [`TestWindow`] builds observations, so that plain `cargo test` runs a policy without WebAssembly.
//!
//! ```
//! use maestro_policy_sdk::prelude::*;
//!
//! parameters! {
//!     /// Settings of `queue-depth`.
//!     pub struct Parameters {
//!         /// Players waiting that one more room is opened for.
//!         per_room: f64 = 10.0 in 1.0..=1000.0,
//!     }
//! }
//!
//! policy!(evaluate, Parameters, "Opens rooms for the players that wait.", inputs = ["queue.waiting"]);
//!
//! fn evaluate(observation: &Observation, parameters: &Parameters) -> Result<Verdict, Error> {
//!     let waiting = observation.metric("queue.waiting")?.latest()?;
//!     let extra = (waiting / parameters.per_room).ceil() as u32;
//!     let total = observation.current.busy() + extra;
//!     Ok(Verdict::total(total, format!("{} players wait: {extra} rooms more than are busy", figure(waiting))))
//! }
//! # let seen = TestWindow::new(60, 10).metric("queue.waiting", &[4.0, 25.0]).build();
//! # assert_eq!(evaluate(&seen, &from_json("{}").unwrap()).unwrap().vote, Vote::Total(3));
//! ```

// The macros name this crate as its users do.
extern crate self as maestro_policy_sdk;

mod policy;
mod parameters;
mod observation;
mod timeline;
pub mod target;
mod testing;
mod figures;
mod metadata;
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "an allocator is made of raw memory")]
mod arena;
#[doc(hidden)]
#[allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated from the contract, documented there")]
#[rustfmt::skip]
pub mod bindings;

pub use bindings::exports::maestro::policy::policy::{
    Counts, Direction, Error, Observation, Rooms, Series, Verdict, Vote,
};
pub use figures::{figure, percent};
pub use parameters::{Parameters, from_json};
pub use testing::TestWindow;
pub use timeline::Timeline;

#[doc(hidden)]
pub use {serde, wit_bindgen};

/// Everything that a policy usually names.
pub mod prelude {
    pub use crate::{
        Counts, Direction, Error, Observation, TestWindow, Timeline, Verdict, Vote, figure, from_json,
        parameters, percent, policy,
    };
}

/// What the macros expand to; no part of the interface.
#[doc(hidden)]
pub mod support {
    pub use crate::bindings::exports::maestro::policy::policy::Guest;
    pub use crate::metadata::{Description, Field, Text, describe, schema};
    pub use crate::parameters::{Number, Setting, check_range, settle};
    pub use crate::policy::{evaluate, validate};
}
