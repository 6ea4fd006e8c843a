//! Following one scheduler: its rooms, what is wanted, the last decision, and on a terminal its recent past as a
//! picture. Drawn over there; elsewhere a line for each change.
//!
//! The stream of changes says when to look, so that nothing is asked for while nothing happens, and brings decisions.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use maestro_wire::http::SchedulerStatus;

use super::past::Past;
use super::patience::{Patience, brief};
use super::schedulers;
use crate::args::Format;
use crate::client::{Client, Error, segment};
use crate::output::{self, say};
use crate::plot::{self, Size};
use crate::screen::Screen;
use crate::stream::{Sent, Stream};
use crate::terminal::{self, Paint};

/// Between two looks on a terminal, for what no stream tells of: samples, and how long the next decision still waits.
const PERIOD: Duration = Duration::from_secs(1);

/// Without any event for so long, a look is taken anyway.
const QUIET: Duration = Duration::from_secs(10);

/// After a change, those that come with it are waited for.
const BREATH: Duration = Duration::from_millis(100);

/// Changes that may wait while a look is taken; whoever sends them waits then.
const WAITING: usize = 256;

/// The least and the most rows of the picture.
const ROWS: (usize, usize) = (4, 12);

/// Columns below which there is no picture.
const COLUMNS: usize = 30;

/// Rows that a picture needs besides its own: those above and below it, and the cursor's.
const AROUND: usize = 5;

/// What happens to a scheduler while it is followed.
struct Changes {
    /// Ends when the stream does.
    events: Receiver<Sent>,
}

impl Changes {
    /// Follows them from now on, or from after the decision `last`.
    fn open(client: &Client, path: &str, last: Option<&str>) -> Result<Self, Error> {
        client.stream(&format!("{path}/watch"), last).map(Self::of)
    }

    /// Reads them until the stream ends or nobody wants them any more; the latter is noticed with the next sign of
    /// life at the latest, so that no stream stays open for nobody.
    fn of(stream: Stream) -> Self {
        let (sender, events): (SyncSender<Sent>, _) = mpsc::sync_channel(WAITING);
        thread::spawn(move || {
            for sent in stream {
                if sender.send(sent).is_err() {
                    break;
                }
            }
        });
        Self { events }
    }

    /// What came within `patience`, with what came with it; nothing at its end, an error when the stream ended.
    fn next(&self, patience: Duration) -> Result<Vec<Sent>, RecvTimeoutError> {
        let mut all = match self.events.recv_timeout(patience) {
            Ok(first) => vec![first],
            Err(RecvTimeoutError::Timeout) => return Ok(Vec::new()),
            Err(ended @ RecvTimeoutError::Disconnected) => return Err(ended),
        };
        while let Ok(next) = self.events.recv_timeout(BREATH) {
            all.push(next);
            if all.len() >= WAITING {
                break;
            }
        }
        Ok(all)
    }
}

/// One scheduler that is followed, and what was seen of it.
struct Watch<'a> {
    client: &'a Client,
    format: Format,
    name: &'a str,
    path: String,
    screen: Option<Screen>,
    past: Past,
    before: Option<SchedulerStatus>,
    /// The last decision that the stream gave.
    last: Option<String>,
    patience: Patience,
}

/// Follows one scheduler until it is gone.
pub(super) fn watch(client: &Client, format: Format, name: &str) -> Result<()> {
    let is_drawn = format == Format::Table && terminal::can_redraw();
    let mut watch = Watch {
        client,
        format,
        name,
        path: format!("/scheduler/{}", segment(name)),
        screen: is_drawn.then(Screen::default),
        past: Past::default(),
        before: None,
        last: None,
        patience: Patience::default(),
    };
    loop {
        match watch.follow() {
            // A stream that ends at once is opened again and again, and nothing is gained by haste.
            Ok(()) => thread::sleep(BREATH),
            Err(Stop::Gone) => {
                say(&format!("{name} is gone"));
                return Ok(());
            }
            Err(Stop::Away(error)) => watch.wait(&error)?,
            Err(Stop::Failed(error)) => return Err(error),
        }
    }
}

