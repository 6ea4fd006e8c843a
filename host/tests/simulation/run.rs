//! One seed from its beginning to its end: the troubled time, and then the time to settle.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use maestro_core::names::RoomId;
use maestro_core::room::{Phase, Stage, Use};
use maestro_core::time::{Span, Timestamp};
use maestro_engine::Policy;

use crate::ground::Body;
use crate::oracle::Excuse;
use crate::plan::Plan;
use crate::registry::Broken;
use crate::workers::Workers;
use crate::world::World;

/// How long a fleet may take to settle once nothing goes wrong any more: the longest deadline of a seed is 15
/// minutes, and each step after it takes seconds.
const SETTLE: Span = Span::from_secs(1_800);

/// How long it has to stay as it should be.
const STAY: Span = Span::from_secs(40);

/// Events of one seed, above which the loops or the world go round in circles. The busiest of the first 20,000 seeds
/// has a tenth of it.
const MOST_EVENTS: u64 = 150_000;

/// What came of a seed.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub violation: Option<String>,
    pub trace: Vec<String>,
    pub figures: Figures,
}

/// What happened, so that one can see whether much did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub calls: u64,
    pub scalings: u64,
    pub left: u64,
    pub given_up: BTreeMap<Excuse, u64>,
    pub ended: BTreeMap<Excuse, u64>,
    pub virtual_ms: u64,
    pub events: u64,
    pub most_events: u64,
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Figures) {
        self.calls += other.calls;
        self.scalings += other.scalings;
        self.left += other.left;
        self.virtual_ms += other.virtual_ms;
        self.events += other.events;
        self.most_events = self.most_events.max(other.most_events);
        for (excuse, number) in &other.given_up {
            *self.given_up.entry(*excuse).or_default() += number;
        }
        for (excuse, number) in &other.ended {
            *self.ended.entry(*excuse).or_default() += number;
        }
    }
}

/// Runs a seed.
pub(crate) fn run(seed: u64, broken: Option<Broken>, policy: Option<&Policy>, traced: bool) -> Run {
    let (plan, desired) = Plan::of(seed, broken, policy);
    let trouble = Span::from_ms(plan.trouble_ms);
    let mut world = World::new(plan, Arc::new(desired), traced);
    let began = world.now();
    world.begin();
    let plan = world.plan.clone();
    world.note(|| format!("{plan:?}"));
    let world = Arc::new(Mutex::new(world));
    let mut workers = Workers::new(Arc::clone(&world));
    go_on_until(&world, &mut workers, began + trouble);
    settle(&world, &mut workers);
    drop(workers);
    let mut world = world.lock().expect("one thread");
    let count = |numbers: &BTreeMap<Excuse, u32>| -> BTreeMap<Excuse, u64> {
        let numbers = numbers.iter();
        numbers
            .map(|(excuse, number)| (*excuse, u64::from(*number)))
            .collect()
    };
    Run {
        violation: world.violation().map(str::to_owned),
        figures: Figures {
            calls: world.calls,
            scalings: u64::from(world.oracle.scalings),
            left: u64::from(world.oracle.left),
            given_up: count(&world.oracle.given_up),
            ended: count(&world.oracle.ended),
            virtual_ms: world.now().since(began).ms(),
            events: world.events,
            most_events: world.events,
        },
        trace: world.take_trace(),
    }
}

fn go_on_until(world: &Mutex<World>, workers: &mut Workers, until: Timestamp) {
    while workers.turn(until) {
        let mut world = world.lock().expect("one thread");
        world.events += 1;
        if world.events > MOST_EVENTS {
            world.break_promise(format!("after {MOST_EVENTS} events it still goes on"));
        }
        if world.violation().is_some() {
            return;
        }
    }
}

/// Waits until everything is as it should be, and stays so.
fn settle(world: &Mutex<World>, workers: &mut Workers) {
    let from = world.lock().expect("one thread").now();
    let mut since = None;
    let mut now = from;
    while now.since(from) < SETTLE {
        now = now + Span::from_secs(5);
        go_on_until(world, workers, now);
        let mut world = world.lock().expect("one thread");
        if world.violation().is_some() {
            return;
        }
        let amiss = world.amiss(workers.holding());
        match (amiss, since) {
            (None, Some(at)) if now.since(at) >= STAY => return,
            (None, Some(_)) => {}
            (None, None) => since = Some(now),
            (Some(what), _) => {
                world.note(|| format!("not settled: {what}"));
                since = None;
            }
        }
    }
    let mut world = world.lock().expect("one thread");
    let what = world
        .amiss(workers.holding())
        .unwrap_or_else(|| "it does not stay".to_owned());
    world.break_promise(format!("not settled {SETTLE} after the last trouble: {what}"));
}

impl World {
    /// What is not as it should be once nothing goes wrong any more.
    fn amiss(&self, holding: usize) -> Option<String> {
        if self.desired.deleting.is_some() {
            return self.is_left();
        }
        if holding != 1 {
            return Some(format!("{holding} processes hold the lease"));
        }
        if self.epoch.is_none() {
            return Some("the registry is still recovering".to_owned());
        }
        let known: BTreeMap<RoomId, _> = self.all_known().into_iter().map(|r| (r.id.clone(), r)).collect();
        for (id, room) in &known {
            let Some(body) = self.ground.bodies.get(id) else {
                return Some(format!("{id} is known and does not exist: {room:?}"));
            };
            let is_up = body.is_running() && !body.is_deleting && body.is_exposed;
            let is_shown = matches!(room.phase, Phase::Running { .. }) && room.has_complete_address();
            if !is_up || !is_shown {
                return Some(format!(
                    "{id} does not run well: {:?}, {:?}",
                    body.life, room.phase
                ));
            }
            if (room.stage(), room.usage()) != (Stage::Running, Use::Idle) {
                return Some(format!("{id} is {:?}, {:?}", room.stage(), room.usage()));
            }
            if room.leaving.is_some() || self.is_on_node_that_is_left(room) {
                return Some(format!("{id} is on {:?}, which {:?}", room.node, room.leaving));
            }
            if room.version.major != self.desired.version.major || room.version != body.version {
                return Some(format!("{id} is of {}, made of {}", room.version, body.version));
            }
        }
        let orphan = self
            .ground
            .bodies
            .values()
            .find(|body: &&Body| !known.contains_key(&body.id));
        if let Some(orphan) = orphan {
            return Some(format!("{} exists and is not known", orphan.id));
        }
        let wanted = self.saved_wanted()?;
        let rooms = u32::try_from(known.len()).unwrap_or(u32::MAX);
        if rooms != wanted {
            return Some(format!("{rooms} rooms, {wanted} wanted"));
        }
        let (min, max) = self.oracle.bounds.get(&self.desired.version).copied()?;
        (!(min..=max).contains(&wanted)).then(|| format!("{wanted} rooms wanted, of {min} to {max}"))
    }

    fn is_left(&self) -> Option<String> {
        let bodies = self.ground.bodies.len();
        if bodies > 0 {
            return Some(format!("{bodies} rooms are left of a scheduler that is deleted"));
        }
        (!self.oracle.is_removed).then(|| "nobody said that the scheduler is gone".to_owned())
    }
}
