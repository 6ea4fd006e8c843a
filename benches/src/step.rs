//! A step of the control loop over many rooms: when nothing changed, and when one in a hundred did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use futures::FutureExt;
use maestro::cluster::{self, Cluster, Object, Order, Usage};
use maestro::control::{Control, Deps, Desired, Drained, Settings};
use maestro::registry::{Call, Memory, Registry, State};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::report::{Report, Reported};
use maestro_core::room::{Address, OpenPort, Phase};
use maestro_core::scheduler::{Protocol, Scheduler};
use maestro_core::time::{Span, Timestamp};
use maestro_engine::Evaluator;
use tokio::sync::Notify;

use crate::measure::{Times, thread_cpu};

const START_MS: i64 = 1_800_000_000_000;
const STEPS: usize = 50;

const SCHEDULER: &str = "name: pong\ngame: pong\nimage: pong:1\nautoscaling:\n  min: 1\n  up: {trigger: {usage: 90, time: 600, threshold: 80}}\n";

/// A cluster in which every room runs and nothing ever happens.
struct Field(BTreeSet<RoomId>);

#[async_trait]
impl Cluster for Field {
    async fn list(&self, _: &SchedulerName) -> Result<Vec<Object>, cluster::Error> {
        Ok(self.0.iter().map(object).collect())
    }

    async fn create(&self, _: &Scheduler, _: &Order) -> Result<(), cluster::Error> {
        Ok(())
    }

    async fn expose(&self, _: &Scheduler, _: &RoomId) -> Result<(), cluster::Error> {
        Ok(())
    }

    async fn delete(&self, _: &SchedulerName, _: &RoomId, _: &str, _: Span) -> Result<(), cluster::Error> {
        Ok(())
    }

    async fn usage(&self, _: &SchedulerName) -> Result<Vec<Usage>, cluster::Error> {
        Ok(Vec::new())
    }

    async fn logs(&self, _: &SchedulerName, _: &RoomId, _: usize, _: bool) -> Result<String, cluster::Error> {
        Ok(String::new())
    }

    async fn remove(&self, _: &SchedulerName) -> Result<(), cluster::Error> {
        Ok(())
    }

    fn nudges(&self, _: &SchedulerName) -> Arc<Notify> {
        Arc::default()
    }

    fn nodes(&self) -> Arc<cluster::Nodes> {
        Arc::default()
    }
}

fn object(room: &RoomId) -> Object {
    Object {
        room: room.clone(),
        uid: room.to_string(),
        version: Version::FIRST,
        phase: Phase::Running {
            since: Timestamp::from_ms(START_MS),
        },
        deleting: false,
        node: Some("field".to_owned()),
        addresses: vec![Address {
            kind: "InternalIP".to_owned(),
            family: "IPv4".to_owned(),
            host: "127.0.0.1".to_owned(),
        }],
        ports: vec![OpenPort {
            name: "game".to_owned(),
            protocol: Protocol::Tcp,
            port: 7_000,
        }],
        exposed: true,
    }
}

/// A loop over so many rooms that are all ready.
struct Fleet {
    time: Arc<AtomicI64>,
    registry: Arc<Memory>,
    control: Control,
    name: SchedulerName,
    rooms: Vec<RoomId>,
}

/// Nothing here ever waits.
fn now<T>(future: impl Future<Output = T>) -> Result<T> {
    future.now_or_never().context("something waits")
}

