//! What runs in a room: containers, their ports, and what they are given of the machine.

pub(super) mod env;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use maestro_core::names::check_label;
use maestro_core::scheduler::{Container, ImagePull, Port, PortRange, Protocol, Resources};

use super::fields::{At, Fields, Report};
use super::problem::{nearest, quoted};
use super::scalar::{self, QuantityError};

/// Keys of one container, which in the single-container form stand at the top of the document.
pub(super) const CONTAINER_KEYS: [&str; 7] = [
    "image",
    "imagePullPolicy",
    "ports",
    "requests",
    "limits",
    "env",
    "cmd",
];

const PORTS: RangeInclusive<u64> = 1..=65_535;

/// The containers of a document in either form; `fields` are its top-level ones, `name` the scheduler's.
pub(super) fn containers(fields: &Fields<'_>, name: &str, report: &mut Report) -> Vec<Container> {
    let mut used = Used::default();
    let Some(at) = fields.get("containers").filter(|at| !is_empty_list(at)) else {
        return vec![container(fields, name.to_owned(), &mut used, report)];
    };
    for key in CONTAINER_KEYS {
        if let Some(other) = fields.get(key) {
            let problem =
                other.problem("given at the top and in `containers`: a document has one form or the other");
            report.add(problem.hint("move it into an entry of `containers`"));
        }
    }
    let mut known = vec!["name"];
    known.extend(CONTAINER_KEYS);
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    let mut read = Vec::new();
    for item in at.list(report).unwrap_or_default() {
        let Some(fields) = item.map(&known, report) else {
            continue;
        };
        let mut name = String::new();
        if let Some(at) = fields.required("name", "the container's name", report)
            && let Some(text) = dns_label(&at, 63, report)
        {
            if let Some(first) = names.insert(text, at.path.clone()) {
                report.add(at.problem(format!("the name {} is already taken by {first}", quoted(text))));
            }
            name = text.to_owned();
        }
        read.push(container(&fields, name, &mut used, report));
    }
    read
}

/// Names and numbers of ports taken so far, with the path of their first use: all containers of a room share them.
#[derive(Default)]
struct Used {
    names: BTreeMap<String, String>,
    numbers: BTreeMap<(u16, Protocol), String>,
}

fn container(fields: &Fields<'_>, name: String, used: &mut Used, report: &mut Report) -> Container {
    let image = fields
        .required("image", "the image to run", report)
        .and_then(|at| image(&at, report))
        .unwrap_or_default();
    let requests = resources(fields.get("requests"), report);
    let limits = resources(fields.get("limits"), report);
    check_limits(fields, requests, limits, report);
    Container {
        name,
        image,
        pull: fields
            .get("imagePullPolicy")
            .and_then(|at| pull(&at, report))
            .unwrap_or(ImagePull::Always),
        ports: fields
            .get("ports")
            .map(|at| ports(&at, used, report))
            .unwrap_or_default(),
        requests,
        limits,
        env: fields
            .get("env")
            .map(|at| env::read(&at, report))
            .unwrap_or_default(),
        cmd: fields.get("cmd").map(|at| cmd(&at, report)).unwrap_or_default(),
    }
}

fn image(at: &At<'_>, report: &mut Report) -> Option<String> {
    let text = at.label(512, report)?;
    if text.contains(char::is_whitespace) {
        report.add(at.problem(format!("{} is not an image: it has a space", quoted(text))));
        return None;
    }
    Some(text.to_owned())
}

fn pull(at: &At<'_>, report: &mut Report) -> Option<ImagePull> {
    let choices = [
        ("Always", ImagePull::Always),
        ("IfNotPresent", ImagePull::IfNotPresent),
        ("Never", ImagePull::Never),
    ];
    choice(at, &choices, report)
}

