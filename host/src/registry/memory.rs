//! The registry inside this process: no server, nothing survives the process.
//!
//! One lock for each scheduler, held for one synchronous step and never across an await, so that schedulers don't
//! wait for each other. Its time is the clock it is made with. A restart is a loss like that of an emptied server:
//! the epoch is gone, and the holder recovers from the cluster.

mod ledger;
mod log;
mod provisional;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use async_trait::async_trait;
use maestro_core::deadlines::Witness;
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::placement::Reach;
use maestro_core::room::{Revision, Room};
use maestro_core::time::{Span, Timestamp};
use tokio::sync::Notify;

use super::{
    Act, Call, Changes, Clock, Cursor, Error, Fence, MEMBERS_MAX, ROOMS_MAX, Receipt, Registry,
    SCHEDULERS_MAX, Seen, State, Terms,
};
use ledger::{Ledger, Moment};

/// The registry inside this process.
pub struct Memory {
    clock: Clock,
    schedulers: RwLock<Schedulers>,
    witness: Mutex<Witness>,
    members: Mutex<BTreeMap<String, Member>>,
    copies: Mutex<BTreeMap<SchedulerName, Vec<u8>>>,
    most_rooms: usize,
}

/// A worker.
struct Member {
    /// Until when it is there.
    until: Timestamp,
    reach: Reach,
}

#[derive(Default)]
struct Schedulers {
    ledgers: BTreeMap<SchedulerName, Arc<Mutex<Ledger>>>,
    /// The greatest token of any scheduler that was removed: one that comes back goes on from here.
    token: u64,
}

impl Memory {
    /// An empty registry that goes by `clock`.
    pub fn new(clock: Clock) -> Self {
        Self::with_most_rooms(clock, ROOMS_MAX)
    }

    /// The same with another bound than [`ROOMS_MAX`].
    pub fn with_most_rooms(clock: Clock, most_rooms: usize) -> Self {
        Self {
            clock,
            schedulers: RwLock::default(),
            witness: Mutex::default(),
            members: Mutex::default(),
            copies: Mutex::default(),
            most_rooms,
        }
    }

    /// Does one step in the ledger of `scheduler`, if there is one.
    fn with<T>(&self, scheduler: &SchedulerName, step: impl FnOnce(&mut Ledger, Moment) -> T) -> Option<T> {
        let schedulers = self.schedulers.read().unwrap_or_else(PoisonError::into_inner);
        let ledger = schedulers.ledgers.get(scheduler).map(Arc::clone)?;
        drop(schedulers);
        let mut ledger = lock(&ledger);
        // Looked at under the lock: what is written first is also the earlier.
        let moment = self.moment();
        Some(step(&mut ledger, moment))
    }

    /// Does one step in the ledger of `scheduler`, which is begun if there is none.
    fn with_new<T>(
        &self,
        scheduler: &SchedulerName,
        step: impl FnOnce(&mut Ledger, Moment) -> T,
    ) -> Result<T, Error> {
        let mut schedulers = self.schedulers.write().unwrap_or_else(PoisonError::into_inner);
        if !schedulers.ledgers.contains_key(scheduler) {
            if schedulers.ledgers.len() >= SCHEDULERS_MAX {
                return Err(Error::Full { what: "schedulers" });
            }
            let ledger = Ledger::new((self.clock)(), schedulers.token, self.most_rooms);
            let ledger = Arc::new(Mutex::new(ledger));
            schedulers.ledgers.insert(scheduler.clone(), ledger);
        }
        drop(schedulers);
        let done = self.with(scheduler, step);
        // Removed in between by its holder; as good as not there.
        done.ok_or_else(|| Error::Fenced {
            scheduler: scheduler.clone(),
        })
    }

    /// Does one step under a token that must be the newest.
    fn fenced<T>(
        &self,
        fence: &Fence,
        step: impl FnOnce(&mut Ledger, Moment) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = self.with(&fence.scheduler, |ledger, at| {
            ledger.is_newest(fence.token).then(|| step(ledger, at))
        });
        done.flatten().unwrap_or_else(|| {
            Err(Error::Fenced {
                scheduler: fence.scheduler.clone(),
            })
        })
    }

    fn moment(&self) -> Moment {
        Moment {
            now: (self.clock)(),
            witness: *lock(&self.witness),
        }
    }
}

