//! What may be done to a terminal and never to a file: colours, width, drawing over, a sign of life.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use comfy_table::Color;

/// A call that takes longer than this shows that something goes on.
const PATIENCE: Duration = Duration::from_secs(1);

/// One frame of the sign of life.
const FRAME: Duration = Duration::from_millis(120);

/// What a colour means. There are few, so that each says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tint {
    /// As it should be; added.
    Good,
    /// In use.
    Used,
    /// On its way.
    Moving,
    /// Wrong; removed.
    Bad,
    /// Of less interest.
    Faint,
}

impl Tint {
    /// What the states of rooms and schedulers mean.
    pub(crate) fn of_state(state: &str) -> Option<Self> {
        match state {
            "ready" | "in-sync" => Some(Self::Good),
            "occupied" | "allocated" => Some(Self::Used),
            "creating" | "reserved" | "starting" | "subdimensioned" | "overdimensioned" => Some(Self::Moving),
            "unknown" => Some(Self::Bad),
            "terminating" | "draining" | "draining-occupied" | "stopping" | "gone" => Some(Self::Faint),
            _ => None,
        }
    }

    /// The same for tables.
    pub(crate) fn color(self) -> Color {
        match self {
            Self::Good => Color::DarkGreen,
            Self::Used => Color::DarkCyan,
            Self::Moving => Color::DarkYellow,
            Self::Bad => Color::DarkRed,
            Self::Faint => Color::DarkGrey,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Good => 32,
            Self::Used => 36,
            Self::Moving => 33,
            Self::Bad => 31,
            Self::Faint => 90,
        }
    }
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    /// For data.
    pub(crate) fn for_stdout() -> Self {
        Self::new(io::stdout().is_terminal())
    }

    /// For talk.
    pub(crate) fn for_stderr() -> Self {
        Self::new(io::stderr().is_terminal())
    }

    /// No colours on what is no terminal, or a dumb one; nor where NO_COLOR asks for none (https://no-color.org).
    fn new(is_terminal: bool) -> Self {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            is_on: is_terminal && !is_unwanted && !is_dumb,
        }
    }

    /// Always.
    #[cfg(test)]
    pub(crate) fn on() -> Self {
        Self { is_on: true }
    }

    /// Never.
    #[cfg(test)]
    pub(crate) fn off() -> Self {
        Self { is_on: false }
    }

    /// Whether there are any.
    pub(crate) fn is_on(self) -> bool {
        self.is_on
    }

    /// A text in a colour.
    pub(crate) fn text(self, tint: Option<Tint>, text: &str) -> String {
        match tint {
            Some(tint) if self.is_on => format!("\x1b[{}m{text}\x1b[0m", tint.code()),
            Some(_) | None => text.to_owned(),
        }
    }
}

/// The columns and rows of the terminal that data goes to; `None` when it goes elsewhere.
pub(crate) fn size() -> Option<(usize, usize)> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let (columns, rows) = crossterm::terminal::size().ok()?;
    // A terminal that does not know its size says 0.
    (columns > 0 && rows > 0).then_some((columns.into(), rows.into()))
}

/// Whether data goes to a terminal on which lines can be drawn over.
pub(crate) fn can_redraw() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A sign of life on stderr while something takes longer than a second; gone without a trace when dropped. It is
/// nothing where stderr is no terminal.
pub(crate) struct Busy {
    running: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Busy {
    /// Begins to wait, for `what`.
    pub(crate) fn start(what: String) -> Self {
        let running = io::stderr().is_terminal().then(|| {
            let (done, ended) = mpsc::channel::<()>();
            let spin = move || {
                let mut pause = PATIENCE;
                for frame in "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏".chars().cycle() {
                    match ended.recv_timeout(pause) {
                        Err(RecvTimeoutError::Timeout) => draw(&format!("{frame} {what}")),
                        Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                    }
                    pause = FRAME;
                }
                if pause == FRAME {
                    draw("");
                }
            };
            (done, thread::spawn(spin))
        });
        Self { running }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some((done, thread)) = self.running.take() {
            drop(done);
            if thread.join().is_err() {
                // A sign of life that failed takes nothing with it.
            }
        }
    }
}

/// Replaces the line of stderr that the cursor stands in.
fn draw(text: &str) {
    let mut stderr = io::stderr().lock();
    let drawn = write!(stderr, "\r\x1b[2K{text}").and_then(|()| stderr.flush());
    if drawn.is_err() {
        // A terminal that went away sees nothing anyway.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_and_for_words_that_mean_something() {
        assert_eq!(Paint::off().text(Some(Tint::Bad), "x"), "x");
        assert_eq!(
            Paint::on().text(Tint::of_state("ready"), "ready"),
            "\x1b[32mready\x1b[0m"
        );
        assert_eq!(Paint::on().text(Tint::of_state("arena"), "arena"), "arena");
        assert!(!Paint::new(false).is_on());
    }
}
