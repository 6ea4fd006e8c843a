//! What rooms tell of themselves and of their players. The store keeps it; nothing is decided on it.

use maestro_core::time::Timestamp;
use maestro_wire::call::Fields;
use maestro_wire::http::EventAnswer;
use serde_json::Value;

use super::*;
use crate::api::parameter::wrong_word;
use crate::store::events::{Event, Kind as EventKind};

/// The longest name of an event.
const NAME_LIMIT: usize = 100;

/// Keeps what a room tells of itself: anything with a name.
#[utoipa::path(
    post,
    path = "/scheduler/{scheduler}/rooms/{room}/roomevent",
    tag = "room protocol",
    operation_id = "event_of_room",
    request_body = crate::api::openapi::EventRequest,
    responses((status = 200, body = EventAnswer, description = "Done"))
)]
pub(in crate::api) async fn of_room(
    api: State<Arc<Api>>,
    path: Path<(String, String)>,
    request: Request,
) -> Result<Json<EventAnswer>, Problem> {
    keep(EventKind::Room, api, path, request).await
}

/// Keeps that a player came or went.
#[utoipa::path(
    post,
    path = "/scheduler/{scheduler}/rooms/{room}/playerevent",
    tag = "room protocol",
    operation_id = "event_of_player",
    request_body = crate::api::openapi::EventRequest,
    responses((status = 200, body = EventAnswer, description = "Done"))
)]
pub(in crate::api) async fn of_player(
    api: State<Arc<Api>>,
    path: Path<(String, String)>,
    request: Request,
) -> Result<Json<EventAnswer>, Problem> {
    keep(EventKind::Player, api, path, request).await
}

async fn keep(
    kind: EventKind,
    State(api): State<Arc<Api>>,
    Path((scheduler, room)): Path<(String, String)>,
    request: Request,
) -> Result<Json<EventAnswer>, Problem> {
    let (head, body) = request.into_parts();
    let read = read_body(body, CALL_LIMIT).await;
    let entry = api.scheduler(&scheduler).await?;
    let name = &entry.scheduler.name;
    let id = room_id(&entry, &room)?;
    let is_authentic = api.key.check(&head.headers, name, &id)?;
    if !is_authentic {
        // Anybody may make up a name, and each has a bucket: without this, the store would take them all.
        known_room(&api, &entry, &room).await?;
    }
    api.limits
        .take_event(name, &id, Instant::now())
        .map_err(Problem::too_many_events)?;
    let told = understand(kind, &read?)?;
    let event = Event {
        scheduler: name.clone(),
        room: Some(id),
        kind,
        name: told.name,
        at: (api.wall)(),
        sent_at: Some(told.sent_at),
        metadata: told.metadata,
    };
    api.store.append_event(&event).await?;
    Ok(Json(EventAnswer {
        success: true,
        message: String::new(),
    }))
}

/// What a room told.
struct Told {
    name: String,
    sent_at: Timestamp,
    metadata: String,
}

fn understand(kind: EventKind, bytes: &[u8]) -> Result<Told, Problem> {
    let invalid = |problems: Vec<String>| Problem::new(Kind::Invalid, "invalid event", problems.join("; "));
    let fields =
        Fields::read(bytes, "{\"event\": …, \"timestamp\": …}").map_err(|problem| invalid(vec![problem]))?;
    let told = (
        fields.once(),
        event(kind, &fields),
        fields.timestamp(),
        more(kind, &fields),
    );
    match told {
        (Ok(()), Ok(name), Ok(sent_at), Ok(metadata)) => Ok(Told {
            name,
            sent_at,
            metadata,
        }),
        (once, name, sent_at, metadata) => {
            let problems = [once.err(), name.err(), sent_at.err(), metadata.err()];
            Err(invalid(problems.into_iter().flatten().collect()))
        }
    }
}

fn event(kind: EventKind, fields: &Fields) -> Result<String, String> {
    /// The older system's two.
    const OF_PLAYERS: [&str; 2] = ["playerJoin", "playerLeft"];
    let expected = match kind {
        EventKind::Player => format!("expected one of {}", OF_PLAYERS.join(", ")),
        EventKind::Room | EventKind::Scheduler => format!("expected a text of 1 to {NAME_LIMIT} bytes"),
    };
    let name = match fields.get("event") {
        None => return Err(format!("`event` is missing; {expected}")),
        Some(Value::String(name)) => name,
        Some(_) => return Err(format!("`event` is not a text; {expected}")),
    };
    match kind {
        EventKind::Player if OF_PLAYERS.contains(&name.as_str()) => Ok(name.clone()),
        EventKind::Player => Err(wrong_word("event", name, &OF_PLAYERS)),
        // It is shown on terminals, and PostgreSQL keeps no NUL.
        EventKind::Room | EventKind::Scheduler if name.contains(char::is_control) => {
            Err(format!("`event` has control characters: {}", quoted(name)))
        }
        EventKind::Room | EventKind::Scheduler if (1..=NAME_LIMIT).contains(&name.len()) => Ok(name.clone()),
        EventKind::Room | EventKind::Scheduler => Err(format!("`event` is {}; {expected}", quoted(name))),
    }
}

/// Metadata; a player's may name the player, as a text.
fn more(kind: EventKind, fields: &Fields) -> Result<String, String> {
    let text = fields.metadata()?.unwrap_or_else(|| "{}".to_owned());
    let player = fields
        .get("metadata")
        .and_then(|metadata| metadata.get("playerId"));
    match (kind, player) {
        (EventKind::Player, Some(player)) if !player.is_string() => {
            Err("`metadata.playerId` is not a text".to_owned())
        }
        _ => Ok(text),
    }
}
