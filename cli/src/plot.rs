//! Rooms over time as a picture of characters. A pure function from points to lines.
//!
//! One glyph for each thing, so that it reads without colours: rooms in use stand at the bottom, ready ones on them,
//! and the line is what is wanted. Air below the line is rooms that are missing or still starting.

use std::time::{Duration, UNIX_EPOCH};

use maestro_wire::view::DecisionView;
use serde::Serialize;

use crate::terminal::{Paint, Tint};

const OCCUPIED: char = '█';
const READY: char = '░';
/// Wanted, at the foot of the cell above the rooms it asks for.
const WANTED: char = '▁';
/// Wanted, where there are more rooms than that.
const WANTED_WITHIN: char = '━';

/// The width of the numbers beside the picture, with the axis.
const MARGIN: usize = 7;

/// Rooms at a moment; it holds until the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Point {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// In a match or promised to one.
    pub occupied: u32,
    /// Available for matches.
    pub ready: u32,
    /// What the rooms are brought to.
    pub wanted: u32,
}

impl Point {
    /// The most rooms there are or should be.
    pub(crate) fn height(self) -> u32 {
        self.wanted.max(self.occupied.saturating_add(self.ready))
    }
}

/// Characters that a picture may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Across, numbers included.
    pub columns: usize,
    /// Down, without axis, times and legend.
    pub rows: usize,
}

/// Points from decisions, oldest first. A decision that stands for several equal ones gives its begin and its end.
pub(crate) fn points(decisions: &[DecisionView]) -> Vec<Point> {
    let mut points = Vec::new();
    for decision in decisions {
        let counts = decision.counts;
        for at_ms in [&decision.since, &decision.at]
            .into_iter()
            .filter_map(|at| ms(at))
        {
            let point = Point {
                at_ms,
                occupied: counts.occupied.saturating_add(counts.allocated),
                ready: counts.ready,
                wanted: decision.wanted,
            };
            // Only what begins later than the last one says something new.
            if points.last() != Some(&point) {
                points.push(point);
            }
        }
    }
    points
}

fn ms(time: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339_weak(time).ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// The time of day.
pub(crate) fn clock(at_ms: u64) -> String {
    // The formatter ends with the year 9999.
    let at = UNIX_EPOCH + Duration::from_millis(at_ms.min(253_402_300_799_000));
    let text = humantime::format_rfc3339_seconds(at).to_string();
    text.split_once('T')
        .map_or(text.clone(), |(_, clock)| clock.to_owned())
}

/// Draws points, oldest first; nothing comes of none.
pub(crate) fn plot(points: &[Point], size: Size) -> Vec<String> {
    let ([first, ..], [.., last]) = (points, points) else {
        return Vec::new();
    };
    let columns = size.columns.saturating_sub(MARGIN).max(20);
    let rows = size.rows.max(2);
    let top = points
        .iter()
        .map(|point| point.height())
        .max()
        .unwrap_or(0)
        .max(1);
    let shown: Vec<Point> = (0..columns).map(|i| sample(points, i, columns)).collect();
    let mut lines: Vec<String> = (0..rows)
        .rev()
        .map(|row| {
            let label = match row + 1 {
                above if above == rows => top.to_string(),
                above if above * 2 == rows && top.is_multiple_of(2) => (top / 2).to_string(),
                _ => String::new(),
            };
            let cells: String = shown.iter().map(|point| cell(*point, row, rows, top)).collect();
            format!("{label:>5} │{cells}").trim_end().to_owned()
        })
        .collect();
    // What is wanted at the very top stands above the first row.
    let marks: String = shown
        .iter()
        .map(|point| {
            if level(point.wanted, rows, top) == rows {
                WANTED
            } else {
                ' '
            }
        })
        .collect();
    lines.insert(0, format!("{:>5}  {marks}", "").trim_end().to_owned());
    lines.push(format!("{:>5} └{}", 0, "─".repeat(columns)));
    let (from, to) = (clock(first.at_ms), clock(last.at_ms));
    let gap = columns.saturating_sub(from.len() + to.len());
    lines.push(format!("{:>5}  {from}{}{to}", "", " ".repeat(gap)));
    lines.push(format!(
        "{:>5}  {OCCUPIED} occupied  {READY} ready  {WANTED} wanted",
        ""
    ));
    lines
}

/// What holds at the end of a column.
fn sample(points: &[Point], column: usize, columns: usize) -> Point {
    let (begin, end) = (points[0].at_ms, points[points.len() - 1].at_ms);
    let span = u128::from(end.saturating_sub(begin));
    let offset = span * (column as u128 + 1) / columns as u128;
    let at = begin.saturating_add(u64::try_from(offset).unwrap_or(u64::MAX));
    let after = points.partition_point(|point| point.at_ms <= at);
    points[after.saturating_sub(1)]
}

/// How many rows so many rooms fill, rounded; one room is never nothing.
fn level(rooms: u32, rows: usize, top: u32) -> usize {
    if rooms == 0 {
        return 0;
    }
    let scaled = (u64::from(rooms) * rows as u64 * 2 + u64::from(top)) / (u64::from(top) * 2);
    usize::try_from(scaled).unwrap_or(rows).clamp(1, rows)
}

fn cell(point: Point, row: usize, rows: usize, top: u32) -> char {
    let occupied = level(point.occupied, rows, top);
    let available = level(point.occupied.saturating_add(point.ready), rows, top);
    let wanted = level(point.wanted, rows, top);
    match row {
        row if wanted == row && row < available => WANTED_WITHIN,
        row if wanted == row => WANTED,
        row if row < occupied => OCCUPIED,
        row if row < available => READY,
        _ => ' ',
    }
}

/// The same in colours.
pub(crate) fn coloured(lines: &[String], paint: Paint) -> String {
    let tint = |c: char| match c {
        OCCUPIED => Some(Tint::Used),
        READY => Some(Tint::Good),
        WANTED | WANTED_WITHIN => Some(Tint::Moving),
        _ => None,
    };
    let mut text = String::new();
    for line in lines {
        let mut rest = line.as_str();
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|c| tint(c) != tint(first)).unwrap_or(rest.len());
            text.push_str(&paint.text(tint(first), &rest[..end]));
            rest = &rest[end..];
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
