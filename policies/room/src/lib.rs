//! The built-in policy `room`: as many rooms as keep the share that is in use at a target.

use maestro_policy_sdk::prelude::*;
use maestro_policy_sdk::target::{Parameters, Utilisation};

policy!(
    evaluate,
    Parameters,
    "Keeps the share of rooms that are in use at a target.",
    name = "room"
);

/// Votes for busy ÷ usage rooms when utilisation was off the target for long enough.
pub fn evaluate(observation: &Observation, parameters: &Parameters) -> Result<Verdict, Error> {
    let counts = &observation.current;
    let no_room = || Error::InsufficientData("there is no room whose use could be measured".to_owned());
    let current = counts.utilisation().ok_or_else(no_room)?;
    let (busy, all) = (counts.busy(), counts.available());
    let rooms = if all == 1 { "room is" } else { "rooms are" };
    let says = format!("{busy} of {all} {rooms} in use ({})", percent(current));
    let total = (f64::from(busy) * 100.0 / parameters.usage).round() as u32;
    Ok(parameters.judge(
        observation,
        Utilisation {
            timeline: observation.utilisation(),
            current,
            says,
        },
        total,
    ))
}
