//! The third cluster: the port over the simulated ground, with faults in between.

use std::sync::Arc;

use async_trait::async_trait;
use maestro::cluster::{Cluster, Error, Nodes, Object, Order, Usage};
use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::scheduler::Scheduler;
use maestro_core::time::{Span, Timestamp};
use tokio::sync::Notify;

use crate::calls::{Lost, Sent};
use crate::world::{Shared, World};

/// The longest that a call to the cluster takes.
pub(crate) const LIMIT_MS: u64 = 5_000;

pub(crate) struct Simulated {
    pub world: Shared,
    /// Until then its process has listed no node yet.
    pub blind_until: Timestamp,
}

impl Simulated {
    fn send<T: Send + 'static>(
        &self,
        name: impl FnOnce() -> String,
        call: impl FnOnce(&mut World) -> T + Send + 'static,
    ) -> Sent<Option<T>> {
        let mut world = self.world.lock().expect("one thread");
        let odds = world.plan.cluster_calls;
        let call = |world: &mut World| (world.now() >= world.ground.away_until).then(|| call(world));
        world.send((odds, LIMIT_MS), name, |_, _| {}, call)
    }

    async fn answer<T>(&self, sent: Sent<Option<T>>) -> Result<T, Error> {
        let answer = sent.answer(Arc::clone(&self.world)).await;
        let cause = "no answer".into();
        answer.ok().flatten().ok_or(Error::Unavailable { cause })
    }
}

#[async_trait]
impl Cluster for Simulated {
    async fn list(&self, scheduler: &SchedulerName) -> Result<Vec<Object>, Error> {
        let (begun, name) = {
            let mut world = self.world.lock().expect("one thread");
            let stale = if world.is_faulty {
                world.plan.stale_lists
            } else {
                0
            };
            let begun = match world.chance(stale) {
                true => {
                    let seconds = usize::try_from(world.between(0, 8)).unwrap_or(0);
                    world.note(|| format!("the next list is {seconds} s old"));
                    world.ground.old_list(scheduler, seconds)
                }
                false => world.ground.list(scheduler),
            };
            (begun, scheduler.clone())
        };
        // What was there when it was begun is answered, however long that takes: as old as the port allows.
        let sent = self.send(|| "list".to_owned(), move |_| begun);
        let objects = self.answer(sent).await?;
        let mut world = self.world.lock().expect("one thread");
        world.note(|| format!("  the list has {} rooms", objects.len()));
        drop(name);
        Ok(objects)
    }

    async fn create(&self, scheduler: &Scheduler, order: &Order) -> Result<(), Error> {
        let (scheduler, id, version) = (scheduler.clone(), order.room.clone(), order.version);
        let avoid = order.avoid.clone();
        let asked = self.world.lock().expect("one thread").now();
        let name = || format!("create {}", order.room);
        let sent = self.send(name, move |world| {
            // Its name may have been lost on the way, so that another took its place under the cap.
            let is_forgotten = world.known(&id).is_none();
            if is_forgotten || world.now().since(asked) >= Span::from_ms(LIMIT_MS) {
                world.ground.late_creates += 1;
            }
            world.create(&scheduler, (&id, version), &avoid);
            world.check_number();
        });
        self.answer(sent).await
    }

    async fn expose(&self, _: &Scheduler, room: &RoomId) -> Result<(), Error> {
        let id = room.clone();
        let sent = self.send(|| format!("expose {room}"), move |world| world.expose(&id));
        self.answer(sent).await
    }

    async fn delete(&self, _: &SchedulerName, room: &RoomId, uid: &str, grace: Span) -> Result<(), Error> {
        let (id, of) = (room.clone(), uid.to_owned());
        let name = || format!("delete {room} ({uid})");
        let sent = self.send(name, move |world| world.delete(&id, &of, grace));
        self.answer(sent).await
    }

    async fn usage(&self, scheduler: &SchedulerName) -> Result<Vec<Usage>, Error> {
        let name = scheduler.clone();
        let sent = self.send(|| "usage".to_owned(), move |world| world.usage(&name));
        self.answer(sent).await
    }

    async fn logs(
        &self,
        _: &SchedulerName,
        room: &RoomId,
        lines: usize,
        _previous: bool,
    ) -> Result<String, Error> {
        let id = room.clone();
        let sent = self.send(
            || format!("logs {room}"),
            move |world| {
                let body = world.ground.bodies.get(&id)?;
                let from = body.lines.len().saturating_sub(lines);
                Some(
                    body.lines[from..]
                        .iter()
                        .map(|line| format!("{line}\n"))
                        .collect(),
                )
            },
        );
        let text: Option<String> = self.answer(sent).await?;
        text.ok_or_else(|| Error::UnknownRoom(room.clone()))
    }

    async fn remove(&self, _: &SchedulerName) -> Result<(), Error> {
        let sent = self.send(|| "remove what is left".to_owned(), |_| ());
        self.answer(sent).await
    }

    fn nudges(&self, scheduler: &SchedulerName) -> Arc<Notify> {
        self.world.lock().expect("one thread").ground.nudges(scheduler)
    }

    fn nodes(&self) -> Arc<Nodes> {
        let world = self.world.lock().expect("one thread");
        match world.now() < self.blind_until {
            true => Arc::default(),
            false => Arc::clone(&world.ground.nodes),
        }
    }
}

impl From<Lost> for Error {
    fn from(_: Lost) -> Self {
        Self::Unavailable {
            cause: "no answer".into(),
        }
    }
}

impl World {
    fn usage(&self, scheduler: &SchedulerName) -> Vec<Usage> {
        let bodies = self.ground.bodies.values();
        let mine = bodies.filter(|body| body.grounds.scheduler == *scheduler && body.is_running());
        mine.map(|body| Usage {
            room: body.id.clone(),
            at: self.now(),
            cpu_milli: if body.mind.is_busy() { 600.0 } else { 50.0 },
            memory_bytes: 2e7,
        })
        .collect()
    }
}