/// One of a few words.
pub(super) fn choice<T: Copy>(at: &At<'_>, choices: &[(&str, T)], report: &mut Report) -> Option<T> {
    let text = at.text(report)?;
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    let problem = at.problem(format!("expected {}, found {}", words.join(" or "), quoted(text)));
    report.add(match nearest(text, words) {
        Some(word) => problem.hint(format!("did you mean `{word}`?")),
        None => problem,
    });
    None
}

fn ports(at: &At<'_>, used: &mut Used, report: &mut Report) -> Vec<Port> {
    let items = at.list(report).unwrap_or_default();
    items.iter().filter_map(|item| port(item, used, report)).collect()
}

fn port(item: &At<'_>, used: &mut Used, report: &mut Report) -> Option<Port> {
    let fields = item.map(&["containerPort", "protocol", "name"], report)?;
    let number_at = fields.required("containerPort", "the port that the program listens on", report);
    let number = number_at
        .as_ref()
        .and_then(|at| at.whole(PORTS, report))
        .and_then(|n| u16::try_from(n).ok());
    let protocol = fields
        .required("protocol", "TCP or UDP", report)
        .and_then(|at| choice(&at, &[("TCP", Protocol::Tcp), ("UDP", Protocol::Udp)], report));
    let name = fields
        .required("name", "the port's name", report)
        .and_then(|at| port_name(&at, used, report));
    let (number, protocol) = (number?, protocol?);
    if let Some(at) = number_at
        && let Some(first) = used.numbers.insert((number, protocol), at.path.clone())
    {
        report.add(at.problem(format!(
            "port {number} of this protocol is already taken by {first}"
        )));
    }
    Some(Port {
        name: name?,
        container_port: number,
        protocol,
    })
}

/// Up to 15 letters, digits and dashes, as Kubernetes wants them, but of either case: the older system's documents
/// have `clientPort`.
fn port_name(at: &At<'_>, used: &mut Used, report: &mut Report) -> Option<String> {
    let text = at.label(15, report)?;
    let lower = text.to_ascii_lowercase();
    if let Err(error) = check_label(&lower, 15) {
        report.add(at.problem(format!("{} is not a valid port name: {error}", quoted(text))));
        return None;
    }
    if !text.contains(|c: char| c.is_ascii_alphabetic()) {
        report.add(at.problem(format!(
            "{} is not a valid port name: it has no letter",
            quoted(text)
        )));
        return None;
    }
    if let Some(first) = used.names.insert(lower, at.path.clone()) {
        report.add(at.problem(format!("the name {} is already taken by {first}", quoted(text))));
    }
    Some(text.to_owned())
}

/// A DNS-1123 label, with the nearest valid one as a hint.
pub(super) fn dns_label<'t>(at: &At<'t>, limit: usize, report: &mut Report) -> Option<&'t str> {
    let text = at.text(report)?;
    let Err(error) = check_label(text, limit) else {
        return Some(text);
    };
    let problem = at.problem(format!("{} is not a valid name: {error}", quoted(text)));
    let slug = slug(text, limit);
    report.add(if slug.is_empty() {
        problem
    } else {
        problem.hint(format!("write `{slug}`"))
    });
    None
}

fn slug(text: &str, limit: usize) -> String {
    let dashed: String = text
        .chars()
        .take(limit)
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    dashed.trim_matches('-').to_owned()
}

fn resources(at: Option<At<'_>>, report: &mut Report) -> Resources {
    let Some(fields) = at.and_then(|at| at.map(&["cpu", "memory"], report)) else {
        return Resources::default();
    };
    Resources {
        cpu_milli: fields
            .get("cpu")
            .and_then(|at| quantity(&at, scalar::cpu_milli, "500m, 0.5 or 2", report)),
        memory_bytes: fields
            .get("memory")
            .and_then(|at| quantity(&at, scalar::memory_bytes, "128Mi, 1Gi or 500M", report)),
    }
}

type Parse = fn(&str) -> Result<u64, QuantityError>;

