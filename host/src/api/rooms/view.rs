//! Rooms as the API shows them.

use super::*;
use maestro_core::deadlines::Place;
use maestro_core::names::SchedulerName;
use maestro_core::room::{End, Health, Intent, Phase};
use maestro_wire::view::rfc3339;

use crate::registry::Standing;

/// All rooms of a scheduler at one time, by name, with what is needed to judge them.
pub(in crate::api) struct Look<'a> {
    pub(in crate::api) entry: &'a Entry,
    pub(in crate::api) rooms: Vec<Room>,
    pub(in crate::api) watch: Watch<'a>,
    /// What the loop keeps; `None` before its first step.
    pub(in crate::api) state: Option<Standing>,
}

/// Looks at all rooms of a scheduler.
pub(in crate::api) async fn look<'a>(api: &Api, entry: &'a Entry) -> Result<Look<'a>, Problem> {
    let changes = api.registry.changes(&entry.scheduler.name, Cursor::START).await?;
    let Changes {
        mut rooms,
        now,
        witness,
        standing,
        ..
    } = changes;
    rooms.sort_by(|a, b| a.id.cmp(&b.id));
    let (deadlines, shutdown) = (&entry.scheduler.deadlines, entry.scheduler.template.shutdown);
    let watch = Watch::over(
        &rooms,
        deadlines,
        shutdown,
        Clocks {
            witnessed: witness.total,
            now,
        },
    );
    Ok(Look {
        entry,
        rooms,
        watch,
        state: standing,
    })
}

impl Look<'_> {
    /// The word for how well a room is.
    pub(in crate::api) fn health(&self, room: &Room) -> &'static str {
        health(self.watch.health(room))
    }

    /// A room's body.
    pub(in crate::api) fn body(&self, room: &Room) -> RoomBody {
        let metadata = serde_json::from_str(&room.metadata).unwrap_or_default();
        let end = room.has_ended().then(|| room.end(self.watch.now));
        RoomBody {
            scheduler_name: self.entry.scheduler.name.to_string(),
            scheduler_version: room.version.to_string(),
            room_id: room.id.to_string(),
            status: room.status().as_str().to_owned(),
            state: room.state().to_owned(),
            health: self.health(room).to_owned(),
            created_at: rfc3339(room.created_at()),
            last_ping_at: room.reports.life_at.map(rfc3339),
            last_ping_metadata: metadata,
            occupied_since: room.occupied_since.map(rfc3339),
            exit_code: end.as_ref().and_then(|end| end.code),
            last_words: end.as_ref().and_then(last_words),
            ended_at: end.as_ref().map(|end| rfc3339(end.at)),
            reason: match end {
                Some(end) => Some(end.reason),
                None => reason(room),
            },
            node: room.node.clone(),
            node_leaving: room.leaving.clone(),
            node_lost: room.node_lost,
            host: host(room),
            ports: ports(room),
            running_matches: room.running_matches,
            capacity: room.capacity,
            revision: room.revision.0,
        }
    }
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Well => "well",
        Health::Silent => "silent",
        Health::Late => "late",
        Health::Failed => "failed",
    }
}

/// A room of which nothing is left but how it ended.
pub(super) fn gone(scheduler: &SchedulerName, end: &End) -> RoomBody {
    RoomBody {
        scheduler_name: scheduler.to_string(),
        scheduler_version: end.version.to_string(),
        room_id: end.room.to_string(),
        status: Status::Terminating.as_str().to_owned(),
        state: "gone".to_owned(),
        health: health(end.health).to_owned(),
        created_at: rfc3339(end.created_at),
        last_ping_at: end.life_at.map(rfc3339),
        ended_at: Some(rfc3339(end.at)),
        reason: Some(end.reason.clone()),
        exit_code: end.code,
        last_words: last_words(end),
        node: end.node.clone(),
        ..RoomBody::default()
    }
}

fn last_words(end: &End) -> Option<String> {
    Some(end.words.clone()).filter(|words| !words.is_empty())
}

/// Why it does not start, or is asked to go.
fn reason(room: &Room) -> Option<String> {
    let of_phase = match &room.phase {
        Phase::Pending { reason } => Some(reason.clone()),
        Phase::Unseen | Phase::Running { .. } | Phase::Exited { .. } | Phase::Absent { .. } => None,
    };
    let of_intent = match &room.intent {
        Intent::Draining { reason, .. } | Intent::Stopping { reason, .. } => Some(reason.clone()),
        Intent::Keep | Intent::Allocated { .. } => None,
    };
    of_intent.or(of_phase).filter(|reason| !reason.is_empty())
}

/// Whether a matchmaker may be told of this room: one that is asked to go, on a node that is being left, or silent, is
/// ready for nobody.
pub(super) fn is_offered(room: &Room, watch: &Watch<'_>) -> bool {
    watch.place(room) == Place::Ready && room.leaving.is_none()
}

/// Its first address; empty while none is known.
pub(super) fn host(room: &Room) -> String {
    room.addresses
        .first()
        .map(|address| address.host.clone())
        .unwrap_or_default()
}

/// Its open ports.
pub(super) fn ports(room: &Room) -> Vec<PortBody> {
    let body = |port: &maestro_core::room::OpenPort| PortBody {
        name: port.name.clone(),
        protocol: match port.protocol {
            Protocol::Tcp => "TCP".to_owned(),
            Protocol::Udp => "UDP".to_owned(),
        },
        port: port.port,
    };
    room.ports.iter().map(body).collect()
}

#[cfg(test)]
mod tests {
    use maestro_core::names::Version;
    use maestro_core::report::{Report, Reported};
    use maestro_core::room::Use;
    use maestro_core::scheduler::Deadlines;
    use maestro_core::time::{Span, Timestamp};

    use super::*;

    #[test]
    fn a_room_that_is_asked_to_go_or_silent_is_offered_to_nobody() {
        let (start, deadlines) = (Timestamp::from_ms(1_000), Deadlines::default());
        let id = RoomId::parse("pong-0000000a").unwrap();
        let mut room = Room::adopted(id, Version::FIRST, start, Span::ZERO);
        let is_offered_after = |room: &Room, witnessed| {
            let clocks = Clocks {
                witnessed,
                now: start,
            };
            is_offered(room, &Watch::over([room], &deadlines, Span::ZERO, clocks))
        };
        assert!(!is_offered_after(&room, Span::ZERO), "nobody knows what it does");
        let ready = Report {
            status: Reported::Ready,
            sent_at: start,
            metadata: None,
            running_matches: None,
            capacity: None,
        };
        room.receive(&ready, start, Span::ZERO);
        assert!(is_offered_after(&room, Span::ZERO));
        assert!(!is_offered_after(&room, deadlines.ping + Span::from_ms(1)));
        room.leaving = Some("is cordoned".to_owned());
        assert!(!is_offered_after(&room, Span::ZERO));
        room.leaving = None;
        room.drain("only 1 room is wanted", start).unwrap();
        assert_eq!((room.status(), room.usage()), (Status::Ready, Use::Idle));
        assert!(!is_offered_after(&room, Span::ZERO));
    }
}
