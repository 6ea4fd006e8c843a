//! A file of settings: one map, from keys to a text or a list of texts, each with its place.

use super::problem::{Position, Problem, Problems};
use super::tree::{self, Node, Value};

/// One setting as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key.
    pub key: String,
    /// Its values; one, but for a list. A plain `null`, or nothing, is none.
    pub values: Vec<String>,
    /// Where it stands.
    pub at: Position,
}

impl Setting {
    /// A problem with it, found after reading.
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.at, &self.key, message)
    }
}

/// Reads a file of settings, YAML or JSON; all problems at once. What the keys mean is not known here.
pub fn settings(text: &str) -> Result<Vec<Setting>, Problems> {
    let (roots, fault) = tree::parse(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut problems: Vec<Problem> = fault.into_iter().collect();
    let mut settings: Vec<Setting> = Vec::new();
    if let Some(second) = roots.get(1) {
        let message = "a file of settings is one document";
        problems.push(Problem::new(second.node.at, "", message));
    }
    match roots.first().map(|root| &root.node) {
        None => {}
        Some(node) if is_nothing(node) => {}
        Some(Node {
            value: Value::Map(entries),
            ..
        }) => {
            for entry in entries {
                if let Some(first) = settings.iter().find(|setting| setting.key == entry.key) {
                    let message = format!("this key stands in line {} already", first.at.line);
                    problems.push(Problem::new(entry.key_at, &entry.key, message));
                    continue;
                }
                match values(&entry.node) {
                    Some(values) => settings.push(Setting {
                        key: entry.key.clone(),
                        values,
                        at: entry.key_at,
                    }),
                    None => {
                        let message = "expected a text, a number, or a list of them";
                        problems.push(Problem::new(entry.node.at, &entry.key, message));
                    }
                }
            }
        }
        Some(node) => {
            let message = "expected `key: value` lines";
            problems.push(Problem::new(node.at, "", message));
        }
    }
    match problems.is_empty() {
        true => Ok(settings),
        false => {
            problems.sort_by_key(|problem| (problem.line, problem.column));
            Err(Problems {
                list: problems,
                left_out: 0,
            })
        }
    }
}

fn values(node: &Node) -> Option<Vec<String>> {
    match &node.value {
        _ if is_nothing(node) => Some(Vec::new()),
        Value::Scalar { text, .. } => Some(vec![text.clone()]),
        Value::List(items) => {
            let text = |item: &Node| match &item.value {
                Value::Scalar { text, .. } if !is_nothing(item) => Some(text.clone()),
                Value::Scalar { .. } | Value::List(_) | Value::Map(_) => None,
            };
            items.iter().map(text).collect()
        }
        Value::Map(_) => None,
    }
}

fn is_nothing(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_numbers_and_lists_are_read_with_their_places() {
        let read =
            settings("listen: 0.0.0.0:80\n# nothing\nmax-rooms: 7\nfiles:\n- a\n- \"b\"\nlog:\n").unwrap();
        let told: Vec<_> = read
            .iter()
            .map(|setting| format!("{} {:?} {}", setting.key, setting.values, setting.at.line))
            .collect();
        assert_eq!(
            told,
            [
                r#"listen ["0.0.0.0:80"] 1"#,
                r#"max-rooms ["7"] 3"#,
                r#"files ["a", "b"] 4"#,
                "log [] 7"
            ]
        );
        assert_eq!(settings(""), Ok(Vec::new()));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let problems = settings("a: 1\na: 2\nb: {c: 1}\nd: [[1]]\n").unwrap_err();
        let lines: Vec<_> = problems.list.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [2, 3, 4], "{problems}");
        assert!(settings("- a\n").is_err() && settings("a: 1\n---\nb: 2\n").is_err());
    }
}
