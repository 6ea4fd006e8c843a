//! The simulated cluster keeps the promises of every cluster, while nothing goes wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::FutureExt;
use maestro::cluster::Cluster;
use maestro::cluster::contract::{self, Behaviour, Harness};
use maestro::control::Desired;
use maestro_core::names::{SchedulerName, Version};
use maestro_core::scheduler::Scheduler;
use maestro_core::time::{Span, Timestamp};

use crate::cluster::Simulated;
use crate::plan::Plan;
use crate::world::{Event, Shared, World};

struct Bench {
    world: Shared,
    cluster: Simulated,
}

/// Moments until nothing more is to be expected.
const MOMENTS: u32 = 100;

#[async_trait]
impl Harness for Bench {
    fn cluster(&self) -> &dyn Cluster {
        &self.cluster
    }

    fn scheduler(&self, name: &str, behaviour: Behaviour) -> Scheduler {
        let program = match behaviour {
            Behaviour::Waits => vec!["waits".to_owned()],
            Behaviour::Stubborn => vec!["stubborn".to_owned()],
            Behaviour::Prints(lines) => ["prints".to_owned()].into_iter().chain(lines).collect(),
            Behaviour::Exits(code, line) => vec!["exits".to_owned(), code.to_string(), line],
            Behaviour::Works => vec!["works".to_owned()],
        };
        contract::scheduler(&named(name), program)
    }

    async fn moment(&self, so_far: u32) -> bool {
        let until = self.world.lock().expect("one thread").now() + Span::from_ms(50);
        loop {
            let event = self.world.lock().expect("one thread").next(until);
            match event {
                None => break,
                Some(Event::Wake(waker)) => waker.wake(),
                Some(Event::Do(happen)) => happen(&mut self.world.lock().expect("one thread")),
            }
        }
        so_far < MOMENTS
    }
}

fn named(name: &str) -> SchedulerName {
    SchedulerName::parse(name).expect("the suite's names are valid")
}

/// Runs the suite.
pub(crate) fn check() -> Result<(), String> {
    let desired = Desired {
        scheduler: contract::scheduler(&named("c-any"), Vec::new()),
        version: Version::FIRST,
        policies: BTreeMap::new(),
        deleting: None,
        scale_in_paused: None,
        last: None,
    };
    let world = World::new(Plan::calm(), Arc::new(desired), false);
    let world = Arc::new(Mutex::new(world));
    let cluster = Simulated {
        world: Arc::clone(&world),
        blind_until: Timestamp::default(),
    };
    let bench = Bench { world, cluster };
    let done = contract::all(&bench).now_or_never();
    let outcome = done.ok_or("the suite waits for something that never comes")?;
    outcome.map_err(|error| error.to_string())
}
