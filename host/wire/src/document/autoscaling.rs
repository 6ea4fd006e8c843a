//! How many rooms, and who decides: bounds, cooldowns, and what holds across triggers.

mod trigger;

use std::ops::RangeInclusive;

use maestro_core::scheduler::{Autoscaling, Container, Direction, Trigger};
use maestro_core::time::Span;

use super::fields::{At, Fields, Report};
use super::problem::quoted;

/// Names of the built-in policies.
pub const BUILT_IN: [&str; 3] = ["room", "cpu", "memory"];

/// Most rooms that a document may ask for; the installation's own cap is below it.
const ROOMS: RangeInclusive<u64> = 0..=1_000_000;
const LONGEST_COOLDOWN: Span = Span::from_secs(7 * 86_400);
/// The older system's default.
const COOLDOWN: Span = Span::from_secs(600);

/// Where a trigger of the scheduler stands in the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The trigger's id, as in `up[0]`.
    pub trigger: String,
    /// The path of its entry; `type` and `parameters` stand below it.
    pub path: String,
}

/// What the section says, and where its triggers stand.
pub(super) struct Section {
    pub(super) autoscaling: Autoscaling,
    pub(super) references: Vec<Reference>,
}

/// What is kept of a built-in trigger for the checks across triggers.
struct Plain<'t> {
    at: At<'t>,
    policy: &'static str,
    direction: Direction,
    usage: u64,
}

struct Reader<'t, 'r> {
    report: &'r mut Report,
    triggers: Vec<Trigger>,
    references: Vec<Reference>,
    plain: Vec<Plain<'t>>,
}

/// Reads `autoscaling`; `containers` are those of the room.
pub(super) fn read(at: &At<'_>, containers: &[Container], report: &mut Report) -> Option<Section> {
    let fields = at.map(
        &["min", "max", "up", "down", "policies", "enablePanicScale"],
        report,
    )?;
    let (min, max) = bounds(&fields, report);
    if let Some(at) = fields.get("enablePanicScale")
        && at.flag(report) == Some(true)
    {
        report.warn(at.problem("ignored: a trigger's `limit` does this, without waiting for its cooldown"));
    }
    let mut reader = Reader {
        report,
        triggers: Vec::new(),
        references: Vec::new(),
        plain: Vec::new(),
    };
    let up_cooldown = reader.one_way(fields.get("up"), Direction::Up);
    let down_cooldown = reader.one_way(fields.get("down"), Direction::Down);
    if let Some(list) = fields.get("policies") {
        reader.list(&list, Direction::Both);
    }
    reader.check_requests(containers);
    reader.check_usages();
    let autoscaling = Autoscaling {
        min,
        max,
        up_cooldown,
        down_cooldown,
        triggers: reader.triggers,
    };
    Some(Section {
        autoscaling,
        references: reader.references,
    })
}

fn bounds(fields: &Fields<'_>, report: &mut Report) -> (u32, Option<u32>) {
    let mut bound = |key: &str| {
        let at = fields.get(key)?;
        let number = u32::try_from(at.whole(ROOMS, report)?).ok()?;
        Some((at, number))
    };
    let (min, max) = (bound("min"), bound("max"));
    let lower = min.as_ref().map_or(0, |(_, min)| *min);
    // 0 rooms at most would be of no use to anybody; the older system took it for "no maximum".
    let max = max.filter(|(_, max)| *max > 0);
    if let (Some((at, min)), Some((_, max))) = (&min, &max)
        && min > max
    {
        let problem = at.problem(format!("min {min} is above max {max}"));
        report.add(problem.hint("raise max, or leave it out for no maximum"));
    }
    (lower, max.map(|(_, max)| max))
}

impl<'t> Reader<'t, '_> {
    /// Reads `up` or `down`; returns its cooldown. Without triggers the direction is never taken.
    fn one_way(&mut self, at: Option<At<'t>>, direction: Direction) -> Span {
        let known = ["cooldown", "delta", "trigger", "metricsTrigger"];
        let Some(fields) = at.and_then(|at| at.map(&known, self.report)) else {
            return COOLDOWN;
        };
        if let Some(at) = fields.get("delta")
            && at.whole(ROOMS, self.report).is_some()
        {
            self.report
                .warn(at.problem("ignored: a trigger works out itself how many rooms are missing"));
        }
        let list = fields.get("metricsTrigger");
        if let Some(list) = &list {
            self.list(list, direction);
        }
        let has_listed = self.triggers.iter().any(|trigger| trigger.direction == direction);
        match fields.get("trigger") {
            Some(at) if has_listed => {
                self.report
                    .warn(at.problem("ignored: `metricsTrigger` is given too"));
            }
            Some(at) => {
                if let Some(fields) = at.map(&["usage", "threshold", "time", "limit", "delta"], self.report) {
                    self.built_in(&at, &fields, "room", direction);
                }
            }
            None => {}
        }
        let cooldown = fields
            .get("cooldown")
            .and_then(|at| at.span(Span::ZERO..=LONGEST_COOLDOWN, self.report));
        cooldown.unwrap_or(COOLDOWN)
    }

    fn list(&mut self, at: &At<'t>, direction: Direction) {
        for item in at.list(self.report).unwrap_or_default() {
            self.entry(&item, direction);
        }
    }

    /// Takes a trigger of the entry at `at`, under the next id of its direction.
    fn push(&mut self, at: &At<'t>, mut trigger: Trigger) {
        let prefix = match trigger.direction {
            Direction::Up => "up",
            Direction::Down => "down",
            Direction::Both => "policies",
        };
        let count = self
            .triggers
            .iter()
            .filter(|other| other.direction == trigger.direction)
            .count();
        trigger.id = format!("{prefix}[{count}]");
        self.references.push(Reference {
            trigger: trigger.id.clone(),
            path: at.path.clone(),
        });
        self.triggers.push(trigger);
    }

    /// Utilisation of cpu and memory is measured against what was requested.
    fn check_requests(&mut self, containers: &[Container]) {
        for plain in &self.plain {
            let is_missing = |container: &&Container| match plain.policy {
                "cpu" => container.requests.cpu_milli.is_none(),
                "memory" => container.requests.memory_bytes.is_none(),
                _ => false,
            };
            let names: Vec<String> = containers
                .iter()
                .filter(is_missing)
                .map(|c| quoted(&c.name))
                .collect();
            if names.is_empty() {
                continue;
            }
            let policy = plain.policy;
            let whose = match containers.len() {
                1 => "the container has no such request".to_owned(),
                _ => format!("without that request: {}", names.join(", ")),
            };
            let message = format!("a {policy} trigger needs `requests.{policy}` of each container; {whose}");
            self.report
                .add(plain.at.problem(message).hint(format!("set `requests.{policy}`")));
        }
    }

    /// A down usage that reaches the up usage of the same type makes the two work against each other.
    fn check_usages(&mut self) {
        for down in self
            .plain
            .iter()
            .filter(|plain| plain.direction == Direction::Down)
        {
            let ups = self
                .plain
                .iter()
                .filter(|up| up.direction == Direction::Up && up.policy == down.policy);
            if let Some(up) = ups.map(|up| up.usage).min().filter(|up| *up <= down.usage) {
                let usage = down.usage;
                let message = format!(
                    "scales down below {usage} % and up above {up} %: the two work against each other"
                );
                self.report.warn(down.at.problem(message));
            }
        }
    }
}
