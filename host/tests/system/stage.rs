//! The scheduler that all phases are about, and what they all do with it.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::bed::{Bed, is_full};
use super::installation::{Installation, lease};
use super::running::{PATIENCE, Running, eventually};

/// The stage of all phases.
pub(crate) struct Stage {
    pub(crate) installation: Installation,
    /// The scheduler whose rooms play matches.
    pub(crate) arena: String,
    /// The scheduler whose rooms use cpu.
    pub(crate) cpu: String,
    /// The scheduler whose rooms use memory.
    pub(crate) memory: String,
}

/// Percentages in use above which rooms are added, and below which they are taken away.
const UP: usize = 70;
const DOWN: usize = 50;

/// Rooms that there are without any match.
const LEAST: usize = 20;

/// So many rooms as `matches` come to when they become more.
pub(crate) fn rooms_up(matches: usize) -> usize {
    (matches * 100 + UP / 2) / UP
}

/// So many rooms as `matches` come to when they become fewer.
pub(crate) fn rooms_down(matches: usize) -> usize {
    (matches * 100 / DOWN).max(LEAST)
}

/// How long something is away: long enough for everybody to notice, or as long as it may be in earnest.
pub(crate) fn outage() -> Duration {
    Duration::from_secs(if is_full() { 60 } else { 6 })
}

impl Stage {
    /// Creates the schedulers, and has the rooms of two of them work.
    pub(crate) fn set(installation: Installation) -> Self {
        let name = |what: &str| format!("{what}-{}", installation.bed.run);
        let this = Self {
            arena: name("arena"),
            cpu: name("cpu"),
            memory: name("memory"),
            installation,
        };
        this.installation.create(&arena(&this.arena));
        this.installation.create(&heavy(&this.cpu, "cpu"));
        this.installation.create(&heavy(&this.memory, "memory"));
        let world = &this.installation.world;
        world.use_up(&this.cpu, "90m", "10Mi");
        world.use_up(&this.memory, "10m", "58Mi");
        this.installation.settled(&this.arena, LEAST);
        this
    }

    /// A line about what was done since `begun`.
    pub(crate) fn tell(&self, what: &str, begun: Instant) {
        let rooms = self.installation.world.standing(&self.arena).len();
        let (answered, failed, refusals) = self.installation.world.figures.read();
        let refused: Vec<String> = refusals
            .iter()
            .map(|(status, (times, _))| format!("{times} × {status}"))
            .collect();
        println!(
            "{what:60} {:6.1} s  {rooms} rooms, {answered} pings, {failed} failed {}",
            begun.elapsed().as_secs_f64(),
            refused.join(" ")
        );
    }

    /// How many rooms there are.
    pub(crate) fn count(&self) -> usize {
        self.installation.world.standing(&self.arena).len()
    }

    /// Sets how many matches there shall be.
    pub(crate) fn demand(&self, matches: usize) {
        self.installation.world.demand(&self.arena, matches);
    }

    /// Plays more matches than before, and waits for the rooms that they need.
    pub(crate) fn rise(&self, matches: usize) {
        self.demand(matches);
        self.installation.settled(&self.arena, rooms_up(matches));
    }

    /// Plays fewer matches than before, and waits until no more rooms are left than those need.
    pub(crate) fn fall(&self, matches: usize) {
        self.demand(matches);
        self.installation.settled(&self.arena, rooms_down(matches));
    }

    /// Has at least the rooms for so many matches.
    pub(crate) fn at_least(&self, matches: usize) {
        if self.count() < rooms_up(matches) {
            self.rise(matches);
        }
    }

    /// Waits until there are more than `low` rooms and fewer than `high`: then it is in the middle of something.
    pub(crate) fn midway(&self, low: usize, high: usize) {
        eventually("it is in the middle of scaling", PATIENCE, || {
            let count = self.count();
            (low < count && count < high).then_some(())
        });
    }

    /// Kills the worker that acts for the arena; another one takes over within a lease.
    pub(crate) fn kill_acting(&mut self) {
        let mut worker = self.take_acting();
        let process = worker.child.id();
        worker.signal(Signal::KILL);
        self.installation.kills += 1;
        let took = self.installation.taken_over(&self.arena, process, Instant::now());
        println!(
            "  taken over {:.2} s after kill -9, of a lease of {:?}",
            took.as_secs_f64(),
            lease()
        );
        // What is left of the lease, and one try to have it.
        assert!(took <= lease() + Duration::from_secs(1), "{took:?}");
        self.installation.bury(&worker);
    }

    /// Takes the worker that acts for the arena out of those that work.
    pub(crate) fn take_acting(&mut self) -> Running {
        let acting = self.installation.acting(&self.arena);
        self.installation.take(acting)
    }

    /// Ends everything.
    pub(crate) fn end(self) -> Bed {
        self.installation.end()
    }
}

fn arena(name: &str) -> String {
    format!(
        "
name: {name}
game: system
image: any/room:1
ports: [{{name: game, containerPort: 5050, protocol: UDP}}]
requests: {{cpu: 100m, memory: 64Mi}}
shutdownTimeout: 5
initializationTimeout: 30
pingTimeout: 8
allocationTimeout: 5
drainingTimeout: 20
lostTimeout: 300
autoscaling:
  min: {LEAST}
  max: 150
  up:
    cooldown: 1
    metricsTrigger: [{{type: room, usage: {UP}, threshold: 50, time: 4}}]
  down:
    cooldown: 1
    metricsTrigger: [{{type: room, usage: {DOWN}, threshold: 50, time: 4}}]
"
    )
}

fn heavy(name: &str, kind: &str) -> String {
    format!(
        "
name: {name}
game: system
image: any/room:1
ports: [{{name: game, containerPort: 5050, protocol: UDP}}]
requests: {{cpu: 100m, memory: 64Mi}}
shutdownTimeout: 5
autoscaling:
  min: 2
  max: 6
  up:
    cooldown: 1
    metricsTrigger: [{{type: {kind}, usage: 70, threshold: 50, time: 30}}]
  down:
    cooldown: 1
    metricsTrigger: [{{type: {kind}, usage: 30, threshold: 50, time: 30}}]
"
    )
}
