//! The registry as one loop sees it: the in-process one, with faults in between, watched by the oracle; and, where
//! a seed asks for it, broken in one of the ways that the promises would not survive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use maestro::registry::{Act, Call, Changes, Cursor, Error, Fence, Receipt, Registry, Seen, State, Terms};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::placement::Reach;
use maestro_core::report::Reported;
use maestro_core::room::{Intent, Origin, Revision, Room};
use maestro_core::time::{Span, Timestamp};
use tokio::sync::Notify;

use crate::calls::Sent;
use crate::oracle::Read;
use crate::world::{Shared, World};

/// The longest that a call to the registry takes.
const LIMIT_MS: u64 = 2_000;

/// A rule that this registry does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// An act is done on whatever revision the room has by now.
    NoCompareAndSet,
    /// Whatever token is named, it is taken for the newest.
    NoFence,
    /// Tokens count from one after each loss.
    CounterOnlyToken,
    /// Every room looks idle.
    VictimsIgnoreUse,
    /// A drained room looks as if it had answered.
    NoDrainConfirmation,
}

impl Broken {
    pub(crate) const ALL: [Broken; 5] = [
        Self::NoCompareAndSet,
        Self::NoFence,
        Self::CounterOnlyToken,
        Self::VictimsIgnoreUse,
        Self::NoDrainConfirmation,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoCompareAndSet => "no-compare-and-set",
            Self::NoFence => "no-fence",
            Self::CounterOnlyToken => "counter-only-token",
            Self::VictimsIgnoreUse => "victims-ignore-use",
            Self::NoDrainConfirmation => "no-drain-confirmation",
        }
    }
}

/// One process's line to the registry.
pub(crate) struct Line {
    pub world: Shared,
    /// The process's name among the holders of leases.
    pub holder: String,
}

type Answer<T> = Result<T, Error>;

impl Line {
    fn send<T: Send + 'static>(
        &self,
        name: impl FnOnce() -> String,
        meddle: impl FnOnce(&mut World, u64),
        call: impl FnOnce(&mut World) -> Answer<T> + Send + 'static,
    ) -> Sent<Answer<T>> {
        let mut world = self.world.lock().expect("one thread");
        let odds = world.plan.registry_calls;
        let name = || format!("{}: {}", self.holder, name());
        world.send((odds, LIMIT_MS), name, meddle, call)
    }

    async fn call<T: Send + 'static>(
        &self,
        name: impl FnOnce() -> String + Send,
        call: impl FnOnce(&mut World) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let sent = self.send(name, |_, _| {}, call);
        self.answer(sent).await
    }

    async fn answer<T>(&self, sent: Sent<Answer<T>>) -> Answer<T> {
        let answer = sent.answer(Arc::clone(&self.world)).await;
        answer.unwrap_or_else(|_| {
            Err(Error::Unavailable {
                cause: "no answer".into(),
            })
        })
    }

    async fn fenced<T: Send + 'static>(
        &self,
        fence: &Fence,
        name: impl FnOnce() -> String + Send,
        call: impl for<'a> FnOnce(&'a dyn Registry, &'a Fence) -> BoxFuture<'a, Answer<T>> + Send + 'static,
    ) -> Answer<T> {
        let (fence, holder) = (fence.clone(), self.holder.clone());
        self.call(name, move |world| world.under(&fence, &holder, call))
            .await
    }
}

impl World {
    /// Does a fenced call, as faithfully as this registry keeps the fence.
    pub(crate) fn under<T>(
        &mut self,
        fence: &Fence,
        holder: &str,
        call: impl for<'a> FnOnce(&'a dyn Registry, &'a Fence) -> BoxFuture<'a, Answer<T>>,
    ) -> Answer<T> {
        let fence = self.oracle.real_fence(fence, self.plan.broken);
        let memory = Arc::clone(&self.memory);
        let answer = World::ask(&memory, |registry| call(registry, &fence));
        if answer.is_ok() {
            self.check_holder(holder);
        }
        answer
    }

    fn acquire(&mut self, scheduler: &SchedulerName, holder: &str, lease: Span) -> Answer<Option<Fence>> {
        let memory = Arc::clone(&self.memory);
        let fence = World::ask(&memory, |registry| registry.acquire(scheduler, holder, lease))?;
        if let Some(fence) = &fence {
            self.note(|| format!("  {holder} holds the lease under {}", fence.token));
        }
        let (broken, life) = (self.plan.broken, self.life);
        Ok(fence.map(|fence| self.oracle.granted(fence, holder, broken, life)))
    }

