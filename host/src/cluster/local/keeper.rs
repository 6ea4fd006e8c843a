//! The one thread that starts, reaps and ends rooms' processes, and the only writer of their folder.

use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::room::OpenPort;
use maestro_core::scheduler::Scheduler;
use maestro_core::time::Span;
use tokio::sync::oneshot::Sender;

use super::entry::Pulse;
use super::failure::Last;
use super::handle::{Ask, End, Kin, Process};
use super::launch::{self, Fate};
use super::port::Ports;
use super::process::{self, Blueprint, Tenant};
use super::record::{self, Found, Record};
use super::{Ending, Entry, Error, Life, Order, Shared, now, output, shortage, unavailable};

/// How often ends are looked for. A look is one system call per room.
const LOOK: Duration = Duration::from_millis(100);

/// How long rooms that were killed may take to disappear when the cluster is dropped.
const LAST_WAIT: Duration = Duration::from_secs(2);

type Reply<T> = Sender<Result<T, Error>>;

/// What the keeper is asked to do.
pub(super) enum Task {
    Create {
        scheduler: Box<Scheduler>,
        order: Order,
        reply: Reply<()>,
    },
    Delete {
        scheduler: SchedulerName,
        room: RoomId,
        uid: String,
        grace: Span,
        reply: Reply<()>,
    },
    Remove {
        scheduler: SchedulerName,
        reply: Reply<()>,
    },
    Crash {
        room: RoomId,
        reply: Reply<()>,
    },
    End {
        ending: Ending,
        reply: Sender<()>,
    },
    Stop,
}

pub(super) struct Keeper {
    shared: Arc<Shared>,
    tasks: Receiver<Task>,
    ports: Ports,
    /// Whoever waits for the end of all rooms; from the first one on no room is created.
    waiting: Vec<Sender<()>>,
    is_ending: bool,
}

impl Keeper {
    /// Takes over what an earlier Maestro left in the folder.
    pub(super) fn adopt(shared: Arc<Shared>, tasks: Receiver<Task>) -> io::Result<Self> {
        let mut keeper = Self {
            shared,
            tasks,
            ports: Ports::default(),
            waiting: Vec::new(),
            is_ending: false,
        };
        for Found { record, process } in record::read_all(&keeper.shared.config.folder)? {
            match process {
                Some(process) => keeper.take_over(record, process),
                // It never began, so it may be created again under the same name.
                None => keeper.retire(&record.scheduler, &record.room),
            }
        }
        // An end that happened while nobody looked is noticed before the first list.
        keeper.look();
        Ok(keeper)
    }

