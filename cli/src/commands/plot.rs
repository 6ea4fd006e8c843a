//! Pictures of a scheduler's recent past: on the terminal, or in a file.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::past::Past;
use crate::args::{Explain, Export, Format};
use crate::client::{Client, Error};
use crate::output::{self, say};
use crate::plot::{self, Picture, Size};
use crate::svg::svg;
use crate::terminal::{self, Paint};

/// How wide a picture is where there is no terminal to ask.
const COLUMNS: usize = 100;

/// How high it is: half of a small terminal.
const ROWS: usize = 12;

/// What was exported, for programs.
#[derive(Debug, Serialize)]
struct Exported<'a> {
    file: &'a Path,
    points: usize,
    decisions: usize,
}

/// Draws in the terminal; programs get the points and the decisions.
pub(super) fn draw(client: &Client, format: Format, explain: &Explain) -> Result<()> {
    let picture = picture(client, &explain.scheduler, explain.last, explain.changes)?;
    if picture.points.is_empty() && format == Format::Table {
        say("no decision yet; the first one comes within seconds");
        return Ok(());
    }
    output::show(format, &picture, |picture| {
        let columns = terminal::size().map_or(COLUMNS, |(columns, _)| columns);
        let lines = plot::plot(picture, Size { columns, rows: ROWS });
        plot::coloured(&lines, Paint::for_stdout()).join("\n")
    })
}

/// Writes the same as a file.
pub(super) fn export(client: &Client, format: Format, export: &Export) -> Result<()> {
    let picture = picture(client, &export.scheduler, export.last, false)?;
    let text = svg(&format!("Rooms of {}", export.scheduler), &picture);
    if export.svg == Path::new("-") {
        return output::print(&text);
    }
    std::fs::write(&export.svg, text).with_context(|| format!("can't write {}", export.svg.display()))?;
    let exported = Exported {
        file: &export.svg,
        points: picture.points.len(),
        decisions: picture.decisions.len(),
    };
    output::show(format, &exported, |exported| {
        format!("wrote {}", exported.file.display())
    })
}

fn picture(
    client: &Client,
    scheduler: &str,
    last: Option<u32>,
    only_changes: bool,
) -> Result<Picture, Error> {
    let past = match last {
        Some(last) => Past::of_last(client, scheduler, last as usize, only_changes)?,
        None => Past::of_window(client, scheduler, only_changes)?,
    };
    Ok(past.picture())
}
