//! The registry on Redis: shared by any number of processes, on one server or a cluster.
//!
//! **One truth.** Rooms change by `maestro_core` only, here in Rust; scripts compare, store and keep the index. A change
//! is worked out from a room that was read and written if that room is still the same (its position in the stream of
//! changes says so), else worked out anew on what the refusal brought. Two things are done by scripts alone: freshening
//! a room whose report repeats the one before, of which `maestro_core` said beforehand that it changes nothing else
//! ([`kept`]), and promising a room to a match, which nobody may get between.
//!
//! **Keys.** All of a scheduler's carry `{scheduler}` and so lie on one node: `meta` (head and floor of the stream,
//! lease, epoch, standing), `rooms` by name, `log` (their order in the stream), `removed`, `allocatable` (the index),
//! `held` (rooms of the index that allocations passed over), `gone`, `state`, `provisional` and `heard`. None has a
//! bound of its own making: rooms are at most [`super::ROOMS_MAX`], which bounds `rooms`, `log`, `allocatable`, `held`
//! and `gone`; 1,024 removals are kept; `provisional` holds [`super::PROVISIONAL_MAX`] for a minute; `state` is what
//! its window's bounds allow. [`Registry::remove`] leaves nothing, and what rooms alone began anew expires. Only the
//! witness clock belongs to no scheduler.
//!
//! **Time** is the server's, taken inside scripts; tokens and positions grow with it, so that neither comes back after
//! a loss. A replica that takes over without the last writes is a small loss that nobody is told of: leases and marks of
//! that moment are as if they had not been. The server must not evict keys (`maxmemory-policy noeviction`).
//!
//! **User.** It needs the rules that [`user_rules`] tells and no more.

mod script;
mod link;
mod cluster;
mod route;
mod bells;
mod reply;
mod witness;
mod kept;
mod writes;
mod report;
mod holder;
mod commons;
mod config;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::placement::Reach;
use maestro_core::room::{Revision, Room};
use maestro_core::time::{Span, Timestamp};
use maestro_wire::record;
use redis::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{
    Act, Call, Changes, Cursor, Error, Fence, ROOMS_MAX, Receipt, Registry, Seen, Standing, State, Terms,
};
use bells::Bells;
use reply::{Reply, odd, unreadable};
use route::{Answer, Order, Router};
use script::{Prefix, Script, Slot};
use witness::{Latest, Reading};

pub use config::{Config, ConnectError};

/// Times that a change is worked out anew because its room changed meanwhile. A room is changed by its own calls, one
/// after the other, and by its holder: more than two at once is a fault.
const ATTEMPTS: usize = 32;

/// What a Redis user must be allowed, as `ACL SETUSER` takes it.
pub fn user_rules(prefix: &str) -> String {
    format!(
        "~{prefix}:* &{prefix}:* -@all +evalsha +script|load +time +publish +subscribe +unsubscribe +hello +select \
         +cluster|slots +asking +get +set +exists +unlink +persist +pexpire +hget +hset +hdel +hlen \
         +hmget +hgetall +hkeys +hvals +hexists +zadd +zrem +zremrangebyscore +zrange +zrangebyscore +zcard +zscore +zpopmin +sadd +srem +scard"
    )
}

/// The registry on Redis.
pub struct Redis {
    router: Router,
    prefix: Prefix,
    bells: Arc<Bells>,
    witness: Latest,
    offset: Arc<AtomicI64>,
    most_rooms: usize,
}

impl Redis {
    /// Connects; fails when no server answers, or not as one should.
    pub async fn connect(config: Config) -> Result<Self, ConnectError> {
        Self::connect_at(config, Arc::default()).await
    }

    /// The same with so many milliseconds added to the server's time, for tests that can't wait.
    pub async fn connect_at(config: Config, offset: Arc<AtomicI64>) -> Result<Self, ConnectError> {
        let bells = Arc::new(Bells::default());
        let (router, prefix) = config.open(Arc::clone(&bells)).await?;
        let redis = Self {
            router,
            prefix,
            bells,
            witness: Latest::default(),
            offset,
            most_rooms: ROOMS_MAX,
        };
        // Tells a user who may not do what is needed before anything depends on it.
        let read = redis.read_witness().await;
        read.map_err(|cause| ConnectError::Unusable { cause })?;
        Ok(redis)
    }

    /// Calls a script about a scheduler.
    async fn call(&self, scheduler: &SchedulerName, script: Script, args: &[&[u8]]) -> Result<Answer, Error> {
        let keys = self.prefix.keys(scheduler, script);
        self.call_on(Slot::of(scheduler), script, &keys, args).await
    }

