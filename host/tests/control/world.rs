//! An installation of one scheduler whose time passes only when a test says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::FutureExt;
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::report::{Report, Reported};
use maestro_core::room::{Room, Stage, Use};
use maestro_core::scheduler::{
    Autoscaling, Container, Deadlines, ImagePull, Network, Resources, RoomTemplate, Scheduler, Security,
};
use maestro_core::time::{Span, Timestamp};
use maestro_engine::Evaluator;

use maestro::cluster::Cluster;
use maestro::control::{Clock, Control, Deps, Desired, Drained, Outcome, Record, Settings, StepReport};
use maestro::registry::{Call, Memory, Registry, Standing};

use crate::yard::Yard;

/// An installation of one scheduler.
pub(crate) struct World {
    pub(crate) time: Arc<AtomicI64>,
    pub(crate) registry: Arc<Memory>,
    pub(crate) yard: Arc<Yard>,
    pub(crate) control: Control,
    pub(crate) desired: Desired,
    pub(crate) drained: Drained,
    /// The newest records told, oldest first.
    pub(crate) records: Vec<Record>,
    pub(crate) outcomes: Vec<Outcome>,
}

pub(crate) const START_MS: i64 = 1_800_000_000_000;

pub(crate) fn name() -> SchedulerName {
    SchedulerName::parse("pong").unwrap()
}

pub(crate) fn desired(min: u32, max: u32) -> Desired {
    let container = Container {
        name: "game".to_owned(),
        image: "pong:1".to_owned(),
        pull: ImagePull::IfNotPresent,
        ports: Vec::new(),
        requests: Resources {
            cpu_milli: Some(100),
            memory_bytes: None,
        },
        limits: Resources::default(),
        env: Vec::new(),
        cmd: Vec::new(),
    };
    Desired {
        scheduler: Scheduler {
            name: name(),
            game: "pong".to_owned(),
            template: RoomTemplate {
                containers: vec![container],
                affinity: None,
                toleration: None,
                port_range: None,
                shutdown: Span::from_secs(10),
                network: Network::default(),
                security: Security::default(),
                pod_template: None,
            },
            deadlines: Deadlines::default(),
            autoscaling: Autoscaling {
                min,
                max: Some(max),
                up_cooldown: Span::ZERO,
                down_cooldown: Span::ZERO,
                triggers: Vec::new(),
            },
            forwarders: Vec::new(),
            authorized_users: Vec::new(),
            hold_creation_on_error: true,
        },
        version: Version::FIRST,
        policies: BTreeMap::new(),
        deleting: None,
        scale_in_paused: None,
        last: None,
    }
}

/// What decisions in the store come to that wanted so many rooms and never scaled.
pub(crate) fn standing(wanted: u32) -> Standing {
    Standing {
        wanted,
        scaled_at: None,
    }
}

impl World {
    pub(crate) fn new(desired: Desired) -> Self {
        let time = Arc::new(AtomicI64::new(START_MS));
        let clock = clock(&time);
        let registry = Arc::new(Memory::new(Arc::clone(&clock)));
        let yard = Arc::new(Yard::new(clock));
        let drained = Drained::default();
        let mut world = Self {
            control: control(&time, &registry, &yard, ("first", &drained), &desired),
            drained,
            time,
            registry,
            yard,
            desired,
            records: Vec::new(),
            outcomes: Vec::new(),
        };
        world.beat();
        world
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.time.load(Ordering::Relaxed))
    }

    /// Lets time pass, witnessed by an API.
    pub(crate) fn pass(&mut self, span: Span) {
        let end = self.now() + span;
        while self.now() < end {
            let next = end.min(self.now() + Span::from_secs(1));
            self.time.store(next.ms(), Ordering::Relaxed);
            self.beat();
        }
    }

    pub(crate) fn beat(&mut self) {
        run(self.registry.beat()).unwrap();
    }

    pub(crate) fn step(&mut self) -> StepReport {
        let mut report = run(self.control.step(self.now()));
        self.records.append(&mut report.records);
        self.outcomes.append(&mut report.outcomes);
        report
    }

    /// Steps until the scheduler is removed, which takes no more than twenty seconds.
    pub(crate) fn go(&mut self) {
        let end = self.now() + Span::from_secs(20);
        while !self.step().removed {
            assert!(self.now() < end, "it is still there");
            self.pass(Span::from_ms(500));
        }
    }

    /// Steps when due until nothing is due within `span`.
    pub(crate) fn settle(&mut self, span: Span) {
        let end = self.now() + span;
        loop {
            let report = self.step();
            assert!(report.next_at > self.now(), "a loop that is always due spins");
            if report.next_at > end {
                break;
            }
            let wait = report.next_at.since(self.now());
            self.pass(wait);
        }
        let rest = end.since(self.now());
        self.pass(rest);
    }

    /// Steps for this long, with all rooms that run reporting what they last did.
    pub(crate) fn live(&mut self, secs: u64) {
        for _ in 0..secs {
            for room in self.rooms() {
                if matches!(room.stage(), Stage::Starting) || room.reports.last.is_some() {
                    let status = room.reports.status().unwrap_or(Reported::Ready);
                    self.report(&room.id, status);
                }
            }
            self.settle(Span::from_secs(1));
        }
    }

    pub(crate) fn report(&mut self, room: &RoomId, status: Reported) {
        let call = Call::Report {
            report: Report {
                status,
                sent_at: self.now(),
                metadata: None,
                running_matches: None,
                capacity: None,
            },
            authentic: true,
            version: self.desired.version,
        };
        // A room that was removed meanwhile is told so, and ends.
        drop(run(self.registry.report(&name(), room, call)));
    }

    pub(crate) fn rooms(&self) -> Vec<Room> {
        run(self.registry.rooms(&name())).unwrap()
    }

    pub(crate) fn count(&self, is: impl Fn(&Room) -> bool) -> usize {
        self.rooms().iter().filter(|room| is(room)).count()
    }

    pub(crate) fn set(&mut self, change: impl FnOnce(&mut Desired)) {
        change(&mut self.desired);
        self.control.set_desired(Arc::new(self.desired.clone()));
    }

    /// Another process's loop over the same world.
    pub(crate) fn rival(&self, holder: &str) -> Control {
        let with = (holder, &self.drained);
        control(&self.time, &self.registry, &self.yard, with, &self.desired)
    }
}

pub(crate) fn clock(time: &Arc<AtomicI64>) -> Clock {
    let time = Arc::clone(time);
    Arc::new(move || Timestamp::from_ms(time.load(Ordering::Relaxed)))
}

pub(crate) fn control(
    time: &Arc<AtomicI64>,
    registry: &Arc<Memory>,
    yard: &Arc<Yard>,
    (holder, drained): (&str, &Drained),
    desired: &Desired,
) -> Control {
    let deps = Deps {
        registry: Arc::clone(registry) as Arc<dyn Registry>,
        cluster: Arc::clone(yard) as Arc<dyn Cluster>,
        evaluator: Evaluator::inline(),
        holder: holder.to_owned(),
        seed: holder.len() as u64,
        token: Arc::new(|_, room| format!("token of {room}")),
        clock: clock(time),
        drained: drained.clone(),
        settings: Settings::default(),
    };
    Control::new(deps, Arc::new(desired.clone()))
}

/// Nothing in these worlds ever waits: time passes only when a test says so.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing here waits")
}

pub(crate) fn is_ready(room: &Room) -> bool {
    room.stage() == Stage::Running && room.usage() == Use::Idle
}
