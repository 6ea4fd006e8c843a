//! Rooms over time as a picture of characters. A pure function from points to lines.
//!
//! One glyph for each thing, so that it reads without colours: rooms in use stand at the bottom, ready ones on them,
//! and the line is what is wanted. Air below the line is rooms that are missing or still starting. On the axis stand
//! the decisions that changed what is wanted.

use std::time::{Duration, UNIX_EPOCH};

use maestro_wire::http::SampleBody;
use maestro_wire::view::{CountsView, DecisionView};
use serde::Serialize;

use crate::terminal::{Paint, Tint};

const OCCUPIED: char = '█';
const READY: char = '░';
/// Wanted, at the foot of the cell above the rooms it asks for.
const WANTED: char = '▁';
/// Wanted, where there are more rooms than that.
const WANTED_WITHIN: char = '━';
/// A decision for more rooms.
const MORE: char = '▲';
/// A decision for fewer.
const FEWER: char = '▼';
/// Decisions for more and for fewer, in one column.
const BOTH: char = '◆';

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

/// A decision that changed what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mark {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// What was wanted before.
    pub from: u32,
    /// What is wanted from then on.
    pub to: u32,
    /// What happened and why.
    pub summary: String,
}

/// What is drawn, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Picture {
    /// Rooms over time.
    pub points: Vec<Point>,
    /// The decisions on the way.
    pub decisions: Vec<Mark>,
}

impl Picture {
    /// From the window's samples and from decisions, both oldest first, and from `begin_ms` on. Rooms are what was
    /// sampled; before the first sample, what decisions were made on. What is wanted is what was decided.
    pub(crate) fn of(samples: &[SampleBody], decisions: &[DecisionView], begin_ms: u64) -> Self {
        let sampled = |sample: &SampleBody| Some((ms(&sample.at)?, Known::Rooms(sample.counts)));
        let mut known: Vec<(u64, Known)> = samples.iter().filter_map(sampled).collect();
        let sampled_ms = known.first().map_or(u64::MAX, |(at_ms, _)| *at_ms);
        for decision in decisions {
            let times = [&decision.since, &decision.at].into_iter();
            for at_ms in times.filter_map(|at| ms(at)).map(|at_ms| at_ms.max(begin_ms)) {
                known.push((at_ms, Known::Wanted(decision.wanted)));
                if at_ms < sampled_ms {
                    known.push((at_ms, Known::Rooms(decision.counts)));
                }
            }
        }
        known.sort_by_key(|(at_ms, _)| *at_ms);
        let changes = decisions.iter().filter(|one| one.wanted != one.before);
        let marks = changes.filter_map(mark);
        Self {
            points: points(&known, decisions.first().map_or(0, |first| first.before)),
            decisions: marks.filter(|mark| mark.at_ms >= begin_ms).collect(),
        }
    }
}

/// Something that is known from a time on.
enum Known {
    Rooms(CountsView),
    Wanted(u32),
}

/// One point a time; `wanted` is what is wanted before the first decision.
fn points(known: &[(u64, Known)], wanted: u32) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    let (mut occupied, mut ready, mut wanted) = (0, 0, wanted);
    for (at_ms, known) in known {
        match known {
            Known::Rooms(counts) => {
                occupied = counts.occupied.saturating_add(counts.allocated);
                ready = counts.ready;
            }
            Known::Wanted(number) => wanted = *number,
        }
        let point = Point {
            at_ms: *at_ms,
            occupied,
            ready,
            wanted,
        };
        match points.last_mut() {
            Some(last) if last.at_ms == *at_ms => *last = point,
            Some(_) | None => points.push(point),
        }
    }
    points
}

fn mark(decision: &DecisionView) -> Option<Mark> {
    Some(Mark {
        at_ms: ms(&decision.at)?,
        from: decision.before,
        to: decision.wanted,
        summary: decision.summary.clone(),
    })
}

/// Milliseconds since 1970 of an RFC 3339 time.
pub(crate) fn ms(time: &str) -> Option<u64> {
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

/// Draws a picture; nothing comes of one without points.
pub(crate) fn plot(picture: &Picture, size: Size) -> Vec<String> {
    let points = picture.points.as_slice();
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
    lines.push(format!("{:>5} └{}", 0, axis(picture, columns)));
    let (from, to) = (clock(first.at_ms), clock(last.at_ms));
    let gap = columns.saturating_sub(from.len() + to.len());
    lines.push(format!("{:>5}  {from}{}{to}", "", " ".repeat(gap)));
    lines.push(legend(size.columns));
    lines
}

/// The line below the picture, with the decisions on it.
fn axis(picture: &Picture, columns: usize) -> String {
    let mut cells = vec!['─'; columns];
    let points = picture.points.as_slice();
    let ([first, ..], [.., last]) = (points, points) else {
        return String::new();
    };
    let span = u128::from(last.at_ms.saturating_sub(first.at_ms)).max(1);
    for mark in &picture.decisions {
        let offset = u128::from(mark.at_ms.saturating_sub(first.at_ms));
        // The column at whose end it is the first to hold.
        let column = (offset * columns as u128).div_ceil(span).saturating_sub(1);
        let column = usize::try_from(column).unwrap_or(usize::MAX).min(columns - 1);
        let glyph = if mark.to > mark.from { MORE } else { FEWER };
        cells[column] = match cells[column] {
            '─' => glyph,
            before if before == glyph => glyph,
            _ => BOTH,
        };
    }
    cells.into_iter().collect()
}

/// What the glyphs mean, on one line where that fits.
fn legend(columns: usize) -> String {
    let words = [
        format!("{OCCUPIED} occupied"),
        format!("{READY} ready"),
        format!("{WANTED} wanted"),
        format!("{MORE}{FEWER} decisions"),
    ];
    let wide = format!("{:>5}  {}", "", words.join("  "));
    match wide.chars().count() <= columns {
        true => wide,
        false => words.join(" "),
    }
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
pub(crate) fn coloured(lines: &[String], paint: Paint) -> Vec<String> {
    lines.iter().map(|line| coloured_line(line, paint)).collect()
}

fn coloured_line(line: &str, paint: Paint) -> String {
    let tint = |c: char| match c {
        OCCUPIED => Some(Tint::Used),
        READY => Some(Tint::Good),
        WANTED | WANTED_WITHIN | MORE | FEWER | BOTH => Some(Tint::Moving),
        _ => None,
    };
    let mut text = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| tint(c) != tint(first)).unwrap_or(rest.len());
        text.push_str(&paint.text(tint(first), &rest[..end]));
        rest = &rest[end..];
    }
    text
}

#[cfg(test)]
mod tests;
