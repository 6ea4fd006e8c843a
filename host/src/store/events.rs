//! Events: what rooms and players did, as their rooms said it, how rooms ended, and what people did to schedulers.
//!
//! One row each, newest first; those of a scheduler are written in the transaction that they tell of. They are bounded
//! in age and size beside the journal, so that rooms that say much can't push decisions out. Callers: the API.

use std::sync::atomic::Ordering;

use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::time::Timestamp;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::entity::event;
use super::{Error, Store, Subject, column, failed, number, postgres, schedulers, unreadable};

/// Most events in one answer.
const PAGE: u64 = 500;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Of which scheduler.
    pub scheduler: SchedulerName,
    /// In which room, if in one.
    pub room: Option<RoomId>,
    /// To what it happened.
    pub kind: Kind,
    /// What it is called.
    pub name: String,
    /// When it was told.
    pub at: Timestamp,
    /// When it happened, by the clock of whoever told it.
    pub sent_at: Option<Timestamp>,
    /// More about it: JSON text of an object.
    pub metadata: String,
}

/// To what something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To a room.
    Room,
    /// To a player in a room.
    Player,
    /// To a scheduler.
    Scheduler,
}

/// Which events; all when nothing is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Not what happened before this.
    pub since: Option<Timestamp>,
    /// Not what happened after this.
    pub until: Option<Timestamp>,
    /// Only what happened in this room.
    pub room: Option<RoomId>,
    /// Only what happened to this.
    pub kind: Option<Kind>,
    /// Only what stands before this row.
    pub before: Option<u64>,
    /// So many of the newest are left out.
    pub skipped: u64,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Room, Self::Player, Self::Scheduler];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Player => "player",
            Self::Scheduler => "scheduler",
        }
    }
}

impl Store {
    /// Adds an event.
    pub async fn append_event(&self, event: &Event) -> Result<(), Error> {
        const WHAT: &str = "store an event";
        let transaction = self.begin(Subject::Events, WHAT).await?;
        insert(&transaction, event).await?;
        transaction.commit().await.map_err(failed(WHAT))?;
        self.told.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A scheduler's events with their places, newest first; those of all schedulers without one.
    pub async fn events(
        &self,
        name: Option<&SchedulerName>,
        part: &Part,
        limit: u64,
    ) -> Result<Vec<(u64, Event)>, Error> {
        let mut rows = event::Entity::find()
            .filter(event::Column::Id.lt(part.before.map_or(i64::MAX, column)))
            .filter(event::Column::At.gte(part.since.map_or(i64::MIN, Timestamp::ms)))
            .filter(event::Column::At.lte(part.until.map_or(i64::MAX, Timestamp::ms)));
        if let Some(name) = name {
            rows = rows.filter(event::Column::Scheduler.eq(name.as_str()));
        }
        if let Some(room) = &part.room {
            rows = rows.filter(event::Column::Room.eq(room.as_str()));
        }
        if let Some(kind) = part.kind {
            rows = rows.filter(event::Column::Kind.eq(kind.as_str()));
        }
        let rows = rows
            .order_by_desc(event::Column::Id)
            .offset(part.skipped)
            .limit(limit.min(PAGE))
            .all(&self.reader)
            .await
            .map_err(failed("read events"))?;
        rows.into_iter().map(parse).collect()
    }
}

/// Adds an event of a scheduler, in the transaction that it tells of.
pub(super) async fn tell(
    database: &impl ConnectionTrait,
    scheduler: &SchedulerName,
    (name, metadata): (&str, serde_json::Value),
    at: Timestamp,
) -> Result<(), Error> {
    let event = Event {
        scheduler: scheduler.clone(),
        room: None,
        kind: Kind::Scheduler,
        name: name.to_owned(),
        at,
        sent_at: None,
        metadata: metadata.to_string(),
    };
    // Its number shall not be seen after a later one's, as it would be if others wrote events before this is committed.
    postgres::lock(database, Subject::Events)
        .await
        .map_err(failed("store an event"))?;
    insert(database, &event).await
}

pub(super) async fn insert(database: &impl ConnectionTrait, event: &Event) -> Result<(), Error> {
    let row = event::ActiveModel {
        scheduler: Set(event.scheduler.to_string()),
        room: Set(event.room.as_ref().map(RoomId::to_string)),
        kind: Set(event.kind.as_str().to_owned()),
        name: Set(event.name.clone()),
        at: Set(event.at.ms()),
        sent_at: Set(event.sent_at.map(Timestamp::ms)),
        size: Set(column(event.name.len() + event.metadata.len())),
        metadata: Set(event.metadata.clone()),
        ..Default::default()
    };
    let inserted = event::Entity::insert(row).exec_without_returning(database).await;
    inserted.map(|_| ()).map_err(failed("write an event"))
}

pub(super) fn parse(row: event::Model) -> Result<(u64, Event), Error> {
    let room = row.room.as_deref().map(RoomId::parse).transpose();
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == row.kind);
    let event = Event {
        scheduler: schedulers::parse_name(&row.scheduler)?,
        room: room.map_err(|reason| unreadable("an event's room", reason))?,
        kind: kind.ok_or_else(|| unreadable("an event's kind", &row.kind))?,
        name: row.name,
        at: Timestamp::from_ms(row.at),
        sent_at: row.sent_at.map(Timestamp::from_ms),
        metadata: row.metadata,
    };
    Ok((number("an event's number", row.id)?, event))
}