    /// Works until told to stop.
    pub(super) fn run(mut self) {
        loop {
            let is_idle = self.shared.rooms().is_empty();
            let task = match is_idle {
                true => self.tasks.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => self.tasks.recv_timeout(LOOK),
            };
            match task {
                Ok(Task::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(task) => self.take(task),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.look();
        }
        if !self.shared.config.survive {
            self.end_all(Ending::Immediate);
            let deadline = Instant::now() + LAST_WAIT;
            while !self.shared.rooms().is_empty() && Instant::now() < deadline {
                std::thread::sleep(LOOK / 10);
                self.look();
            }
        }
    }

    fn take(&mut self, task: Task) {
        match task {
            Task::Create {
                scheduler,
                order,
                reply,
            } => tell(reply, self.create(&scheduler, &order)),
            Task::Delete {
                scheduler,
                room,
                uid,
                grace,
                reply,
            } => {
                self.delete(&scheduler, &room, &uid, grace);
                tell(reply, Ok(()));
            }
            Task::Remove { scheduler, reply } => tell(reply, self.remove(&scheduler)),
            Task::Crash { room, reply } => tell(reply, self.crash(&room)),
            Task::End { ending, reply } => {
                self.waiting.push(reply);
                self.end_all(ending);
            }
            Task::Stop => {}
        }
    }

    fn create(&mut self, scheduler: &Scheduler, order: &Order) -> Result<(), Error> {
        let room = &order.room;
        if self.is_ending {
            return Err(unavailable("Maestro is ending its rooms"));
        }
        if self.shared.rooms().contains_key(room) {
            return Ok(());
        }
        if !room.belongs_to(&scheduler.name) {
            let reason = format!(
                "its name does not begin with that of its scheduler, {}",
                scheduler.name
            );
            return Err(Error::Refused {
                room: room.clone(),
                reason,
            });
        }
        let range = scheduler.template.port_range.unwrap_or(self.shared.config.ports);
        let ports = self
            .ports
            .take(room, &process::ports(&scheduler.template), range)?;
        let created = self.start(scheduler, order, &ports);
        if created.is_err() {
            self.ports.release(room);
            self.retire(&scheduler.name, room);
        }
        created
    }

    fn start(&self, scheduler: &Scheduler, order: &Order, ports: &[OpenPort]) -> Result<(), Error> {
        let room = &order.room;
        let tenant = Tenant {
            scheduler: &scheduler.name,
            room,
            version: order.version,
            token: &order.token,
            ports,
        };
        let blueprint =
            process::blueprint(&self.shared.config, &scheduler.template, &tenant).map_err(|reason| {
                Error::Refused {
                    room: room.clone(),
                    reason,
                }
            })?;
        let record = Record {
            scheduler: scheduler.name.clone(),
            room: room.clone(),
            version: order.version,
            created_at: now(),
            shutdown: scheduler.template.shutdown,
            ports: ports.to_vec(),
        };
        let process = self.spawn(&record, &blueprint);
        let process = process.map_err(|cause| shortage::of(cause, room, &self.shared.config.folder))?;
        tracing::debug!(scheduler.name = %scheduler.name, room.id = %room, process = %process, "room started");
        let entry = Entry {
            record,
            process,
            kin: Kin::Child,
            life: Life::Running,
            usage: None,
        };
        self.shared.rooms().insert(room.clone(), entry);
        self.shared.nudges(&scheduler.name).notify_one();
        Ok(())
    }

    fn spawn(&self, record: &Record, blueprint: &Blueprint) -> io::Result<Process> {
        let config = &self.shared.config;
        let folder = record::folder(&config.folder, &record.scheduler, &record.room);
        record::write(&folder, record)?;
        let out = output::open(&folder)?;
        let fate = if config.survive { Fate::Own } else { Fate::Shared };
        let mut child = launch::command(&config.maestro, fate, &folder, &blueprint.program)
            .args(&blueprint.args)
            .env_clear()
            .envs(&blueprint.env)
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .spawn()?;
        // Dropping the child neither ends nor reaps it; that is done by its number, as for adopted rooms. One whose
        // number means nothing to us would go on unseen.
        Process::of(child.id()).map_err(|error| match child.kill().and_then(|()| child.wait()) {
            Ok(_killed) => error,
            Err(worse) => worse,
        })
    }

    fn delete(&mut self, scheduler: &SchedulerName, room: &RoomId, uid: &str, grace: Span) {
        let mut rooms = self.shared.rooms();
        let Some(entry) = rooms
            .get_mut(room)
            .filter(|entry| entry.process.to_string() == uid)
        else {
            return;
        };
        match entry.life {
            Life::Ended { .. } => {
                rooms.remove(room);
                drop(rooms);
                self.retire(scheduler, room);
                self.shared.nudges(scheduler).notify_one();
            }
            Life::Running | Life::Ending { .. } => {
                let asked = entry.end_within(Duration::from_millis(grace.ms()));
                drop(rooms);
                ask(asked);
            }
        }
    }

    fn remove(&mut self, scheduler: &SchedulerName) -> Result<(), Error> {
        if self
            .shared
            .rooms()
            .values()
            .any(|entry| entry.record.scheduler == *scheduler)
        {
            return Err(unavailable(format!("{scheduler} still has rooms")));
        }
        self.shared.failures.forget(scheduler);
        record::remove(&self.shared.config.folder, scheduler).map_err(unavailable)
    }

    fn crash(&self, room: &RoomId) -> Result<(), Error> {
        let pulse = self.shared.rooms().get(room).and_then(Entry::pulse);
        let pulse = pulse.ok_or_else(|| Error::UnknownRoom(room.clone()))?;
        pulse.process.ask(pulse.kin, Ask::Now);
        Ok(())
    }

    fn end_all(&mut self, ending: Ending) {
        self.is_ending = true;
        let mut over = Vec::new();
        let mut asked = Vec::new();
        for entry in self.shared.rooms().values_mut() {
            match (&entry.life, ending) {
                (Life::Ended { .. }, _) => {
                    over.push((entry.record.scheduler.clone(), entry.record.room.clone()))
                }
                (_, Ending::Immediate) => asked.extend(entry.end_within(Duration::ZERO)),
                (_, Ending::Graceful) => {
                    asked.extend(entry.end_within(Duration::from_millis(entry.record.shutdown.ms())))
                }
            }
        }
        ask(asked);
        for (scheduler, room) in over {
            self.shared.rooms().remove(&room);
            self.retire(&scheduler, &room);
        }
    }

    /// Notices ends, kills what was given its time, and tells whoever waits for the last end.
    fn look(&mut self) {
        // The system is asked without the lock: on a busy machine that takes a while, and callers of `list` wait for
        // the lock. Nobody but this thread changes which rooms there are.
        let pulses: Vec<Pulse> = self.shared.rooms().values().filter_map(Entry::pulse).collect();
        let mut over = Vec::new();
        for pulse in pulses {
            if pulse.kill_at.is_some_and(|at| Instant::now() >= at) {
                pulse.process.ask(pulse.kin, Ask::Now);
            }
            if let Some(end) = pulse.process.poll(pulse.kin, &process::mark(&pulse.room)) {
                over.push((pulse.scheduler, pulse.room, end));
            }
        }
        for (scheduler, room, end) in over {
            self.ports.release(&room);
            self.note_end(&scheduler, &room, end);
            self.shared.nudges(&scheduler).notify_one();
        }
        if self.is_ending && self.shared.rooms().is_empty() {
            for waiting in self.waiting.drain(..) {
                tell(waiting, ());
            }
        }
    }

    fn note_end(&mut self, scheduler: &SchedulerName, room: &RoomId, end: End) {
        let folder = record::folder(&self.shared.config.folder, scheduler, room);
        let line = output::last_line(&output::current(&folder));
        let last = Last { end, line };
        let reason = last.reason();
        tracing::debug!(scheduler.name = %scheduler, room.id = %room, %end, reason, "room ended");
        let mut rooms = self.shared.rooms();
        let Some(entry) = rooms.get_mut(room) else { return };
        entry.usage = None;
        match entry.life {
            Life::Running => {
                let at = now();
                entry.life = Life::Ended { at, end, reason };
                drop(rooms);
                self.shared.failures.note(scheduler, room, at, &last);
            }
            Life::Ending { .. } | Life::Ended { .. } => {
                rooms.remove(room);
                drop(rooms);
                self.retire(scheduler, room);
            }
        }
    }

    fn take_over(&mut self, record: Record, process: Process) {
        let room = record.room.clone();
        tracing::info!(
            scheduler.name = %record.scheduler,
            room.id = %room,
            "{room} runs since an earlier run of Maestro, and is adopted"
        );
        self.ports.keep(&room, &record.ports);
        let entry = Entry {
            record,
            process,
            kin: Kin::Stranger,
            life: Life::Running,
            usage: None,
        };
        self.shared.rooms().insert(room, entry);
    }

    fn retire(&self, scheduler: &SchedulerName, room: &RoomId) {
        if let Err(error) = record::retire(&self.shared.config.folder, scheduler, room) {
            // The room is gone all the same; the next start finds its process ended and tries again.
            tracing::warn!(scheduler.name = %scheduler, room.id = %room, %error, "a room's files could not be removed");
        }
    }
}

/// Asks processes to end.
fn ask(processes: impl IntoIterator<Item = (Process, Kin)>) {
    for (process, kin) in processes {
        process.ask(kin, Ask::Please);
    }
}

/// A caller that stopped waiting is no reason to do anything else: what it asked for has been done.
fn tell<T>(reply: Sender<T>, answer: T) {
    if reply.send(answer).is_err() {
        tracing::debug!("an answer came after its caller had gone");
    }
}