fn quantity(at: &At<'_>, parse: Parse, examples: &str, report: &mut Report) -> Option<u64> {
    let text = at.text(report)?;
    // The older system wrote absent amounts as empty texts.
    if text.is_empty() {
        return None;
    }
    let why = match parse(text) {
        Ok(amount) => return Some(amount),
        Err(QuantityError::Form) => format!("expected an amount such as {examples}, found {}", quoted(text)),
        Err(QuantityError::NotPositive) => format!("{} is not more than zero", quoted(text)),
        Err(QuantityError::TooLarge) => format!("{} is too large", quoted(text)),
        Err(QuantityError::TooFine) => format!("{} is finer than 1m, a thousandth of a core", quoted(text)),
    };
    let problem = at.problem(why);
    report.add(match meant_quantity(text, parse) {
        Some(meant) => problem.hint(format!("write {meant}")),
        None => problem,
    });
    None
}

/// `128MB`, `1gb`, `512 Mi`: units that people write and Kubernetes does not know.
fn meant_quantity(text: &str, parse: Parse) -> Option<String> {
    let text: String = text.split_whitespace().collect();
    if parse(&text).is_ok() {
        return Some(text);
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let suffix = match unit {
        "k" | "m" | "g" | "t" => unit.to_ascii_uppercase().replace('K', "k"),
        "ki" | "mi" | "gi" | "ti" => format!("{}i", unit[..1].to_ascii_uppercase()),
        _ => return None,
    };
    let meant = format!("{number}{suffix}");
    parse(&meant).is_ok().then_some(meant)
}

/// A limit below its request would be refused by Kubernetes when the first room is created.
fn check_limits(fields: &Fields<'_>, requests: Resources, limits: Resources, report: &mut Report) {
    let pairs = [
        ("cpu", requests.cpu_milli, limits.cpu_milli),
        ("memory", requests.memory_bytes, limits.memory_bytes),
    ];
    for (key, request, limit) in pairs {
        let (Some(request), Some(limit)) = (request, limit) else {
            continue;
        };
        if request <= limit {
            continue;
        }
        let written = |part: &str| {
            let fields = fields
                .get(part)
                .map(|at| at.map(&["cpu", "memory"], &mut Report::default()));
            fields.flatten().and_then(|fields| fields.get(key))
        };
        if let (Some(limit), Some(request)) = (written("limits"), written("requests")) {
            let shown = |at: &At<'_>| quoted(at.scalar().unwrap_or_default());
            let message = format!(
                "the limit {} is below the request {}",
                shown(&limit),
                shown(&request)
            );
            report.add(
                limit
                    .problem(message)
                    .hint("raise the limit or lower the request"),
            );
        }
    }
}

fn cmd(at: &At<'_>, report: &mut Report) -> Vec<String> {
    let items = at.list(report).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| env::no_nul(item, report))
        .collect()
}

/// The range that rooms' ports are taken from; it must hold all ports of one room.
pub(super) fn port_range(at: &At<'_>, needed: usize, report: &mut Report) -> Option<PortRange> {
    let fields = at.map(&["start", "end"], report)?;
    let mut bound = |key: &str, purpose: &str| {
        let at = fields.required(key, purpose, report)?;
        u16::try_from(at.whole(PORTS, report)?).ok()
    };
    let (start, end) = (bound("start", "the first port"), bound("end", "the last port"));
    let range = PortRange {
        start: start?,
        end: end?,
    };
    if range.start > range.end {
        report.add(at.problem(format!(
            "the range ends at {}, before its start {}",
            range.end, range.start
        )));
        return None;
    }
    let size = usize::from(range.end - range.start) + 1;
    if size < needed {
        report.add(at.problem(format!(
            "too small: it holds {size}, and one room needs {needed} ports"
        )));
        return None;
    }
    Some(range)
}

fn is_empty_list(at: &At<'_>) -> bool {
    matches!(&at.node.value, super::tree::Value::List(items) if items.is_empty())
}
