//! The matches that a lone example room draws by itself.

use std::str::FromStr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::LONGEST_MATCH;

/// How many matches a room gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Demand {
    /// None but those that somebody begins.
    None,
    /// While idle, one after `pause` on average; each lasts `length` on average.
    Steady { pause: Duration, length: Duration },
}

/// Draws matches, the same ones for the same room.
#[derive(Debug)]
pub(super) struct Draw {
    demand: Demand,
    random: StdRng,
}

impl Draw {
    /// For the room of this name.
    pub(super) fn new(demand: Demand, name: &str) -> Self {
        // FNV-1a; any spread will do, as long as the same name draws the same matches everywhere.
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self {
            demand,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// The pause before the room's next match, if it draws any: exponential, as between independent players.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        match self.demand {
            Demand::None => None,
            Demand::Steady { pause, .. } => {
                let times = -(1.0 - self.random.random::<f64>()).ln();
                Some(pause.mul_f64(times).min(LONGEST_MATCH))
            }
        }
    }

    /// The length of such a match: half to one and a half of the mean.
    pub(super) fn length(&mut self) -> Duration {
        match self.demand {
            Demand::None => Duration::ZERO,
            Demand::Steady { length, .. } => length.mul_f64(self.random.random_range(0.5..1.5)),
        }
    }
}

impl FromStr for Demand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let expected = || "expected none, or a rate and a length as in 12/min,5m".to_owned();
        let (rate, length) = text.split_once(',').ok_or_else(expected)?;
        let (count, unit) = rate.split_once('/').ok_or_else(expected)?;
        let unit = match unit {
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            _ => return Err(expected()),
        };
        let count: f64 = count.trim().parse().map_err(|_| expected())?;
        // A pause of a millisecond is faster than any room can report, one of a day is never seen.
        let pause = Duration::try_from_secs_f64(unit / count)
            .ok()
            .filter(|pause| count > 0.0 && (Duration::from_millis(1)..=LONGEST_MATCH).contains(pause))
            .ok_or_else(|| "the rate is between one a day and a thousand a second".to_owned())?;
        let length = duration(length.trim())?;
        match length.is_zero() || length > LONGEST_MATCH {
            true => Err("a match lasts more than nothing and no longer than a day".to_owned()),
            false => Ok(Self::Steady { pause, length }),
        }
    }
}

/// Reads `500ms`, `2.5s`, `5m`, `1h`; a number alone is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("{unit:?} is no unit of time; expected ms, s, m or h")),
    };
    let number: f64 = number
        .trim()
        .parse()
        .map_err(|_| format!("{text:?} is no time; expected one as in 500ms or 5m"))?;
    Duration::try_from_secs_f64(number * unit)
        .ok()
        .filter(|span| *span <= LONGEST_MATCH)
        .ok_or_else(|| format!("{text:?} is out of range; expected 0s to 24h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEADY: Demand = Demand::Steady {
        pause: Duration::from_secs(5),
        length: Duration::from_secs(300),
    };

    #[test]
    fn rates_and_lengths_are_read() {
        assert_eq!("none".parse(), Ok(Demand::None));
        assert_eq!("12/min,5m".parse(), Ok(STEADY));
        for text in [
            "",
            "12",
            "12/min",
            "0/min,5m",
            "-1/min,5m",
            "nan/min,5m",
            "1e9/s,5m",
            "12/min,0s",
            "12/min,25h",
        ] {
            assert!(text.parse::<Demand>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn times_are_read_with_their_units() {
        let ms = |text: &str| duration(text).map(|span| span.as_millis());
        assert_eq!(
            [ms("500ms"), ms("2.5s"), ms("3"), ms("2m")],
            [Ok(500), Ok(2_500), Ok(3_000), Ok(120_000)]
        );
        for text in ["", "s", "5 parsecs", "-1s", "inf", "25h"] {
            assert!(duration(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_room_draws_the_matches_it_drew_before() {
        let drawn = |name: &str| {
            let mut draw = Draw::new(STEADY, name);
            (0..50)
                .map(|_| (draw.pause().unwrap(), draw.length()))
                .collect::<Vec<_>>()
        };
        assert_eq!(drawn("pong-00000001"), drawn("pong-00000001"));
        assert_ne!(drawn("pong-00000001"), drawn("pong-00000002"));
    }

    #[test]
    fn pauses_and_lengths_average_to_what_was_asked_for() {
        let mut draw = Draw::new(STEADY, "pong-00000001");
        let rounds = 20_000;
        let pauses: Duration = (0..rounds).map(|_| draw.pause().unwrap()).sum();
        let lengths: Duration = (0..rounds).map(|_| draw.length()).sum();
        let mean = |sum: Duration| (sum / rounds).as_secs_f64();
        assert!((mean(pauses) - 5.0).abs() < 0.2, "{}", mean(pauses));
        assert!((mean(lengths) - 300.0).abs() < 5.0, "{}", mean(lengths));
    }
}
