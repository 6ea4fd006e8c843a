//! What a room wrote, and what it goes on to write.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use maestro_wire::http::RoomBody;
use serde::Serialize;

use super::Usage;
use super::patience::Patience;
use super::rooms::scheduler_of;
use crate::args::{Format, Logs};
use crate::client::{Client, Error, segment};
use crate::output;

/// Between two looks while following.
const PERIOD: Duration = Duration::from_millis(500);

/// Lines of each look while following. A room that writes more than this between two looks is read with gaps, which
/// are told.
const WINDOW: usize = 2_000;

/// A room's output, for programs.
#[derive(Debug, Serialize)]
struct Output<'a> {
    room: &'a str,
    lines: Vec<&'a str>,
}

/// One line of it, for programs that follow.
#[derive(Debug, Serialize)]
struct Line<'a> {
    room: &'a str,
    line: &'a str,
}

/// Whose output, and which.
struct Source<'a> {
    client: &'a Client,
    scheduler: &'a str,
    room: &'a str,
}

impl Source<'_> {
    fn read(&self, lines: usize, is_previous: bool) -> Result<String, Error> {
        let previous = if is_previous { "&previous=true" } else { "" };
        self.client.get_text(&format!(
            "/scheduler/{}/rooms/{}/logs?lines={lines}{previous}",
            segment(self.scheduler),
            segment(self.room),
        ))
    }

    /// Whether the room is gone, whose output may well outlive it.
    fn is_over(&self) -> Result<bool, Error> {
        let path = format!(
            "/scheduler/{}/rooms/{}",
            segment(self.scheduler),
            segment(self.room)
        );
        match self.client.get::<RoomBody>(&path) {
            Ok(room) => Ok(room.state == "gone"),
            Err(error) if error.is_unknown() => Ok(true),
            Err(error) => Err(error),
        }
    }
}

pub(super) fn logs(client: &Client, format: Format, logs: &Logs) -> Result<()> {
    let (scheduler, room) = match logs.room.as_slice() {
        [room] => (scheduler_of(room)?, room.as_str()),
        [scheduler, room, ..] => (scheduler.as_str(), room.as_str()),
        [] => return Err(Usage("name a room".to_owned()).into()),
    };
    let source = Source {
        client,
        scheduler,
        room,
    };
    let count = logs.lines as usize;
    if logs.follow {
        return follow(&source, format, count, logs.previous);
    }
    let text = source.read(count, logs.previous)?;
    if text.is_empty() && format == Format::Table {
        let before = if logs.previous { " before that" } else { "" };
        output::say(&format!("{room} wrote nothing{before}"));
        return Ok(());
    }
    let lines = text.lines().collect();
    output::show(format, &Output { room, lines }, |_| text.clone())
}

fn follow(source: &Source<'_>, format: Format, count: usize, with_previous: bool) -> Result<()> {
    let room = source.room;
    let print = |lines: &[String]| -> Result<()> {
        lines
            .iter()
            .try_for_each(|line| output::item(format, &Line { room, line }, |_| line.clone()))
    };
    if with_previous {
        let text = source.read(count, true)?;
        print(&text.lines().map(str::to_owned).collect::<Vec<_>>())?;
    }
    let mut reader = Reader::default();
    let first = reader.take(&source.read(WINDOW.max(count), false)?);
    // The newest line is held back until it is whole, and is one of them.
    let count = count - usize::from(reader.held.is_some());
    print(&first.lines[first.lines.len().saturating_sub(count)..])?;
    let mut patience = Patience::default();
    loop {
        thread::sleep(PERIOD);
        // Asked before the look, so that a room that is over has written all that the look shows.
        let look = match reader.is_quiet {
            true => source.is_over(),
            false => Ok(false),
        };
        match look.and_then(|is_over| Ok((is_over, source.read(WINDOW, false)?))) {
            Ok((is_over, text)) => {
                patience.end();
                let fresh = reader.take(&text);
                if fresh.has_gap {
                    output::say(&format!(
                        "{room} writes faster than it is read; some lines are missing here"
                    ));
                }
                print(&fresh.lines)?;
                if is_over {
                    break;
                }
            }
            Err(error) if error.is_passing() => patience.wait(&error),
            Err(error) if error.is_unknown() => break,
            Err(error) => return Err(error.into()),
        }
    }
    print(reader.held.as_slice())?;
    output::say(&format!("{room} is gone"));
    Ok(())
}

/// Tells new lines from those that earlier looks gave. A look is the newest lines without their numbers, so the
/// longest end of what is known that it begins with is taken for known.
#[derive(Debug, Default)]
struct Reader {
    known: Vec<String>,
    /// The newest line, when it was new at the last look: its writer may not have finished it.
    held: Option<String>,
    /// Whether the last look gave nothing new, and nothing is held.
    is_quiet: bool,
}

/// What a look gave.
#[derive(Debug, Default, PartialEq)]
struct Fresh {
    lines: Vec<String>,
    /// Whether lines before these were missed.
    has_gap: bool,
}

impl Reader {
    fn take(&mut self, text: &str) -> Fresh {
        let lines: Vec<&str> = text.lines().collect();
        let ends = (0..self.known.len()).map(|from| &self.known[from..]);
        let overlap = ends
            .map(|end| (end, end.len()))
            .find(|(end, length)| lines.get(..*length).is_some_and(|begin| begin == *end))
            .map_or(0, |(_, length)| length);
        let is_next = self.held.is_some() && self.held.as_deref() == lines.first().copied();
        let has_gap = overlap == 0 && !is_next && !self.known.is_empty() && lines.len() >= WINDOW;
        let mut fresh = lines[overlap..].to_vec();
        let newest = fresh.last().map(|line| (*line).to_owned());
        if newest.is_some() && newest != self.held {
            fresh.pop();
            self.held = newest;
        } else {
            self.held = None;
        }
        let lines: Vec<String> = fresh.into_iter().map(str::to_owned).collect();
        self.is_quiet = lines.is_empty() && self.held.is_none();
        self.known.extend(lines.iter().cloned());
        // More than a look can show is never needed again.
        let excess = self.known.len().saturating_sub(WINDOW);
        self.known.drain(..excess);
        Fresh { lines, has_gap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_told_once_and_whole() {
        let mut reader = Reader::default();
        let mut check = |text: &str, expected: &[&str]| {
            assert_eq!(reader.take(text).lines, expected, "{text:?}");
        };
        check("", &[]);
        check("one\ntw\n", &["one"]);
        check("one\ntwo\n", &[]);
        check("one\ntwo\n", &["two"]);
        check("one\ntwo\n", &[]);
        // The oldest lines left the window.
        check("two\nthree\nthree\n", &["three"]);
        check("two\nthree\nthree\n", &["three"]);
        // It was rotated.
        check("new\nlines\n", &["new"]);
        check("new\nlines\nend\n", &["lines"]);
    }

    #[test]
    fn it_is_quiet_once_every_line_was_told() {
        let mut reader = Reader::default();
        let quiet = ["one\n", "one\n", "one\n", "one\ntwo\n"].map(|text| {
            reader.take(text);
            reader.is_quiet
        });
        assert_eq!(quiet, [false, false, true, false]);
    }

    #[test]
    fn what_was_missed_is_told() {
        let look = |from: usize| -> String { (from..from + WINDOW).map(|i| format!("line {i}\n")).collect() };
        let mut reader = Reader::default();
        assert_eq!(reader.take(&look(0)).lines.len(), WINDOW - 1);
        assert!(!reader.take(&look(WINDOW - 1)).has_gap);
        assert!(reader.take(&look(9 * WINDOW)).has_gap);
    }
}
