//! What the holder of a lease does to rooms: reserve, adopt, act, observe.
//!
//! Each reads, lets `maestro_core` work the change out, and writes it if the room is still the same and the token still
//! the newest, both checked by the script that writes.

use std::collections::BTreeMap;

use maestro_core::names::{RoomId, Version};
use maestro_core::room::{Effect, Origin, Refused, Revision, Room};
use maestro_core::time::Timestamp;
use maestro_wire::record::KeptRoom;

use super::kept::{self, Entry};
use super::script::Script;
use super::writes::{BATCH, Refusal, Terms, Written, fenced, token};
use super::{ATTEMPTS, Redis, contended};
use crate::registry::{Act, Error, Fence, Seen};

/// A room as it was read.
struct Found {
    kept: KeptRoom,
    now: Timestamp,
}

impl Redis {
    pub(super) async fn reserve_rooms(
        &self,
        fence: &Fence,
        rooms: &[(RoomId, Version)],
        most: u32,
    ) -> Result<(), Error> {
        let witness = self.witness().await?;
        let now = self.look(&fence.scheduler, Some(fence), &[]).await?.now;
        let terms = Terms {
            fence: Some(fence),
            most: Some(most),
            ..Terms::default()
        };
        for batch in rooms.chunks(BATCH) {
            let make = |(id, version): &(RoomId, Version)| {
                Room::reserved(id.clone(), *version, now, witness.witness.total)
            };
            let entries: Vec<Entry> = batch
                .iter()
                .map(|room| Entry::insert(&make(room), None))
                .collect();
            // What is refused exists already, and is left as it is.
            self.write(&fence.scheduler, terms, &entries).await?;
        }
        Ok(())
    }

    pub(super) async fn adopt_rooms(&self, fence: &Fence, rooms: &[(RoomId, Version)]) -> Result<(), Error> {
        for batch in rooms.chunks(BATCH) {
            let mut left: BTreeMap<&RoomId, Version> = batch.iter().map(|(id, v)| (id, *v)).collect();
            let mut attempts = 0;
            while !left.is_empty() {
                if attempts == ATTEMPTS {
                    return Err(contended());
                }
                attempts += 1;
                left = self.adopt_batch(fence, left).await?;
            }
        }
        // Nothing to adopt, and the lease may be lost all the same.
        match rooms.is_empty() {
            true => self.look(&fence.scheduler, Some(fence), &[]).await.map(|_| ()),
            false => Ok(()),
        }
    }

