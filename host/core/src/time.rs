//! Points in time and lengths of time, in milliseconds.
//!
//! The core never asks what time it is: `now` is a parameter everywhere, so that a simulator or a replay can
//! supply it.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A point in time: milliseconds since the Unix epoch, by the clock of whoever wrote it down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `ms` milliseconds after the Unix epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// The next whole multiple of `every`, at most that much later. What is due on one beat for many is done at the same
    /// time, and a process at rest wakes seldom for all of them.
    pub fn beat_after(self, every: Span) -> Self {
        let every = i64::try_from(every.0.max(1)).unwrap_or(i64::MAX);
        Self((self.0.div_euclid(every) + 1).saturating_mul(every))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;

    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add_unsigned(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Timestamp;

    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub_unsigned(span.0))
    }
}

/// Renders as `2023-11-14 22:13:20 UTC`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Days of 400 years, after which the calendar repeats itself.
        const ERA: i64 = 146_097;
        /// From the first of March of the year 0 to the Unix epoch. A year that begins in March ends with its leap day.
        const EPOCH: i64 = 719_468;
        let secs = self.0.div_euclid(1_000);
        let (days, time) = (secs.div_euclid(86_400) + EPOCH, secs.rem_euclid(86_400));
        let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
        let year = (day - day / 1_460 + day / 36_524 - day / (ERA - 1)) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // Months from March on take 153 days for each five.
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (year, month) = match month {
            0..10 => (era * 400 + year, month + 3),
            _ => (era * 400 + year + 1, month - 9),
        };
        let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC"
        )
    }
}

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// `secs` seconds; saturates.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// The length in milliseconds.
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// The length in seconds.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// This length, `times` over; saturates.
    pub const fn times(self, times: u64) -> Span {
        Span(self.0.saturating_mul(times))
    }
}

impl Add for Span {
    type Output = Span;

    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Span) {
        *self = *self + other;
    }
}

impl Sub for Span {
    type Output = Span;

    fn sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

/// Renders as a person would say it: `450 ms`, `2.5 s`, `90 s`, `2 min 30 s`, `15 min`, `1 h 5 min`, `3 d 2 h`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        match ms {
            0 => write!(f, "0 s"),
            1..1_000 => write!(f, "{ms} ms"),
            1_000..10_000 if !ms.is_multiple_of(1_000) => write!(f, "{:.1} s", self.secs_f64()),
            1_000..120_000 => write!(f, "{} s", ms / 1_000),
            120_000..3_600_000 => in_two(f, ms / 1_000, (60, "min"), "s"),
            3_600_000..172_800_000 => in_two(f, ms / 60_000, (60, "h"), "min"),
            _ => in_two(f, ms / 3_600_000, (24, "d"), "h"),
        }
    }
}

/// Writes `count` of the small unit in two units, the second one only when there is something of it.
fn in_two(f: &mut fmt::Formatter<'_>, count: u64, (size, large): (u64, &str), small: &str) -> fmt::Result {
    match count % size {
        0 => write!(f, "{} {large}", count / size),
        rest => write!(f, "{} {large} {rest} {small}", count / size),
    }
}
