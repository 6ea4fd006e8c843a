//! Runs policies: WebAssembly components in, verdicts out.
//!
//! A component is checked, compiled in a process of its own, cached and linked once ([`Engine::load`]), and then
//! asked as often as one likes ([`Policy::evaluate`], or an [`Evaluator`] for threads): each time in a fresh
//! instance that has no access to anything, with hard limits on work, time, memory and output. The same observation
//! gives the same verdict and uses the same fuel, on every machine.
//!
//! This is the only crate that names wasmtime. Without the feature `run` it packages and checks components only,
//! which is all that a build script needs. In reading order:

pub mod class;
pub mod package;
pub mod check;

#[cfg(feature = "run")]
mod text;
#[cfg(feature = "run")]
mod settings;
#[cfg(feature = "run")]
mod code;
#[cfg(feature = "run")]
mod compile;
#[cfg(feature = "run")]
mod cache;
#[cfg(feature = "run")]
mod gate;
#[cfg(feature = "run")]
mod failure;
#[cfg(feature = "run")]
mod observation;
#[cfg(feature = "run")]
mod guest;
#[cfg(feature = "run")]
mod policy;
#[cfg(feature = "run")]
mod engine;
#[cfg(feature = "run")]
mod evaluator;
#[cfg(feature = "run")]
mod breaker;

pub use check::{Problem, Report, check};
pub use class::{Class, Limits};

#[cfg(feature = "run")]
pub use breaker::Breaker;
#[cfg(feature = "run")]
pub use compile::{CompileError, Compiler, compile_child_main};
#[cfg(feature = "run")]
pub use engine::{Config, Engine, Error, LoadError};
#[cfg(feature = "run")]
pub use evaluator::{Evaluator, Observer};
#[cfg(feature = "run")]
pub use failure::{Failure, FailureClass, Refusal};
#[cfg(feature = "run")]
pub use observation::{Counts, Evaluation, Observation, Rooms, Series, Verdict};
#[cfg(feature = "run")]
pub use policy::Policy;
