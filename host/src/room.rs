//! The bundled example room: a game server without a game, on the same client library that real ones use.
//!
//! It reports ready, plays matches that somebody begins over its ports or that it draws by itself, can burn
//! processor and hold memory meanwhile, and leaves by the protocol when it is drained or gets SIGTERM. It is a
//! program of its own that happens to live in Maestro's binary: it knows nothing of Maestro but its HTTP API.

mod demand;
mod load;
mod ports;

use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use maestro_client::{Error, Identity, IdentityError, Options, Room};

pub(crate) use self::demand::duration;

use self::demand::{Demand, Draw};
use self::load::{Load, Weight};

/// The longest match that can be asked for.
const LONGEST_MATCH: Duration = Duration::from_secs(24 * 60 * 60);

/// How the example room behaves. Each option can also stand in the scheduler document's `env`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Matches that the room draws by itself: none, or, while it is idle, so many a minute on average, each about
    /// so long. Others are begun by the line `match MILLISECONDS` over TCP to any of its ports.
    #[arg(
        long,
        env = "EXAMPLE_MATCHES",
        value_name = "none|12/min,5m",
        default_value = "none"
    )]
    matches: Demand,
    /// How long the room takes to get ready.
    #[arg(long, env = "EXAMPLE_READY_AFTER", value_name = "TIME", default_value = "500ms", value_parser = demand::duration)]
    ready_after: Duration,
    /// How long it rests between a match and the next `ready`.
    #[arg(long, env = "EXAMPLE_REST", value_name = "TIME", default_value = "0ms", value_parser = demand::duration)]
    rest: Duration,
    /// Cores to keep busy during a match, as in 0.8.
    #[arg(long, env = "EXAMPLE_BURN_CPU", value_name = "CORES", default_value = "0", value_parser = load::cores)]
    burn_cpu: f64,
    /// Memory to hold during a match, as in 64MiB.
    #[arg(long, env = "EXAMPLE_HOLD_MEMORY", value_name = "BYTES", default_value = "0", value_parser = load::bytes)]
    hold_memory: usize,
    /// The address to listen on. Anybody who reaches it can begin matches.
    #[arg(
        long,
        env = "EXAMPLE_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1"
    )]
    listen: IpAddr,
    /// Time between pings.
    #[arg(long, env = "EXAMPLE_PING_EVERY", value_name = "TIME", default_value = "2s", value_parser = demand::duration)]
    ping_every: Duration,
}

/// Runs the room until it has left; the exit code is 0 when it left by the protocol.
pub fn main(args: Args) -> ExitCode {
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause =
                std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
            eprintln!("{error}{cause}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Error> {
    let room = connect(args.ping_every)?;
    let name = room
        .identity()
        .map_or("a detached room", |identity| &identity.room)
        .to_owned();
    let (tx, events) = channel();
    if let Some(identity) = room.identity() {
        ports::open(identity, args.listen, &tx).map_err(Error::Start)?;
    }
    watch(&room, tx).map_err(Error::Start)?;
    say(&format!("{name} is getting ready"));
    let game = Game {
        draw: Draw::new(args.matches, &name),
        weight: Weight {
            cores: args.burn_cpu,
            bytes: args.hold_memory,
        },
        rest: args.rest,
        room,
        events,
    };
    game.live(args.ready_after);
    say(&format!("{name} is leaving"));
    Ok(())
}

fn connect(ping_every: Duration) -> Result<Room, Error> {
    match Identity::from_env() {
        Ok(identity) => Room::connect_as(
            identity,
            Options {
                interval: ping_every,
                ..Options::default()
            },
        ),
        // Handy to try the ports out by hand.
        Err(IdentityError::Absent) => Room::detached(),
        Err(error) => Err(error.into()),
    }
}

/// What happens to a room.
enum Event {
    /// Somebody asks for a match; the answer is `None` or why not.
    Match {
        length: Duration,
        answer: Sender<Option<&'static str>>,
    },
    /// It is drained, or got SIGTERM.
    Leave,
}

/// What the room does.
enum Now {
    /// Getting ready, at first or again, until then.
    Resting { until: Instant },
    /// Waiting for a match; its own next one begins then, if it draws any.
    Idle { next: Option<Instant> },
    /// In a match until then.
    Playing { until: Instant, _load: Load },
}

struct Game {
    room: Room,
    events: Receiver<Event>,
    draw: Draw,
    weight: Weight,
    rest: Duration,
}

impl Game {
    /// Lives until it is time to leave, and leaves.
    fn live(mut self, ready_after: Duration) {
        let mut now = Now::Resting {
            until: Instant::now() + ready_after,
        };
        let mut is_leaving = false;
        loop {
            if is_leaving && !matches!(now, Now::Playing { .. }) {
                break;
            }
            match self.wait(&now) {
                Ok(Event::Match { length, answer }) => {
                    let refusal = refusal(&now, is_leaving);
                    if refusal.is_none() {
                        now = self.play(length);
                    }
                    if answer.send(refusal).is_err() {
                        say("whoever asked for a match has gone");
                    }
                }
                Ok(Event::Leave) => is_leaving = true,
                Err(RecvTimeoutError::Timeout) => now = self.advance(now, is_leaving),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.room.leave();
    }

    fn wait(&self, now: &Now) -> Result<Event, RecvTimeoutError> {
        let until = match now {
            Now::Resting { until } | Now::Playing { until, .. } => Some(*until),
            Now::Idle { next } => *next,
        };
        match until {
            Some(until) => self
                .events
                .recv_timeout(until.saturating_duration_since(Instant::now())),
            None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// What comes after `now` when its time is over.
    fn advance(&mut self, now: Now, is_leaving: bool) -> Now {
        match now {
            Now::Idle { .. } => {
                let length = self.draw.length();
                self.play(length)
            }
            Now::Playing { .. } if is_leaving || !self.rest.is_zero() => {
                say("the match is over");
                Now::Resting {
                    until: Instant::now() + self.rest,
                }
            }
            Now::Playing { .. } => {
                say("the match is over");
                self.idle()
            }
            Now::Resting { .. } => self.idle(),
        }
    }

    fn idle(&mut self) -> Now {
        self.room.ready();
        Now::Idle {
            next: self.draw.pause().map(|pause| Instant::now() + pause),
        }
    }

    fn play(&self, length: Duration) -> Now {
        self.room.occupied();
        say(&format!("a match of {:.1} s begins", length.as_secs_f64()));
        Now::Playing {
            until: Instant::now() + length,
            _load: Load::begin(self.weight),
        }
    }
}

fn refusal(now: &Now, is_leaving: bool) -> Option<&'static str> {
    match now {
        _ if is_leaving => Some("the room is leaving"),
        Now::Resting { .. } => Some("the room is not ready"),
        Now::Playing { .. } => Some("the room is in a match"),
        Now::Idle { .. } => None,
    }
}

/// Sends [`Event::Leave`] when it is time.
fn watch(room: &Room, events: Sender<Event>) -> std::io::Result<()> {
    let room = room.clone();
    thread::Builder::new().name("leave".to_owned()).spawn(move || {
        while !room.wait_should_leave(LONGEST_MATCH) {}
        // A room that is gone already has left.
        drop(events.send(Event::Leave));
    })?;
    Ok(())
}

/// One line of the room's output.
fn say(line: &str) {
    use std::io::Write as _;
    // Nobody may be reading, and a game goes on without its log.
    drop(writeln!(std::io::stdout(), "{line}"));
}
