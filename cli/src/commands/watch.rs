//! Following what happens: one scheduler, or all of them. Drawn over on a terminal; elsewhere a line for each change.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use maestro_wire::http::{SchedulerStatus, SchedulerSummary};

use super::schedulers;
use crate::args::Format;
use crate::client::{Client, Error, segment};
use crate::output;
use crate::terminal::{self, Paint, Tint};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Follows one scheduler until it is gone.
pub(super) fn watch(client: &Client, format: Format, name: &str) -> Result<()> {
    let path = format!("/scheduler/{}", segment(name));
    let mut screen = (format == Format::Table && terminal::can_redraw()).then(Screen::default);
    let mut before: Option<SchedulerStatus> = None;
    loop {
        match client.get::<SchedulerStatus>(&path) {
            Ok(status) => {
                match &mut screen {
                    Some(screen) => screen.draw(&schedulers::lines(&status))?,
                    None if before.as_ref() == Some(&status) => {}
                    None => output::item(format, &status, line)?,
                }
                before = Some(status);
            }
            Err(error) if error.is_unknown() && before.is_some() => {
                eprintln!("{name} is gone");
                return Ok(());
            }
            Err(error @ Error::Unreachable { .. }) if before.is_some() => {
                // It may be on its way back; whoever watches wants to see that too.
                match &mut screen {
                    Some(screen) => screen.draw(&["Maestro can't be reached; trying again".to_owned()])?,
                    None => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
        thread::sleep(PERIOD);
    }
}

fn line(status: &SchedulerStatus) -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let last = status
        .last_decision
        .as_deref()
        .map_or(String::new(), |last| format!("; {last}"));
    format!("{}  {}{last}", output::clock(&now), schedulers::rooms(status))
}

/// All schedulers, the fullest first; again and again on a terminal.
pub(super) fn top(client: &Client, format: Format) -> Result<()> {
    let mut screen = (format == Format::Table && terminal::can_redraw()).then(Screen::default);
    let mut is_first = true;
    loop {
        let found = client.get::<Vec<SchedulerSummary>>("/scheduler?info");
        match (found, &mut screen) {
            (Ok(found), None) => return output::show(format, &sorted(found), |all| table(all)),
            (Ok(found), Some(screen)) => {
                let text = table(&sorted(found));
                screen.draw(&text.lines().map(str::to_owned).collect::<Vec<_>>())?;
            }
            (Err(Error::Unreachable { .. }), Some(screen)) if !is_first => {
                screen.draw(&["Maestro can't be reached; trying again".to_owned()])?;
            }
            (Err(error), _) => return Err(error.into()),
        }
        is_first = false;
        thread::sleep(PERIOD);
    }
}

/// The share of its available rooms that are in use, in percent.
fn load(scheduler: &SchedulerSummary) -> u64 {
    let used = u64::from(scheduler.rooms_occupied);
    let all = used + u64::from(scheduler.rooms_ready);
    (used * 100).checked_div(all).unwrap_or(0)
}

fn sorted(mut all: Vec<SchedulerSummary>) -> Vec<SchedulerSummary> {
    all.sort_by(|a, b| load(b).cmp(&load(a)).then_with(|| a.name.cmp(&b.name)));
    all
}

fn table(all: &[SchedulerSummary]) -> String {
    let sum = |of: fn(&SchedulerSummary) -> u32| all.iter().map(|one| u64::from(of(one))).sum::<u64>();
    let head = format!(
        "{} schedulers; {} rooms ready, {} occupied, {} creating, {} ending; {} wanted",
        all.len(),
        sum(|one| one.rooms_ready),
        sum(|one| one.rooms_occupied),
        sum(|one| one.rooms_creating),
        sum(|one| one.rooms_terminating),
        sum(|one| one.wanted),
    );
    let rows = all.iter().map(|one| {
        vec![
            one.name.clone(),
            one.state.clone(),
            format!("{}%", load(one)),
            one.rooms_occupied.to_string(),
            one.rooms_ready.to_string(),
            one.rooms_creating.to_string(),
            one.rooms_terminating.to_string(),
            one.wanted.to_string(),
        ]
    });
    let header = [
        "name", "state", "used", "occupied", "ready", "creating", "ending", "wanted",
    ];
    format!("{head}\n{}", output::table(&header, rows))
}

/// Lines on a terminal that are drawn over. The cursor stays in sight and nothing else of the terminal is changed, so
/// that there is nothing to put back on Ctrl-C.
#[derive(Debug, Default)]
struct Screen {
    drawn: usize,
}

impl Screen {
    fn draw(&mut self, lines: &[String]) -> Result<()> {
        let (text, drawn) = self.frame(lines, terminal::size(), Paint::for_stdout());
        self.drawn = drawn;
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .context("can't write to stdout")
    }

    /// What to send, and how many lines that takes. A line that the terminal would break is cut, and lines that it
    /// would scroll away are left out, or the next frame would begin at the wrong place.
    fn frame(&self, lines: &[String], size: Option<(usize, usize)>, paint: Paint) -> (String, usize) {
        let mut text = match self.drawn {
            0 => String::new(),
            drawn => format!("\x1b[{drawn}A\r\x1b[J"),
        };
        let (columns, rows) = size.unwrap_or((usize::MAX, usize::MAX));
        // The cursor has a row of its own, below.
        let shown = &lines[..lines.len().min(rows.saturating_sub(1).max(1))];
        for (i, line) in shown.iter().enumerate() {
            // What a table coloured it has made fit as well.
            let cut = match line.contains('\x1b') {
                true => line.clone(),
                false => line.chars().take(columns).collect(),
            };
            let tint = (i == 0).then_some(Tint::Used);
            text.push_str(&paint.text(tint, &cut));
            text.push('\n');
        }
        (text, shown.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_drawn_over_the_last_one_and_fits() {
        let lines = ["arena is in-sync".to_owned(), "rooms".to_owned()];
        let mut screen = Screen::default();
        let (first, drawn) = screen.frame(&lines, Some((5, 9)), Paint::off());
        assert_eq!((first.as_str(), drawn), ("arena\nrooms\n", 2));
        screen.drawn = drawn;
        let (second, drawn) = screen.frame(&lines[1..], None, Paint::off());
        assert_eq!((second.as_str(), drawn), ("\x1b[2A\r\x1b[Jrooms\n", 1));
        let (low, drawn) = Screen::default().frame(&lines, Some((80, 2)), Paint::off());
        assert_eq!((low.as_str(), drawn), ("arena is in-sync\n", 1));
    }

    #[test]
    fn the_fullest_scheduler_comes_first() {
        let one = |name: &str, rooms_ready, rooms_occupied| SchedulerSummary {
            name: name.to_owned(),
            rooms_ready,
            rooms_occupied,
            ..SchedulerSummary::default()
        };
        let all = sorted(vec![
            one("a", 2, 0),
            one("b", 1, 3),
            one("c", 0, 0),
            one("d", 1, 9),
        ]);
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["d", "b", "a", "c"]);
        let text = table(&all);
        assert!(
            text.starts_with("4 schedulers; 4 rooms ready, 12 occupied, "),
            "{text}"
        );
    }
}
