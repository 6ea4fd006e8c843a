//! The processes that run the loop, polled by hand, so that each can stop at any call it waits for.
//!
//! A process is a [`Control`] and, while it steps, that step's future. Dropping the future is a step that was
//! cancelled; dropping the control with it is a process that died. What they had sent happens all the same.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use maestro::control::{Control, Deps, Desired, Drained, StepReport};
use maestro_core::time::{Span, Timestamp};
use maestro_engine::Evaluator;

use crate::cluster::Simulated;
use crate::registry::Line;
use crate::world::{Event, Shared, Signal, World};

type Step = Pin<Box<dyn Future<Output = StepReport> + Send>>;

pub(crate) struct Workers {
    world: Shared,
    slots: Vec<Slot>,
    woken: Arc<Woken>,
}

/// Whose future wants to be polled.
#[derive(Default)]
struct Woken(Mutex<VecDeque<usize>>);

struct Bell {
    woken: Arc<Woken>,
    worker: usize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let mut woken = self.woken.0.lock().expect("one thread");
        if !woken.contains(&self.worker) {
            woken.push_back(self.worker);
        }
    }
}

struct Slot {
    worker: usize,
    skew: i64,
    lives: u32,
    control: Option<Arc<tokio::sync::Mutex<Control>>>,
    step: Option<Step>,
    /// Only the newest plan for a step counts.
    ticket: u64,
    is_paused: bool,
    /// What came while it was stepping.
    is_nudged: bool,
    is_cluster_nudged: bool,
    desired: Option<Arc<Desired>>,
    drained: Drained,
    ordered: usize,
    pub is_holding: bool,
}

impl Workers {
    pub(crate) fn new(world: Shared) -> Self {
        let (number, skews) = {
            let world = world.lock().expect("one thread");
            (world.plan.workers, world.plan.skews.clone())
        };
        let slot = |worker: usize| Slot {
            worker,
            skew: skews[worker],
            lives: 0,
            control: None,
            step: None,
            ticket: 0,
            is_paused: false,
            is_nudged: false,
            is_cluster_nudged: false,
            desired: None,
            drained: Drained::default(),
            ordered: 0,
            is_holding: false,
        };
        let slots = (0..number).map(slot).collect();
        {
            let mut world = world.lock().expect("one thread");
            for worker in 0..number {
                let ms = world.between(0, 3_000);
                world.signal_after(ms, Signal::Restart { worker });
            }
        }
        Self {
            world,
            slots,
            woken: Arc::default(),
        }
    }

    /// Lets one thing happen, and everything that follows from it at the same time. Answers whether there was one
    /// until then.
    pub(crate) fn turn(&mut self, until: Timestamp) -> bool {
        let event = self.world.lock().expect("one thread").next(until);
        match event {
            None => return false,
            Some(Event::Wake(waker)) => waker.wake(),
            Some(Event::Do(happen)) => happen(&mut self.world.lock().expect("one thread")),
        }
        let signals = std::mem::take(&mut self.world.lock().expect("one thread").signals);
        for signal in signals {
            self.heed(signal);
        }
        while let Some(worker) = self.next_woken() {
            self.go_on(worker);
        }
        true
    }