/// Why it is not followed any further, for now or for good.
enum Stop {
    Gone,
    Away(Error),
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl Watch<'_> {
    /// Follows it as long as one stream lasts. The stream is opened before the first look, so that nothing is missed
    /// in between; and not before it is known that there is something to look at, because the server has few of them.
    fn follow(&mut self) -> Result<(), Stop> {
        let found = self.client.get::<SchedulerStatus>(&self.path);
        found.map_err(|error| self.stop(error))?;
        let opened = Changes::open(self.client, &self.path, self.last.as_deref());
        let changes = opened.map_err(|error| self.stop(error))?;
        self.look()?;
        let quiet = if self.screen.is_some() { PERIOD } else { QUIET };
        while let Ok(sent) = changes.next(quiet) {
            for sent in sent {
                if sent.event == "decision" {
                    if self.screen.is_some() {
                        self.past.decide(&sent.data);
                    }
                    self.last = sent.id.or(self.last.take());
                }
            }
            self.look()?;
        }
        // It ended: the scheduler is gone, or its Maestro. The next attempt tells which.
        Ok(())
    }

    /// Looks at it and shows what there is.
    fn look(&mut self) -> Result<(), Stop> {
        let found = self.client.get::<SchedulerStatus>(&self.path);
        let status = found.map_err(|error| self.stop(error))?;
        if self.screen.is_some() {
            let remembered = self.past.refresh(self.client, self.name);
            remembered.map_err(|error| self.stop(error))?;
        }
        match &mut self.screen {
            Some(screen) => {
                self.patience.end_quietly();
                let mut lines = schedulers::lines(&status);
                if let Some(size) = size(lines.len()) {
                    let drawn = plot::plot(&self.past.picture(), size);
                    lines.extend(plot::coloured(&drawn, Paint::for_stdout()));
                }
                screen.draw(&lines)?;
            }
            None => {
                self.patience.end();
                let before = self.before.as_ref();
                let is_news = match self.format {
                    Format::Table => before.map(words) != Some(words(&status)),
                    Format::Json | Format::Yaml => before != Some(&status),
                };
                if is_news {
                    output::item(self.format, &status, line)?;
                }
            }
        }
        self.before = Some(status);
        Ok(())
    }

    fn stop(&self, error: Error) -> Stop {
        let has_seen_it = self.before.is_some();
        match error {
            error if error.is_unknown() && has_seen_it => Stop::Gone,
            error if error.is_passing() && has_seen_it => Stop::Away(error),
            error => Stop::Failed(error.into()),
        }
    }

    /// It may be on its way back; whoever watches wants to see that too.
    fn wait(&mut self, error: &Error) -> Result<()> {
        match &mut self.screen {
            Some(screen) => {
                screen.draw(&[format!("{}; trying again", brief(error))])?;
                self.patience.pause();
            }
            None => self.patience.wait(error),
        }
        Ok(())
    }
}

/// What the terminal has for a picture below so many lines.
fn size(lines: usize) -> Option<Size> {
    let (columns, rows) = terminal::size()?;
    let rows = rows.saturating_sub(lines + AROUND).min(ROWS.1);
    (rows >= ROWS.0 && columns >= COLUMNS).then_some(Size { columns, rows })
}

fn line(status: &SchedulerStatus) -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    format!("{}  {}", output::clock(&now), words(status))
}

/// What a line says of it; what differs in nothing else is no change to people.
fn words(status: &SchedulerStatus) -> String {
    let last = status.last_decision.as_deref();
    let last = last.map_or(String::new(), |last| format!("; {last}"));
    format!("{}{last}", schedulers::rooms(status))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_stream_that_nobody_reads_ends_with_its_next_sign_of_life() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let changes = Changes::of(Stream::new(ours));
        server.write_all(b"event: room\ndata: 1\n\n").unwrap();
        let sent = changes.next(Duration::from_secs(60)).unwrap();
        assert_eq!(sent[0].event, "room");
        drop(changes);
        server.write_all(b": quiet\n\n").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 0, "it was hung up");
    }
}