    /// Adopts what it can, and answers what changed meanwhile.
    async fn adopt_batch<'a>(
        &self,
        fence: &Fence,
        rooms: BTreeMap<&'a RoomId, Version>,
    ) -> Result<BTreeMap<&'a RoomId, Version>, Error> {
        let witness = self.witness().await?;
        let ids: Vec<&str> = rooms.keys().map(|id| id.as_str()).collect();
        let mut reply = self.look(&fence.scheduler, Some(fence), &ids).await?;
        let now = reply.now;
        reply.bytes()?;
        let (mut entries, mut of) = (Vec::new(), Vec::new());
        for (id, version) in &rooms {
            let (stored, provisional) = (reply.bytes()?, reply.bytes()?);
            let entry = match (stored, provisional) {
                (Some(stored), _) => {
                    let before = kept::decode(&stored, witness.began)?;
                    // It registered itself, with the version that was the active one then.
                    if before.room.origin != Origin::Adopted || before.room.version == *version {
                        continue;
                    }
                    let room = Room {
                        version: *version,
                        ..before.room.clone()
                    };
                    Entry::change(&before, &room, before.quiet)
                }
                (None, provisional) => {
                    let make = || Room::adopted((*id).clone(), *version, now, witness.witness.total);
                    let mut room = match provisional {
                        Some(provisional) => kept::decode(&provisional, witness.began)?.room,
                        None => make(),
                    };
                    room.version = *version;
                    Entry::insert(&room, None)
                }
            };
            entries.push(entry);
            of.push((*id, *version));
        }
        let terms = Terms {
            fence: Some(fence),
            ..Terms::default()
        };
        match self.write(&fence.scheduler, terms, &entries).await? {
            Written::Done(refused) => Ok(refused
                .iter()
                .filter_map(|refusal| of.get(refusal.index).copied())
                .collect()),
            Written::Settled => Ok(BTreeMap::new()),
        }
    }

    pub(super) async fn act_on(
        &self,
        fence: &Fence,
        id: &RoomId,
        revision: Revision,
        act: &Act,
    ) -> Result<Room, Error> {
        let refused = |refused: Refused| Error::Refused {
            room: id.clone(),
            refused,
        };
        let make = |room: &mut Room, now: Timestamp| {
            if room.revision != revision {
                return Err(Error::Moved { room: id.clone() });
            }
            match act {
                Act::BeginCreate => room.begin_create(),
                Act::ConfirmCreate => Ok(room.confirm_create(now)),
                Act::Drain { reason } => room.drain(reason, now),
                Act::ExpireAllocation => room.expire_allocation(now),
                Act::Stop {
                    unheard_since,
                    reason,
                } => room.stop(reason, *unheard_since, now),
                Act::Forget => room.may_forget().map(|()| Effect::Nothing),
            }
            .map_err(refused)
        };
        self.change(fence, id, *act == Act::Forget, make).await
    }

    pub(super) async fn observe_room(&self, fence: &Fence, id: &RoomId, seen: &Seen) -> Result<(), Error> {
        let make = |room: &mut Room, now: Timestamp| Ok(room.observe(seen, now));
        self.change(fence, id, false, make).await.map(|_| ())
    }

    /// Changes one room by `make`, or removes it after `make` agreed.
    async fn change(
        &self,
        fence: &Fence,
        id: &RoomId,
        is_removed: bool,
        make: impl Fn(&mut Room, Timestamp) -> Result<Effect, Error>,
    ) -> Result<Room, Error> {
        let unknown = || Error::UnknownRoom(id.clone());
        let began = self.witness().await?.began;
        let scheduler = &fence.scheduler;
        let mut reply = self.look(scheduler, Some(fence), &[id.as_str()]).await?;
        reply.bytes()?;
        let mut found = Found {
            now: reply.now,
            kept: kept::decode(&reply.bytes()?.ok_or_else(unknown)?, began)?,
        };
        let terms = Terms {
            fence: Some(fence),
            ..Terms::default()
        };
        for _ in 0..ATTEMPTS {
            let mut room = found.kept.room.clone();
            let effect = make(&mut room, found.now)?;
            let entry = match is_removed {
                true => Entry::remove(&found.kept),
                // As it is, and the lease was held when it was read.
                false if effect == Effect::Nothing => return Ok(room),
                false => Entry::change(&found.kept, &room, None),
            };
            let written = self.write(scheduler, terms, std::slice::from_ref(&entry)).await?;
            let refused = match written {
                Written::Done(refused) => refused.into_iter().next(),
                Written::Settled => return Err(contended()),
            };
            let Some(Refusal { record, now, .. }) = refused else {
                return Ok(room);
            };
            let kept = kept::decode(&record.ok_or_else(unknown)?, began)?;
            found = Found { kept, now };
        }
        Err(contended())
    }

    /// Calls a script that only answers whether it was done under this token.
    pub(super) async fn fenced(&self, fence: &Fence, script: Script, args: &[&[u8]]) -> Result<(), Error> {
        let token = token(Some(fence));
        let mut all = vec![token.as_bytes()];
        all.extend(args);
        let answer = self.call(&fence.scheduler, script, &all).await?;
        let reply = super::reply::Reply::read(answer.value)?;
        match reply.word.as_str() {
            "done" => Ok(()),
            // It was removed by a call of ours that nobody heard the answer of.
            "absent" if answer.is_repeated => Ok(()),
            "fenced" | "absent" => Err(fenced(&fence.scheduler)),
            _ => reply.unexpected(),
        }
    }
}
