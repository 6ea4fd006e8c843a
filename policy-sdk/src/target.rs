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
        let bound = self.usage / 100.0;
        let aim = || format!("{} {} %", brings(total), figure(self.usage));
        let above = Lapse {
            word: "above",
            bound: self.usage,
            ms: timeline.above_ms(bound),
            rule: (self, window_ms),
        };
        let below = Lapse {
            word: "below",
            bound: self.usage,
            ms: timeline.below_ms(bound),
            rule: (self, window_ms),
        };
        let (may_up, may_down) = (
            observation.direction != Direction::Down,
            observation.direction != Direction::Up,
        );

        let over = self.limit.filter(|limit| may_up && current >= limit / 100.0);
        if let Some(limit) = over.filter(|_| total > wanted) {
            let reason = format!(
                "{says}, which reaches the limit of {} %: {} at once",
                figure(limit),
                aim()
            );
            return Verdict::total(total, reason).urgent();
        }
        if may_up && above.fires() {
            return if total > wanted {
                Verdict::total(total, format!("{says}; {}: {}", above.past(), aim()))
            } else {
                Verdict::hold(format!(
                    "{says}; {}, but {}, and {wanted} are wanted already",
                    above.past(),
                    aim()
                ))
            };
        }
        if may_down && below.fires() {
            return if total < wanted {
                Verdict::total(total, format!("{says}; {}: {}", below.past(), aim()))
            } else {
                Verdict::hold(format!(
                    "{says}; {}, but {}, and only {wanted} are wanted",
                    below.past(),
                    aim()
                ))
            };
        }
        let waits = match observation.direction {
            Direction::Up => above.waits(),
            Direction::Down => below.waits(),
            Direction::Both => format!("{}, {}", above.waits(), below.waits()),
        };
        Verdict::hold(format!("{says}; {waits}"))
    }
}

/// How long the utilisation was on one side of the target.
struct Lapse<'a> {
    word: &'static str,
    bound: f64,
    ms: u64,
    /// What it is held against, and the milliseconds looked back.
    rule: (&'a Parameters, u64),
}

impl Lapse<'_> {
    fn needed_ms(&self) -> u64 {
        (self.rule.0.threshold * self.rule.1 as f64 / 100.0).ceil() as u64
    }

    fn fires(&self) -> bool {
        self.ms > 0 && self.ms >= self.needed_ms()
    }

    fn past(&self) -> String {
        let (bound, for_, of) = (figure(self.bound), seconds(self.ms), seconds(self.rule.1));
        format!(
            "{} {bound} % for {for_} s of the last {of} s ({} s needed)",
            self.word,
            seconds(self.needed_ms())
        )
    }

    fn waits(&self) -> String {
        let (bound, for_, of) = (figure(self.bound), seconds(self.ms), seconds(self.rule.1));
        format!(
            "{} {bound} % for {for_} of the needed {} s of the last {of} s",
            self.word,
            seconds(self.needed_ms())
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
