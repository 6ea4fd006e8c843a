//! The policy that is measured against itself compiled natively: it follows the line through the rooms in use, and
//! keeps what they needed nine tenths of the time.

use maestro_policy_sdk::prelude::*;

policy!(
    evaluate,
    Parameters,
    "Follows the trend of rooms in use.",
    name = "trend"
);

parameters! {
    /// How it looks ahead.
    pub struct Parameters {
        /// Seconds looked ahead.
        ahead: f64 = 120.0 in 0.0..=3600.0,
        /// Rooms kept free.
        spare: f64 = 2.0 in 0.0..=1000.0,
        /// Whether it never answers, to measure what that costs others.
        endless: bool = false,
    }
}

/// Votes for as many rooms as the trend or nine tenths of the past call for, whichever is more.
pub fn evaluate(observation: &Observation, parameters: &Parameters) -> Result<Verdict, Error> {
    if parameters.endless {
        loop {
            std::hint::black_box(parameters);
        }
    }
    let busy = observation.history("busy", |counts| Some(f64::from(counts.busy())));
    let (slope, most) = (busy.slope()?, busy.percentile(90.0)?);
    let ahead = busy.latest()? + slope * parameters.ahead;
    let total = ahead.max(most) + parameters.spare;
    Ok(Verdict::total(
        total.max(0.0).ceil() as u32,
        format!(
            "{ahead:.1} rooms in use in {:.0} s, {most:.0} nine tenths of the time",
            parameters.ahead
        ),
    ))
}
