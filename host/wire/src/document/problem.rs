//! What is wrong, or worth saying, at a place of a scheduler document.
//!
//! One shape for terminals and for HTTP bodies: the fields are serialised as they stand, and [`Problem::show`]
//! adds the line that it is about. Texts quoted from a document pass through [`quoted`], so that no document can
//! send control sequences to a terminal.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

/// Something wrong at a place of a document, or worth saying about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Which document of the text, from 1.
    pub document: usize,
    /// The line in the whole text, from 1.
    pub line: usize,
    /// The column in that line, from 1, in characters.
    pub column: usize,
    /// Where in the document, as in `autoscaling.up.metricsTrigger[0].type`; empty for the document itself.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
    /// The nearest valid name, or what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Something accepted that its author should know of: a value that is ignored or replaced.
pub type Warning = Problem;

/// All problems of a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// In the order of the text.
    pub list: Vec<Problem>,
    /// How many more there are. [`Problems::LIMIT`] bounds the list, since each entry quotes the text.
    pub left_out: usize,
}

/// A place in a text, both counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Problem {
    /// A problem at a place; the reader fills in which document it is of.
    pub(super) fn new(position: Position, path: &str, message: impl Into<String>) -> Self {
        Self {
            document: 1,
            line: position.line,
            column: position.column,
            path: path.to_owned(),
            message: message.into(),
            hint: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// For a terminal: place, path, message, hint, and the line of `text` with a caret below the place.
    pub fn show(&self, file: &str, text: &str) -> String {
        let mut out = format!("{file}:{self}");
        let Some(line) = text.lines().nth(self.line.saturating_sub(1)) else {
            return out;
        };
        let number = self.line.to_string();
        let before = self.column.saturating_sub(1);
        // A long line is shown from a little before the place, so that the caret stays in sight.
        let skip = before.saturating_sub(EXCERPT - 20);
        let shown: String = line
            .chars()
            .skip(skip)
            .take(EXCERPT)
            .map(|c| match c {
                '\t' => ' ',
                c if is_harmful(c) => '\u{fffd}',
                c => c,
            })
            .collect();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(before - skip);
        // Writing to a String can't fail.
        let _ok = write!(out, "\n {number} | {}\n {margin} | {indent}^", shown.trim_end());
        out
    }
}

/// Most characters of a line that an excerpt shows: what fits a terminal beside its margin.
const EXCERPT: usize = 100;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl Problems {
    /// Most problems listed of one text.
    pub const LIMIT: usize = 100;

    /// For a terminal: each problem with its line.
    pub fn show(&self, file: &str, text: &str) -> String {
        let mut shown: Vec<String> = self.list.iter().map(|problem| problem.show(file, text)).collect();
        if self.left_out > 0 {
            shown.push(format!("{file}: {} more problems are not shown", self.left_out));
        }
        shown.join("\n")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.list.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        match self.left_out {
            0 => Ok(()),
            more => write!(f, "\n{more} more problems are not shown"),
        }
    }
}

/// The valid name that `given` was most likely meant to be.
pub fn nearest<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    /// Longer texts are no misspelt names, and comparing them takes time that grows with the square.
    const LONGEST: usize = 64;
    if given.len() > LONGEST {
        return None;
    }
    let given = given.to_lowercase();
    names
        .into_iter()
        .map(|name| {
            (
                strsim::normalized_damerau_levenshtein(&given, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// `text` between backticks for a message: escaped, and cut when it is long.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut out = String::from("`");
    for (i, c) in text.chars().enumerate() {
        if i == LONGEST {
            out.push('…');
            break;
        }
        if c == '\\' || is_harmful(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.push('`');
    out
}

/// Whether showing `c` could move the cursor or reorder what stands around it.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
