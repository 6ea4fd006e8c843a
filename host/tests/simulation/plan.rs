//! What a seed is about: the scheduler, its processes, and which faults how often.
//!
//! Each fault is in some seeds and missing in others, so that one can't hide another.

use std::collections::BTreeMap;
use std::sync::Arc;

use maestro::cluster::contract;
use maestro::control::{Desired, Settings};
use maestro_core::names::{PolicyName, SchedulerName, Version};
use maestro_core::scheduler::{Deadlines, Direction, Mode, PolicyRef, Scheduler, Trigger};
use maestro_core::time::Span;
use maestro_engine::Policy;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::calls::Odds;
use crate::nodes::{Fate, NODES};
use crate::registry::Broken;

/// How often rooms misbehave, in thousandths of rooms.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rooms {
    pub rude: u32,
    pub stubborn: u32,
    pub mute: u32,
    pub loose_clocks: u32,
    pub crashing: u32,
    pub slow_starts: u32,
    pub tokenless: u32,
}

/// How often rooms' requests go wrong, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pings {
    pub lost: u32,
    pub late: u32,
    pub unanswered: u32,
    pub occupied_lost: u32,
}

/// How often processes go wrong, in thousandths of the calls that they wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Processes {
    /// The step is dropped, the process lives.
    pub dropped: u32,
    /// The process dies.
    pub killed: u32,
    /// The process stands still for a while.
    pub paused: u32,
}

/// Single events of a seed's troubled time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The registry loses everything; the cluster answers nobody for a while, so that rooms are adopted late.
    Loss { late_ms: u64 },
    /// No request of any room arrives.
    Silence { ms: u64 },
    /// No API is there.
    Away { ms: u64 },
    /// The cluster answers nobody.
    Cluster { ms: u64 },
    /// A new version; a major one replaces rooms.
    Change { major: bool },
    /// A number is asked for by hand.
    Scale { to: u32 },
    /// The scheduler is deleted.
    Delete { force: bool },
    /// Something happens to a node, for so long.
    Node { node: u32, fate: Fate, ms: u64 },
}

/// Everything about one seed that is decided before it begins.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub seed: u64,
    pub broken: Option<Broken>,
    pub workers: usize,
    /// How far each process's clock is off.
    pub skews: Vec<i64>,
    pub cap: usize,
    pub deletion: Span,
    pub is_exposed_apart: bool,
    /// Rooms start at once and say nothing, as the cluster's contract wants them.
    pub is_at_once: bool,
    pub registry_calls: Odds,
    pub cluster_calls: Odds,
    /// How often a list is older than its call. The port forbids it, so that nothing but the first promise and the
    /// settling in the end can be asked of such a seed.
    pub stale_lists: u32,
    pub processes: Processes,
    pub pings: Pings,
    pub rooms: Rooms,
    pub ping_ms: u64,
    /// How long matches are; how far apart begin those of players who come by themselves, and those that are asked
    /// for.
    pub match_ms: (u64, u64),
    pub walk_in_ms: u64,
    pub allocate_ms: u64,
    /// Of 1,000 acts that are about to be done to a room, how many meet a match that begins just then.
    pub temptation: u32,
    /// How long faults happen, and the single ones of that time.
    pub trouble_ms: u64,
    pub troubles: Vec<(u64, Trouble)>,
}

impl Plan {
    /// A world in which nothing goes wrong and rooms are as the cluster's contract wants them.
    pub(crate) fn calm() -> Self {
        Self {
            seed: 0,
            broken: None,
            workers: 0,
            skews: Vec::new(),
            cap: 1_000,
            deletion: Span::from_secs(3_600),
            is_exposed_apart: false,
            is_at_once: true,
            registry_calls: Odds::default(),
            cluster_calls: Odds::default(),
            stale_lists: 0,
            processes: Processes::default(),
            pings: Pings::default(),
            rooms: Rooms::default(),
            ping_ms: 5_000,
            match_ms: (0, 0),
            walk_in_ms: 0,
            allocate_ms: 0,
            temptation: 0,
            trouble_ms: 0,
            troubles: Vec::new(),
        }
    }

    /// What this seed is about, and the scheduler that it is about.
    pub(crate) fn of(seed: u64, broken: Option<Broken>, policy: Option<&Policy>) -> (Self, Desired) {
        let mut dice = Dice(StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let desired = dice.desired(policy);
        let workers = 2 + dice.to(2) as usize;
        let trouble_ms = dice.between(90_000, 240_000);
        let mut plan = Self {
            seed,
            broken,
            workers,
            skews: (0..workers)
                .map(|_| dice.between(0, 60_000) as i64 - 30_000)
                .collect(),
            cap: dice.between(8, 20) as usize,
            deletion: Span::from_secs(dice.between(60, 600)),
            is_exposed_apart: dice.is(300),
            is_at_once: false,
            registry_calls: dice.odds(),
            cluster_calls: dice.odds(),
            stale_lists: if dice.is(300) { dice.sometimes(200) } else { 0 },
            processes: Processes {
                dropped: dice.sometimes(30),
                killed: dice.sometimes(30),
                paused: dice.sometimes(15),
            },
            pings: Pings {
                lost: dice.sometimes(300),
                late: dice.sometimes(200),
                unanswered: dice.sometimes(300),
                occupied_lost: dice.sometimes(900),
            },
            rooms: Rooms {
                rude: dice.sometimes(500),
                stubborn: dice.sometimes(300),
                mute: dice.sometimes(100),
                loose_clocks: dice.sometimes(400),
                crashing: dice.sometimes(400),
                slow_starts: dice.sometimes(300),
                tokenless: dice.sometimes(1_000),
            },
            ping_ms: dice.between(4_000, 10_000),
            match_ms: (1_000, dice.between(5_000, 90_000)),
            walk_in_ms: dice.between(1_000, 15_000),
            allocate_ms: dice.between(2_000, 20_000),
            temptation: dice.sometimes(500),
            trouble_ms,
            troubles: Vec::new(),
        };
        plan.troubles = dice.troubles(&desired, &mut plan.trouble_ms);
        (plan, desired)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            cap: u32::try_from(self.cap).unwrap_or(u32::MAX),
            deletion: self.deletion,
            ..Settings::default()
        }
    }
}

