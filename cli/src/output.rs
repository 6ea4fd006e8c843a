//! Printing: a table for people, JSON or YAML for programs.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::args::Format;

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

/// Prints `data` in the format asked for; `table` makes the text for people.
pub(crate) fn show<T: Serialize>(format: Format, data: &T, table: impl FnOnce(&T) -> String) -> Result<()> {
    match format {
        Format::Table => print(&table(data)),
        Format::Json => print(&serde_json::to_string_pretty(data).context("can't write JSON")?),
        Format::Yaml => print(&serde_saphyr::to_string(data).context("can't write YAML")?),
    }
}

/// A table that fits the terminal, without frames so that it can be cut and grepped.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|title| title.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
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
