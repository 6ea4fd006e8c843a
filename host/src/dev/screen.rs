//! Draws the table at the bottom of a terminal, with log lines scrolling above it.

use std::future::pending;
use std::io::{self, Write, stdout};
use std::pin::pin;
use std::time::Duration;

use crossterm::cursor::{MoveToColumn, MoveUp};
use crossterm::queue;
use crossterm::terminal::{Clear, ClearType, size};
use maestro_core::decision::Decision;
use maestro_core::names::SchedulerName;
use maestro_core::room::{Room, Stage, Use};
use maestro_core::time::{Span, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::desk::{self, Desk};
use super::keys::Keys;
use super::table::{self, Row, View};
use crate::cluster::local::Failure;
use crate::control::LONGEST_PAUSE;
use crate::telemetry::Lines;

/// Time between two drawings: what an eye takes for live.
const DRAW: Duration = Duration::from_millis(500);

/// Log lines that may wait for the next drawing; more are dropped, and how many is said.
const LINES: usize = 1_000;

/// How long a failed room is shown: longer than the longest pause before the next one is tried.
const NEWS: Span = Span::from_ms(LONGEST_PAUSE.ms() * 3 / 2);

/// One thing to try at a time; each stays for this many drawings.
const TURN: usize = 20;

/// Where `maestro-cli` looks unless it is told otherwise.
const USUAL_URL: &str = "http://127.0.0.1:8080";

/// What there is to try.
const TRY: [&str; 5] = [
    "maestro-cli explain SCHEDULER        why there are so many rooms",
    "maestro-cli rooms SCHEDULER          each room, its state and its address",
    "maestro-cli scale SCHEDULER -r 10    ask for ten rooms; the policies go on from there",
    "maestro-cli logs ROOM                what a room wrote",
    "maestro dev my-scheduler.yaml        your own document, applied whenever you save it",
];

/// Draws until it is stopped.
pub(super) struct Screen {
    lines: mpsc::Receiver<String>,
    /// What keys brought, to be shown above the table with the next drawing.
    said: String,
    // Columns of each line of the table that stands there.
    drawn: Vec<usize>,
    turn: usize,
}

impl Screen {
    /// A screen, and where log lines go.
    pub(super) fn new() -> (Self, Lines) {
        let (tx, lines) = mpsc::channel(LINES);
        (
            Self {
                lines,
                said: String::new(),
                drawn: Vec::new(),
                turn: 0,
            },
            Lines::new(tx),
        )
    }

    /// Shows log lines as they come until `work` is done: there is no table yet.
    pub(super) async fn until<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                Some(line) = self.lines.recv() => {
                    if stdout().write_all(line.as_bytes()).is_err() {
                        // The terminal has gone; the drawing says so.
                    }
                }
                done = &mut work => return done,
            }
        }
    }

    /// Draws, and does what keys ask for. Keys are given back before the last lines are shown.
    pub(super) async fn run(mut self, url: String, desk: Desk, stop: CancellationToken) -> io::Result<()> {
        let mut keys = Keys::take().unwrap_or_else(|error| {
            tracing::warn!("no keys are taken from this terminal: {error}");
            None
        });
        let mut ticks = interval(DRAW);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                key = next(&mut keys) => self.said.push_str(&desk.press(key).await),
                _ = ticks.tick() => {}
            }
            let mut view = self.look(&url, &desk).await;
            if keys.is_some() {
                view.keys = desk::KEYS.to_owned();
            }
            self.draw(&view)?;
        }
        drop(keys);
        // The last log lines stay, the table goes.
        self.draw(&View::default())?;
        Ok(())
    }

    async fn look(&mut self, url: &str, desk: &Desk) -> View {
        let api = &desk.api;
        self.turn += 1;
        let mut view = View {
            url: url.to_owned(),
            ..View::default()
        };
        // A store that is away for a moment leaves an empty table, and the log line that says so.
        for stored in api.store.schedulers().await.unwrap_or_default() {
            let rooms = api.registry.rooms(&stored.name).await.unwrap_or_default();
            let decision = api.last_decision(&stored.name).await.ok().flatten();
            let failure = desk.cluster.last_failure(&stored.name);
            let mut row = row(
                &stored.name,
                stored.active.version.to_string(),
                &rooms,
                decision.as_ref(),
            );
            row.paused = stored.scale_in_paused_at.map(paused).unwrap_or_default();
            row.failed = failure
                .and_then(|failure| failed(&failure, (api.wall)()))
                .unwrap_or_default();
            view.schedulers.push(row);
        }
        let first = view
            .schedulers
            .first()
            .map_or("SCHEDULER", |row| row.name.as_str());
        let try_next = TRY[(self.turn / TURN) % TRY.len()].replace("SCHEDULER", first);
        view.try_next = match url == USUAL_URL {
            true => try_next,
            false => try_next.replace("maestro-cli ", &format!("maestro-cli --url {url} ")),
        };
        view
    }

    fn draw(&mut self, view: &View) -> io::Result<()> {
        let mut out = stdout().lock();
        let (width, height) = size().unwrap_or((80, 24));
        // A terminal that became narrower has broken the lines that stand there.
        let (width, height) = (usize::from(width).max(1), usize::from(height));
        let rows: usize = self.drawn.iter().map(|line| line.div_ceil(width).max(1)).sum();
        // Only what is still on the terminal can be drawn over.
        let rows = rows.min(height.saturating_sub(1));
        if rows > 0 {
            queue!(out, MoveUp(u16::try_from(rows).unwrap_or(u16::MAX)))?;
        }
        queue!(out, MoveToColumn(0), Clear(ClearType::FromCursorDown))?;
        while let Ok(line) = self.lines.try_recv() {
            out.write_all(line.as_bytes())?;
        }
        out.write_all(std::mem::take(&mut self.said).as_bytes())?;
        let lines = match view.url.is_empty() {
            true => Vec::new(),
            false => table::draw(view, width, height.saturating_sub(1)),
        };
        for line in &lines {
            writeln!(out, "{line}")?;
        }
        self.drawn = lines.iter().map(|line| line.chars().count()).collect();
        out.flush()
    }
}

