//! Rooms over time as an SVG picture. A pure function from points to text; no library, because a few paths are all of it.

use std::fmt::Write as _;

use crate::plot::{Mark, Picture, Point, clock};

const WIDTH: u32 = 800;
const HEIGHT: u32 = 320;
/// Around the picture: room for its numbers and its words.
const LEFT: u32 = 50;
const RIGHT: u32 = 20;
const TOP: u32 = 40;
const BOTTOM: u32 = 50;

/// One line of the picture.
struct Series {
    name: &'static str,
    colour: &'static str,
    rooms: fn(&Point) -> u32,
}

/// The colours are told apart by those who see no red or green as well.
const SERIES: [Series; 3] = [
    Series {
        name: "occupied",
        colour: "#0072b2",
        rooms: |point| point.occupied,
    },
    Series {
        name: "ready",
        colour: "#009e73",
        rooms: |point| point.ready,
    },
    Series {
        name: "wanted",
        colour: "#d55e00",
        rooms: |point| point.wanted,
    },
];

/// Decisions: a colour of their own, that of none of the lines.
const DECISION: &str = "#555555";

/// Draws a picture under a title.
pub(crate) fn svg(title: &str, picture: &Picture) -> String {
    let points = picture.points.as_slice();
    let title = escaped(title);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
         <title>{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>\n"
    );
    let frame = Frame::of(points);
    // Writing to a String can't fail.
    let _ok = frame.axes(&mut out);
    for mark in &picture.decisions {
        let _ok = frame.mark(&mut out, mark);
    }
    for (i, series) in SERIES.iter().enumerate() {
        let Series { name, colour, rooms } = series;
        let x = LEFT + 100 * i as u32;
        let y = HEIGHT - 12;
        let path = frame.path(points, *rooms);
        let _ok = write!(
            out,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>\n\
             <text x=\"{}\" y=\"{y}\">{name}</text>\n",
            y - 6,
            x + 20,
        );
    }
    let (x, y) = (LEFT + 100 * SERIES.len() as u32, HEIGHT - 12);
    let _ok = write!(
        out,
        "<path d=\"M{x} {}l5 -9l5 9z\" fill=\"{DECISION}\"/>\n<text x=\"{}\" y=\"{y}\">decisions</text>\n",
        y,
        x + 20,
    );
    out.push_str("</svg>\n");
    out
}

/// From rooms and times to places in the picture.
struct Frame {
    from_ms: u64,
    to_ms: u64,
    most: u32,
}

impl Frame {
    fn of(points: &[Point]) -> Self {
        let most = |point: &Point| point.wanted.max(point.ready).max(point.occupied);
        Self {
            from_ms: points.first().map_or(0, |point| point.at_ms),
            to_ms: points.last().map_or(0, |point| point.at_ms),
            most: points.iter().map(most).max().unwrap_or(0).max(1),
        }
    }

    fn x(&self, at_ms: u64) -> f64 {
        let span = self.to_ms.saturating_sub(self.from_ms).max(1) as f64;
        let share = at_ms.saturating_sub(self.from_ms) as f64 / span;
        f64::from(LEFT) + share * f64::from(WIDTH - LEFT - RIGHT)
    }

    fn y(&self, rooms: f64) -> f64 {
        let share = rooms / f64::from(self.most);
        f64::from(HEIGHT - BOTTOM) - share * f64::from(HEIGHT - TOP - BOTTOM)
    }

    /// Lines at no rooms, about half and most; the times of both ends.
    fn axes(&self, out: &mut String) -> std::fmt::Result {
        let mut marks = vec![0, self.most / 2, self.most];
        marks.dedup();
        for rooms in marks {
            let y = self.y(f64::from(rooms));
            let right = WIDTH - RIGHT;
            writeln!(
                out,
                "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#cccccc\"/>\n\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{rooms}</text>",
                LEFT - 8,
                y + 4.0,
            )?;
        }
        let y = HEIGHT - BOTTOM + 18;
        let (from, to) = (clock(self.from_ms), clock(self.to_ms));
        writeln!(out, "<text x=\"{LEFT}\" y=\"{y}\">{from}</text>")?;
        let right = WIDTH - RIGHT;
        writeln!(
            out,
            "<text x=\"{right}\" y=\"{y}\" text-anchor=\"end\">{to}</text>"
        )
    }

    /// A line through the picture, with a triangle at its foot that points to where it goes; whoever rests on it reads
    /// the decision.
    fn mark(&self, out: &mut String, mark: &Mark) -> std::fmt::Result {
        let (x, bottom) = (self.x(mark.at_ms), HEIGHT - BOTTOM);
        let triangle = match mark.to > mark.from {
            true => format!("M{:.1} {bottom}l5 -9l5 9z", x - 5.0),
            false => format!("M{:.1} {}l5 9l5 -9z", x - 5.0, bottom - 9),
        };
        writeln!(
            out,
            "<g fill=\"{DECISION}\"><title>{}: {}</title>\
             <path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"{DECISION}\" stroke-opacity=\"0.4\" stroke-dasharray=\"2 3\"/>\
             <path d=\"{triangle}\"/></g>",
            clock(mark.at_ms),
            escaped(&mark.summary),
        )
    }

    /// A number holds until the next one: steps, not slopes.
    fn path(&self, points: &[Point], rooms: fn(&Point) -> u32) -> String {
        let mut path = String::new();
        for (i, point) in points.iter().enumerate() {
            let (x, y) = (self.x(point.at_ms), self.y(f64::from(rooms(point))));
            let _ok = match i {
                0 => write!(path, "M{x:.1} {y:.1}"),
                _ => write!(path, "H{x:.1}V{y:.1}"),
            };
        }
        path
    }
}

/// Text that is text and never a tag.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no way to write most of them.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_written_and_its_title_is_text() {
        let point = |i: u64, occupied, ready, wanted| Point {
            at_ms: 1_700_000_000_000 + 10_000 * i,
            occupied,
            ready,
            wanted,
        };
        let mark = |at_ms, from, to, summary: &str| Mark {
            at_ms,
            from,
            to,
            summary: summary.to_owned(),
        };
        let points = vec![point(0, 0, 2, 2), point(1, 2, 0, 5), point(3, 2, 3, 4)];
        let decisions = vec![
            mark(points[1].at_ms, 2, 5, "2 -> 5: <all> are in use"),
            mark(points[2].at_ms, 5, 4, "5 -> 4: few are"),
        ];
        let picture = Picture { points, decisions };
        insta::assert_snapshot!(svg("arena <&\"'> \u{1b}", &picture));
    }

    #[test]
    fn one_moment_and_no_moment_are_pictures_too() {
        let moment = Point {
            at_ms: 0,
            occupied: 0,
            ready: 0,
            wanted: 0,
        };
        for points in [vec![], vec![moment]] {
            let picture = Picture {
                points,
                decisions: Vec::new(),
            };
            let text = svg("arena", &picture);
            assert!(
                text.ends_with("</svg>\n") && !text.contains("NaN") && !text.contains("inf"),
                "{text}"
            );
        }
    }
}
