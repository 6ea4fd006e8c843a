//! What belongs to no scheduler: who works, and copies of what the store has.

use std::collections::{BTreeMap, BTreeSet};

use maestro_core::names::SchedulerName;
use maestro_core::placement::Reach;
use maestro_core::time::Span;
use redis::Value;

use super::Redis;
use super::reply::{Reply, odd};
use super::script::{Script, Slot};
use crate::registry::{Error, MEMBERS_MAX, SCHEDULERS_MAX};

impl Redis {
    /// Says that a member is there and how it reaches the store, or that it goes; answers who is there.
    pub(super) async fn say_there(
        &self,
        member: &str,
        word: Option<(Reach, Span)>,
    ) -> Result<BTreeMap<String, Reach>, Error> {
        let key = self.prefix.members();
        let slot = Slot::of_text(&key);
        let ttl = word.map_or(String::new(), |(_, ttl)| ttl.ms().to_string());
        let digit = word.map_or("", |(reach, _)| digit(reach));
        let most = MEMBERS_MAX.to_string();
        let args = [
            member.as_bytes(),
            ttl.as_bytes(),
            most.as_bytes(),
            digit.as_bytes(),
        ];
        let answer = self.call_on(slot, Script::Members, &[key], &args).await?;
        let mut reply = Reply::read(answer.value)?;
        match reply.word.as_str() {
            "there" => members(reply.list()?),
            "full" => Err(Error::Full { what: "workers" }),
            _ => reply.unexpected(),
        }
    }

    pub(super) async fn write_copy(
        &self,
        scheduler: &SchedulerName,
        copy: Option<&[u8]>,
    ) -> Result<(), Error> {
        let key = self.prefix.copies();
        let slot = Slot::of_text(&key);
        let most = SCHEDULERS_MAX.to_string();
        let args = [
            scheduler.as_str().as_bytes(),
            copy.unwrap_or_default(),
            most.as_bytes(),
        ];
        let answer = self.call_on(slot, Script::Copy, &[key], &args).await?;
        let reply = Reply::read(answer.value)?;
        match reply.word.as_str() {
            "done" => Ok(()),
            "full" => Err(Error::Full { what: "schedulers" }),
            _ => reply.unexpected(),
        }
    }

    pub(super) async fn read_copied(&self) -> Result<BTreeSet<SchedulerName>, Error> {
        let key = self.prefix.copies();
        let mut command = redis::cmd("HKEYS");
        command.arg(&key);
        let Value::Array(names) = self.router.read(Slot::of_text(&key), &command).await? else {
            return Err(odd());
        };
        let copied = |value| match value {
            Value::BulkString(bytes) => scheduler(bytes),
            _ => Err(odd()),
        };
        names.into_iter().map(copied).collect()
    }

    pub(super) async fn read_copies(&self) -> Result<BTreeMap<SchedulerName, Vec<u8>>, Error> {
        let key = self.prefix.copies();
        let mut command = redis::cmd("HGETALL");
        command.arg(&key);
        let pairs = match self.router.read(Slot::of_text(&key), &command).await? {
            Value::Map(pairs) => pairs,
            // As servers answer that speak the older protocol.
            Value::Array(flat) => {
                let mut flat = flat.into_iter();
                let pair = || Some((flat.next()?, flat.next()?));
                std::iter::from_fn(pair).collect()
            }
            _ => return Err(odd()),
        };
        let copy = |pair| match pair {
            (Value::BulkString(name), Value::BulkString(copy)) => Ok((scheduler(name)?, copy)),
            _ => Err(odd()),
        };
        pairs.into_iter().map(copy).collect()
    }
}

/// Reads names, each with its digit after it.
fn members(flat: Vec<Vec<u8>>) -> Result<BTreeMap<String, Reach>, Error> {
    let mut flat = flat.into_iter();
    let pair = || Some((flat.next()?, flat.next()?));
    let pairs = std::iter::from_fn(pair);
    let members = pairs.map(|(member, digit)| name(member).map(|member| (member, reach(&digit))));
    members.collect()
}

/// What stands for a member's word in its score.
fn digit(reach: Reach) -> &'static str {
    match reach {
        // As in the scores of releases that say nothing of the store.
        Reach::Unsure => "0",
        Reach::Steady => "1",
        Reach::Lost => "2",
    }
}

fn reach(digit: &[u8]) -> Reach {
    match digit {
        b"1" => Reach::Steady,
        b"2" => Reach::Lost,
        // Another release's word: it keeps what is its own, and nobody goes by it.
        _ => Reach::Unsure,
    }
}

fn scheduler(bytes: Vec<u8>) -> Result<SchedulerName, Error> {
    SchedulerName::parse(&name(bytes)?).map_err(|_| odd())
}

fn name(bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| odd())
}
