//! The live table of `maestro dev`, drawn in place on a terminal; and the plain lines where there is none.
//!
//! Pure: a view in, text out. Who gathers the view and when it is drawn is `dev.rs`'s.

use std::fmt::Write;

/// What one look shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct View {
    /// Where the API is.
    pub url: String,
    /// Schedulers by name.
    pub schedulers: Vec<Row>,
    /// Problems of files that were saved, newest last.
    pub problems: Vec<String>,
    /// One line to try next.
    pub try_next: String,
}

/// One scheduler.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Not ready yet.
    pub starting: u32,
    /// Available for matches.
    pub ready: u32,
    /// In a match or promised to one.
    pub busy: u32,
    /// Asked to go.
    pub draining: u32,
    /// Ending.
    pub stopping: u32,
    /// What the rooms are brought to.
    pub wanted: u32,
    /// The last decision that changed something, in a sentence.
    pub last: String,
    /// What the next one waits for.
    pub waits: String,
}

/// Draws the view in at most `width` columns.
pub(super) fn draw(view: &View, width: usize) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a string can't fail.
        let _infallible = writeln!(out, "{}", fit(&text, width));
    };
    line(format!("maestro dev   {}   Ctrl-C ends it", view.url));
    line(String::new());
    let name_width = view
        .schedulers
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or(0)
        .max(9);
    line(format!(
        "{:name_width$}  {:>7}  {:>8} {:>5} {:>8} {:>8} {:>6} {:>6}",
        "SCHEDULER", "VERSION", "STARTING", "READY", "OCCUPIED", "DRAINING", "ENDING", "WANTED"
    ));
    for row in &view.schedulers {
        line(format!(
            "{:name_width$}  {:>7}  {:>8} {:>5} {:>8} {:>8} {:>6} {:>6}  {}",
            row.name,
            row.version,
            row.starting,
            row.ready,
            row.busy,
            row.draining,
            row.stopping,
            row.wanted,
            bar(row),
        ));
        if !row.last.is_empty() {
            line(format!("  last   {}", row.last));
        }
        if !row.waits.is_empty() {
            line(format!("  next   {}", row.waits));
        }
    }
    if view.schedulers.is_empty() {
        line("no scheduler yet".to_owned());
    }
    for problem in &view.problems {
        line(String::new());
        problem.lines().for_each(|text| line(text.to_owned()));
    }
    line(String::new());
    line(format!("try    {}", view.try_next));
    out
}

/// One character a room: `#` occupied, `o` ready, `.` starting, `~` draining or ending.
fn bar(row: &Row) -> String {
    let part = |symbol: &str, count: u32| symbol.repeat(count.min(100) as usize);
    [
        part("#", row.busy),
        part("o", row.ready),
        part(".", row.starting),
        part("~", row.draining + row.stopping),
    ]
    .concat()
}

/// `text` in at most `width` columns, with an ellipsis where it was cut. Control characters of others' words vanish.
fn fit(text: &str, width: usize) -> String {
    let clean: Vec<char> = text.chars().filter(|c| !c.is_control()).collect();
    match clean.len() <= width {
        true => clean.into_iter().collect(),
        false => clean
            .into_iter()
            .take(width.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_fits_and_control_characters_vanish() {
        let row = Row {
            name: "hello".into(),
            last: "x\u{1b}[31m".repeat(60),
            busy: 3,
            ready: 2,
            ..Row::default()
        };
        let view = View {
            schedulers: vec![row],
            try_next: "maestro-cli explain hello".into(),
            ..View::default()
        };
        let text = draw(&view, 80);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert!(text.contains("###oo"));
    }
}
