//! What a policy's author writes against.
//!
//! A policy is one function from an [`Observation`] and its parameters to a [`Verdict`]. It sees nothing else: no
//! clock, no randomness, no network, no files, so the same observation gives the same verdict, bit for bit.
//! [`policy!`] makes a WebAssembly component of the function, [`parameters!`] declares its settings, and
//! [`TestWindow`] builds observations, so that plain `cargo test` runs a policy without WebAssembly.
//!
//! The guide is `README.md` in this folder. The shape of it all:
//!
//! ```
//! use maestro_policy_sdk::prelude::*;
//!
//! parameters! {
//!     /// Settings of `spare`.
//!     pub struct Parameters {
//!         /// Rooms to keep free.
//!         rooms: u32 = 2 in 0..=1000,
//!     }
//! }
//!
//! policy!(evaluate, Parameters, "Keeps so many rooms free.", name = "spare");
//!
//! fn evaluate(observation: &Observation, parameters: &Parameters) -> Result<Verdict, Error> {
//!     let busy = observation.current.busy();
//!     Ok(Verdict::total(busy + parameters.rooms, format!("{busy} rooms are busy")))
//! }
//! # let seen = TestWindow::new(60, 10).rooms(&[(3, 4)]).build();
//! # assert_eq!(evaluate(&seen, &from_json("{}").unwrap()).unwrap().vote, Vote::Total(6));
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
#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "generated from the contract, documented there"
)]
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

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod guide {}

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
