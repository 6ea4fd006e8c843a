//! One trigger of a document: a built-in policy with its settings beside its type, or a deployed one with its own.

use std::ops::RangeInclusive;

use maestro_core::names::PolicyName;
use maestro_core::scheduler::{Direction, Mode, PolicyRef, Trigger};
use maestro_core::time::Span;

use super::super::fields::{At, Fields};
use super::super::json;
use super::super::problem::{nearest, quoted};
use super::{BUILT_IN, Plain, ROOMS, Reader};

/// A day: what the built-in policies look back at most.
const LONGEST_WINDOW: Span = Span::from_secs(86_400);
/// The older system's defaults, kept where they do no harm.
const WINDOW: Span = Span::from_secs(600);
const USAGE: u64 = 80;
const THRESHOLD: u64 = 80;
const LIMIT: u64 = 90;
/// The older system had the same usage for both directions, which adds and removes rooms by turns.
const DOWN_USAGE: u64 = 50;
/// Use of cpu and memory may exceed what was requested.
const LIMITS: u64 = 1_000;

impl<'t> Reader<'t, '_> {
    pub(super) fn entry(&mut self, item: &At<'t>, direction: Direction) {
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
            Some(policy) => self.built_in(item, &fields, policy, direction),
            None => self.deployed(item, &fields, &at, direction),
        }
    }

    /// A trigger of the older system: its settings stand beside its type.
    pub(super) fn built_in(
        &mut self,
        at: &At<'t>,
        fields: &Fields<'t>,
        policy: &'static str,
        direction: Direction,
    ) {
        self.refuse(
            fields,
            &["parameters", "window"],
            "a built-in policy takes `usage`, `threshold`, `time` and `limit`",
            None,
        );
        let report = &mut *self.report;
        let mut whole = |key: &str, range: RangeInclusive<u64>, default: u64| {
            fields
                .get(key)
                .map_or(Some(default), |at| at.whole(range, report))
        };
        let default = match direction {
            Direction::Up | Direction::Both => USAGE,
            Direction::Down => DOWN_USAGE,
        };
        let usage = whole("usage", 1..=100, default);
        let threshold = whole("threshold", 1..=100, THRESHOLD);
        let given = fields.get("limit").and_then(|_| whole("limit", 0..=LIMITS, 0));
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
        let default = (direction == Direction::Up).then_some(LIMIT);
        let (Some(at), Some(limit)) = (fields.get("limit"), given) else {
            return default.filter(|limit| *limit > usage);
        };
        if limit == 0 {
            return None;
        }
        if direction == Direction::Down {
            self.report
                .warn(at.problem("ignored: scaling down is never urgent"));
            return None;
        }
        if limit <= usage {
            let message = format!("the limit {limit} is not above the usage {usage}: it is switched off");
            self.report.warn(at.problem(message));
            return None;
        }
        Some(limit)
    }

    /// A trigger of a deployed policy: its settings stand under `parameters`, and only the policy can judge them.
    fn deployed(&mut self, item: &At<'t>, fields: &Fields<'t>, at: &At<'t>, direction: Direction) {
        // Somebody who writes a built-in's settings most likely misspelt its name.
        let meant = at.scalar().and_then(|name| nearest(name, BUILT_IN));
        for (keys, why) in [
            (
                &["usage", "threshold", "limit", "delta"][..],
                "a deployed policy's settings stand under `parameters`",
            ),
            (&["time"], "a deployed policy's past is `window`"),
        ] {
            self.refuse(fields, keys, why, meant);
        }
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
        let span = at.span(Span::from_secs(1)..=LONGEST_WINDOW, self.report)?;
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

    fn refuse(&mut self, fields: &Fields<'t>, keys: &[&str], why: &str, meant: Option<&str>) {
        for at in keys.iter().filter_map(|key| fields.get(key)) {
            let problem = at.problem(format!("this key has no meaning here: {why}"));
            self.report.add(match meant {
                Some(name) => problem.hint(format!("did you mean `type: {name}`?")),
                None => problem,
            });
        }
    }
}

fn is_version(text: &str) -> bool {
    let is_ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    (1..=64).contains(&text.len()) && text.chars().all(is_ok)
}
