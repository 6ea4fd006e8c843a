//! Ends of rooms: written as events, and read back when somebody asks after a room that is gone.
//!
//! A room may tell of itself under any name, so that this one alone does not make an event ours: rooms' own events bear
//! the time at which they were sent, and ends have none. Callers: the journal, and the API.

use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::room::{End, Health};
use maestro_wire::view::{rfc3339, time};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};

use super::entity::event;
use super::events::{Event, Kind, insert, parse};
use super::{Error, Store, Subject, failed, unreadable};

/// What the event is called.
const NAME: &str = "roomEnded";

/// What the event says more of an end. Whoever lists events sees it as it stands.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct More {
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    last_words: String,
    /// Whether it ended as it should not.
    failed: bool,
    version: String,
    created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_ping_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

impl Store {
    /// Writes that rooms have ended, all of them or none.
    pub async fn append_ends(&self, ends: &[(SchedulerName, End)]) -> Result<(), Error> {
        const WHAT: &str = "write ends of rooms";
        let transaction = self.begin(Subject::Events, WHAT).await?;
        for (scheduler, end) in ends {
            insert(&transaction, &event(scheduler, end)?).await?;
        }
        transaction.commit().await.map_err(failed(WHAT))
    }

    /// The newest end of a room, if it is known.
    pub async fn room_end(&self, scheduler: &SchedulerName, room: &RoomId) -> Result<Option<End>, Error> {
        let newest = event::Entity::find()
            .filter(event::Column::Scheduler.eq(scheduler.as_str()))
            .filter(event::Column::Room.eq(room.as_str()))
            .filter(event::Column::Name.eq(NAME))
            .filter(event::Column::SentAt.is_null())
            .order_by_desc(event::Column::Id)
            .one(&self.reader)
            .await
            .map_err(failed("read the end of a room"))?;
        let newest = newest.map(parse).transpose()?;
        newest.map(|(_, event)| read(room, &event)).transpose()
    }
}

fn event(scheduler: &SchedulerName, end: &End) -> Result<Event, Error> {
    let more = More {
        reason: end.reason.clone(),
        exit_code: end.code,
        last_words: end.words.clone(),
        failed: end.health != Health::Well,
        version: end.version.to_string(),
        created_at: rfc3339(end.created_at),
        last_ping_at: end.life_at.map(rfc3339),
        node: end.node.clone(),
    };
    let metadata = serde_json::to_string(&more).map_err(|error| unreadable("an end of a room", error))?;
    Ok(Event {
        scheduler: scheduler.clone(),
        room: Some(end.room.clone()),
        kind: Kind::Room,
        name: NAME.to_owned(),
        at: end.at,
        sent_at: None,
        metadata,
    })
}

fn read(room: &RoomId, event: &Event) -> Result<End, Error> {
    let more: More =
        serde_json::from_str(&event.metadata).map_err(|error| unreadable("an end of a room", error))?;
    let version = Version::parse(&more.version);
    let no_time = || unreadable("when a room that ended was created", &more.created_at);
    Ok(End {
        room: room.clone(),
        version: version.map_err(|reason| unreadable("the version of a room that ended", reason))?,
        created_at: time(&more.created_at).ok_or_else(no_time)?,
        life_at: more.last_ping_at.as_deref().and_then(time),
        at: event.at,
        health: match more.failed {
            true => Health::Failed,
            false => Health::Well,
        },
        code: more.exit_code,
        words: more.last_words,
        reason: more.reason,
        node: more.node,
    })
}
