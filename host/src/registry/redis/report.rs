//! What rooms and matchmakers do: calls of rooms, and allocation.
//!
//! A call that repeats the one before is one script, which freshens the room. Any other is worked out by
//! `maestro_core` on the room that the script answered, and written by a second one if that room is still the same;
//! if not, the refusal brings the room as it is by now, so that each conflict costs one more round trip.
//!
//! What is worked out here with a time that has passed when it is written is as good as done at that time: nothing
//! happened to the room in between, or the write is refused. So times in a room never run against the order of its
//! changes, and a report that was received before a drain mark is never taken for an answer to it.

use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::report::{AHEAD, Reception, Report};
use maestro_core::room::Room;
use maestro_core::time::{Span, Timestamp};
use maestro_wire::record::{self, Quiet};

use super::kept::{self, Entry};
use super::reply::{Reply, odd};
use super::script::Script;
use super::witness::Reading;
use super::writes::{Refusal, Terms, Written};
use super::{ATTEMPTS, Redis, contended};
use crate::registry::{self, Call, Error, PROVISIONAL_FOR, PROVISIONAL_MAX, Receipt, Taken};

/// Rooms of the index that one call of the script walks over before it lets others have their turn.
const WALK: usize = 128;

/// A call of a room, by what it is about.
#[derive(Clone, Copy)]
struct Caller<'a> {
    scheduler: &'a SchedulerName,
    id: &'a RoomId,
    call: &'a Call,
}

/// What became of an attempt.
enum Attempt<T> {
    Done(T),
    /// The room is not what it was: again from the start.
    Again,
}

impl Redis {
    pub(super) async fn take_call(
        &self,
        scheduler: &SchedulerName,
        id: &RoomId,
        call: &Call,
    ) -> Result<Receipt, Error> {
        let caller = Caller { scheduler, id, call };
        for _ in 0..ATTEMPTS {
            let witness = self.witness().await?;
            let mut reply = self.ping(caller, &witness).await?;
            let now = reply.now;
            let attempt = match reply.word.as_str() {
                "fresh" => {
                    let before = reply.bytes()?.ok_or_else(odd)?;
                    let mut room = kept::decode(&before, witness.began)?.room;
                    let taken = receive(&mut room, call, now, witness.witness.total);
                    return Ok(receipt(taken, room));
                }
                "new" => {
                    let record = reply.bytes()?.ok_or_else(odd)?;
                    self.take_news(caller, (record, now), &witness).await?
                }
                "unknown" => {
                    let is_recovering = reply.time()?.is_none();
                    match call {
                        Call::Report {
                            report,
                            authentic,
                            version,
                        } if is_recovering => {
                            let stranger = Stranger {
                                scheduler,
                                id,
                                report,
                                version: *version,
                            };
                            self.take_stranger(stranger, *authentic, &witness).await?
                        }
                        Call::Report { .. } | Call::Refused => return Err(Error::UnknownRoom(id.clone())),
                    }
                }
                _ => return reply.unexpected(),
            };
            if let Attempt::Done(receipt) = attempt {
                return Ok(receipt);
            }
        }
        Err(contended())
    }

    async fn ping(&self, caller: Caller<'_>, witness: &Reading) -> Result<Reply, Error> {
        let life = witness.witness.total.ms().to_be_bytes();
        let (sent, least, signature) = match caller.call {
            Call::Refused => (Vec::new(), String::new(), Vec::new()),
            Call::Report { report, .. } => (
                report.sent_at.ms().to_be_bytes().to_vec(),
                (report.sent_at - AHEAD).ms().to_string(),
                record::signature(report).to_vec(),
            ),
        };
        let args = [
            caller.id.as_str().as_bytes(),
            life.as_slice(),
            sent.as_slice(),
            least.as_bytes(),
            signature.as_slice(),
        ];
        let answer = self.call(caller.scheduler, Script::Ping, &args).await?;
        Reply::read(answer.value)
    }

    /// Takes a report that may say something new, on `record` as it was at `now`.
    async fn take_news(
        &self,
        caller: Caller<'_>,
        (mut record, mut now): (Vec<u8>, Timestamp),
        witness: &Reading,
    ) -> Result<Attempt<Receipt>, Error> {
        for _ in 0..ATTEMPTS {
            let before = kept::decode(&record, witness.began)?;
            let mut room = before.room.clone();
            let taken = receive(&mut room, caller.call, now, witness.witness.total);
            let quiet = quiet(caller.call, &room);
            let terms = Terms {
                nudges: room.revision != before.room.revision,
                ..Terms::default()
            };
            let entries = [Entry::change(&before, &room, quiet)];
            match self.write(caller.scheduler, terms, &entries).await? {
                Written::Done(refused) => match refused.into_iter().next() {
                    None => return Ok(Attempt::Done(receipt(taken, room))),
                    Some(Refusal {
                        now: then,
                        record: Some(fresh),
                        ..
                    }) => (record, now) = (fresh, then),
                    // Forgotten meanwhile.
                    Some(_) => return Ok(Attempt::Again),
                },
                Written::Settled => return Ok(Attempt::Again),
            }
        }
        Err(contended())
    }

