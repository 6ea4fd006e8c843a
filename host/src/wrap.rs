//! `maestro wrap`: speaks the room protocol for a program that knows nothing of it.
//!
//! It starts the program, tells from its ports, its output or the time whether it is ready or in a match, and reports
//! that by the client library that real rooms use. It stands beside the program: output, input, signals and the exit
//! code pass through. It is a program of its own that happens to live in Maestro's binary, as the example room does.

mod rules;
mod lines;
mod ports;
mod program;
mod advice;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use maestro_client::{Identity, IdentityError, Options, Room};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use self::ports::Ports;
use self::program::{Pipes, Program};
use self::rules::{Pattern, Ready, Rules, State, Word};

/// Exit code when the wrapper itself can't work, as other programs that run programs have it.
const FAILED: u8 = 125;

/// When a room is ready that gives nothing to look at: what most servers need to load.
const LOADED: Duration = Duration::from_secs(5);

/// Time between two looks at the ports of a program that is not ready.
const LOOK: Duration = Duration::from_millis(100);

/// Time between two looks at whether Maestro hears us.
const REST: Duration = Duration::from_secs(1);

/// How long a program may load before it is said what is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the last output is waited for after the program's end: something of it that left the group, and that
/// nobody here can end, may hold the pipe for ever.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

const HELP: &str = "\
What is reported:
  ready        once, when --ready-when says so; later at each line that --idle-when matches
  occupied     at each line that --occupied-when matches
  terminating  at SIGTERM and SIGINT, which are passed on to the program, and when the program ends
Without --occupied-when Maestro takes the room for idle while a match runs too, and may end it.

When Maestro asks the room to drain, nothing is done to the program. In a match it goes on; the room leaves when the \
match is over. Without a match the room goes on reporting ready, and Maestro ends it with SIGTERM.

The program has until the scheduler's shutdownTimeout to end after SIGTERM. If the wrapper is killed, so is the program.

The port to listen on is in MAESTRO_PORT_<NAME>, for each port of the scheduler's document. A shell hands it over:
  maestro wrap -- sh -c 'exec ./my-server --port $MAESTRO_PORT_GAME'

Try a server as rooms of this machine:
  maestro dev init my.yaml
  maestro dev --room 'maestro wrap -- ./my-server' my.yaml
  maestro dev --room \"maestro wrap -- sh -c 'exec ./my-server --port \\$MAESTRO_PORT_GAME'\" my.yaml

Exit code: the program's own, or 128 and the number of the signal that ended it; 127 when it can't be started, 125 when \
the wrapper itself can't work.";

