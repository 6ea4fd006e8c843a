//! The handle that a game server holds: says what the room does, hears what Maestro asks of it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::identity::{Identity, IdentityError};
use crate::ping::Pinger;

/// What a room does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Available for a match.
    Ready,
    /// In a match.
    Occupied,
    /// Ending.
    Terminating,
    /// About to be gone.
    Terminated,
}

impl Status {
    /// The protocol's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Occupied => "occupied",
            Self::Terminating => "terminating",
            Self::Terminated => "terminated",
        }
    }
}

/// How the room speaks with Maestro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Time between pings; each is moved by up to a tenth, so that a thousand rooms do not ping at once. The
    /// default of 5 s leaves Maestro many pings before any of its deadlines.
    pub interval: Duration,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long [`Room::leave`] tries to say goodbye.
    pub farewell: Duration,
    /// Whether SIGTERM is caught. Switch it off when the game server handles it, and call
    /// [`Room::request_shutdown`] from there.
    pub catch_sigterm: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(3),
            farewell: Duration::from_secs(3),
            catch_sigterm: true,
        }
    }
}

/// Why a room can't be connected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment names no room.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A thread or the signal handler could not be had.
    #[error("failed to start what speaks with Maestro")]
    Start(#[source] std::io::Error),
}

/// A room under Maestro, or a detached one. Clones are handles to the same room.
#[derive(Clone)]
pub struct Room {
    shared: Arc<Shared>,
    /// Closes the connection when the last handle is dropped.
    guard: Arc<Guard>,
}

struct Guard {
    shared: Arc<Shared>,
    pinger: Mutex<Option<JoinHandle<()>>>,
    farewell: Duration,
}

/// What handles and threads share.
#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// `None` for a detached room.
    pub(crate) identity: Option<Identity>,
}

/// What is to be said, what was said, and what was heard.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) status: Option<Status>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) running_matches: Option<u32>,
    pub(crate) capacity: Option<u32>,
    /// Counts what is to be said at once.
    pub(crate) wanted: u64,
    /// The count of what Maestro has taken.
    pub(crate) taken: u64,
    /// The same, of the metadata, which are sent only when they changed.
    pub(crate) metadata_wanted: u64,
    pub(crate) metadata_taken: u64,
    pub(crate) is_draining: bool,
    pub(crate) on_drain: Option<Box<dyn FnOnce() + Send>>,
    pub(crate) last_error: Option<String>,
    pub(crate) is_closed: bool,
    shutdown_requested: bool,
}

impl Room {
    /// Connects as the room that the environment names.
    pub fn connect() -> Result<Self, Error> {
        Self::connect_as(Identity::from_env()?, Options::default())
    }

    /// Like [`Room::connect`], but a detached room when Maestro did not start this process. An environment that
    /// is there but incomplete is an error all the same.
    pub fn connect_or_detached() -> Result<Self, Error> {
        match Identity::from_env() {
            Ok(identity) => Self::connect_as(identity, Options::default()),
            Err(IdentityError::Absent) => Self::detached(),
            Err(error) => Err(error.into()),
        }
    }

    /// Connects as this room.
    pub fn connect_as(identity: Identity, options: Options) -> Result<Self, Error> {
        Self::start(Some(identity), options)
    }

    /// A room without Maestro: reports go nowhere, nobody drains it, SIGTERM is still heard.
    pub fn detached() -> Result<Self, Error> {
        Self::start(None, Options::default())
    }