/// A step that panicked left a ledger that is still made of valid facts; refusing it would take its scheduler down.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Registry for Memory {
    async fn report(&self, scheduler: &SchedulerName, room: &RoomId, call: Call) -> Result<Receipt, Error> {
        let done = self.with(scheduler, |ledger, at| ledger.take_call(room, &call, at));
        match (done, &call) {
            (Some(done), _) => done,
            (None, Call::Report { .. }) => {
                self.with_new(scheduler, |ledger, at| ledger.take_call(room, &call, at))?
            }
            (None, Call::Refused) => Err(Error::UnknownRoom(room.clone())),
        }
    }

    async fn allocate(&self, scheduler: &SchedulerName, terms: Terms) -> Result<Option<Room>, Error> {
        let done = self.with(scheduler, |ledger, at| ledger.allocate(terms, at));
        Ok(done.flatten())
    }

    async fn room(&self, scheduler: &SchedulerName, room: &RoomId) -> Result<Option<Room>, Error> {
        Ok(self.with(scheduler, |ledger, _| ledger.room(room)).flatten())
    }

    async fn rooms(&self, scheduler: &SchedulerName) -> Result<Vec<Room>, Error> {
        Ok(self
            .with(scheduler, |ledger, _| ledger.rooms())
            .unwrap_or_default())
    }

    async fn beat(&self) -> Result<(), Error> {
        lock(&self.witness).beat((self.clock)());
        Ok(())
    }

    async fn acquire(
        &self,
        scheduler: &SchedulerName,
        holder: &str,
        lease: Span,
    ) -> Result<Option<Fence>, Error> {
        let token = self.with_new(scheduler, |ledger, at| ledger.acquire(holder, lease, at.now))?;
        Ok(token.map(|token| Fence {
            scheduler: scheduler.clone(),
            token,
        }))
    }

    async fn release(&self, fence: &Fence) -> Result<(), Error> {
        self.with(&fence.scheduler, |ledger, _| ledger.release(fence.token));
        Ok(())
    }

    async fn changes(&self, scheduler: &SchedulerName, since: Cursor) -> Result<Changes, Error> {
        let changes = self.with(scheduler, |ledger, at| ledger.changes(since, at));
        // Nothing is known of this scheduler, as after a loss: that is read completely too.
        let nothing = || Ledger::new(Timestamp::default(), 0, 0).changes(Cursor::START, self.moment());
        Ok(changes.unwrap_or_else(nothing))
    }

    async fn state(&self, scheduler: &SchedulerName) -> Result<Option<State>, Error> {
        Ok(self.with(scheduler, |ledger, _| ledger.state()).flatten())
    }

    async fn reserve(&self, fence: &Fence, rooms: &[(RoomId, Version)], most: u32) -> Result<(), Error> {
        self.fenced(fence, |ledger, at| ledger.reserve(rooms, most, at))
    }

    async fn adopt(&self, fence: &Fence, rooms: &[(RoomId, Version)]) -> Result<(), Error> {
        self.fenced(fence, |ledger, at| ledger.adopt(rooms, at))
    }

    async fn act(&self, fence: &Fence, room: &RoomId, revision: Revision, act: Act) -> Result<Room, Error> {
        self.fenced(fence, |ledger, at| ledger.act(room, revision, act, at.now))
    }

    async fn observe(&self, fence: &Fence, room: &RoomId, seen: Seen) -> Result<(), Error> {
        self.fenced(fence, |ledger, at| ledger.observe(room, &seen, at.now))
    }

    async fn save(&self, fence: &Fence, state: &State) -> Result<(), Error> {
        self.fenced(fence, |ledger, _| {
            ledger.save(state);
            Ok(())
        })
    }

    async fn set_epoch(&self, fence: &Fence, epoch: Option<Timestamp>) -> Result<(), Error> {
        self.fenced(fence, |ledger, _| {
            ledger.set_epoch(epoch);
            Ok(())
        })
    }

    async fn remove(&self, fence: &Fence) -> Result<(), Error> {
        let mut schedulers = self.schedulers.write().unwrap_or_else(PoisonError::into_inner);
        let token = schedulers.ledgers.get(&fence.scheduler).map(|ledger| {
            let ledger = lock(ledger);
            ledger.is_newest(fence.token).then(|| ledger.token())
        });
        let token = token.flatten().ok_or_else(|| Error::Fenced {
            scheduler: fence.scheduler.clone(),
        })?;
        schedulers.token = schedulers.token.max(token);
        schedulers.ledgers.remove(&fence.scheduler);
        Ok(())
    }

    async fn join(&self, member: &str, reach: Reach, ttl: Span) -> Result<BTreeMap<String, Reach>, Error> {
        let now = (self.clock)();
        let mut members = lock(&self.members);
        members.retain(|_, member| member.until > now);
        if members.len() >= MEMBERS_MAX && !members.contains_key(member) {
            return Err(Error::Full { what: "workers" });
        }
        let until = now + ttl;
        members.insert(member.to_owned(), Member { until, reach });
        let words = members.iter().map(|(name, member)| (name.clone(), member.reach));
        Ok(words.collect())
    }

    async fn leave(&self, member: &str) -> Result<(), Error> {
        lock(&self.members).remove(member);
        Ok(())
    }

    async fn keep_copy(&self, scheduler: &SchedulerName, copy: Option<&[u8]>) -> Result<(), Error> {
        let mut copies = lock(&self.copies);
        let Some(copy) = copy else {
            copies.remove(scheduler);
            return Ok(());
        };
        if copies.len() >= SCHEDULERS_MAX && !copies.contains_key(scheduler) {
            return Err(Error::Full { what: "schedulers" });
        }
        copies.insert(scheduler.clone(), copy.to_vec());
        Ok(())
    }

    async fn copied(&self) -> Result<BTreeSet<SchedulerName>, Error> {
        Ok(lock(&self.copies).keys().cloned().collect())
    }

    async fn copies(&self) -> Result<BTreeMap<SchedulerName, Vec<u8>>, Error> {
        Ok(lock(&self.copies).clone())
    }

    fn nudges(&self, scheduler: &SchedulerName) -> Arc<Notify> {
        // Only a registry that is full of schedulers has none to give; then nobody rings.
        let bell = self.with_new(scheduler, |ledger, _| ledger.bell());
        bell.unwrap_or_default()
    }

    fn nudge(&self, scheduler: &SchedulerName) {
        self.with(scheduler, |ledger, _| ledger.ring());
    }
}