/// What is wrapped, and how its state is told.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// When the program is ready for a match: when all ports of the room are open (`port`), when a line of its output
    /// matches (`log:REGEX`), or so long after its start (`after:5s`). [default: port; after:5s in a room without ports]
    #[arg(long, value_name = "port|log:REGEX|after:TIME")]
    ready_when: Option<Ready>,
    /// The lines of output, stdout or stderr, that say that a match begins.
    #[arg(long, value_name = "log:REGEX", requires = "idle_when")]
    occupied_when: Option<Pattern>,
    /// The lines of output that say that a match is over and the next one can begin.
    #[arg(long, value_name = "log:REGEX", requires = "occupied_when")]
    idle_when: Option<Pattern>,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(
        "no Maestro started this: MAESTRO_SCHEDULER_NAME, MAESTRO_ROOM_ID, MAESTRO_API_URL and MAESTRO_ROOM_TOKEN are \
         not set{}",
        advice::way_out()
    )]
    Absent,
    #[error("{0}{way_out}", way_out = advice::way_out())]
    Identity(IdentityError),
    #[error(
        "--ready-when port needs a port, and this room has none: there is no MAESTRO_PORT_<NAME>; add `ports` to the \
         scheduler's document, or take --ready-when log:REGEX or after:TIME"
    )]
    NoPorts,
    #[error("failed to start what speaks with Maestro")]
    Connect(#[source] maestro_client::Error),
    #[error("failed to start what listens for signals and output")]
    Listen(#[source] io::Error),
    #[error("failed to start the program")]
    Start(#[source] io::Error),
    #[error("failed to learn how the program ended")]
    End(#[source] io::Error),
}

/// Runs the program as a room until it ends; the exit code is the program's.
pub fn main(args: Args) -> ExitCode {
    match run(args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let cause =
                std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
            eprintln!("error: {error}{cause}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(args: Args) -> Result<u8, Error> {
    let identity = Identity::from_env().map_err(|error| match error {
        IdentityError::Absent => Error::Absent,
        error @ (IdentityError::Incomplete { .. } | IdentityError::Invalid { .. }) => Error::Identity(error),
    })?;
    let (tx, events) = channel();
    // From here on a signal waits for the program to be there.
    hear_signals(tx.clone()).map_err(Error::Listen)?;
    let (readiness, rules) = readiness(args.ready_when, Ports::new(identity.ports.clone()))?;
    if args.occupied_when.is_none() {
        say("without --occupied-when Maestro takes this room for idle in a match too, and may end it");
    }
    let rules = Rules {
        occupied: args.occupied_when,
        idle: args.idle_when,
        ..rules
    };
    // SIGTERM is ours to pass on.
    let options = Options {
        catch_sigterm: false,
        ..Options::default()
    };
    let room = Room::connect_as(identity, options).map_err(Error::Connect)?;
    let maestro = std::env::current_exe().map_err(Error::Start)?;
    let (program, pipes) = Program::start(&maestro, &args.command).map_err(Error::Start)?;
    let output = follow(&program, pipes, rules, &tx).map_err(Error::Listen)?;
    let wrapped = Wrapped {
        room,
        program,
        events,
        readiness,
        state: State::Starting,
        begun: Instant::now(),
        has_told_wait: false,
        is_cut_off: false,
    };
    wrapped.live(&output)
}

/// What happens to the program.
enum Event {
    /// It said something.
    Word(Word),
    /// We were asked to end.
    Signal(i32),
    /// It ended.
    End,
}

/// How the first `ready` comes about.
enum Readiness {
    /// By a line, which comes as an [`Event::Word`].
    Line,
    After(Duration),
    Ports(Ports),
}

/// Closed when the program's output has been passed on to its end.
type Output = Receiver<()>;

fn readiness(wanted: Option<Ready>, ports: Ports) -> Result<(Readiness, Rules), Error> {
    let readiness = match wanted {
        Some(Ready::Log(pattern)) => {
            let rules = Rules {
                ready: Some(pattern),
                ..Rules::default()
            };
            return Ok((Readiness::Line, rules));
        }
        Some(Ready::After(time)) => Readiness::After(time),
        Some(Ready::Port) if ports.is_empty() => return Err(Error::NoPorts),
        None if ports.is_empty() => {
            say(&format!(
                "this room has no port to look at, so it is ready after {} s; --ready-when log:REGEX knows better",
                LOADED.as_secs()
            ));
            Readiness::After(LOADED)
        }
        Some(Ready::Port) | None => Readiness::Ports(ports),
    };
    Ok((readiness, Rules::default()))
}

struct Wrapped {
    room: Room,
    program: Program,
    events: Receiver<Event>,
    readiness: Readiness,
    state: State,
    begun: Instant,
    has_told_wait: bool,
    is_cut_off: bool,
}

impl Wrapped {
    /// Lives until the program has ended, and says goodbye for it. To be called by the thread that started the program.
    fn live(mut self, output: &Output) -> Result<u8, Error> {
        let mut looked = self.begun;
        loop {
            let pause = match self.state {
                State::Starting => LOOK,
                State::Idle | State::Occupied => REST,
            };
            match self.events.recv_timeout(pause.saturating_sub(looked.elapsed())) {
                Ok(Event::Word(word)) => self.hear(word),
                Ok(Event::Signal(signal)) => {
                    self.room.request_shutdown();
                    self.program.pass_on(signal);
                }
                Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            // However much the program says meanwhile.
            if looked.elapsed() >= pause {
                self.look();
                looked = Instant::now();
            }
        }
        let status = self.program.finish().map_err(Error::End)?;
        match output.recv_timeout(LAST_OUTPUT) {
            // All of it has come, or the rest never will.
            Ok(()) | Err(_) => {}
        }
        if status.signal().is_some() && !self.room.shutdown_requested() {
            say(&format!("the program was killed: {status}"));
        }
        // One that ended by itself before it was ever ready has failed. A goodbye would make a room of it that has had
        // its time, and the next one would be tried at once, and the next.
        if self.state != State::Starting || self.room.shutdown_requested() {
            self.room.leave();
        }
        Ok(program::code(status))
    }

    fn hear(&mut self, word: Word) {
        let state = self.state.after(word);
        if state == self.state {
            return;
        }
        self.state = state;
        match state {
            State::Starting => {}
            State::Idle => self.room.ready(),
            State::Occupied => self.room.occupied(),
        }
    }

    /// Looks at what nobody tells us.
    fn look(&mut self) {
        let is_cut_off = self.room.last_error();
        if let Some(error) = is_cut_off.as_ref().filter(|_| !self.is_cut_off) {
            say(&format!(
                "Maestro does not hear this room, it is tried again: {error}"
            ));
        }
        self.is_cut_off = is_cut_off.is_some();
        if self.state != State::Starting || self.room.shutdown_requested() {
            return;
        }
        let waited = self.begun.elapsed();
        let is_ready = match &self.readiness {
            Readiness::Line => false,
            Readiness::After(time) => waited >= *time,
            Readiness::Ports(ports) => {
                let look = ports.look();
                let closed = look.closed.join(", ");
                if !closed.is_empty() && waited >= PATIENCE && !self.has_told_wait {
                    self.has_told_wait = true;
                    say(&format!(
                        "still waiting for port {closed} to open; the program has to listen there, see `maestro wrap --help`"
                    ));
                }
                closed.is_empty() || (!look.is_certain && waited >= LOADED)
            }
        };
        if is_ready {
            self.hear(Word::Ready);
        }
    }
}

/// Hands each SIGTERM and SIGINT on.
fn hear_signals(events: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    start("signals", move || {
        for signal in signals.forever() {
            if events.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    })
}

/// Starts what passes input and output on, and what waits for the end.
fn follow(program: &Program, pipes: Pipes, rules: Rules, events: &Sender<Event>) -> io::Result<Output> {
    let rules = Arc::new(rules);
    let (done, output) = channel();
    let listener = || {
        let (rules, events, done) = (rules.clone(), events.clone(), done.clone());
        move |line: &[u8]| {
            // Held until the stream ends, which closes the channel.
            let _held = &done;
            for word in rules.words(line) {
                // Whoever listened has seen the program end.
                drop(events.send(Event::Word(word)));
            }
        }
    };
    let (heard_out, heard_err) = (listener(), listener());
    start("stdout", move || {
        lines::pass_on(pipes.stdout, lines::to_stdout, heard_out)
    })?;
    start("stderr", move || {
        lines::pass_on(pipes.stderr, lines::to_stderr, heard_err)
    })?;
    let mut stdin = pipes.stdin;
    start("stdin", move || {
        // A program that reads no more is its own affair. Its end of the pipe closes with ours.
        drop(io::copy(&mut io::stdin().lock(), &mut stdin));
    })?;
    let (wait, events) = (program.end(), events.clone());
    start("end", move || {
        wait();
        drop(events.send(Event::End));
    })?;
    Ok(output)
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(body)?;
    Ok(())
}

/// A line of our own among the program's errors.
fn say(line: &str) {
    // Nobody may be reading, and a game goes on without its log.
    drop(writeln!(io::stderr(), "maestro wrap: {line}"));
}