    fn act(
        &mut self,
        (fence, holder): (&Fence, &str),
        id: &RoomId,
        decided: (Revision, Act),
        decided_on: Read,
    ) -> Answer<Room> {
        let (revision, act) = decided;
        let before = self.known(id);
        let recovering = self.epoch.is_none();
        let answer = self.act_once(fence, holder, id, (revision, act.clone()));
        let answer = match (answer, &before) {
            (Err(Error::Moved { .. }), Some(room)) if self.plan.broken == Some(Broken::NoCompareAndSet) => {
                self.act_once(fence, holder, id, (room.revision, act.clone()))
            }
            (answer, _) => answer,
        };
        match &answer {
            Ok(_) => self.check_act(decided_on, before, &act, recovering),
            Err(error) => self.note(|| format!("  {error}")),
        }
        answer
    }

    fn act_once(
        &mut self,
        fence: &Fence,
        holder: &str,
        id: &RoomId,
        decided: (Revision, Act),
    ) -> Answer<Room> {
        let (id, (revision, act)) = (id.clone(), decided);
        self.under(fence, holder, move |registry, fence| {
            Box::pin(async move { registry.act(fence, &id, revision, act).await })
        })
    }

    fn changes(&mut self, scheduler: &SchedulerName, holder: &str, since: Cursor) -> Answer<Changes> {
        let memory = Arc::clone(&self.memory);
        let mut changes = World::ask(&memory, |registry| registry.changes(scheduler, since))?;
        let read = Read {
            at: self.now(),
            witnessed: self.witness.total,
        };
        self.oracle.has_read(holder, read);
        for room in &mut changes.rooms {
            match self.plan.broken {
                Some(Broken::VictimsIgnoreUse) => look_idle(room),
                Some(Broken::NoDrainConfirmation) => look_answered(room),
                _ => {}
            }
        }
        Ok(changes)
    }
}

fn look_idle(room: &mut Room) {
    room.occupied_since = None;
    room.running_matches = 0;
    room.allocation_expired = false;
    room.origin = Origin::Reserved;
    if let Intent::Allocated { .. } = room.intent {
        room.intent = Intent::Keep;
    }
    if let Some(last) = &mut room.reports.last
        && last.status == Reported::Occupied
    {
        last.status = Reported::Ready;
    }
}

fn look_answered(room: &mut Room) {
    if let (Intent::Draining { since, .. }, Some(last)) = (&room.intent, &mut room.reports.last) {
        last.received_at = last.received_at.max(*since + Span::from_ms(1));
    }
}

#[async_trait]
impl Registry for Line {
    async fn report(&self, scheduler: &SchedulerName, room: &RoomId, call: Call) -> Answer<Receipt> {
        let (scheduler, room) = (scheduler.clone(), room.clone());
        self.call(
            || "report".to_owned(),
            move |world| {
                let memory = Arc::clone(&world.memory);
                World::ask(&memory, |registry| registry.report(&scheduler, &room, call))
            },
        )
        .await
    }

    async fn allocate(&self, scheduler: &SchedulerName, terms: Terms) -> Answer<Option<Room>> {
        let scheduler = scheduler.clone();
        self.call(
            || "allocate".to_owned(),
            move |world| {
                let memory = Arc::clone(&world.memory);
                World::ask(&memory, |registry| registry.allocate(&scheduler, terms))
            },
        )
        .await
    }

    async fn room(&self, _: &SchedulerName, room: &RoomId) -> Answer<Option<Room>> {
        let id = room.clone();
        self.call(|| format!("room {room}"), move |world| Ok(world.known(&id)))
            .await
    }

    async fn rooms(&self, _: &SchedulerName) -> Answer<Vec<Room>> {
        self.call(|| "rooms".to_owned(), |world| Ok(world.all_known()))
            .await
    }

    async fn beat(&self) -> Answer<()> {
        // The API beats, no loop does.
        Ok(())
    }

    async fn acquire(&self, scheduler: &SchedulerName, holder: &str, lease: Span) -> Answer<Option<Fence>> {
        let (scheduler, holder) = (scheduler.clone(), holder.to_owned());
        self.call(
            || "acquire".to_owned(),
            move |world| world.acquire(&scheduler, &holder, lease),
        )
        .await
    }

    async fn release(&self, fence: &Fence) -> Answer<()> {
        let (fence, holder) = (fence.clone(), self.holder.clone());
        self.call(
            || "release".to_owned(),
            move |world| {
                // Harmless under an old token; so it says nothing about who holds the lease.
                let fence = world.oracle.real_fence(&fence, world.plan.broken);
                world.note(|| format!("  {holder} gives the lease back"));
                let memory = Arc::clone(&world.memory);
                World::ask(&memory, |registry| registry.release(&fence))
            },
        )
        .await
    }

    async fn changes(&self, scheduler: &SchedulerName, since: Cursor) -> Answer<Changes> {
        let (scheduler, holder) = (scheduler.clone(), self.holder.clone());
        self.call(
            || "changes".to_owned(),
            move |world| world.changes(&scheduler, &holder, since),
        )
        .await
    }