impl Fleet {
    fn new(number: u32) -> Result<Self> {
        let documents =
            maestro_wire::document::read(SCHEDULER).map_err(|found| anyhow::anyhow!("{found}"))?;
        let scheduler = documents.into_iter().next().context("no document")?.scheduler;
        let name = scheduler.name.clone();
        let time = Arc::new(AtomicI64::new(START_MS));
        let clock: maestro::control::Clock = {
            let time = Arc::clone(&time);
            Arc::new(move || Timestamp::from_ms(time.load(Ordering::Relaxed)))
        };
        let most = usize::try_from(number)?;
        let registry = Arc::new(Memory::with_most_rooms(Arc::clone(&clock), most));
        let rooms: Vec<RoomId> = (0..number).map(|room| RoomId::new(&name, room)).collect();
        let names: Vec<(RoomId, Version)> = rooms.iter().map(|id| (id.clone(), Version::FIRST)).collect();
        now(registry.beat())??;
        let fence = now(registry.acquire(&name, "bench", Span::from_secs(15)))??;
        let fence = fence.context("nobody else holds the lease")?;
        now(registry.set_epoch(&fence, Some(clock())))??;
        now(registry.reserve(&fence, &names, number))??;
        let wanted = State {
            wanted: number,
            ..State::default()
        };
        now(registry.save(&fence, &wanted))??;
        let deps = Deps {
            registry: Arc::<Memory>::clone(&registry),
            cluster: Arc::new(Field(rooms.iter().cloned().collect())),
            evaluator: Evaluator::inline(),
            holder: "bench".to_owned(),
            seed: 1,
            token: Arc::new(|_, room| room.to_string()),
            clock,
            drained: Drained::default(),
            settings: Settings {
                cap: number,
                ..Settings::default()
            },
        };
        let desired = Desired {
            scheduler,
            version: Version::FIRST,
            policies: BTreeMap::new(),
            deleting: None,
            scale_in_paused: None,
            last: None,
        };
        let control = Control::new(deps, Arc::new(desired));
        let mut fleet = Self {
            time,
            registry,
            control,
            name,
            rooms,
        };
        fleet.settle()?;
        Ok(fleet)
    }

    /// All rooms are seen to run, and are ready.
    fn settle(&mut self) -> Result<()> {
        self.step(100)?;
        for room in 0..self.rooms.len() {
            self.report(room, Reported::Ready)?;
        }
        for _ in 0..20 {
            self.step(100)?;
        }
        Ok(())
    }

    /// CPU time of a step after so many milliseconds.
    fn step(&mut self, ms: i64) -> Result<std::time::Duration> {
        let at = Timestamp::from_ms(self.time.fetch_add(ms, Ordering::Relaxed) + ms);
        now(self.registry.beat())??;
        let began = thread_cpu();
        let report = now(self.control.step(at))?;
        let took = thread_cpu() - began;
        match report.errors.first() {
            Some(error) => bail!("{error}"),
            None => Ok(took),
        }
    }

    fn report(&self, room: usize, status: Reported) -> Result<()> {
        let call = Call::Report {
            report: Report {
                status,
                sent_at: Timestamp::from_ms(self.time.load(Ordering::Relaxed)),
                metadata: None,
                running_matches: None,
                capacity: None,
            },
            authentic: true,
            version: Version::FIRST,
        };
        now(self.registry.report(&self.name, &self.rooms[room], call))??;
        Ok(())
    }
}

fn figures(number: u32) -> Result<()> {
    let mut fleet = Fleet::new(number)?;
    let mut quiet = Vec::new();
    for _ in 0..STEPS {
        quiet.push(fleet.step(100)?);
    }
    let mut busy = Vec::new();
    for step in 0..STEPS {
        let status = if step % 2 == 0 {
            Reported::Occupied
        } else {
            Reported::Ready
        };
        for room in (0..fleet.rooms.len()).step_by(100) {
            fleet.report(room, status)?;
        }
        busy.push(fleet.step(100)?);
    }
    let (quiet, busy) = (Times::new(quiet), Times::new(busy));
    println!(
        "  {number} rooms, CPU of a step: nothing changed {:.3} ms (worst {:.3}), 1 % changed {:.3} ms (worst {:.3})",
        quiet.ms(50),
        quiet.ms(100),
        busy.ms(50),
        busy.ms(100)
    );
    Ok(())
}

pub(crate) fn run() -> Result<()> {
    [1_000, 10_000, 100_000].into_iter().try_for_each(figures)
}