    fn start(identity: Option<Identity>, options: Options) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            identity,
            ..Shared::default()
        });
        #[cfg(unix)]
        if options.catch_sigterm {
            crate::signal::listen(&shared).map_err(Error::Start)?;
        }
        let pinger = Pinger::new(shared.clone(), &options).map(|pinger| {
            std::thread::Builder::new()
                .name("maestro-ping".to_owned())
                .spawn(move || pinger.run())
        });
        let pinger = Mutex::new(pinger.transpose().map_err(Error::Start)?);
        let guard = Arc::new(Guard {
            shared: shared.clone(),
            pinger,
            farewell: options.farewell,
        });
        Ok(Self { shared, guard })
    }

    /// Who this room is; `None` when it is detached.
    pub fn identity(&self) -> Option<&Identity> {
        self.shared.identity.as_ref()
    }

    /// The port to listen on for the document's port of this name; `None` when the document's own is to be used.
    pub fn port(&self, name: &str) -> Option<u16> {
        let upper = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        };
        let key: String = name.chars().map(upper).collect();
        self.identity()?.ports.get(&key).copied()
    }

    /// Says that the room is available for a match.
    pub fn ready(&self) {
        self.say(Status::Ready);
    }

    /// Says that the room is in a match.
    pub fn occupied(&self) {
        self.say(Status::Occupied);
    }

    /// Says that the room is ending. No `ready` or `occupied` after this is heard.
    pub fn terminating(&self) {
        self.say(Status::Terminating);
    }

    /// Says that the room is about to be gone: the last word.
    pub fn terminated(&self) {
        self.say(Status::Terminated);
    }

    /// Sets what Maestro and matchmakers are told of the room, whole; sent with the next report and at once.
    pub fn set_metadata(&self, metadata: Map<String, Value>) {
        self.shared.change(|state| {
            state.metadata = metadata;
            state.metadata_wanted += 1;
            state.wanted += 1;
        });
    }

    /// Says how many matches the room holds, and how many it can hold, at least one. A room that never says so
    /// can hold one.
    pub fn set_matches(&self, running: u32, capacity: u32) {
        self.shared.change(|state| {
            let new = (Some(running), Some(capacity.max(1)));
            if (state.running_matches, state.capacity) != new {
                (state.running_matches, state.capacity) = new;
                state.wanted += 1;
            }
        });
    }

    /// What the room said last.
    pub fn status(&self) -> Option<Status> {
        self.shared.lock().status
    }

    /// Whether Maestro asks the room to take no further match: finish the present one, then [`Room::leave`].
    pub fn is_draining(&self) -> bool {
        self.shared.lock().is_draining
    }

    /// Calls `notice` once, on another thread, when Maestro asks the room to take no further match; at once when
    /// it has already. A second notice replaces the first.
    pub fn on_drain(&self, notice: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.lock();
        if state.is_draining {
            drop(state);
            notice();
        } else {
            state.on_drain = Some(Box::new(notice));
        }
    }

    /// Whether the process was asked to end, by SIGTERM or by [`Room::request_shutdown`].
    pub fn shutdown_requested(&self) -> bool {
        self.shared.lock().shutdown_requested
    }

    /// Does what SIGTERM does: says `terminating`, and lets [`Room::should_leave`] be true.
    pub fn request_shutdown(&self) {
        self.shared.request_shutdown();
    }

    /// Whether the room should take no further match and leave.
    pub fn should_leave(&self) -> bool {
        self.shared.lock().should_leave()
    }

    /// Waits until the room should leave, at most `timeout`; tells whether it should.
    pub fn wait_should_leave(&self, timeout: Duration) -> bool {
        self.shared.wait(timeout, State::should_leave)
    }

    /// Waits until Maestro has taken all that was said, at most `timeout`; tells whether it has. A detached room
    /// has nobody to tell.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.identity().is_none() || self.shared.wait(timeout, |state| state.taken >= state.wanted)
    }

    /// Says goodbye and ends the connection: `terminating`, then `terminated`, waited for as long as
    /// [`Options::farewell`] allows. To be called last, with no match running.
    pub fn leave(&self) {
        let deadline = Instant::now() + self.guard.farewell;
        for last in [Status::Terminating, Status::Terminated] {
            self.say(last);
            self.flush(deadline.saturating_duration_since(Instant::now()));
        }
        self.guard.close();
    }

    /// Why the last try to reach Maestro failed; `None` when it worked.
    pub fn last_error(&self) -> Option<String> {
        self.shared.lock().last_error.clone()
    }

    fn say(&self, status: Status) {
        self.shared.change(|state| state.say(status));
    }
}

impl State {
    fn should_leave(&self) -> bool {
        self.is_draining || self.shutdown_requested
    }

    fn say(&mut self, status: Status) {
        let is_taken_back = match (self.status, status) {
            (Some(Status::Terminated), _) => true,
            (Some(Status::Terminating), Status::Ready | Status::Occupied) => true,
            (now, new) => now == Some(new),
        };
        if !is_taken_back {
            self.status = Some(status);
            self.wanted += 1;
        }
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes whoever waits for a change.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `is_met` or until the time is over; tells whether it is met.
    pub(crate) fn wait(&self, timeout: Duration, is_met: impl Fn(&State) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        while !is_met(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    pub(crate) fn request_shutdown(&self) {
        self.change(|state| {
            state.shutdown_requested = true;
            state.say(Status::Terminating);
        });
    }
}

impl Guard {
    fn close(&self) {
        self.shared.change(|state| state.is_closed = true);
        let pinger = self.pinger.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The thread ends within one request's time. When the last handle is dropped by a notice of a drain, we
        // are that thread.
        if let Some(pinger) = pinger.filter(|pinger| pinger.thread().id() != std::thread::current().id()) {
            pinger.join().unwrap_or_default();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.close();
    }
}
