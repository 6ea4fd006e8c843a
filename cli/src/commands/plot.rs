//! Pictures of a scheduler's last decisions: on the terminal, or in a file.

use std::path::Path;

use anyhow::{Context, Result};
use maestro_wire::http::Decisions;
use serde::Serialize;

use crate::args::{Explain, Export, Format, LAST_LIMIT};
use crate::client::{Client, segment};
use crate::output;
use crate::plot::{self, Point, Size};
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
}

/// Draws in the terminal; programs get the points.
pub(super) fn draw(client: &Client, format: Format, explain: &Explain) -> Result<()> {
    let last = explain.last.unwrap_or(LAST_LIMIT);
    let points = points(client, &explain.scheduler, last, explain.changes)?;
    if points.is_empty() && format == Format::Table {
        eprintln!("no decision yet; the first one comes within seconds");
        return Ok(());
    }
    output::show(format, &points, |points| {
        let columns = terminal::size().map_or(COLUMNS, |(columns, _)| columns);
        let lines = plot::plot(points, Size { columns, rows: ROWS });
        plot::coloured(&lines, Paint::for_stdout())
    })
}

/// Writes the same as a file.
pub(super) fn export(client: &Client, format: Format, export: &Export) -> Result<()> {
    let points = points(client, &export.scheduler, export.last, false)?;
    let text = svg(&format!("Rooms of {}", export.scheduler), &points);
    if export.svg == Path::new("-") {
        return output::print(&text);
    }
    std::fs::write(&export.svg, text).with_context(|| format!("can't write {}", export.svg.display()))?;
    let exported = Exported {
        file: &export.svg,
        points: points.len(),
    };
    output::show(format, &exported, |exported| {
        format!("wrote {}", exported.file.display())
    })
}

fn points(client: &Client, scheduler: &str, last: u32, only_changes: bool) -> Result<Vec<Point>> {
    let changes = if only_changes { "&changes=true" } else { "" };
    let scheduler = segment(scheduler);
    let path = format!("/scheduler/{scheduler}/decisions?limit={last}{changes}");
    let mut page: Decisions = client.get(&path)?;
    page.decisions.reverse();
    Ok(plot::points(&page.decisions))
}
