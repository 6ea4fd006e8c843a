//! Reading rooms for a change, and writing it if they are still the same. Every change of a room but an allocation
//! goes through here.

use maestro_core::names::SchedulerName;
use maestro_core::time::{Span, Timestamp};

use super::Redis;
use super::kept::{self, Entry};
use super::reply::Reply;
use super::script::Script;
use crate::registry::{Error, Fence, PROVISIONAL_FOR};

/// Removals kept. A reader comes each few seconds, and no step removes as many.
const REMOVALS: usize = 1_024;

/// How long rooms are kept that registered themselves with a scheduler that nobody ever held: whoever holds it comes
/// within seconds, and one that was deleted meanwhile leaves nothing behind.
const ORPHANED: Span = Span::from_secs(3_600);

/// Rooms of one script: it runs for some milliseconds at most.
pub(super) const BATCH: usize = 256;

/// What else holds for a write.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms<'a> {
    /// The lease under which it is done; `None` for rooms' own calls.
    pub(super) fence: Option<&'a Fence>,
    /// Done only while no epoch is set; begins a scheduler that is not known.
    pub(super) only_recovering: bool,
    /// Whether the holder is told.
    pub(super) nudges: bool,
    /// Most rooms that are not gone.
    pub(super) most: Option<u32>,
}

/// What became of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// Done, but for these.
    Done(Vec<Refusal>),
    /// Recovery is over; nothing was done.
    Settled,
}

/// A room that was not what the change was worked out from.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Which entry.
    pub(super) index: usize,
    /// The room as it is now; `None` when it is not there.
    pub(super) record: Option<Vec<u8>>,
    /// The registry's time of that.
    pub(super) now: Timestamp,
}

impl Redis {
    /// Reads rooms and what is kept of them provisionally, under a lease that must be the newest if there is one.
    /// After the epoch, two parts a room follow in the reply.
    pub(super) async fn look(
        &self,
        scheduler: &SchedulerName,
        fence: Option<&Fence>,
        rooms: &[&str],
    ) -> Result<Reply, Error> {
        let token = token(fence);
        let length = PROVISIONAL_FOR.ms().to_string();
        let mut args = vec![token.as_bytes(), length.as_bytes()];
        args.extend(rooms.iter().map(|room| room.as_bytes()));
        let answer = self.call(scheduler, Script::Read, &args).await?;
        let reply = Reply::read(answer.value)?;
        match reply.word.as_str() {
            "read" => Ok(reply),
            "fenced" => Err(fenced(scheduler)),
            _ => reply.unexpected(),
        }
    }

    /// Writes rooms that are still what their entries were worked out from.
    pub(super) async fn write(
        &self,
        scheduler: &SchedulerName,
        terms: Terms<'_>,
        entries: &[Entry],
    ) -> Result<Written, Error> {
        let (token, removals) = (token(terms.fence), REMOVALS.to_string());
        let channel = match terms.nudges {
            true => self.prefix.channel(scheduler),
            false => String::new(),
        };
        let most = terms.most.map_or(String::new(), |most| most.to_string());
        let (limit, orphaned) = (self.most_rooms.to_string(), ORPHANED.ms().to_string());
        let recovering: &[u8] = if terms.only_recovering { b"recovering" } else { b"" };
        let mut args = vec![
            token.as_bytes(),
            recovering,
            channel.as_bytes(),
            most.as_bytes(),
            limit.as_bytes(),
            removals.as_bytes(),
            orphaned.as_bytes(),
        ];
        for entry in entries {
            let is_gone: &[u8] = if entry.is_gone { b"1" } else { b"" };
            args.extend([
                entry.id.as_bytes(),
                entry.expected.as_bytes(),
                entry.record.as_slice(),
                entry.place_before.as_bytes(),
                entry.place_after.as_bytes(),
                is_gone,
            ]);
        }
        let answer = self.call(scheduler, Script::Write, &args).await?;
        let mut reply = Reply::read(answer.value)?;
        match reply.word.as_str() {
            "done" => {}
            "fenced" => return Err(fenced(scheduler)),
            "settled" => return Ok(Written::Settled),
            "full" => {
                return Err(Error::Full {
                    what: "rooms of one scheduler",
                });
            }
            _ => return reply.unexpected(),
        }
        let refused = refusals(&mut reply, entries, answer.is_repeated)?;
        Ok(Written::Done(refused))
    }
}

/// Which entries were refused.
fn refusals(reply: &mut Reply, entries: &[Entry], is_repeated: bool) -> Result<Vec<Refusal>, Error> {
    let mut refused = Vec::new();
    while !reply.is_over() {
        let refusal = Refusal {
            index: reply.count()?,
            record: reply.bytes()?,
            now: reply.now,
        };
        // Sent twice, because nobody heard the first answer: what stands there is what the first one wrote.
        if !is_repeated || !is_ours(entries.get(refusal.index), &refusal)? {
            refused.push(refusal);
        }
    }
    Ok(refused)
}

/// Whether what stands there is what the entry was to write.
fn is_ours(entry: Option<&Entry>, refusal: &Refusal) -> Result<bool, Error> {
    match (entry, &refusal.record) {
        (Some(entry), None) => Ok(entry.record.is_empty()),
        (Some(entry), Some(stored)) if !entry.record.is_empty() => {
            let wanted = kept::decode(&entry.record, Span::ZERO)?.room;
            let stored = kept::decode(stored, Span::ZERO)?.room;
            Ok(kept::is_same_but_fresher(&wanted, &stored))
        }
        _ => Ok(false),
    }
}

/// The token as scripts compare it; empty where none is asked for.
pub(super) fn token(fence: Option<&Fence>) -> String {
    fence.map_or(String::new(), |fence| fence.token.to_string())
}

pub(super) fn fenced(scheduler: &SchedulerName) -> Error {
    Error::Fenced {
        scheduler: scheduler.clone(),
    }
}
