//! The world of one seed: virtual time, what will happen when, chance, and everything that is true in it.
//!
//! One world is one thread's. Whatever happens is an event of its queue, in the order of time and then of planning;
//! all chance comes from one generator, so that a seed is the same run each time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use maestro::control::{Command, Desired};
use maestro::registry::{Memory, NUDGE_SPACING, Registry};
use maestro_core::deadlines::Witness;
use maestro_core::names::SchedulerName;
use maestro_core::time::{Span, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::ground::Ground;
use crate::oracle::Oracle;
use crate::plan::Plan;

/// A world that port calls, rooms and loops look into in turn.
pub(crate) type Shared = Arc<Mutex<World>>;

/// Where virtual time begins.
const BEGINNING: i64 = 1_700_000_000_000;

pub(crate) enum Event {
    /// A call's answer is due.
    Wake(Waker),
    Do(Box<dyn FnOnce(&mut World) + Send>),
}

/// What an event asks of the loops, which live outside the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Take a step, if that is still what is planned.
    Step { worker: usize, ticket: u64 },
    /// Something changed.
    Nudge { worker: usize, cluster: bool },
    /// The process goes on after a pause.
    Resume { worker: usize },
    /// A process begins where one died.
    Restart { worker: usize },
}

pub(crate) struct World {
    pub plan: Plan,
    clock: Arc<AtomicI64>,
    queue: BTreeMap<(Timestamp, u64), Event>,
    planned: u64,
    random: StdRng,
    /// Whether faults happen at present.
    pub is_faulty: bool,
    /// The in-process registry in its present life, and which life that is.
    pub memory: Arc<Memory>,
    pub life: u32,
    /// The registry's epoch; `None` while recovering.
    pub epoch: Option<Timestamp>,
    /// What the registry's witness clock should say.
    pub witness: Witness,
    /// Until when no request of a room arrives; until when no API takes any.
    pub cut_until: Timestamp,
    pub away_until: Timestamp,
    pub ground: Ground,
    pub desired: Arc<Desired>,
    pub commands: Vec<Command>,
    pub signals: Vec<Signal>,
    /// Nudges on their way, by worker, and whether one of them tells of the cluster: changes that come together wake
    /// a loop once.
    nudges: BTreeMap<usize, bool>,
    pub oracle: Oracle,
    trace: Option<Vec<String>>,
    violation: Option<String>,
    /// Calls of ports so far.
    pub calls: u64,
    /// Events so far.
    pub events: u64,
}

impl World {
    pub(crate) fn new(plan: Plan, desired: Arc<Desired>, traced: bool) -> Self {
        let clock = Arc::new(AtomicI64::new(BEGINNING));
        Self {
            memory: Arc::new(memory(&clock)),
            clock,
            queue: BTreeMap::new(),
            planned: 0,
            random: StdRng::seed_from_u64(plan.seed),
            is_faulty: false,
            life: 0,
            epoch: None,
            witness: Witness::default(),
            cut_until: Timestamp::default(),
            away_until: Timestamp::default(),
            ground: Ground::new(plan.is_exposed_apart),
            desired,
            commands: Vec::new(),
            signals: Vec::new(),
            nudges: BTreeMap::new(),
            oracle: Oracle::default(),
            trace: traced.then(Vec::new),
            violation: None,
            calls: 0,
            events: 0,
            plan,
        }
    }

    pub(crate) fn scheduler(&self) -> SchedulerName {
        self.desired.scheduler.name.clone()
    }

    // Time.

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.clock.load(Ordering::Relaxed))
    }

    /// A clock that shows this world's time, `skew` milliseconds off.
    pub(crate) fn clock(&self, skew: i64) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let clock = Arc::clone(&self.clock);
        Arc::new(move || Timestamp::from_ms(clock.load(Ordering::Relaxed) + skew))
    }

    pub(crate) fn at(&mut self, at: Timestamp, event: Event) {
        self.planned += 1;
        let at = at.max(self.now());
        self.queue.insert((at, self.planned), event);
    }

    pub(crate) fn after(&mut self, ms: u64, event: impl FnOnce(&mut World) + Send + 'static) {
        let at = self.now() + Span::from_ms(ms);
        self.at(at, Event::Do(Box::new(event)));
    }

    /// The next thing that happens until then; time moves to it, or to then if nothing does.
    pub(crate) fn next(&mut self, until: Timestamp) -> Option<Event> {
        let is_due = self
            .queue
            .first_key_value()
            .is_some_and(|((at, _), _)| *at <= until);
        if !is_due {
            self.clock.store(until.ms(), Ordering::Relaxed);
            return None;
        }
        let ((at, _), event) = self.queue.pop_first()?;
        self.clock.store(at.ms(), Ordering::Relaxed);
        Some(event)
    }

    pub(crate) fn signal_after(&mut self, ms: u64, signal: Signal) {
        self.after(ms, move |world| world.signals.push(signal));
    }

    /// Tells the loops that something changed; a hint that may be lost.
    pub(crate) fn nudge(&mut self, cluster: bool) {
        for worker in 0..self.plan.workers {
            if self.is_faulty && self.chance(200) {
                continue;
            }
            let before = self.nudges.get(&worker).copied();
            self.nudges.insert(worker, cluster || before == Some(true));
            if before.is_none() {
                self.after(NUDGE_SPACING.ms(), move |world| world.wake(worker));
            }
        }
    }

    fn wake(&mut self, worker: usize) {
        if let Some(cluster) = self.nudges.remove(&worker) {
            self.signals.push(Signal::Nudge { worker, cluster });
        }
    }

    // Chance.

    /// True so many times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.random.random_ratio(per_mille.min(1_000), 1_000)
    }

    /// `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.random.random_range(low..=high.max(low))
    }

    // The registry.

    /// It loses everything.
    pub(crate) fn lose_registry(&mut self) {
        self.memory = Arc::new(memory(&self.clock));
        self.life += 1;
        self.epoch = None;
        self.witness = Witness::default();
        for body in self.ground.bodies.values_mut() {
            body.mind.forget_heard();
        }
        self.note(|| "the registry loses everything".to_owned());
    }

    /// A call of the in-process registry, which never waits.
    pub(crate) fn ask<'a, T>(
        memory: &'a Memory,
        call: impl FnOnce(&'a dyn Registry) -> futures::future::BoxFuture<'a, T>,
    ) -> T {
        futures::FutureExt::now_or_never(call(memory)).expect("the in-process registry never waits")
    }

    /// A heartbeat of the API, each second.
    pub(crate) fn beat(&mut self) {
        if self.now() >= self.away_until {
            let memory = Arc::clone(&self.memory);
            World::ask(&memory, |registry| registry.beat()).expect("nothing can fail");
            let now = self.now();
            self.witness.beat(now);
        }
        self.after(1_000, World::beat);
    }

    // What is told.

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let now = self.now().ms() - BEGINNING;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>10.3} s  {}", now as f64 / 1e3, line()));
        }
    }

    /// A promise was broken; the first one counts.
    pub(crate) fn break_promise(&mut self, what: String) {
        self.note(|| format!("VIOLATION: {what}"));
        self.violation.get_or_insert(what);
    }

    pub(crate) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    pub(crate) fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }
}

fn memory(clock: &Arc<AtomicI64>) -> Memory {
    let clock = Arc::clone(clock);
    Memory::new(Arc::new(move || {
        Timestamp::from_ms(clock.load(Ordering::Relaxed))
    }))
}
