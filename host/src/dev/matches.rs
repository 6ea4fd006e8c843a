//! The demand that `maestro dev` simulates: how many matches begin when, and how long they last.
//!
//! Pure: a moment in, a rate out. The matchmaker beside it turns rates into matches.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What the example rooms play.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Matches {
    /// Nothing, so that somebody can report by hand.
    None,
    /// So many new matches a minute over all rooms, each about this long.
    Steady {
        /// New matches a minute.
        per_minute: f64,
        /// Mean length of a match.
        length: Duration,
    },
    /// A day squeezed into a minute: quiet, rising, peak, falling.
    Curve,
}

/// The squeezed day's length.
const DAY: f64 = 60.0;

/// Mean length of a match on the squeezed day.
const CURVE_LENGTH: Duration = Duration::from_secs(7);

/// Matches at once at the squeezed day's peak, and at its quietest.
const CURVE_PEAK: f64 = 8.0;
const CURVE_LOW: f64 = 1.0;

impl Matches {
    /// New matches a second at `elapsed` since the start, over all rooms of a scheduler.
    pub fn rate(&self, elapsed: Duration) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Steady { per_minute, .. } => per_minute / 60.0,
            Self::Curve => {
                // By Little's law, matches at once = rate × length. The day begins in the morning, so that the rise
                // comes first.
                let turn = std::f64::consts::TAU * (elapsed.as_secs_f64() / DAY);
                let at_once = CURVE_LOW + (CURVE_PEAK - CURVE_LOW) * (1.0 - turn.cos()) / 2.0;
                at_once / CURVE_LENGTH.as_secs_f64()
            }
        }
    }

    /// Mean length of a match.
    pub fn length(&self) -> Duration {
        match self {
            Self::None | Self::Curve => CURVE_LENGTH,
            Self::Steady { length, .. } => *length,
        }
    }
}

impl fmt::Display for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Curve => f.write_str("curve"),
            Self::Steady { per_minute, length } => write!(f, "{per_minute}/min,{}s", length.as_secs_f64()),
        }
    }
}

impl FromStr for Matches {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "curve" => Ok(Self::Curve),
            _ => steady(text).ok_or_else(|| {
                "expected none, curve, or a rate and a length as in 12/min,5m (a length is in s, m or h)"
                    .to_owned()
            }),
        }
    }
}

fn steady(text: &str) -> Option<Matches> {
    let (rate, length) = text.split_once(',')?;
    let (number, unit) = rate.trim().split_once('/')?;
    let number: f64 = number
        .trim()
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
    let per_minute = match unit.trim() {
        "s" | "sec" => number * 60.0,
        "m" | "min" => number,
        "h" | "hour" => number / 60.0,
        _ => return None,
    };
    // A thousand matches a second is more than any laptop's rooms can play.
    let length = duration(length.trim()).filter(|length| !length.is_zero() && per_minute <= 60_000.0)?;
    Some(Matches::Steady { per_minute, length })
}

fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..split].parse().ok()?;
    let seconds = match &text[split..] {
        "s" | "" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3_600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|length| *length <= Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_lengths_are_read() {
        let steady = |per_minute, secs| {
            Ok(Matches::Steady {
                per_minute,
                length: Duration::from_secs(secs),
            })
        };
        assert_eq!("12/min,5m".parse(), steady(12.0, 300));
        assert_eq!("1/s,30s".parse(), steady(60.0, 30));
        assert_eq!("120/h,1h".parse(), steady(2.0, 3_600));
        assert_eq!("none".parse(), Ok(Matches::None));
        assert_eq!("curve".parse(), Ok(Matches::Curve));
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "12",
            "12/min",
            "12/day,5m",
            "-1/min,5m",
            "nan/min,5m",
            "12/min,0s",
            "12/min,5y",
            "9e9/s,1s",
        ] {
            assert!(text.parse::<Matches>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn the_curve_rises_first_and_stays_positive() {
        let at = |secs| Matches::Curve.rate(Duration::from_secs(secs));
        assert!(at(0) > 0.0 && at(0) < at(10) && at(10) < at(30));
        assert!(at(30) > at(50));
    }
}
