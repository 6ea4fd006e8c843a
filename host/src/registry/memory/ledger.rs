//! Everything the in-process registry holds of one scheduler, and each change of it as one synchronous step.
//!
//! Time comes in as a parameter. Rooms change only by the functions of `maestro_core`; what is added here is what
//! stands around them: the index of allocatable rooms, the order of changes, the lease. Called by [`super::Memory`]
//! under the scheduler's lock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maestro_core::deadlines::Witness;
use maestro_core::names::{RoomId, Version};
use maestro_core::report::{Reception, Report};
use maestro_core::room::{Effect, Origin, Refused, Revision, Room, Seen, Stage};
use maestro_core::time::{Span, Timestamp};
use tokio::sync::Notify;

use super::log::{self, Log};
use super::provisional::Provisional;
use crate::registry::{Act, Call, Changes, Cursor, Error, Receipt, State, Taken, Terms};

/// One scheduler's rooms and small state.
#[derive(Debug)]
pub(super) struct Ledger {
    rooms: BTreeMap<RoomId, Entry>,
    /// The index `allocatable`, in the order of allocation.
    allocatable: BTreeSet<Place>,
    log: Log,
    provisional: Provisional,
    lease: Option<Lease>,
    /// The greatest token given out.
    token: u64,
    epoch: Option<Timestamp>,
    state: Option<State>,
    bell: Arc<Notify>,
    most_rooms: usize,
}

#[derive(Debug)]
struct Entry {
    room: Room,
    /// Its last change's position in the log.
    position: u64,
}

#[derive(Debug)]
struct Lease {
    holder: String,
    until: Timestamp,
}

/// A room's place among the allocatable ones: newest version first, then the oldest room.
type Place = (Reverse<Version>, Timestamp, RoomId);

/// The time of one call, by the registry's clock, and the time witnessed until then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) witness: Witness,
}

impl Moment {
    fn witnessed(&self) -> Span {
        self.witness.total
    }
}

impl Ledger {
    /// A ledger without rooms, whose tokens are all greater than `token`, for so many rooms.
    pub(super) fn new(now: Timestamp, token: u64, most_rooms: usize) -> Self {
        Self {
            rooms: BTreeMap::new(),
            allocatable: BTreeSet::new(),
            log: Log::new(now),
            provisional: Provisional::default(),
            lease: None,
            token,
            epoch: None,
            state: None,
            bell: Arc::new(Notify::new()),
            most_rooms,
        }
    }

    pub(super) fn room(&self, id: &RoomId) -> Option<Room> {
        self.rooms.get(id).map(|entry| entry.room.clone())
    }

    pub(super) fn rooms(&self) -> Vec<Room> {
        self.rooms.values().map(|entry| entry.room.clone()).collect()
    }

    // What rooms and matchmakers do.

    pub(super) fn take_call(&mut self, id: &RoomId, call: &Call, at: Moment) -> Result<Receipt, Error> {
        match call {
            Call::Refused => {
                let taken = |room: &mut Room| {
                    room.sign_of_life(at.now, at.witnessed());
                    Taken::LifeOnly
                };
                self.change_by_room(id, taken)
            }
            Call::Report {
                report,
                authentic,
                version,
            } => {
                let taken = |room: &mut Room| match room.receive(report, at.now, at.witnessed()) {
                    Reception::Newest => Taken::Newest,
                    Reception::LifeOnly => Taken::LifeOnly,
                    Reception::ClockMoved => Taken::ClockMoved,
                };
                match (self.change_by_room(id, taken), self.epoch, authentic) {
                    // After a loss it may be ours; otherwise all of ours are known, and its time is over.
                    (Err(Error::UnknownRoom(_)), None, true) => self.register(id, report, *version, at),
                    (Err(Error::UnknownRoom(_)), None, false) => {
                        self.keep_provisional(id, report, *version, at)
                    }
                    (done, _, _) => done,
                }
            }
        }
    }

    fn register(
        &mut self,
        id: &RoomId,
        report: &Report,
        version: Version,
        at: Moment,
    ) -> Result<Receipt, Error> {
        self.check_place_for(1)?;
        let make = || Room::adopted(id.clone(), version, at.now, at.witnessed());
        let mut room = self.provisional.take(id, at.now).unwrap_or_else(make);
        room.receive(report, at.now, at.witnessed());
        let receipt = receipt(Taken::Registered, &room);
        self.insert(room);
        self.ring();
        Ok(receipt)
    }

