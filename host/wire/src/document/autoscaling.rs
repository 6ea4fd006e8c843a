//! How many rooms, and who decides: bounds, cooldowns, triggers.

use std::ops::RangeInclusive;

use maestro_core::names::PolicyName;
use maestro_core::scheduler::{Autoscaling, Container, Direction, Mode, PolicyRef, Trigger};
use maestro_core::time::Span;

use super::fields::{At, Fields, Report};
use super::json;
use super::problem::{nearest, quoted};

/// Names of the built-in policies.
pub const BUILT_IN: [&str; 3] = ["room", "cpu", "memory"];

/// Most rooms that a document may ask for; the installation's own cap is below it.
const ROOMS: RangeInclusive<u64> = 0..=1_000_000;
/// Longest window and cooldown: what is kept of the past.
const LONGEST: Span = Span::from_secs(7 * 86_400);
/// The older system's defaults, kept where they do no harm.
const COOLDOWN: Span = Span::from_secs(600);
const WINDOW: Span = Span::from_secs(600);
const THRESHOLD: u64 = 80;
const LIMIT: u64 = 90;
/// The older system had 80 for both directions, which scales up and down by turns.
const UP_USAGE: u64 = 80;
const DOWN_USAGE: u64 = 50;

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
            .and_then(|at| at.span(Span::ZERO..=LONGEST, self.report));
        cooldown.unwrap_or(COOLDOWN)
    }

    fn list(&mut self, at: &At<'t>, direction: Direction) {
        for item in at.list(self.report).unwrap_or_default() {
            self.entry(&item, direction);
        }
    }

    fn entry(&mut self, item: &At<'t>, direction: Direction) {
        const KEYS: [&str; 9] = [
            "type",
            "usage",
            "threshold",
            "time",
            "limit",
            "delta",
            "parameters",
            "window",
            "mode",
        ];
        let Some(fields) = item.map(&KEYS, self.report) else {
            return;
        };
        let purpose = "room, cpu, memory, or the name of a deployed policy";
        let Some(at) = fields.required("type", purpose, self.report) else {
            return;
        };
        let Some(text) = at.text(self.report) else {
            return;
        };
        let built_in = match text {
            "room" => Some("room"),
            "cpu" => Some("cpu"),
            "memory" | "mem" => Some("memory"),
            "legacy" => {
                self.report
                    .warn(at.problem("taken as `room`: Maestro adds no fixed number of rooms"));
                Some("room")
            }
            _ => None,
        };
        match built_in {
            Some(policy) if direction == Direction::Both => {
                let message = format!("the built-in policy `{policy}` moves one way only");
                let hint =
                    "place it under `autoscaling.up.metricsTrigger` or `autoscaling.down.metricsTrigger`";
                self.report.add(at.problem(message).hint(hint));
            }
            Some(policy) => self.built_in(item, &fields, policy, direction),
            None => self.deployed(item, &fields, &at, direction),
        }
    }

    /// A trigger of the older system: its settings stand beside its type.
    fn built_in(&mut self, at: &At<'t>, fields: &Fields<'t>, policy: &'static str, direction: Direction) {
        self.refuse(
            fields,
            &["parameters", "window"],
            "a built-in policy takes `usage`, `threshold`, `time` and `limit`",
        );
        // A room is used or not; cpu and memory may exceed what was requested.
        let percent = if policy == "room" { 1..=100 } else { 1..=1_000 };
        let report = &mut *self.report;
        let mut whole = |key: &str, range: RangeInclusive<u64>, default: u64| {
            fields
                .get(key)
                .map_or(Some(default), |at| at.whole(range, report))
        };
        let default = if direction == Direction::Up {
            UP_USAGE
        } else {
            DOWN_USAGE
        };
        let usage = whole("usage", percent.clone(), default);
        let threshold = whole("threshold", 1..=100, THRESHOLD);
        let given = fields
            .get("limit")
            .and_then(|_| whole("limit", 0..=*percent.end(), 0));
        let time = self.window(fields, "time");
        if let Some(at) = fields.get("delta")
            && at.whole(ROOMS, self.report).is_some()
        {
            self.report
                .warn(at.problem("ignored: a trigger works out itself how many rooms are missing"));
        }
        let mode = self.mode(fields);
        let (Some(usage), Some(threshold), Some(time)) = (usage, threshold, time) else {
            return;
        };
        let limit = self.limit(fields, given, usage, direction);
        self.plain.push(Plain {
            at: at.clone(),
            policy,
            direction,
            usage,
        });
        let Ok(name) = PolicyName::parse(policy) else {
            return;
        };
        let seconds = time.ms() / 1_000;
        let limit = limit.map_or(String::new(), |limit| format!(r#","limit":{limit}"#));
        let parameters = format!(r#"{{"usage":{usage},"threshold":{threshold},"time":{seconds}{limit}}}"#);
        let policy = PolicyRef { name, version: None };
        self.push(
            at,
            Trigger {
                id: String::new(),
                direction,
                policy,
                parameters,
                window: time,
                mode,
            },
        );
    }

    /// The utilisation at which `up` no longer waits; 0 is none. One that its usage already reaches would always be
    /// urgent.
    fn limit(
        &mut self,
        fields: &Fields<'t>,
        given: Option<u64>,
        usage: u64,
        direction: Direction,
    ) -> Option<u64> {
        let at = fields.get("limit");
        match (direction, given, at) {
            (Direction::Up, None, None) => Some(LIMIT).filter(|limit| *limit > usage),
            (Direction::Up, Some(limit), _) if limit > usage => Some(limit),
            (Direction::Up, Some(0), _) => None,
            (Direction::Up, Some(limit), Some(at)) => {
                let message = format!("the limit {limit} is not above the usage {usage}: it is switched off");
                self.report.warn(at.problem(message));
                None
            }
            (Direction::Down | Direction::Both, Some(limit), Some(at)) if limit > 0 => {
                self.report
                    .warn(at.problem("ignored: scaling down is never urgent"));
                None
            }
            _ => None,
        }
    }

    /// A trigger of a deployed policy: its settings stand under `parameters`, and only the policy can judge them.
    fn deployed(&mut self, item: &At<'t>, fields: &Fields<'t>, at: &At<'t>, direction: Direction) {
        self.refuse(
            fields,
            &["usage", "threshold", "limit", "delta"],
            "a deployed policy's settings stand under `parameters`",
        );
        self.refuse(fields, &["time"], "a deployed policy's past is `window`");
        let policy = self.reference(at);
        let parameters = match fields.get("parameters") {
            Some(at) => json::object(&at, self.report),
            None => Some("{}".to_owned()),
        };
        let window = self.window(fields, "window");
        let mode = self.mode(fields);
        if let (Some(policy), Some(parameters), Some(window)) = (policy, parameters, window) {
            self.push(
                item,
                Trigger {
                    id: String::new(),
                    direction,
                    policy,
                    parameters,
                    window,
                    mode,
                },
            );
        }
    }

    /// `name` or `name@version`. Whether it is deployed, the catalog knows.
    fn reference(&mut self, at: &At<'t>) -> Option<PolicyRef> {
        let text = at.scalar()?;
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let problem = match (PolicyName::parse(name), version) {
            (Err(error), _) => {
                let problem = at.problem(format!("{} is not a policy's name: {error}", quoted(name)));
                match nearest(name, BUILT_IN) {
                    Some(built_in) => problem.hint(format!("did you mean `{built_in}`?")),
                    None => problem,
                }
            }
            (Ok(_), Some(_)) if BUILT_IN.contains(&name) || name == "mem" => at
                .problem(format!("the built-in policy `{name}` has no versions"))
                .hint(format!("write `{name}`")),
            (Ok(_), Some(version)) if !is_version(version) => at.problem(format!(
                "{} is not a version: expected one such as 1.2",
                quoted(version)
            )),
            (Ok(name), version) => {
                return Some(PolicyRef {
                    name,
                    version: version.map(str::to_owned),
                });
            }
        };
        self.report.add(problem);
        None
    }

    /// How much of the past is looked at: whole seconds, since policies are told seconds.
    fn window(&mut self, fields: &Fields<'t>, key: &str) -> Option<Span> {
        let Some(at) = fields.get(key) else {
            return Some(WINDOW);
        };
        let span = at.span(Span::from_secs(1)..=LONGEST, self.report)?;
        if span.ms() % 1_000 != 0 {
            self.report
                .add(at.problem(format!("expected whole seconds, found {span}")));
            return None;
        }
        Some(span)
    }

    /// `active`, `shadow`, or `canary(share)` with a share between 0 and 1.
    fn mode(&mut self, fields: &Fields<'t>) -> Mode {
        let Some(at) = fields.get("mode") else {
            return Mode::Active;
        };
        let share = at.scalar().and_then(|text| {
            text.strip_prefix("canary(")?
                .strip_suffix(')')?
                .trim()
                .parse()
                .ok()
        });
        match (at.scalar(), share) {
            (Some("active"), _) => return Mode::Active,
            (Some("shadow"), _) => return Mode::Shadow,
            (_, Some(share)) if 0.0 < share && share < 1.0 => return Mode::Canary(share),
            (Some(text), _) => {
                let expected = "`active`, `shadow`, or `canary(0.1)` with a share between 0 and 1";
                let problem = at.problem(format!("expected {expected}, found {}", quoted(text)));
                self.report
                    .add(match nearest(text, ["active", "shadow", "canary(0.1)"]) {
                        Some(word) => problem.hint(format!("did you mean `{word}`?")),
                        None => problem,
                    });
            }
            (None, _) => {
                at.text(self.report);
            }
        }
        Mode::Active
    }

    fn refuse(&mut self, fields: &Fields<'t>, keys: &[&str], why: &str) {
        for at in keys.iter().filter_map(|key| fields.get(key)) {
            self.report
                .add(at.problem(format!("this key has no meaning here: {why}")));
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

fn is_version(text: &str) -> bool {
    let is_ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    (1..=64).contains(&text.len()) && text.chars().all(is_ok)
}
