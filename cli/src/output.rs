//! Printing: a table for people, JSON or YAML for programs.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde::Serialize;

use crate::args::Format;
use crate::terminal::{self, Paint, Tint};

/// Writes to stdout; a reader that went away (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| match text.ends_with('\n') {
            true => stdout.flush(),
            false => stdout.write_all(b"\n").and_then(|()| stdout.flush()),
        });
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("can't write to stdout"),
    }
}

/// Writes a line, an empty one too. A reader that went away ends the program: nobody is left to follow for.
fn print_line(line: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{}", line.trim_end_matches('\n')).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.context("can't write to stdout"),
    }
}

/// Says something to whoever reads along, on stderr. Nobody has to.
pub(crate) fn say(text: &str) {
    if writeln!(io::stderr().lock(), "{text}").is_err() {
        // Nobody does.
    }
}

/// Prints `data` in the format asked for; `table` makes the text for people.
pub(crate) fn show<T: Serialize>(format: Format, data: &T, table: impl FnOnce(&T) -> String) -> Result<()> {
    match format {
        Format::Table => print(&table(data)),
        Format::Json => print(&serde_json::to_string_pretty(data).context("can't write JSON")?),
        Format::Yaml => print(&serde_saphyr::to_string(data).context("can't write YAML")?),
    }
}

/// Prints one of many that come one by one: a line for people, a line of JSON, an entry of a YAML list.
pub(crate) fn item<T: Serialize>(format: Format, data: &T, line: impl FnOnce(&T) -> String) -> Result<()> {
    match format {
        Format::Table => print_line(&line(data)),
        Format::Json => print_line(&serde_json::to_string(data).context("can't write JSON")?),
        Format::Yaml => print_line(&serde_saphyr::to_string(&[data]).context("can't write YAML")?),
    }
}

/// A table that fits the terminal, without frames so that it can be cut and grepped.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let columns = terminal::size().map(|(columns, _)| columns);
    fitted(header, rows.into_iter().collect(), columns, Paint::for_stdout())
}

/// What others said, with nothing in it that a terminal obeys: control characters are spelled out.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

fn fitted(header: &[&str], rows: Vec<Vec<String>>, columns: Option<usize>, paint: Paint) -> String {
    let header: Vec<String> = header.iter().map(|title| title.to_uppercase()).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|text| plain(text)).collect())
        .collect();
    let length = |row: &Vec<String>, i: usize| row.get(i).map_or(0, |text| text.chars().count());
    let all = || rows.iter().chain([&header]);
    let widths: Vec<usize> = (0..header.len())
        .map(|i| all().map(|row| length(row, i)).max().unwrap_or(0))
        .collect();
    let natural = widths.iter().sum::<usize>() + 2 * header.len().saturating_sub(1);
    let narrow = columns.filter(|columns| *columns < natural);
    // What a user types next is not broken.
    let words = (1..header.len()).map(|i| all().map(|row| word(row, i)).max().unwrap_or(0));
    let least: Vec<usize> = widths.iter().take(1).copied().chain(words).collect();
    if narrow.is_some_and(|columns| columns < least.iter().sum::<usize>() + header.len().saturating_sub(1)) {
        return listed(&header, &rows, paint);
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(columns) = narrow {
        table.set_width(u16::try_from(columns).unwrap_or(u16::MAX));
    }
    table.set_header(header);
    for row in rows {
        table.add_row(row.into_iter().map(|text| cell(paint, text)));
    }
    // Air goes before words do.
    let air: u16 = if narrow.is_some() { 1 } else { 2 };
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, air));
        let least = u16::try_from(least[i]).unwrap_or(u16::MAX).saturating_add(air);
        column.set_constraint(match i {
            0 => ColumnConstraint::ContentWidth,
            _ => ColumnConstraint::LowerBoundary(Width::Fixed(least)),
        });
    }
    table.trim_fmt()
}

