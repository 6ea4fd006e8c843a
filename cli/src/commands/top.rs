//! All schedulers at once, the fullest first. Drawn over on a terminal; elsewhere told once.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use maestro_wire::http::SchedulerSummary;

use super::patience::{Patience, brief};
use crate::args::Format;
use crate::client::Client;
use crate::output;
use crate::screen::Screen;
use crate::terminal;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// All schedulers, the fullest first; again and again on a terminal.
pub(super) fn top(client: &Client, format: Format) -> Result<()> {
    let mut screen = (format == Format::Table && terminal::can_redraw()).then(Screen::default);
    let mut patience = Patience::default();
    let mut is_first = true;
    loop {
        let found = client.get::<Vec<SchedulerSummary>>("/scheduler?info");
        match (found, &mut screen) {
            (Ok(found), None) => return output::show(format, &sorted(found), |all| table(all)),
            (Ok(found), Some(screen)) => {
                let text = table(&sorted(found));
                screen.draw(&text.lines().map(str::to_owned).collect::<Vec<_>>())?;
                patience.end_quietly();
                thread::sleep(PERIOD);
            }
            (Err(error), Some(screen)) if error.is_passing() && !is_first => {
                screen.draw(&[format!("{}; trying again", brief(&error))])?;
                patience.pause();
            }
            (Err(error), _) => return Err(error.into()),
        }
        is_first = false;
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
        "{} scheduler{}; {} rooms ready, {} occupied, {} creating, {} ending; {} wanted",
        all.len(),
        if all.len() == 1 { "" } else { "s" },
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

#[cfg(test)]
mod tests {
    use super::*;

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
