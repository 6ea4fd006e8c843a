//! The room protocol, and questions about rooms. But for events and for rooms that are gone, nothing here touches the
//! store while the scheduler is known.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use maestro_core::deadlines::{Clocks, Watch};
use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::room::{Room, Status};
use maestro_core::scheduler::Protocol;
use maestro_wire::call::read_report;
use maestro_wire::document::quoted;
use maestro_wire::http::{AddressBody, PingAnswer, PortBody, RoomBody, RoomNames};
use rand::seq::SliceRandom;
use serde::Deserialize;

use super::Api;
use super::extract::{Path, Query, flag};
use super::parameter::{number, one_of};
use super::problem::{Kind, Problem, read_body};
use crate::known::Entry;
use crate::registry::{Call, Changes, Cursor, Receipt, Taken};

pub(super) mod event;
mod view;

pub(super) use view::{Look, look};

/// The largest body of a room's call.
const CALL_LIMIT: usize = 16 * 1024;

/// Most lines of output in one answer.
const LINES_LIMIT: usize = 10_000;

/// Takes what a room says of itself, again and again as a sign of life.
#[utoipa::path(
    put,
    path = "/scheduler/{scheduler}/rooms/{room}/ping",
    tag = "room protocol",
    operation_id = "rooms_ping",
    request_body = crate::api::openapi::ReportBody,
    responses((status = 200, body = PingAnswer, description = "Done"))
)]
pub(super) async fn ping(
    api: State<Arc<Api>>,
    path: Path<(String, String)>,
    request: Request,
) -> Result<Json<PingAnswer>, Problem> {
    report(api, path, request).await
}

/// Takes what a room says of itself: the same as a ping, under the older system's other name.
#[utoipa::path(
    put,
    path = "/scheduler/{scheduler}/rooms/{room}/status",
    tag = "room protocol",
    operation_id = "rooms_status",
    request_body = crate::api::openapi::ReportBody,
    responses((status = 200, body = PingAnswer, description = "Done"))
)]
pub(super) async fn status(
    api: State<Arc<Api>>,
    path: Path<(String, String)>,
    request: Request,
) -> Result<Json<PingAnswer>, Problem> {
    report(api, path, request).await
}

async fn report(
    State(api): State<Arc<Api>>,
    Path((scheduler, room)): Path<(String, String)>,
    request: Request,
) -> Result<Json<PingAnswer>, Problem> {
    let taken = take(&api, &scheduler, &room, request).await;
    api.metrics.report(match &taken {
        Ok(receipt) => word(receipt.taken),
        Err(problem) => problem.word(),
    });
    taken.map(|receipt| {
        Json(PingAnswer {
            success: true,
            draining: receipt.draining,
        })
    })
}

/// How a report was taken, as it is counted.
fn word(taken: Taken) -> &'static str {
    match taken {
        Taken::Newest => "newest",
        Taken::LifeOnly => "life-only",
        Taken::ClockMoved => "clock-moved",
        Taken::Registered => "registered",
        Taken::Provisional => "provisional",
    }
}

async fn take(api: &Api, scheduler: &str, room: &str, request: Request) -> Result<Receipt, Problem> {
    let (head, body) = request.into_parts();
    let read = read_body(body, CALL_LIMIT).await;
    let entry = api.scheduler(scheduler).await?;
    let name = &entry.scheduler.name;
    let room = room_id(&entry, room)?;
    api.limits
        .take(&room, Instant::now())
        .map_err(Problem::too_often)?;
    let authentic = api.key.check(&head.headers, name, &room)?;
    let report = match read.and_then(|bytes| read_report(&bytes).map_err(invalid)) {
        Ok(report) => report,
        Err(problem) => {
            // Whoever sends something malformed is alive all the same. A room that nobody knows stays unknown.
            api.registry.report(name, &room, Call::Refused).await?;
            return Err(problem);
        }
    };
    let call = Call::Report {
        report,
        authentic,
        version: entry.stored.active.version,
    };
    Ok(api.registry.report(name, &room, call).await?)
}

