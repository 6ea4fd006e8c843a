//! The built-in policy `memory`: as many rooms as keep their use of memory, by what they request, at a target.

use maestro_policy_sdk::prelude::*;
use maestro_policy_sdk::target::{Parameters, by_resource};

policy!(
    evaluate,
    Parameters,
    "Keeps the memory that rooms use at a target share of what they request.",
    name = "memory",
    inputs = ["rooms", "memory.used", "memory.requested"],
);

/// Votes for rooms × utilisation ÷ usage when utilisation was off the target for long enough.
pub fn evaluate(observation: &Observation, parameters: &Parameters) -> Result<Verdict, Error> {
    by_resource(observation, parameters, "memory")
}