struct Dice(StdRng);

impl Dice {
    fn is(&mut self, per_mille: u32) -> bool {
        self.0.random_ratio(per_mille, 1_000)
    }

    fn to(&mut self, high: u64) -> u64 {
        self.between(0, high)
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high)
    }

    /// Nothing in most seeds, else up to so many.
    fn sometimes(&mut self, most: u32) -> u32 {
        match self.is(350) {
            true => self.0.random_range(1..=most),
            false => 0,
        }
    }

    fn odds(&mut self) -> Odds {
        Odds {
            lost: self.sometimes(80),
            silent: self.sometimes(80),
            late: self.sometimes(60),
            slow: self.sometimes(60),
            latent: self.between(50, 900) as u32,
        }
    }

    fn desired(&mut self, policy: Option<&Policy>) -> Desired {
        let name = SchedulerName::parse("game").expect("a valid name");
        let mut scheduler: Scheduler = contract::scheduler(&name, vec!["play".to_owned()]);
        scheduler.deadlines = Deadlines {
            initialization: Span::from_secs(40),
            ping: Span::from_secs(30),
            occupied: self.is(400).then(|| Span::from_secs(60)),
            allocation: Span::from_secs(self.between(10, 60)),
            draining: Span::from_secs(30),
            lost: Span::from_secs(self.between(200, 900)),
        };
        scheduler.template.shutdown = Span::from_secs(self.between(2, 20));
        let autoscaling = &mut scheduler.autoscaling;
        autoscaling.min = self.to(6) as u32;
        autoscaling.max = self.is(500).then(|| autoscaling.min + 6);
        autoscaling.up_cooldown = Span::from_secs(self.between(1, 20));
        autoscaling.down_cooldown = Span::from_secs(self.between(1, 20));
        let mut policies = BTreeMap::new();
        if let Some(policy) = policy.filter(|_| self.is(250)) {
            autoscaling.triggers.push(trigger());
            policies.insert(trigger().id, Ok(policy.clone()));
        }
        Desired {
            scheduler,
            version: Version::FIRST,
            policies,
            deleting: None,
            scale_in_paused: None,
            last: None,
        }
    }

    fn troubles(&mut self, desired: &Desired, trouble_ms: &mut u64) -> Vec<(u64, Trouble)> {
        let mut troubles = Vec::new();
        if self.is(100) {
            *trouble_ms += 660_000;
            troubles.push((self.between(20_000, 60_000), Trouble::Silence { ms: 600_000 }));
        }
        let end = *trouble_ms;
        let mut some = |dice: &mut Self, per_mille: u32, make: &dyn Fn(&mut Self) -> Trouble| {
            while dice.is(per_mille) {
                let at = dice.between(5_000, end);
                let trouble = make(dice);
                troubles.push((at, trouble));
            }
        };
        some(self, 250, &|dice| Trouble::Loss {
            late_ms: if dice.is(500) { dice.between(0, 60_000) } else { 0 },
        });
        some(self, 150, &|dice| Trouble::Silence {
            ms: dice.between(10_000, 90_000),
        });
        some(self, 150, &|dice| Trouble::Away {
            ms: dice.between(5_000, 90_000),
        });
        some(self, 150, &|dice| Trouble::Cluster {
            ms: dice.between(5_000, 60_000),
        });
        some(self, 400, &|dice| Trouble::Change { major: dice.is(500) });
        let least = u64::from(desired.scheduler.autoscaling.min);
        some(self, 700, &|dice| Trouble::Scale {
            to: dice.between(0, least + 8) as u32,
        });
        let is_restless = self.is(400);
        let per_mille = if is_restless { 700 } else { 0 };
        let fates = [Fate::Cordoned, Fate::Replaced, Fate::Drained, Fate::Lost];
        while self.is(per_mille) {
            let trouble = Trouble::Node {
                node: self.to(u64::from(NODES) - 1) as u32,
                fate: fates[self.to(3) as usize],
                // Some of them beyond the end of all troubles.
                ms: self.between(5_000, 150_000),
            };
            troubles.push((self.between(5_000, end), trouble));
        }
        if self.is(70) {
            let force = self.is(300);
            troubles.push((self.between(end / 2, end), Trouble::Delete { force }));
        }
        troubles.sort_by_key(|(at, _)| *at);
        troubles
    }
}

/// The built-in policy `room`, both ways, over a short window.
fn trigger() -> Trigger {
    Trigger {
        id: "policies[0]".to_owned(),
        direction: Direction::Both,
        policy: PolicyRef {
            name: PolicyName::parse("room").expect("a valid name"),
            version: None,
        },
        parameters: r#"{"usage": 50, "threshold": 60, "time": 20}"#.to_owned(),
        window: Span::from_secs(20),
        mode: Mode::Active,
    }
}

/// The same scheduler under a new version.
pub(crate) fn changed(desired: &Desired, major: bool, min: u32) -> Arc<Desired> {
    let mut next = desired.clone();
    next.version = match major {
        true => desired.version.next_major(),
        false => desired.version.next_minor(),
    };
    let autoscaling = &mut next.scheduler.autoscaling;
    autoscaling.min = min;
    autoscaling.max = autoscaling.max.map(|_| min + 6);
    Arc::new(next)
}
