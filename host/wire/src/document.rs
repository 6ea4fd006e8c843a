//! Scheduler documents: YAML or JSON text, one document or several, read into validated [`Scheduler`]s.
//!
//! Reading collects every problem at once, each with its line, column, path, what was expected and the nearest
//! valid name. Writing gives text that reads back as the same scheduler. Called by the API, by `maestro dev`, and by
//! the command line before anything is sent; knows nothing of what is deployed, so that the catalog checks policy
//! references afterwards, at the places that [`Document::problem`] knows.
//!
//! The keys are those of the older system, and these of our own: `autoscaling.policies` (two-way triggers), a
//! trigger's `parameters`, `window` and `mode`, `network`, `security` and `podTemplate`, and the time-outs `initializationTimeout`, `pingTimeout`,
//! `allocationTimeout`, `drainingTimeout` and `lostTimeout`. Two defaults differ, since the older ones made rooms
//! come and go by turns: a direction without triggers is never taken, and a down trigger's usage is 50, not 80.

mod autoscaling;
mod fields;
mod json;
mod pod;
mod problem;
mod scalar;
mod scheduler;
mod settings;
mod template;
mod tree;
mod write;

use std::collections::BTreeMap;

use maestro_core::scheduler::Scheduler;

pub use autoscaling::{BUILT_IN, Reference};
pub use problem::{Position, Problem, Problems, Warning, nearest, quoted};
pub use settings::{Setting, settings};
pub use tree::{DEPTH_LIMIT, DOCUMENT_LIMIT, KEY_LIMIT, NODE_LIMIT, TEXT_LIMIT};
pub use write::{WriteError, to_json, to_yaml};

use fields::{At, Report, join};
use tree::{Node, Root, Value};

/// A document that was read without a problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it says.
    pub scheduler: Scheduler,
    /// Its own part of the text, as given.
    pub text: String,
    /// What its author should know of.
    pub warnings: Vec<Warning>,
    /// Where each trigger of the scheduler stands, in the same order.
    pub references: Vec<Reference>,
    /// Which document of the text it is, from 1.
    number: usize,
    tree: Node,
}

impl Document {
    /// The place of a path such as `autoscaling.up.metricsTrigger[0].type`; of its nearest ancestor when the
    /// document does not have it.
    pub fn position(&self, path: &str) -> Position {
        locate(&self.tree, path)
    }

    /// A problem at `path`, found after reading: a policy that is not deployed, parameters that it refuses.
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        let mut problem = Problem::new(self.position(path), path, message);
        problem.document = self.number;
        problem
    }

    /// The entry that the trigger with this id came from.
    pub fn reference(&self, trigger: &str) -> Option<&Reference> {
        self.references
            .iter()
            .find(|reference| reference.trigger == trigger)
    }
}

/// Reads all documents of a text. Bounded in time and memory whatever the text is.
pub fn read(text: &str) -> Result<Vec<Document>, Problems> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (roots, fault) = tree::parse(text);
    let mut report = Report::default();
    let mut documents = Vec::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for (i, root) in roots.iter().enumerate() {
        report.document = i + 1;
        let at = At::root(&root.node);
        // What stands between two separators and holds nothing is no document.
        if at.is_null() {
            continue;
        }
        let Some((scheduler, references)) = scheduler::read(&at, &mut report) else {
            continue;
        };
        if let Some(first) = names.insert(scheduler.name.to_string(), i + 1) {
            let message = format!("document {first} of this text has this name too");
            report.add(Problem::new(locate(&root.node, "name"), "name", message));
        }
        documents.push(Document {
            scheduler,
            text: part(text, &roots, i),
            warnings: std::mem::take(&mut report.warnings),
            references,
            number: i + 1,
            tree: root.node.clone(),
        });
    }
    if roots.iter().all(|root| At::root(&root.node).is_null()) && fault.is_none() {
        report.document = 1;
        report.add(Problem::new(
            Position { line: 1, column: 1 },
            "",
            "the text holds no document",
        ));
    }
    if report.problems.is_empty() && fault.is_none() {
        return Ok(documents);
    }
    report.problems.extend(fault);
    report
        .problems
        .sort_by_key(|problem| (problem.line, problem.column));
    Err(Problems {
        list: report.problems,
        left_out: report.left_out,
    })
}

/// The lines of the `index`th document, with the directives above it.
fn part(text: &str, roots: &[Root], index: usize) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let begin = |root: &Root| {
        let mut line = root.line - 1;
        while line > 0 && lines.get(line - 1).is_some_and(|line| line.starts_with('%')) {
            line -= 1;
        }
        line
    };
    let from = if index == 0 {
        0
    } else {
        roots.get(index).map_or(0, begin)
    };
    let to = roots.get(index + 1).map_or(lines.len(), begin);
    lines.get(from..to.max(from)).unwrap_or_default().concat()
}

/// Walks `path` down from `node` as far as it goes.
fn locate(node: &Node, path: &str) -> Position {
    let child = match &node.value {
        Value::Scalar { .. } => None,
        Value::List(items) => items
            .iter()
            .enumerate()
            .find_map(|(i, item)| Some((item, rest(path, &format!("[{i}]"))?))),
        Value::Map(entries) => entries
            .iter()
            .find_map(|entry| Some((&entry.node, rest(path, &join("", &entry.key))?))),
    };
    child.map_or(node.at, |(node, path)| locate(node, path))
}

/// What follows the step `segment` in `path`, if it is the first one.
fn rest<'p>(path: &'p str, segment: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(segment)?;
    match rest.strip_prefix('.') {
        Some(rest) => Some(rest),
        None => (rest.is_empty() || rest.starts_with('[')).then_some(rest),
    }
}