    async fn call_on(
        &self,
        slot: Slot,
        script: Script,
        keys: &[String],
        args: &[&[u8]],
    ) -> Result<Answer, Error> {
        let offset = self.offset.load(Ordering::SeqCst).to_string();
        let mut all = Vec::with_capacity(args.len() + 1);
        all.push(offset.as_bytes());
        all.extend(args);
        let order = Order {
            script,
            slot,
            keys,
            args: &all,
        };
        self.router.call(order).await
    }

    /// The witness clock, as this process read it within the last two seconds.
    async fn witness(&self) -> Result<Reading, Error> {
        match self.witness.fresh() {
            Some(reading) => Ok(reading),
            None => self.read_witness().await.map(|(reading, _)| reading),
        }
    }

    async fn read_witness(&self) -> Result<(Reading, Timestamp), Error> {
        self.write_witness("", "").await
    }

    /// Writes the witness clock if it still is `expected`; answers what it is now, and the time.
    async fn write_witness(&self, expected: &str, new: &str) -> Result<(Reading, Timestamp), Error> {
        let key = self.prefix.witness();
        let slot = Slot::of_text(&key);
        let at = Instant::now();
        let args = [expected.as_bytes(), new.as_bytes()];
        let answer = self.call_on(slot, Script::Witness, &[key], &args).await?;
        let mut reply = Reply::read(answer.value)?;
        let reading = Reading::of(&mut reply)?;
        self.witness.keep(reading.clone(), at);
        Ok((reading, reply.now))
    }

    /// Runs a plain command that reads one of a scheduler's keys.
    async fn read(&self, scheduler: &SchedulerName, command: &redis::Cmd) -> Result<Value, Error> {
        self.router.read(Slot::of(scheduler), command).await
    }
}

fn contended() -> Error {
    Error::Unavailable {
        cause: format!("the room changed {ATTEMPTS} times while it was to be changed").into(),
    }
}

fn bytes(value: Value) -> Result<Option<Vec<u8>>, Error> {
    match value {
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::Nil => Ok(None),
        _ => Err(odd()),
    }
}

#[async_trait]
impl Registry for Redis {
    async fn report(&self, scheduler: &SchedulerName, room: &RoomId, call: Call) -> Result<Receipt, Error> {
        self.take_call(scheduler, room, &call).await
    }

    async fn allocate(&self, scheduler: &SchedulerName, terms: Terms) -> Result<Option<Room>, Error> {
        self.promise(scheduler, terms).await
    }

    async fn room(&self, scheduler: &SchedulerName, room: &RoomId) -> Result<Option<Room>, Error> {
        let began = self.witness().await?.began;
        let mut command = redis::cmd("HGET");
        command.arg(self.prefix.rooms(scheduler)).arg(room.as_str());
        let record = bytes(self.read(scheduler, &command).await?)?;
        let kept = record.map(|record| kept::decode(&record, began)).transpose()?;
        Ok(kept.map(|kept| kept.room))
    }

    async fn rooms(&self, scheduler: &SchedulerName) -> Result<Vec<Room>, Error> {
        let began = self.witness().await?.began;
        let mut command = redis::cmd("HVALS");
        command.arg(self.prefix.rooms(scheduler));
        let records = reply::list(self.read(scheduler, &command).await?)?;
        rooms(&records, began)
    }

    async fn beat(&self) -> Result<(), Error> {
        let (reading, now) = self.read_witness().await?;
        // Refused when another API's came in between, which is as good as ours.
        self.write_witness(&reading.text, &reading.after_beat(now))
            .await?;
        Ok(())
    }

    async fn acquire(
        &self,
        scheduler: &SchedulerName,
        holder: &str,
        lease: Span,
    ) -> Result<Option<Fence>, Error> {
        let lease = lease.ms().to_string();
        let args = [holder.as_bytes(), lease.as_bytes()];
        let answer = self.call(scheduler, Script::Acquire, &args).await?;
        let mut reply = Reply::read(answer.value)?;
        match reply.word.as_str() {
            "taken" => Ok(Some(Fence {
                scheduler: scheduler.clone(),
                token: reply.number()?.ok_or_else(odd)?,
            })),
            "held" => Ok(None),
            _ => reply.unexpected(),
        }
    }

    async fn release(&self, fence: &Fence) -> Result<(), Error> {
        self.fenced(fence, Script::Release, &[]).await
    }