    async fn state(&self, scheduler: &SchedulerName) -> Answer<Option<State>> {
        let scheduler = scheduler.clone();
        self.call(
            || "state".to_owned(),
            move |world| {
                let memory = Arc::clone(&world.memory);
                World::ask(&memory, |registry| registry.state(&scheduler))
            },
        )
        .await
    }

    async fn reserve(&self, fence: &Fence, rooms: &[(RoomId, Version)], most: u32) -> Answer<()> {
        let (fence, holder, rooms) = (fence.clone(), self.holder.clone(), rooms.to_vec());
        let name = format!("reserve {} rooms", rooms.len());
        self.call(
            || name,
            move |world| {
                let before = world.live();
                let answer = world.under(&fence, &holder, move |registry, fence| {
                    Box::pin(async move { registry.reserve(fence, &rooms, most).await })
                });
                if answer.is_ok() {
                    world.check_reservation(&holder, before);
                }
                answer
            },
        )
        .await
    }

    async fn adopt(&self, fence: &Fence, rooms: &[(RoomId, Version)]) -> Answer<()> {
        let rooms = rooms.to_vec();
        let name = format!("adopt {} rooms", rooms.len());
        self.fenced(
            fence,
            || name,
            move |registry, fence| Box::pin(async move { registry.adopt(fence, &rooms).await }),
        )
        .await
    }

    async fn act(&self, fence: &Fence, room: &RoomId, revision: Revision, act: Act) -> Answer<Room> {
        let (fence, holder, id) = (fence.clone(), self.holder.clone(), room.clone());
        let name = format!("{act:?} {room} at {}", revision.0);
        let decided_on = self.world.lock().expect("one thread").oracle.decided_on(&holder);
        let tempting = matches!(act, Act::Drain { .. } | Act::Stop { .. }).then(|| id.clone());
        let sent = self.send(
            || name,
            |world, in_ms| {
                if let Some(id) = tempting {
                    world.tempt(&id, in_ms);
                }
            },
            move |world| world.act((&fence, &holder), &id, (revision, act), decided_on),
        );
        self.answer(sent).await
    }

    async fn observe(&self, fence: &Fence, room: &RoomId, seen: Seen) -> Answer<()> {
        let (name, room) = (format!("observe {room}: {:?}", seen.phase), room.clone());
        self.fenced(
            fence,
            || name,
            move |registry, fence| Box::pin(async move { registry.observe(fence, &room, seen).await }),
        )
        .await
    }

    async fn save(&self, fence: &Fence, state: &State) -> Answer<()> {
        let state = state.clone();
        let name = format!("save wanted {}", state.wanted);
        self.fenced(
            fence,
            || name,
            move |registry, fence| Box::pin(async move { registry.save(fence, &state).await }),
        )
        .await
    }

    async fn set_epoch(&self, fence: &Fence, epoch: Option<Timestamp>) -> Answer<()> {
        let (fence, holder) = (fence.clone(), self.holder.clone());
        self.call(
            || "set epoch".to_owned(),
            move |world| {
                world.under(&fence, &holder, move |registry, fence| {
                    Box::pin(async move { registry.set_epoch(fence, epoch).await })
                })?;
                world.epoch = epoch;
                Ok(())
            },
        )
        .await
    }

    async fn remove(&self, fence: &Fence) -> Answer<()> {
        let (fence, holder) = (fence.clone(), self.holder.clone());
        self.call(
            || "remove".to_owned(),
            move |world| {
                world.under(&fence, &holder, |registry, fence| {
                    Box::pin(async move { registry.remove(fence).await })
                })?;
                world.epoch = None;
                Ok(())
            },
        )
        .await
    }

    // What a loop never asks for.

    async fn join(&self, member: &str, reach: Reach, _: Span) -> Answer<BTreeMap<String, Reach>> {
        Ok(BTreeMap::from([(member.to_owned(), reach)]))
    }

    async fn leave(&self, _: &str) -> Answer<()> {
        Ok(())
    }

    async fn keep_copy(&self, _: &SchedulerName, _: Option<&[u8]>) -> Answer<()> {
        Ok(())
    }

    async fn copied(&self) -> Answer<BTreeSet<SchedulerName>> {
        Ok(BTreeSet::new())
    }

    async fn copies(&self) -> Answer<BTreeMap<SchedulerName, Vec<u8>>> {
        Ok(BTreeMap::new())
    }

    fn nudges(&self, scheduler: &SchedulerName) -> Arc<Notify> {
        let world = self.world.lock().expect("one thread");
        world.memory.nudges(scheduler)
    }

    fn nudge(&self, scheduler: &SchedulerName) {
        let world = self.world.lock().expect("one thread");
        world.memory.nudge(scheduler);
    }
}