    /// How many processes believe to hold the lease.
    pub(crate) fn holding(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_holding).count()
    }

    fn next_woken(&self) -> Option<usize> {
        self.woken.0.lock().expect("one thread").pop_front()
    }

    fn heed(&mut self, signal: Signal) {
        match signal {
            Signal::Step { worker, ticket } => {
                if self.slots[worker].ticket == ticket {
                    self.begin_step(worker);
                }
            }
            Signal::Nudge { worker, cluster } => {
                let slot = &mut self.slots[worker];
                slot.is_nudged = true;
                slot.is_cluster_nudged |= cluster;
                if slot.step.is_none() {
                    self.begin_step(worker);
                }
            }
            Signal::Resume { worker } => {
                self.slots[worker].is_paused = false;
                match self.slots[worker].step {
                    Some(_) => self.go_on(worker),
                    None => self.begin_step(worker),
                }
            }
            Signal::Restart { worker } => self.restart(worker),
        }
    }

    fn restart(&mut self, worker: usize) {
        let slot = &mut self.slots[worker];
        if slot.control.is_some() {
            return;
        }
        slot.lives += 1;
        let holder = format!("worker-{worker}.{}", slot.lives);
        let mut world = self.world.lock().expect("one thread");
        world.note(|| format!("{holder} begins"));
        let line = Line {
            world: Arc::clone(&self.world),
            holder: holder.clone(),
        };
        let blind_ms = world.between(0, 3_000);
        slot.drained = Drained::default();
        let deps = Deps {
            registry: Arc::new(line),
            cluster: Arc::new(Simulated {
                world: Arc::clone(&self.world),
                blind_until: world.now() + Span::from_ms(blind_ms),
            }),
            evaluator: Evaluator::inline(),
            holder,
            seed: world.between(0, u64::MAX - 1),
            token: Arc::new(|_, room| format!("token of {room}")),
            clock: world.clock(slot.skew),
            drained: slot.drained.clone(),
            settings: world.plan.settings(),
        };
        let desired = Arc::clone(&world.desired);
        drop(world);
        let control = Control::new(deps, Arc::clone(&desired));
        slot.desired = Some(desired);
        slot.ordered = 0;
        slot.control = Some(Arc::new(tokio::sync::Mutex::new(control)));
        self.begin_step(worker);
    }

    fn begin_step(&mut self, worker: usize) {
        let slot = &mut self.slots[worker];
        if slot.step.is_some() || slot.is_paused {
            return;
        }
        let Some(control) = slot.control.clone() else {
            return;
        };
        let mut world = self.world.lock().expect("one thread");
        if !world.is_faulty || world.chance(300) {
            // Its supervisor looks into the store now and then.
            slot.drained.set(world.ground.drained.clone());
        }
        let desired = Arc::clone(&world.desired);
        let commands: Vec<_> = world.commands.iter().skip(slot.ordered).cloned().collect();
        let now = (world.clock(slot.skew))();
        drop(world);
        let is_new = slot
            .desired
            .as_ref()
            .is_none_or(|known| !Arc::ptr_eq(known, &desired));
        slot.desired = Some(Arc::clone(&desired));
        // Whoever holds the lease reads what was asked for by hand.
        let commands = if slot.is_holding { commands } else { Vec::new() };
        slot.ordered += commands.len();
        let is_cluster_nudged = std::mem::take(&mut slot.is_cluster_nudged);
        slot.is_nudged = false;
        slot.step = Some(Box::pin(async move {
            let mut control = control.lock_owned().await;
            if is_new {
                control.set_desired(desired);
            }
            if is_cluster_nudged {
                control.cluster_changed();
            }
            for command in commands {
                control.order(command);
            }
            control.step(now).await
        }));
        self.poll(worker);
    }

    /// An answer came for this process. It may meet with an accident instead of hearing it.
    fn go_on(&mut self, worker: usize) {
        let slot = &self.slots[worker];
        if slot.step.is_none() || slot.is_paused {
            return;
        }
        match self.accident() {
            None => self.poll(worker),
            Some(Accident::Dropped) => {
                self.note(worker, "drops its step");
                self.slots[worker].step = None;
                let ms = self.world.lock().expect("one thread").between(0, 2_000);
                self.plan_step(worker, ms);
            }
            Some(Accident::Killed) => {
                self.note(worker, "dies");
                let slot = &mut self.slots[worker];
                (slot.step, slot.control, slot.is_holding) = (None, None, false);
                let mut world = self.world.lock().expect("one thread");
                let ms = world.between(0, 40_000);
                world.signal_after(ms, Signal::Restart { worker });
            }
            Some(Accident::Paused) => {
                self.note(worker, "stands still");
                self.slots[worker].is_paused = true;
                let mut world = self.world.lock().expect("one thread");
                let ms = world.between(1_000, 60_000);
                world.signal_after(ms, Signal::Resume { worker });
            }
        }
    }

    fn accident(&self) -> Option<Accident> {
        let mut world = self.world.lock().expect("one thread");
        if !world.is_faulty {
            return None;
        }
        let odds = world.plan.processes;
        let mut is = |per_mille: u32| world.chance(per_mille);
        if is(odds.dropped) {
            Some(Accident::Dropped)
        } else if is(odds.killed) {
            Some(Accident::Killed)
        } else if is(odds.paused) {
            Some(Accident::Paused)
        } else {
            None
        }
    }

    fn poll(&mut self, worker: usize) {
        let bell = Arc::new(Bell {
            woken: Arc::clone(&self.woken),
            worker,
        });
        let waker = Waker::from(bell);
        let slot = &mut self.slots[worker];
        let Some(step) = &mut slot.step else { return };
        match step.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => {}
            Poll::Ready(report) => {
                slot.step = None;
                self.take(worker, report);
            }
        }
    }

    fn take(&mut self, worker: usize, report: StepReport) {
        let slot = &mut self.slots[worker];
        slot.is_holding = report.holding;
        let is_again = slot.is_nudged;
        let mut world = self.world.lock().expect("one thread");
        for error in &report.errors {
            world.note(|| format!("  worker-{worker}: {}", chain(error)));
        }
        for record in &report.records {
            world.check_record(record);
        }
        world.oracle.is_removed |= report.removed;
        let now = (world.clock(slot.skew))();
        let ms = report.next_at.since(now).ms().max(1);
        drop(world);
        self.plan_step(worker, if is_again { 1 } else { ms });
    }

    fn plan_step(&mut self, worker: usize, ms: u64) {
        let slot = &mut self.slots[worker];
        slot.ticket += 1;
        let ticket = slot.ticket;
        let mut world = self.world.lock().expect("one thread");
        world.signal_after(ms, Signal::Step { worker, ticket });
    }

    fn note(&self, worker: usize, what: &str) {
        let mut world: std::sync::MutexGuard<World> = self.world.lock().expect("one thread");
        let slot = &self.slots[worker];
        world.note(|| format!("worker-{}.{} {what}", slot.worker, slot.lives));
    }
}

enum Accident {
    Dropped,
    Killed,
    Paused,
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