fn invalid(problems: Vec<String>) -> Problem {
    Problem::new(Kind::Invalid, "invalid report", problems.join("; "))
}

/// Where players reach a room.
#[utoipa::path(
    get,
    path = "/scheduler/{scheduler}/rooms/{room}/address",
    tag = "room protocol",
    operation_id = "rooms_address",
    responses((status = 200, body = AddressBody, description = "Done"))
)]
pub(super) async fn address(
    State(api): State<Api>,
    Path((scheduler, room)): Path<(String, String)>,
) -> Result<Json<AddressBody>, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let room = known_room(&api, &entry, &room).await?;
    Ok(Json(AddressBody {
        host: view::host(&room),
        ports: view::ports(&room),
        ipv6_label: String::new(),
    }))
}

/// One room; also one that is gone, for as long as the event of its end is kept.
#[utoipa::path(
    get,
    path = "/scheduler/{scheduler}/rooms/{room}",
    tag = "rooms",
    operation_id = "rooms_one",
    responses((status = 200, body = RoomBody, description = "Done"))
)]
pub(super) async fn one(
    State(api): State<Api>,
    Path((scheduler, room)): Path<(String, String)>,
) -> Result<Json<RoomBody>, Problem> {
    let entry = match api.scheduler(&scheduler).await {
        Ok(entry) => entry,
        // Its scheduler may be gone, and the event of its end still there.
        Err(unknown) => {
            return match (SchedulerName::parse(&scheduler), RoomId::parse(&room)) {
                (Ok(name), Ok(id)) => {
                    let end = api.store.room_end(&name, &id).await?;
                    end.map(|end| Json(view::gone(&name, &end))).ok_or(unknown)
                }
                _ => Err(unknown),
            };
        }
    };
    let (name, id) = (&entry.scheduler.name, room_id(&entry, &room)?);
    let end = async { Ok(api.store.room_end(name, &id).await?) };
    if api.registry.room(name, &id).await?.is_none()
        && let Some(Some(end)) = api.if_store_answers(end).await?
    {
        return Ok(Json(view::gone(name, &end)));
    }
    let room = known_room(&api, &entry, &room).await?;
    let look = look(&api, &entry).await?;
    Ok(Json(look.body(&room)))
}

/// What the older system takes to choose rooms.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Choice {
    /// `room` for ready rooms by chance, `cpu` or `mem` for those that use least.
    metric: Option<String>,
    /// Most names; 5 when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
}

/// Names of some ready rooms, or of the rooms that use least.
#[utoipa::path(
    get,
    path = "/scheduler/{scheduler}/rooms",
    tag = "rooms",
    operation_id = "rooms_names",
    params(Choice),
    responses((status = 200, body = RoomNames, description = "Done"))
)]
pub(super) async fn names(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    Query(choice): Query<Choice>,
) -> Result<Json<RoomNames>, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let limit = number("limit", choice.limit.as_deref(), 5, 10_000)?;
    let look = look(&api, &entry).await?;
    let is_ready = |room: &&Room| view::is_offered(room, &look.watch);
    let rooms: Vec<String> = match choice.metric.as_deref().unwrap_or("room") {
        "room" | "legacy" => {
            let mut ready: Vec<&Room> = look.rooms.iter().filter(is_ready).collect();
            // By chance, so that callers who ask at the same time don't all go to the same rooms.
            ready.shuffle(&mut rand::rng());
            ready.iter().take(limit).map(|room| room.id.to_string()).collect()
        }
        metric @ ("cpu" | "mem" | "memory") => {
            let in_use = |room: &Room| matches!(room.status(), Status::Ready | Status::Occupied);
            let mut usage = api.cluster.usage(&entry.scheduler.name).await?;
            usage.retain(|usage| {
                look.rooms
                    .iter()
                    .any(|room| room.id == usage.room && in_use(room))
            });
            match metric {
                "cpu" => usage.sort_by(|a, b| a.cpu_milli.total_cmp(&b.cpu_milli)),
                _ => usage.sort_by(|a, b| a.memory_bytes.total_cmp(&b.memory_bytes)),
            }
            usage
                .into_iter()
                .take(limit)
                .map(|usage| usage.room.to_string())
                .collect()
        }
        other => return Err(one_of("metric", other, &["room", "legacy", "cpu", "mem"])),
    };
    Ok(Json(RoomNames { rooms }))
}