    fn keep_provisional(
        &mut self,
        id: &RoomId,
        report: &Report,
        version: Version,
        at: Moment,
    ) -> Result<Receipt, Error> {
        let what = "provisional reports";
        let make = || Room::adopted(id.clone(), version, at.now, at.witnessed());
        let room = self.provisional.room(id, at.now, make);
        let room = room.ok_or(Error::Full { what })?;
        room.receive(report, at.now, at.witnessed());
        Ok(receipt(Taken::Provisional, room))
    }

    pub(super) fn allocate(&mut self, terms: Terms, at: Moment) -> Option<Room> {
        let recovering = self.epoch.is_none();
        let fits = |room: &Room| {
            let may_be_promised = recovering && room.origin == Origin::Adopted;
            !may_be_promised && room.reports.silence(at.witnessed()) <= terms.ping
        };
        let mut ids = self.allocatable.iter().map(|(_, _, id)| id);
        let id = ids.find(|id| self.rooms.get(id).is_some_and(|entry| fits(&entry.room)))?;
        let id = id.clone();
        let (done, room) = self.change(&id, |room| room.allocate(at.now + terms.ttl))?;
        // The index says what `allocate` asks for; a refusal would be a fault of the index.
        done.ok()?;
        let room = room.clone();
        self.ring();
        Some(room)
    }

    // Leases.

    pub(super) fn acquire(&mut self, holder: &str, length: Span, now: Timestamp) -> Option<u64> {
        match &mut self.lease {
            Some(lease) if now < lease.until && lease.holder != holder => return None,
            Some(lease) if now < lease.until => lease.until = now + length,
            Some(_) | None => {
                self.token = (self.token + 1).max(log::micros(now));
                self.lease = Some(Lease {
                    holder: holder.to_owned(),
                    until: now + length,
                });
            }
        }
        Some(self.token)
    }

    pub(super) fn release(&mut self, token: u64) {
        if self.is_newest(token) {
            self.lease = None;
        }
    }

    /// Whether `token` is the newest one, and was not given back.
    pub(super) fn is_newest(&self, token: u64) -> bool {
        self.lease.is_some() && self.token == token
    }

    pub(super) fn token(&self) -> u64 {
        self.token
    }

    // What the holder does.

    pub(super) fn changes(&self, since: Cursor, at: Moment) -> Changes {
        let complete = !self.log.reaches_back_to(since.0);
        let (rooms, removed) = match complete {
            true => (self.rooms(), Vec::new()),
            false => (
                self.log
                    .changed_since(since.0)
                    .filter_map(|id| self.room(id))
                    .collect(),
                // A room that came back stands among the changed ones.
                self.log
                    .removed_since(since.0)
                    .filter(|id| !self.rooms.contains_key(id))
                    .cloned()
                    .collect(),
            ),
        };
        Changes {
            rooms,
            removed,
            complete,
            cursor: Cursor(self.log.head()),
            now: at.now,
            witness: at.witness,
            epoch: self.epoch,
            standing: self.state.as_ref().map(State::standing),
        }
    }

    pub(super) fn reserve(
        &mut self,
        rooms: &[(RoomId, Version)],
        most: u32,
        at: Moment,
    ) -> Result<(), Error> {
        let is_live = |entry: &&Entry| entry.room.stage() != Stage::Gone;
        let live = self.rooms.values().filter(is_live).count();
        let fit = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(live);
        let is_new = |(id, _): &&(RoomId, Version)| !self.rooms.contains_key(id);
        let new: Vec<_> = rooms.iter().filter(is_new).take(fit).collect();
        self.check_place_for(new.len())?;
        for (id, version) in new {
            self.insert(Room::reserved(id.clone(), *version, at.now, at.witnessed()));
        }
        Ok(())
    }

    pub(super) fn adopt(&mut self, rooms: &[(RoomId, Version)], at: Moment) -> Result<(), Error> {
        for (id, version) in rooms {
            match self.rooms.get(id) {
                // It registered itself, with the version that was the active one then.
                Some(entry) if entry.room.origin == Origin::Adopted && entry.room.version != *version => {
                    self.change(id, |room| room.version = *version);
                }
                Some(_) => {}
                None => {
                    self.check_place_for(1)?;
                    let make = || Room::adopted(id.clone(), *version, at.now, at.witnessed());
                    let mut room = self.provisional.take(id, at.now).unwrap_or_else(make);
                    room.version = *version;
                    self.insert(room);
                }
            }
        }
        Ok(())
    }