    /// Takes a report of a room that is not known while that may be because of a loss.
    async fn take_stranger(
        &self,
        stranger: Stranger<'_>,
        is_authentic: bool,
        witness: &Reading,
    ) -> Result<Attempt<Receipt>, Error> {
        let mut reply = self
            .look(stranger.scheduler, None, &[stranger.id.as_str()])
            .await?;
        let now = reply.now;
        reply.bytes()?;
        if reply.bytes()?.is_some() {
            return Ok(Attempt::Again);
        }
        let kept = reply.bytes()?;
        let mut room = match &kept {
            Some(kept) => kept::decode(kept, witness.began)?.room,
            None => Room::adopted(stranger.id.clone(), stranger.version, now, witness.witness.total),
        };
        room.receive(stranger.report, now, witness.witness.total);
        match is_authentic {
            true => self.register(stranger, room).await,
            false => self.keep_provisional(stranger, room, kept).await,
        }
    }

    async fn register(&self, stranger: Stranger<'_>, room: Room) -> Result<Attempt<Receipt>, Error> {
        let quiet = kept::quiet(&room, stranger.report);
        let terms = Terms {
            only_recovering: true,
            nudges: true,
            ..Terms::default()
        };
        let entries = [Entry::insert(&room, quiet)];
        match self.write(stranger.scheduler, terms, &entries).await? {
            Written::Done(refused) if refused.is_empty() => {
                Ok(Attempt::Done(receipt(Taken::Registered, room)))
            }
            Written::Done(_) | Written::Settled => Ok(Attempt::Again),
        }
    }

    async fn keep_provisional(
        &self,
        stranger: Stranger<'_>,
        room: Room,
        kept: Option<Vec<u8>>,
    ) -> Result<Attempt<Receipt>, Error> {
        let record = record::encode_room(&room, None);
        let (most, length) = (PROVISIONAL_MAX.to_string(), PROVISIONAL_FOR.ms().to_string());
        let args = [
            stranger.id.as_str().as_bytes(),
            kept.as_deref().unwrap_or_default(),
            record.as_slice(),
            most.as_bytes(),
            length.as_bytes(),
        ];
        let answer = self.call(stranger.scheduler, Script::Provisional, &args).await?;
        let reply = Reply::read(answer.value)?;
        match reply.word.as_str() {
            "kept" => Ok(Attempt::Done(receipt(Taken::Provisional, room))),
            "moved" | "settled" => Ok(Attempt::Again),
            "full" => Err(Error::Full {
                what: "provisional reports",
            }),
            _ => reply.unexpected(),
        }
    }

    pub(super) async fn promise(
        &self,
        scheduler: &SchedulerName,
        terms: registry::Terms,
    ) -> Result<Option<Room>, Error> {
        let witness = self.witness().await?;
        // A silence that began before this clock did has lasted since it began.
        let least = witness.witness.total - terms.ping;
        let least = if least <= witness.began { Span::ZERO } else { least };
        let (ttl, least, walk) = (
            terms.ttl.ms().to_string(),
            least.ms().to_string(),
            WALK.to_string(),
        );
        let channel = self.prefix.channel(scheduler);
        let args = [
            ttl.as_bytes(),
            least.as_bytes(),
            walk.as_bytes(),
            channel.as_bytes(),
        ];
        loop {
            let answer = self.call(scheduler, Script::Allocate, &args).await?;
            let mut reply = Reply::read(answer.value)?;
            match reply.word.as_str() {
                "given" => {
                    let record = reply.bytes()?.ok_or_else(odd)?;
                    return Ok(Some(kept::decode(&record, witness.began)?.room));
                }
                "none" => return Ok(None),
                // Each walk takes rooms out of the way, so that this ends.
                "more" => {}
                _ => return reply.unexpected(),
            }
        }
    }
}

/// A room that the registry does not know, and what it says.
#[derive(Clone, Copy)]
struct Stranger<'a> {
    scheduler: &'a SchedulerName,
    id: &'a RoomId,
    report: &'a Report,
    version: Version,
}

/// Takes a call as `maestro_core` does.
fn receive(room: &mut Room, call: &Call, now: Timestamp, witnessed: Span) -> Taken {
    match call {
        Call::Refused => {
            room.sign_of_life(now, witnessed);
            Taken::LifeOnly
        }
        Call::Report { report, .. } => match room.receive(report, now, witnessed) {
            Reception::Newest => Taken::Newest,
            Reception::LifeOnly => Taken::LifeOnly,
            Reception::ClockMoved => Taken::ClockMoved,
        },
    }
}

fn quiet(call: &Call, room: &Room) -> Option<Quiet> {
    match call {
        Call::Report { report, .. } => kept::quiet(room, report),
        Call::Refused => None,
    }
}

fn receipt(taken: Taken, room: Room) -> Receipt {
    Receipt {
        taken,
        draining: room.is_asked_to_leave(),
        room,
    }
}
