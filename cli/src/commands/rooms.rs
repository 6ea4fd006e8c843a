//! Verbs about rooms.

use anyhow::Result;
use maestro_wire::http::{PortBody, RoomBody};

use super::Usage;
use crate::args::{Format, Room, Rooms, STATUSES};
use crate::client::{Client, segment};
use crate::output;

pub(super) fn list(client: &Client, format: Format, rooms: &Rooms) -> Result<()> {
    let scheduler = segment(&rooms.scheduler);
    let mut found: Vec<RoomBody> = Vec::new();
    let statuses = match rooms.status.as_deref() {
        Some(status) => vec![status],
        None => STATUSES.to_vec(),
    };
    for status in statuses {
        found.extend(pages(client, &scheduler, &segment(status))?);
    }
    found.sort_by(|a, b| a.room_id.cmp(&b.room_id));
    found.dedup_by(|a, b| a.room_id == b.room_id);
    if found.is_empty() && format == Format::Table {
        output::say(&format!(
            "no such rooms; `maestro-cli explain {}` tells why",
            rooms.scheduler
        ));
        return Ok(());
    }
    output::show(format, &found, |found| {
        let rows = found.iter().map(|room| {
            vec![
                room.room_id.clone(),
                room.state.clone(),
                room.scheduler_version.clone(),
                output::age(&room.created_at),
                room.last_ping_at
                    .as_deref()
                    .map_or_else(|| "never".to_owned(), output::age),
                address(room),
                reason(room),
            ]
        });
        output::table(
            &[
                "room",
                "state",
                "version",
                "age",
                "last ping",
                "address",
                "reason",
            ],
            rows,
        )
    })
}

/// What is wrong with it, why it does not start, leaves or ended, and its last words.
fn reason(room: &RoomBody) -> String {
    let health = Some(room.health.as_str()).filter(|health| *health != "well" && !health.is_empty());
    let told = [health, room.reason.as_deref(), room.last_words.as_deref()];
    let told: Vec<&str> = told.into_iter().flatten().collect();
    told.join(": ")
}

/// All rooms of a status; both names as segments of a path.
pub(super) fn pages(client: &Client, scheduler: &str, status: &str) -> Result<Vec<RoomBody>> {
    /// The older route counts pages from 1 under the name `offset`.
    const PAGE: usize = 500;
    let mut found = Vec::new();
    for page in 1_u32.. {
        let path = format!("/scheduler/{scheduler}/rooms/status/{status}?limit={PAGE}&offset={page}");
        let rooms: Vec<RoomBody> = client.get(&path)?;
        let is_last = rooms.len() < PAGE;
        found.extend(rooms);
        if is_last {
            break;
        }
    }
    Ok(found)
}

/// `127.0.0.1 game:40001/UDP`, or nothing while it is not known.
fn address(room: &RoomBody) -> String {
    let port = |port: &PortBody| format!("{}:{}/{}", port.name, port.port, port.protocol);
    let ports: Vec<String> = room.ports.iter().map(port).collect();
    match room.host.is_empty() {
        true => String::new(),
        false => format!("{} {}", room.host, ports.join(" ")),
    }
}

pub(super) fn show(client: &Client, format: Format, room: &Room) -> Result<()> {
    let (scheduler, name) = match &room.room {
        Some(name) => (room.scheduler.as_str(), name.as_str()),
        None => (scheduler_of(&room.scheduler)?, room.scheduler.as_str()),
    };
    let room: RoomBody = client.get(&format!(
        "/scheduler/{}/rooms/{}",
        segment(scheduler),
        segment(name)
    ))?;
    output::show(format, &room, |room| lines(room).join("\n"))
}

/// A room for people.
fn lines(room: &RoomBody) -> Vec<String> {
    let ago = |at: &String| format!("{} ago, {at}", output::age(at));
    let mut lines = vec![
        format!("{} is {} ({})", room.room_id, room.state, room.health),
        format!("version     {}", room.scheduler_version),
        format!("created     {}", ago(&room.created_at)),
        match &room.last_ping_at {
            Some(at) => format!("last ping   {} ago", output::age(at)),
            None => "last ping   never".to_owned(),
        },
    ];
    match &room.ended_at {
        Some(at) => lines.push(format!("ended       {}", ago(at))),
        None => lines.push(format!(
            "matches     {} of {}",
            room.running_matches, room.capacity
        )),
    }
    let occupied = room.occupied_since.iter();
    lines.extend(occupied.map(|at| format!("occupied    for {}", output::age(at))));
    lines.extend(room.node.iter().map(|node| match &room.node_leaving {
        Some(why) => format!("node        {node}, which {why}"),
        None if room.node_lost => format!("node        {node}, of which the cluster no longer hears"),
        None => format!("node        {node}"),
    }));
    if !room.host.is_empty() {
        lines.push(format!("address     {}", address(room)));
    }
    lines.extend(room.exit_code.iter().map(|code| format!("exit code   {code}")));
    lines.extend(room.last_words.iter().map(|words| format!("last words  {words}")));
    lines.extend(room.reason.iter().map(|reason| format!("reason      {reason}")));
    if !room.last_ping_metadata.is_empty() {
        let text = serde_json::Value::Object(room.last_ping_metadata.clone());
        lines.push(format!("metadata    {text}"));
    }
    lines
}

/// A room's name holds its scheduler's.
pub(super) fn scheduler_of(room: &str) -> Result<&str> {
    match room.rsplit_once('-') {
        Some((scheduler, suffix)) if suffix.len() == 8 => Ok(scheduler),
        _ => Err(Usage(format!(
            "`{room}` is not a room's name; expected <scheduler>-<8 hexadecimal digits>, as `maestro-cli rooms SCHEDULER` lists them"
        ))
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_is_not_well_says_so() {
        let room = |health: &str, reason: Option<&str>, words: Option<&str>| {
            super::reason(&RoomBody {
                health: health.to_owned(),
                reason: reason.map(str::to_owned),
                last_words: words.map(str::to_owned),
                ..RoomBody::default()
            })
        };
        assert_eq!(room("well", None, None), "");
        assert_eq!(room("silent", None, None), "silent");
        let failed = room("failed", Some("exit code 3"), Some("no map"));
        assert_eq!(failed, "failed: exit code 3: no map");
        assert_eq!(room("well", None, Some("bye")), "bye");
    }
}