    pub(super) fn act(
        &mut self,
        id: &RoomId,
        revision: Revision,
        act: Act,
        now: Timestamp,
    ) -> Result<Room, Error> {
        let entry = self.rooms.get(id).ok_or_else(|| Error::UnknownRoom(id.clone()))?;
        if entry.room.revision != revision {
            return Err(Error::Moved { room: id.clone() });
        }
        let refused = |refused: Refused| Error::Refused {
            room: id.clone(),
            refused,
        };
        if act == Act::Forget {
            entry.room.may_forget().map_err(refused)?;
            return self.remove(id);
        }
        let done = self.change(id, |room| match act {
            Act::BeginCreate => room.begin_create(),
            Act::ConfirmCreate => Ok(room.confirm_create(now)),
            Act::Drain { reason } => room.drain(&reason, now),
            Act::ExpireAllocation => room.expire_allocation(now),
            Act::Stop {
                unheard_since,
                reason,
            } => room.stop(&reason, unheard_since, now),
            Act::Forget => room.may_forget().map(|()| Effect::Nothing),
        });
        let (effect, room) = done.ok_or_else(|| Error::UnknownRoom(id.clone()))?;
        effect.map_err(refused)?;
        Ok(room.clone())
    }

    pub(super) fn observe(&mut self, id: &RoomId, seen: &Seen, now: Timestamp) -> Result<(), Error> {
        let done = self.change(id, |room| room.observe(seen, now));
        done.map(|_| ()).ok_or_else(|| Error::UnknownRoom(id.clone()))
    }

    pub(super) fn state(&self) -> Option<State> {
        self.state.clone()
    }

    pub(super) fn save(&mut self, state: &State) {
        self.state = Some(state.clone());
    }

    pub(super) fn set_epoch(&mut self, epoch: Option<Timestamp>) {
        self.epoch = epoch;
        if epoch.is_some() {
            self.provisional.clear();
        }
    }

    pub(super) fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// Wakes the holder. Whoever is woken already is woken once.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    // Below, the only three places that change the rooms; each keeps index and log.

    fn change_by_room(
        &mut self,
        id: &RoomId,
        make: impl FnOnce(&mut Room) -> Taken,
    ) -> Result<Receipt, Error> {
        let done = self.change(id, |room| (room.revision, make(room)));
        let ((before, taken), room) = done.ok_or_else(|| Error::UnknownRoom(id.clone()))?;
        let receipt = receipt(taken, room);
        if before != receipt.room.revision {
            self.ring();
        }
        Ok(receipt)
    }

    fn change<T>(&mut self, id: &RoomId, make: impl FnOnce(&mut Room) -> T) -> Option<(T, &Room)> {
        let entry = self.rooms.get_mut(id)?;
        let before = place(&entry.room);
        let done = make(&mut entry.room);
        let after = place(&entry.room);
        if before != after {
            if let Some(place) = before {
                self.allocatable.remove(&place);
            }
            self.allocatable.extend(after);
        }
        entry.position = self.log.note(id, Some(entry.position));
        Some((done, &entry.room))
    }

    fn insert(&mut self, room: Room) {
        let position = self.log.note(&room.id, None);
        self.allocatable.extend(place(&room));
        self.rooms.insert(room.id.clone(), Entry { room, position });
    }

    fn remove(&mut self, id: &RoomId) -> Result<Room, Error> {
        let entry = self.rooms.remove(id);
        let entry = entry.ok_or_else(|| Error::UnknownRoom(id.clone()))?;
        if let Some(place) = place(&entry.room) {
            self.allocatable.remove(&place);
        }
        self.log.remove(id.clone(), entry.position);
        Ok(entry.room)
    }

    fn check_place_for(&self, more: usize) -> Result<(), Error> {
        match self.rooms.len() + more > self.most_rooms {
            true => Err(Error::Full {
                what: "rooms of one scheduler",
            }),
            false => Ok(()),
        }
    }
}

/// Where a room stands in the index, if it is allocatable.
fn place(room: &Room) -> Option<Place> {
    room.is_allocatable()
        .then(|| (Reverse(room.version), room.reserved_at, room.id.clone()))
}

fn receipt(taken: Taken, room: &Room) -> Receipt {
    Receipt {
        taken,
        draining: room.is_asked_to_leave(),
        room: room.clone(),
    }
}