/// A page, counted from 1 under the name that the older system gave it.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Rooms on a page; 10 when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// The page, from 1.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// Rooms of one of the older four statuses, by name.
#[utoipa::path(
    get,
    path = "/scheduler/{scheduler}/rooms/status/{status}",
    tag = "rooms",
    operation_id = "rooms_by_status",
    params(Page),
    responses((status = 200, body = Vec<RoomBody>, description = "Done"))
)]
pub(super) async fn by_status(
    State(api): State<Api>,
    Path((scheduler, status)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<RoomBody>>, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let limit = number("limit", page.limit.as_deref(), 10, 1_000)?;
    let page = number("offset", page.offset.as_deref(), 1, 1_000_000)?;
    let wanted: &[Status] = match status.as_str() {
        "creating" => &[Status::Creating],
        "ready" => &[Status::Ready],
        "occupied" => &[Status::Occupied],
        "terminating" => &[Status::Terminating],
        "ready_or_occupied" => &[Status::Ready, Status::Occupied],
        other => {
            return Err(one_of(
                "status",
                other,
                &["creating", "ready", "occupied", "terminating"],
            ));
        }
    };
    let look = look(&api, &entry).await?;
    let matching = look.rooms.iter().filter(|room| wanted.contains(&room.status()));
    let skipped = limit.saturating_mul(page.saturating_sub(1));
    Ok(Json(
        matching
            .skip(skipped)
            .take(limit)
            .map(|room| look.body(room))
            .collect(),
    ))
}

/// Which part of a room's output.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Lines {
    /// Most lines; 100 when it is not given.
    #[param(value_type = Option<u32>)]
    lines: Option<String>,
    /// Whether that of the process before is asked for.
    #[param(required = false)]
    #[serde(default, deserialize_with = "flag")]
    previous: bool,
}

/// A room's output, as text.
#[utoipa::path(
    get,
    path = "/scheduler/{scheduler}/rooms/{room}/logs",
    tag = "rooms",
    operation_id = "rooms_logs",
    params(Lines),
    responses((status = 200, body = String, content_type = "text/plain", description = "Done"))
)]
pub(super) async fn logs(
    State(api): State<Api>,
    Path((scheduler, room)): Path<(String, String)>,
    Query(which): Query<Lines>,
) -> Result<String, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let room = room_id(&entry, &room)?;
    let lines = number("lines", which.lines.as_deref(), 100, LINES_LIMIT)?;
    let name = &entry.scheduler.name;
    Ok(api.cluster.logs(name, &room, lines, which.previous).await?)
}

/// A room's name that belongs to this scheduler; no other can be one of its rooms.
pub(super) fn room_id(entry: &Entry, text: &str) -> Result<RoomId, Problem> {
    let name = &entry.scheduler.name;
    match RoomId::parse(text) {
        Ok(room) if room.belongs_to(name) => Ok(room),
        Ok(_) | Err(_) => {
            let description = format!(
                "{} is no room of {name}; expected {name}-<8 hexadecimal digits>",
                quoted(text)
            );
            Err(Problem::new(Kind::Unknown, "room not found", description))
        }
    }
}

async fn known_room(api: &Api, entry: &Entry, text: &str) -> Result<Room, Problem> {
    let room = room_id(entry, text)?;
    let name = &entry.scheduler.name;
    match api.registry.room(name, &room).await? {
        Some(room) => Ok(room),
        None => {
            let rooms = api.registry.rooms(name).await?;
            Err(Problem::unknown(
                "room",
                text,
                rooms.iter().map(|room| room.id.as_str()),
            ))
        }
    }
}
