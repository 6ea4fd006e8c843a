//! Tells what somebody new to it would not guess, once a scheduler: that one of its rooms runs and says nothing, and with
//! which request it would report ready; that its document names a program and another one runs.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::room::{Phase, Room, Stage};
use maestro_core::scheduler::Scheduler;
use maestro_core::time::{Span, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::api::Api;

/// Rooms that say nothing for so long have most likely never learned to; the initialization deadline is far.
const QUIET: Span = Span::from_secs(10);

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// What runs in rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Played {
    /// The bundled example, because nothing was asked for.
    Example,
    /// What was asked for.
    Asked,
}

/// Whom it was told about.
pub(super) struct Hint {
    url: String,
    played: Played,
    told: BTreeSet<SchedulerName>,
    told_of_program: BTreeSet<SchedulerName>,
}

impl Hint {
    /// For rooms that report to this URL.
    pub(super) fn new(url: String, played: Played) -> Self {
        Self {
            url,
            played,
            told: BTreeSet::new(),
            told_of_program: BTreeSet::new(),
        }
    }

    /// Looks until `stop`.
    pub(super) async fn run(mut self, api: Api, stop: CancellationToken) -> Result<(), Infallible> {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => self.look(&api).await,
            }
        }
    }

    async fn look(&mut self, api: &Api) {
        // A store or a registry that is away for a moment hints at nothing.
        for stored in api.store.schedulers().await.unwrap_or_default() {
            if let Some(hint) = api
                .known
                .get(&stored.name)
                .and_then(|entry| self.program(&entry.scheduler))
            {
                tracing::info!("{hint}");
            }
            let rooms = api.registry.rooms(&stored.name).await.unwrap_or_default();
            if let Some(hint) = self.hint(&stored.name, &rooms, (api.wall)()) {
                // Without fields, so that the request is the line's end and can be copied.
                tracing::warn!("{hint}");
            }
        }
    }

    /// That a document's own program is not what runs.
    fn program(&mut self, scheduler: &Scheduler) -> Option<String> {
        let has_program = scheduler
            .template
            .containers
            .iter()
            .any(|one| !one.cmd.is_empty());
        let is_news = self.played == Played::Example
            && has_program
            && self.told_of_program.insert(scheduler.name.clone());
        is_news.then(|| {
            let name = &scheduler.name;
            format!("{name}: its rooms are the example room; --room cmd runs its document's own `cmd`")
        })
    }

    fn hint(&mut self, name: &SchedulerName, rooms: &[Room], now: Timestamp) -> Option<String> {
        let quiet = rooms.iter().find(|room| is_quiet(room, now))?;
        self.told.insert(name.clone()).then(|| {
            format!(
                "{name}: {} has run for {QUIET} and not reported ready. `maestro wrap` reports for any program (--room \
                 'maestro wrap -- CMD'); a program reports with a request such as this, sent again \
                 every few seconds, for who is silent for `pingTimeout` is replaced: {}",
                quiet.id,
                request(&self.url, name, &quiet.id)
            )
        })
    }
}

fn is_quiet(room: &Room, now: Timestamp) -> bool {
    let since = match room.phase {
        Phase::Running { since } => since,
        Phase::Unseen | Phase::Pending { .. } | Phase::Exited { .. } | Phase::Absent { .. } => return false,
    };
    room.stage() == Stage::Starting && now.since(since) >= QUIET
}

fn request(url: &str, name: &SchedulerName, room: &RoomId) -> String {
    format!(
        "curl -X PUT {url}/scheduler/{name}/rooms/{room}/status -H \"Authorization: Bearer $MAESTRO_ROOM_TOKEN\" \
         -d \"{{\\\"status\\\":\\\"ready\\\",\\\"timestamp\\\":$(date +%s)}}\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_core::names::Version;
    use maestro_core::report::{Accepted, Reported};
    use maestro_core::room::Creation;
    use maestro_wire::document;

    fn running(name: &SchedulerName, number: u32, since: Timestamp) -> Room {
        let id = RoomId::new(name, number);
        let mut room = Room::reserved(id, Version::FIRST, since, Span::ZERO);
        room.creation = Creation::Confirmed { at: since };
        room.phase = Phase::Running { since };
        room
    }

    #[test]
    fn a_scheduler_whose_rooms_say_nothing_is_told_of_once() {
        let [arena, duel] = ["arena", "duel"].map(|name| SchedulerName::parse(name).unwrap());
        let start = Timestamp::from_ms(1_000_000);
        let after = |secs| start + Span::from_secs(secs);
        let rooms = [running(&arena, 1, start), running(&arena, 2, start)];
        let mut hint = Hint::new("http://127.0.0.1:8080".to_owned(), Played::Asked);
        assert_eq!(hint.hint(&arena, &rooms, after(9)), None, "it may be loading");
        let told = hint.hint(&arena, &rooms, after(10)).unwrap();
        let request = "curl -X PUT http://127.0.0.1:8080/scheduler/arena/rooms/arena-00000001/status \
                       -H \"Authorization: Bearer $MAESTRO_ROOM_TOKEN\" \
                       -d \"{\\\"status\\\":\\\"ready\\\",\\\"timestamp\\\":$(date +%s)}\"";
        assert!(
            told.starts_with("arena: arena-00000001 ") && told.ends_with(request),
            "{told}"
        );
        assert!(told.contains("sent again every few seconds, "), "{told}");
        assert_eq!(hint.hint(&arena, &rooms, after(20)), None);
        assert!(hint.hint(&duel, &[running(&duel, 1, start)], after(20)).is_some());
    }

    #[test]
    fn a_room_that_reported_or_does_not_run_needs_no_hint() {
        let arena = SchedulerName::parse("arena").unwrap();
        let (start, now) = (Timestamp::from_ms(1_000_000), Timestamp::from_ms(1_060_000));
        let mut reported = running(&arena, 1, start);
        reported.reports.last = Some(Accepted {
            status: Reported::Ready,
            since: start,
            sent_at: start,
            received_at: start,
        });
        let mut pending = running(&arena, 2, start);
        pending.phase = Phase::Pending {
            reason: String::new(),
        };
        let mut hint = Hint::new("http://127.0.0.1:8080".to_owned(), Played::Asked);
        assert_eq!(hint.hint(&arena, &[reported, pending], now), None);
    }

    #[test]
    fn a_program_that_is_not_run_is_told_of_once() {
        let read = |cmd: &str| {
            let text = format!("name: arena\ngame: test\nimage: none\nautoscaling: {{min: 0}}\n{cmd}");
            document::read(&text).unwrap().remove(0).scheduler
        };
        let (with, without) = (read("cmd: [./server]\n"), read(""));
        let mut hint = Hint::new(String::new(), Played::Example);
        assert_eq!(hint.program(&without), None);
        let told = hint.program(&with).unwrap();
        assert!(
            told.starts_with("arena: ") && told.contains("--room cmd"),
            "{told}"
        );
        assert_eq!(hint.program(&with), None);
        assert_eq!(Hint::new(String::new(), Played::Asked).program(&with), None);
    }
}
