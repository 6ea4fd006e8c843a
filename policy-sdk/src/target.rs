//! Keeping a utilisation at a target: the logic that the built-in policies `room`, `cpu` and `memory` share.
//!
//! A one-way trigger fires when the utilisation was strictly above (up) or below (down) `usage` for `threshold`
//! per cent of `time`. At or over `limit` rooms are added at once. A trigger that fires votes only in its own
//! direction. Every reason is a sentence that gives the figures, and for a hold what it waits for.

use crate::figures::seconds;
use crate::{Direction, Error, Observation, Timeline, Verdict, figure, parameters, percent};

parameters! {
    /// Settings of a policy that keeps a utilisation at a target.
    pub struct Parameters {
        /// Per cent of utilisation to keep; above 100 only where more than all can be used, as with cpu.
        usage: f64 in 1.0..=1000.0,
        /// Per cent of the time that the utilisation must be above (or below) `usage` before anything happens.
        threshold: f64 = 80.0 in 1.0..=100.0,
        /// Seconds that are looked back; all that is shown when left out.
        time: Option<f64> in 1.0..=604800.0,
        /// Per cent of utilisation from which on rooms are added at once; must be above `usage`.
        limit: Option<f64> in 1.0..=1000.0,
    }
    check limit_exceeds_usage;
}

fn limit_exceeds_usage(parameters: &Parameters) -> Result<(), String> {
    match parameters.limit {
        Some(limit) if limit <= parameters.usage => {
            let (limit, usage) = (figure(limit), figure(parameters.usage));
            Err(format!(
                "`limit` is {limit}, but must be above `usage`, which is {usage}"
            ))
        }
        _ => Ok(()),
    }
}

/// What is kept at the target.
pub struct Utilisation {
    /// Its past, 1 being full use.
    pub timeline: Timeline,
    /// What it is now.
    pub current: f64,
    /// A clause that gives the current figure: `7 of 10 rooms are in use (70 %)`.
    pub says: String,
}

/// Votes by a resource that rooms use a share of: `<name>.used` by `<name>.requested`. The number of rooms is
/// multiplied by utilisation ÷ target, a factor rounded to hundredths.
pub fn by_resource(observation: &Observation, parameters: &Parameters, name: &str) -> Result<Verdict, Error> {
    let timeline = observation.ratio(&format!("{name}.used"), &format!("{name}.requested"))?;
    let current = timeline.latest()?;
    let says = format!("rooms use {} of the {name} that they request", percent(current));
    // In whole hundredths: 1.1 × 10 must not become 11.000000000000002, and that 12 rooms.
    let hundredths = (current * 100.0 / parameters.usage * 100.0).round() as u64;
    let total = hundredths
        .saturating_mul(observation.current.available().into())
        .div_ceil(100);
    let total = u32::try_from(total).unwrap_or(u32::MAX);
    Ok(parameters.judge(
        observation,
        Utilisation {
            timeline,
            current,
            says,
        },
        total,
    ))
}

impl Parameters {
    /// The verdict, `total` being the number of rooms that would bring the utilisation to `usage`.
    pub fn judge(&self, observation: &Observation, utilisation: Utilisation, total: u32) -> Verdict {
        let Utilisation {
            timeline,
            current,
            says,
        } = utilisation;
        let window_ms = self
            .time
            .map_or(observation.window_ms, |time| (time * 1e3) as u64);
        let timeline = timeline.within(window_ms);
        let wanted = observation.wanted;
        let aim = format!("{} {} %", brings(total), figure(self.usage));
        let sides = match observation.direction {
            Direction::Up => &[Side::Above][..],
            Direction::Down => &[Side::Below],
            Direction::Both => &[Side::Above, Side::Below],
        };

        let reached = self
            .limit
            .filter(|limit| current >= limit / 100.0 && total > wanted);
        if let Some(limit) = reached.filter(|_| sides.contains(&Side::Above)) {
            let limit = figure(limit);
            return Verdict::total(
                total,
                format!("{says}, which reaches the limit of {limit} %: {aim} at once"),
            )
            .urgent();
        }
        let mut waits = String::new();
        for side in sides {
            let lapse = Lapse::new(*side, &timeline, self, window_ms);
            if lapse.fires() {
                return match side {
                    Side::Above if total <= wanted => Verdict::hold(format!(
                        "{says}; {}, but {aim}, and {wanted} are wanted already",
                        lapse.past()
                    )),
                    Side::Below if total >= wanted => Verdict::hold(format!(
                        "{says}; {}, but {aim}, and only {wanted} are wanted",
                        lapse.past()
                    )),
                    Side::Above | Side::Below => {
                        Verdict::total(total, format!("{says}; {}: {aim}", lapse.past()))
                    }
                };
            }
            waits = if waits.is_empty() {
                lapse.waits()
            } else {
                format!("{waits}, {}", lapse.waits())
            };
        }
        Verdict::hold(format!("{says}; {waits}"))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Above,
    Below,
}

/// How long the utilisation was on one side of the target, in texts for the reason.
struct Lapse {
    ms: u64,
    needed_ms: u64,
    /// `above 70 %`.
    place: String,
    window_ms: u64,
}

impl Lapse {
    fn new(side: Side, timeline: &Timeline, rule: &Parameters, window_ms: u64) -> Self {
        let bound = rule.usage / 100.0;
        let (word, ms) = match side {
            Side::Above => ("above", timeline.above_ms(bound)),
            Side::Below => ("below", timeline.below_ms(bound)),
        };
        Self {
            ms,
            needed_ms: (rule.threshold * window_ms as f64 / 100.0).ceil() as u64,
            place: format!("{word} {} %", figure(rule.usage)),
            window_ms,
        }
    }

    fn fires(&self) -> bool {
        self.ms > 0 && self.ms >= self.needed_ms
    }

    fn past(&self) -> String {
        let (ms, window, needed) = (seconds(self.ms), seconds(self.window_ms), seconds(self.needed_ms));
        format!(
            "{} for {ms} s of the last {window} s ({needed} s needed)",
            self.place
        )
    }

    fn waits(&self) -> String {
        let (ms, window, needed) = (seconds(self.ms), seconds(self.window_ms), seconds(self.needed_ms));
        format!(
            "{} for {ms} of the needed {needed} s of the last {window} s",
            self.place
        )
    }
}

fn brings(rooms: u32) -> String {
    match rooms {
        0 => "no room at all brings it to".to_owned(),
        1 => "1 room brings it to".to_owned(),
        _ => format!("{rooms} rooms bring it to"),
    }
}