    async fn changes(&self, scheduler: &SchedulerName, since: Cursor) -> Result<Changes, Error> {
        // Before the rooms: a clock that is read later would make them look silent for longer than they were.
        let witness = self.witness().await?;
        let since = since.0.to_string();
        let answer = self.call(scheduler, Script::Changes, &[since.as_bytes()]).await?;
        let mut reply = Reply::read(answer.value)?;
        let cursor = Cursor(reply.number()?.ok_or_else(odd)?);
        let epoch = reply.time()?;
        let standing = reply.bytes()?;
        let standing = standing.map(|bytes| record::decode_standing(&bytes)).transpose();
        let standing = standing.map_err(unreadable)?;
        let rooms = rooms(&reply.list()?, witness.began)?;
        let removed = reply.list()?.into_iter().map(|name| {
            let name = String::from_utf8(name).map_err(|_| odd())?;
            RoomId::parse(&name).map_err(|_| odd())
        });
        Ok(Changes {
            rooms,
            removed: removed.collect::<Result<_, Error>>()?,
            complete: reply.word == "all",
            cursor,
            now: reply.now,
            witness: witness.witness,
            epoch,
            standing: standing.map(|(wanted, scaled_at)| Standing { wanted, scaled_at }),
        })
    }

    async fn state(&self, scheduler: &SchedulerName) -> Result<Option<State>, Error> {
        let mut command = redis::cmd("GET");
        command.arg(self.prefix.state(scheduler));
        let Some(state) = bytes(self.read(scheduler, &command).await?)? else {
            return Ok(None);
        };
        let state = record::decode_state(&state).map_err(unreadable)?;
        Ok(Some(State {
            wanted: state.wanted,
            scaled_at: state.scaled_at,
            policies: state.policies,
            window: state.window,
        }))
    }

    async fn reserve(&self, fence: &Fence, rooms: &[(RoomId, Version)], most: u32) -> Result<(), Error> {
        self.reserve_rooms(fence, rooms, most).await
    }

    async fn adopt(&self, fence: &Fence, rooms: &[(RoomId, Version)]) -> Result<(), Error> {
        self.adopt_rooms(fence, rooms).await
    }

    async fn act(&self, fence: &Fence, room: &RoomId, revision: Revision, act: Act) -> Result<Room, Error> {
        self.act_on(fence, room, revision, &act).await
    }

    async fn observe(&self, fence: &Fence, room: &RoomId, seen: Seen) -> Result<(), Error> {
        self.observe_room(fence, room, &seen).await
    }

    async fn save(&self, fence: &Fence, state: &State) -> Result<(), Error> {
        let record = record::encode_state((state.wanted, state.scaled_at), &state.policies, &state.window);
        let standing = record::encode_standing(state.wanted, state.scaled_at);
        self.fenced(fence, Script::Save, &[&record, &standing]).await
    }

    async fn set_epoch(&self, fence: &Fence, epoch: Option<Timestamp>) -> Result<(), Error> {
        let epoch = epoch.map_or(String::new(), |at| at.ms().to_string());
        self.fenced(fence, Script::Epoch, &[epoch.as_bytes()]).await
    }

    async fn remove(&self, fence: &Fence) -> Result<(), Error> {
        self.fenced(fence, Script::Remove, &[]).await
    }

    async fn join(&self, member: &str, reach: Reach, ttl: Span) -> Result<BTreeMap<String, Reach>, Error> {
        self.say_there(member, Some((reach, ttl))).await
    }

    async fn leave(&self, member: &str) -> Result<(), Error> {
        self.say_there(member, None).await.map(drop)
    }

    async fn keep_copy(&self, scheduler: &SchedulerName, copy: Option<&[u8]>) -> Result<(), Error> {
        self.write_copy(scheduler, copy).await
    }

    async fn copied(&self) -> Result<BTreeSet<SchedulerName>, Error> {
        self.read_copied().await
    }

    async fn copies(&self) -> Result<BTreeMap<SchedulerName, Vec<u8>>, Error> {
        self.read_copies().await
    }

    fn nudges(&self, scheduler: &SchedulerName) -> Arc<Notify> {
        // Subscribed to before the next call about this scheduler, and so before whoever holds this reads anything.
        self.bells
            .bell(self.prefix.channel(scheduler), Slot::of(scheduler))
    }

    fn nudge(&self, scheduler: &SchedulerName) {
        let channel = self.prefix.channel(scheduler);
        let live = self
            .router
            .link(Slot::of(scheduler))
            .and_then(|link| link.current());
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&channel).arg("");
        // Over the network where that can be done without waiting; whoever is in this process is told in any case.
        if !live.is_some_and(|live| live.send_at_once(&mut publish)) {
            self.bells.ring(&channel);
        }
    }
}

/// Reads rooms, by name.
fn rooms(records: &[Vec<u8>], began: Span) -> Result<Vec<Room>, Error> {
    let rooms = records.iter().map(|record| kept::decode(record, began));
    let mut rooms: Vec<Room> = rooms
        .map(|kept| kept.map(|kept| kept.room))
        .collect::<Result<_, _>>()?;
    rooms.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok(rooms)
}