/// The length of a cell's longest word, as far as that may be kept whole.
fn word(row: &[String], i: usize) -> usize {
    /// Longer words are broken where there is little place.
    const LONG: usize = 10;
    let words = row.get(i).into_iter().flat_map(|text| text.split_whitespace());
    words
        .map(|word| word.chars().count())
        .max()
        .unwrap_or(0)
        .min(LONG)
}

/// A table that no terminal of this width holds: a paragraph for each row, a line for each of its cells.
fn listed(header: &[String], rows: &[Vec<String>], paint: Paint) -> String {
    let width = header
        .iter()
        .map(|title| title.chars().count())
        .max()
        .unwrap_or(0);
    let row = |row: &Vec<String>| {
        let cells = header.iter().zip(row).filter(|(_, text)| !text.is_empty());
        let lines = cells.map(|(title, text)| {
            let text = paint.text(Tint::of_state(text), text);
            format!("{title:<width$}  {text}")
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    rows.iter().map(row).collect::<Vec<_>>().join("\n\n")
}

/// States have colours; whatever else is in a table does not look like one.
fn cell(paint: Paint, text: String) -> Cell {
    match Tint::of_state(&text) {
        Some(tint) if paint.is_on() => Cell::new(text).fg(tint.color()),
        Some(_) | None => Cell::new(text),
    }
}

/// How long ago an RFC 3339 time was, in one unit: `12s`, `4m`, `3h`, `2d`.
pub(crate) fn age(time: &str) -> String {
    let Ok(then) = humantime::parse_rfc3339_weak(time) else {
        return "?".to_owned();
    };
    let age = SystemTime::now()
        .duration_since(then)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    match age {
        0..120 => format!("{age}s"),
        120..7_200 => format!("{}m", age / 60),
        7_200..172_800 => format!("{}h", age / 3_600),
        _ => format!("{}d", age / 86_400),
    }
}

/// The time of day of an RFC 3339 time, with its date when that is not today. The local time of day would need a time
/// zone database; UTC with its mark is unambiguous.
pub(crate) fn clock(time: &str) -> String {
    let today = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    match time.split_once('T') {
        Some((date, clock)) => {
            let clock = clock.split(['.', 'Z', '+']).next().unwrap_or(clock);
            match today.starts_with(date) {
                true => format!("{clock}Z"),
                false => format!("{date} {clock}Z"),
            }
        }
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        let row = |texts: [&str; 3]| texts.map(str::to_owned).to_vec();
        vec![
            row(["arena-00000001", "ready", ""]),
            row([
                "arena-00000002",
                "failed",
                "it ended with code 1 before it was ready",
            ]),
        ]
    }

    #[test]
    fn a_table_is_as_wide_as_it_may_be() {
        let header = ["room", "state", "reason"];
        assert_eq!(
            fitted(&header, rows(), None, Paint::off()),
            "ROOM            STATE   REASON\n\
             arena-00000001  ready\n\
             arena-00000002  failed  it ended with code 1 before it was ready"
        );
        assert_eq!(
            fitted(&header, rows(), Some(44), Paint::off()),
            "ROOM           STATE  REASON\n\
             arena-00000001 ready\n\
             arena-00000002 failed it ended with code 1\n\
             \x20                     before it was ready"
        );
    }

    #[test]
    fn what_a_room_said_moves_no_cursor_and_makes_no_line() {
        let rows = vec![vec!["\u{1b}]0;mine\u{7}\n\u{9b}2J".to_owned()]];
        assert_eq!(
            fitted(&["event"], rows, None, Paint::off()),
            "EVENT\n\\u{1b}]0;mine\\u{7}\\n\\u{9b}2J"
        );
    }

    #[test]
    fn a_table_that_fits_nowhere_is_a_list() {
        let header = ["room", "state", "reason"];
        assert_eq!(
            fitted(&header, rows(), Some(24), Paint::off()),
            "ROOM    arena-00000001\n\
             STATE   ready\n\
             \n\
             ROOM    arena-00000002\n\
             STATE   failed\n\
             REASON  it ended with code 1 before it was ready"
        );
    }
}
