//! What happened to a scheduler, its rooms and its players, newest first: in pages that go on from a cursor, and in the
//! older system's, which are counted.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maestro_core::names::{RoomId, SchedulerName};
use maestro_wire::http::{EventBody, Events};
use maestro_wire::view::rfc3339;
use serde::Deserialize;

use super::Api;
use super::extract::{Path, Query};
use super::parameter::{Between, List, between, invalid, number, one_of};
use super::problem::Problem;
use super::rooms::room_id;
use crate::store::events::{Event, Kind, Part};

/// Events on a counted page, as the older system had it.
const COUNTED: usize = 30;

/// Counted pages end here: what lies further back is reached by cursors, or by time.
const PAGES: usize = 1_000;

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The older pages of 30, from 1: the answer is an array.
    #[param(value_type = Option<u32>)]
    page: Option<String>,
    /// RFC 3339 in UTC, or seconds or milliseconds since 1970.
    since: Option<String>,
    /// As `since`.
    until: Option<String>,
    /// Only what happened in this room.
    room: Option<String>,
    /// `room`, `player` or `scheduler`.
    kind: Option<String>,
    /// Most events, up to 200; 30 when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of events; with `page`, an array.
#[utoipa::path(
    get,
    path = "/scheduler/{scheduler}/events",
    tag = "history",
    operation_id = "events_list",
    params(Which),
    responses((status = 200, body = Events, description = "Done"))
)]
pub(super) async fn list(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let room = which.room.as_deref().map(|room| room_id(&entry, room));
    let room = room.transpose()?;
    page(&api, Some(&entry.scheduler.name), room, &which).await
}

/// A page of the events of all schedulers, of those that are gone too.
#[utoipa::path(
    get,
    path = "/events",
    tag = "history",
    operation_id = "events_all",
    params(Which),
    responses((status = 200, body = Events, description = "Done"))
)]
pub(super) async fn all(State(api): State<Api>, Query(which): Query<Which>) -> Result<Response, Problem> {
    let room = which.room.as_deref().map(RoomId::parse).transpose();
    let room = room.map_err(|reason| invalid(format!("`room` is no name of a room: {reason}")))?;
    page(&api, None, room, &which).await
}

async fn page(
    api: &Api,
    name: Option<&SchedulerName>,
    room: Option<RoomId>,
    which: &Which,
) -> Result<Response, Problem> {
    let Between { since, until } = between(which.since.as_deref(), which.until.as_deref())?;
    let mut part = Part {
        since,
        until,
        room,
        kind: which.kind.as_deref().map(parse_kind).transpose()?,
        ..Part::default()
    };
    if let Some(page) = which.page.as_deref() {
        if which.cursor.is_some() || which.limit.is_some() {
            return Err(invalid(
                "`page` counts pages of 30; it takes neither `cursor` nor `limit`".to_owned(),
            ));
        }
        let page = number("page", Some(page), 1, PAGES)?;
        part.skipped = ((page - 1) * COUNTED) as u64;
        let rows = api.store.events(name, &part, COUNTED as u64).await?;
        let bodies: Vec<EventBody> = rows.into_iter().map(body).collect();
        return Ok(Json(bodies).into_response());
    }
    let limit = number("limit", which.limit.as_deref(), 30, 200)?;
    let cursor = which.cursor.as_deref();
    part.before = cursor.map(|cursor| List::Events.row(cursor)).transpose()?;
    // One more than is shown says whether there are more.
    let mut rows = api.store.events(name, &part, limit as u64 + 1).await?;
    let is_last = rows.len() <= limit;
    rows.truncate(limit);
    let last = rows.last().map(|(id, _)| *id).filter(|_| !is_last);
    Ok(Json(Events {
        next: last.map(|id| List::Events.cursor(id)),
        events: rows.into_iter().map(body).collect(),
    })
    .into_response())
}

fn parse_kind(text: &str) -> Result<Kind, Problem> {
    let found = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| one_of("kind", text, &Kind::ALL.map(Kind::as_str)))
}

fn body((id, event): (u64, Event)) -> EventBody {
    EventBody {
        id: List::Events.cursor(id),
        name: event.name,
        scheduler_name: event.scheduler.to_string(),
        created_at: rfc3339(event.at),
        metadata: serde_json::from_str(&event.metadata).unwrap_or_default(),
        kind: event.kind.as_str().to_owned(),
        room_id: event.room.map(|room| room.to_string()),
        sent_at: event.sent_at.map(rfc3339),
    }
}
