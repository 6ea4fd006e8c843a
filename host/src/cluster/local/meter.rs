//! The thread that measures what rooms use and reads and rotates their output.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use maestro_core::names::RoomId;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::sync::oneshot::Sender;

use super::{Error, Shared, Usage, now, output, record, unavailable};

/// What the meter is asked to do between its measurements.
pub(super) enum Task {
    Tail {
        room: RoomId,
        folder: PathBuf,
        lines: usize,
        previous: bool,
        reply: Sender<Result<String, Error>>,
    },
    Stop,
}

pub(super) struct Meter {
    shared: Arc<Shared>,
    tasks: Receiver<Task>,
    system: System,
    /// The measurement before, by room. A room without one has no usage yet: an interval needs two ends.
    before: BTreeMap<RoomId, Reading>,
}

/// Processor time of each process of a room, at one time.
struct Reading {
    at: Instant,
    /// The room's first process; another one under the same name starts anew.
    root: u32,
    cpu_ms: HashMap<Pid, u64>,
    memory_bytes: u64,
}

impl Meter {
    pub(super) fn new(shared: Arc<Shared>, tasks: Receiver<Task>) -> io::Result<Self> {
        let system = System::new().map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self {
            shared,
            tasks,
            system,
            before: BTreeMap::new(),
        })
    }

    /// Works until told to stop.
    pub(super) fn run(mut self) {
        let mut next = Instant::now();
        loop {
            match self
                .tasks
                .recv_timeout(next.saturating_duration_since(Instant::now()))
            {
                Ok(Task::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Task::Tail {
                    room,
                    folder,
                    lines,
                    previous,
                    reply,
                }) => {
                    // A caller that stopped waiting has no use for the answer.
                    drop(reply.send(tail(&room, &folder, lines, previous)));
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.measure();
                    self.rotate();
                    next = Instant::now() + self.shared.config.measure_every;
                }
            }
        }
    }

    fn measure(&mut self) {
        let roots: BTreeMap<u32, RoomId> = (self.shared.rooms().iter())
            .filter(|(_, entry)| entry.is_running())
            .map(|(room, entry)| (entry.process.pid(), room.clone()))
            .collect();
        if roots.is_empty() {
            self.before.clear();
            return;
        }
        let readings = self.read(&roots);
        let at = now();
        let mut rooms = self.shared.rooms();
        for (room, reading) in &readings {
            let before = self.before.get(room).filter(|before| before.root == reading.root);
            // It may have been deleted, and even created again, while we measured.
            let entry = rooms
                .get_mut(room)
                .filter(|entry| entry.process.pid() == reading.root && entry.is_running());
            if let (Some(entry), Some(before)) = (entry, before) {
                entry.usage = Some(Usage {
                    room: room.clone(),
                    at,
                    cpu_milli: reading.cpu_milli_since(before),
                    memory_bytes: reading.memory_bytes as f64,
                });
            }
        }
        drop(rooms);
        self.before = readings;
    }

    /// Adds up each room's tree of processes.
    fn read(&mut self, roots: &BTreeMap<u32, RoomId>) -> BTreeMap<RoomId, Reading> {
        let what = ProcessRefreshKind::nothing()
            .with_cpu()
            .with_memory()
            .without_tasks();
        self.system
            .refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        let at = Instant::now();
        let mut readings = BTreeMap::new();
        for (pid, process) in self.system.processes() {
            let Some((root, room)) = self.root(*pid, roots) else {
                continue;
            };
            let reading = readings.entry(room.clone()).or_insert_with(|| Reading {
                at,
                root,
                cpu_ms: HashMap::new(),
                memory_bytes: 0,
            });
            reading.cpu_ms.insert(*pid, process.accumulated_cpu_time());
            reading.memory_bytes = reading.memory_bytes.saturating_add(process.memory());
        }
        readings
    }

    /// The room that a process belongs to: that of its session, else of its nearest ancestor.
    fn root<'a>(&self, pid: Pid, roots: &'a BTreeMap<u32, RoomId>) -> Option<(u32, &'a RoomId)> {
        let session = self.system.process(pid)?.session_id().map_or(0, Pid::as_u32);
        let known = |pid: u32| roots.get(&pid).map(|room| (pid, room));
        // Deeper trees than this are no game servers, and a loop must end.
        const DEPTH: usize = 32;
        let ancestors =
            std::iter::successors(Some(pid), |pid| self.system.process(*pid)?.parent()).take(DEPTH);
        known(session).or_else(|| ancestors.map(Pid::as_u32).find_map(known))
    }

    fn rotate(&self) {
        let config = &self.shared.config;
        let folders: Vec<PathBuf> = (self.shared.rooms().values())
            .map(|entry| record::folder(&config.folder, &entry.record.scheduler, &entry.record.room))
            .collect();
        for folder in folders {
            if let Err(error) = output::rotate(&folder, config.log_bytes) {
                tracing::warn!(folder = %folder.display(), %error, "a room's output could not be rotated");
            }
        }
    }
}

impl Reading {
    /// Thousandths of a core between two readings. A process that began in between counts whole; the last
    /// moments of one that ended are not seen.
    fn cpu_milli_since(&self, before: &Reading) -> f64 {
        let used_ms: u64 = (self.cpu_ms.iter())
            .map(|(pid, ms)| ms.saturating_sub(before.cpu_ms.get(pid).copied().unwrap_or(0)))
            .sum();
        let interval_ms = self.at.duration_since(before.at).as_secs_f64() * 1_000.0;
        used_ms as f64 * 1_000.0 / interval_ms.max(1.0)
    }
}

fn tail(room: &RoomId, folder: &std::path::Path, lines: usize, previous: bool) -> Result<String, Error> {
    if !folder.exists() {
        return Err(Error::UnknownRoom(room.clone()));
    }
    let file = if previous {
        output::previous(folder)
    } else {
        output::current(folder)
    };
    output::tail(&file, lines).map_err(unavailable)
}
