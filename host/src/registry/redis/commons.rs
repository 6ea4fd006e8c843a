//! What belongs to no scheduler: who works, and copies of what the store has.

use std::collections::{BTreeMap, BTreeSet};

use maestro_core::names::SchedulerName;
use maestro_core::time::Span;
use redis::Value;

use super::Redis;
use super::reply::{Reply, odd};
use super::script::{Script, Slot};
use crate::registry::{Error, MEMBERS_MAX, SCHEDULERS_MAX};

impl Redis {
    /// Says that a member is there, or that it goes; answers who is there.
    pub(super) async fn say_there(&self, member: &str, ttl: Option<Span>) -> Result<BTreeSet<String>, Error> {
        let key = self.prefix.members();
        let slot = Slot::of_text(&key);
        let ttl = ttl.map_or(String::new(), |ttl| ttl.ms().to_string());
        let most = MEMBERS_MAX.to_string();
        let args = [member.as_bytes(), ttl.as_bytes(), most.as_bytes()];
        let answer = self.call_on(slot, Script::Members, &[key], &args).await?;
        let mut reply = Reply::read(answer.value)?;
        match reply.word.as_str() {
            "there" => reply.list()?.into_iter().map(name).collect(),
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
            (Value::BulkString(scheduler), Value::BulkString(copy)) => {
                let scheduler = SchedulerName::parse(&name(scheduler)?).map_err(|_| odd())?;
                Ok((scheduler, copy))
            }
            _ => Err(odd()),
        };
        pairs.into_iter().map(copy).collect()
    }
}

fn name(bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| odd())
}
