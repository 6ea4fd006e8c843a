//! Who may run, and the clock that ticks meanwhile.
//!
//! The engine has a fixed number of places to run in; the gate lets in as many and lets the others wait, so that no
//! run ever fails for want of a place. While somebody is inside, a thread of the operating system moves the engine's
//! epoch on, which is what ends a policy that runs too long. It is no task of an asynchronous runtime, because such
//! a runtime may be what the policy holds up. While nobody is inside, it sleeps.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::EngineWeak;

use crate::class::Class;
use crate::settings::{HEAVY_SLOTS, NATIVE_SLOTS};

/// Time between two ticks: a quarter of the shortest deadline, which may be overrun by that much.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// The gate; its clock ends with it.
#[derive(Debug)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Somebody came in, or all is over.
    entered: Condvar,
    /// Somebody left.
    left: Condvar,
}

#[derive(Debug, Default)]
struct State {
    native: u32,
    heavy: u32,
    /// Callers that wait for a place. Nobody is called when nobody listens: each call is a system call.
    waiting: u32,
    /// Whether the clock stands still.
    asleep: bool,
    closed: bool,
}

impl State {
    fn place(&mut self, class: Class) -> (&mut u32, u32) {
        match class {
            Class::Native => (&mut self.native, NATIVE_SLOTS),
            Class::Heavy => (&mut self.heavy, HEAVY_SLOTS),
        }
    }

    fn is_empty(&self) -> bool {
        self.native + self.heavy == 0
    }
}

impl Gate {
    /// Opens the gate and starts the clock.
    pub(crate) fn open(engine: EngineWeak) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let clock = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("maestro-epoch".to_owned())
            .spawn(move || clock.tick(&engine))?;
        Ok(Self { shared })
    }

    /// Waits for a place and takes it, until the answer is dropped.
    pub(crate) fn enter(&self, class: Class) -> Pass<'_> {
        let mut state = self.shared.lock();
        loop {
            let (inside, places) = state.place(class);
            if *inside < places {
                *inside += 1;
                break;
            }
            state.waiting += 1;
            state = wait(&self.shared.left, state);
            state.waiting -= 1;
        }
        let wake = std::mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.shared.entered.notify_one();
        }
        Pass { gate: self, class }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.entered.notify_one();
    }
}

/// A place to run in.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    gate: &'a Gate,
    class: Class,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let shared = &self.gate.shared;
        let mut state = shared.lock();
        *state.place(self.class).0 -= 1;
        let wake = state.waiting > 0;
        drop(state);
        if wake {
            // All, because those who wait differ in class.
            shared.left.notify_all();
        }
    }
}

impl Shared {
    /// A thread that panicked inside cannot have left the numbers wrong: they change in one step each.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self, engine: &EngineWeak) {
        loop {
            let mut state = self.lock();
            while state.is_empty() && !state.closed {
                state.asleep = true;
                state = wait(&self.entered, state);
            }
            state.asleep = false;
            if state.closed {
                return;
            }
            drop(state);
            std::thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition.wait(state).unwrap_or_else(PoisonError::into_inner)
}