/// The next key, where keys are taken.
async fn next(keys: &mut Option<Keys>) -> char {
    match keys {
        Some(keys) => keys.next().await,
        None => pending().await,
    }
}

/// That scaling down is paused, in a few words.
fn paused(since: Timestamp) -> String {
    format!("scaling down, by hand since {since}")
}

/// A failure in a few words, while it is news.
fn failed(failure: &Failure, now: Timestamp) -> Option<String> {
    let ago = now.since(failure.at);
    let secs = ago.ms() / 1_000;
    (ago < NEWS).then(|| format!("{}, {secs} s ago: {}", failure.room, failure.how))
}

fn row(name: &SchedulerName, version: String, rooms: &[Room], decision: Option<&Decision>) -> Row {
    let count = |is: &dyn Fn(&Room) -> bool| u32::try_from(rooms.iter().filter(|room| is(room)).count());
    let count = |is: &dyn Fn(&Room) -> bool| count(is).unwrap_or(u32::MAX);
    let running =
        |usage: fn(Use) -> bool| move |room: &Room| room.stage() == Stage::Running && usage(room.usage());
    Row {
        name: name.to_string(),
        version,
        starting: count(&|room| matches!(room.stage(), Stage::Reserved | Stage::Starting)),
        ready: count(&running(|usage| usage == Use::Idle)),
        busy: count(&running(|usage| usage != Use::Idle)),
        draining: count(&|room| room.stage() == Stage::Draining),
        stopping: count(&|room| matches!(room.stage(), Stage::Stopping | Stage::Gone)),
        wanted: decision.map_or(0, |decision| decision.wanted),
        paused: String::new(),
        failed: String::new(),
        last: decision.map(maestro_core::explain::summary).unwrap_or_default(),
        waits: decision
            .and_then(|decision| decision.waits.first().cloned())
            .unwrap_or_default(),
    }
}
