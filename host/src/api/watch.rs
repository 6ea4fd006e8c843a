//! What changes in a scheduler, as it changes: server-sent events, for dashboards.
//!
//! Nothing is queued: a client that reads pulls its stream, and each stream compares what it has sent with what there
//! is. A slow client so gets fewer and newer bodies, and costs no memory. Streams on one scheduler share one look each
//! quarter of a second. A client that comes back with `Last-Event-ID` gets the decisions that it missed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use maestro_core::names::{RoomId, SchedulerName};
use maestro_wire::view::DecisionView;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::extract::Path;
use super::parameter::{List, invalid};
use super::problem::Problem;
use super::rooms::look;
use super::{Api, decisions};
use crate::known::Entry;
use crate::supervisor::chain;

/// Most streams at once: enough for the screens of an operations room, few enough that none of them is felt.
const STREAMS: usize = 64;

/// Time between two looks at a scheduler.
const LOOK: Duration = Duration::from_millis(250);

/// Time between two comments on a quiet stream, so that nothing on the way takes it for dead.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Decisions read at a time; what is left over comes with the next look.
const DECISIONS: u64 = 100;

/// All streams of this process.
#[derive(Debug)]
pub struct Watchers {
    places: Arc<Semaphore>,
    feeds: Mutex<HashMap<SchedulerName, Weak<Feed>>>,
    end: CancellationToken,
}

impl Default for Watchers {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(STREAMS)),
            feeds: Mutex::default(),
            end: CancellationToken::new(),
        }
    }
}

impl Watchers {
    /// Ends all streams, so that the API can end: they never end by themselves.
    pub fn end(&self) {
        self.end.cancel();
    }

    /// What the streams on this scheduler share.
    fn feed(&self, name: &SchedulerName) -> Arc<Feed> {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.retain(|_, feed| feed.strong_count() > 0);
        match feeds.get(name).and_then(Weak::upgrade) {
            Some(feed) => feed,
            None => {
                let feed = Arc::default();
                feeds.insert(name.clone(), Arc::downgrade(&feed));
                feed
            }
        }
    }
}

/// The last look at one scheduler.
#[derive(Debug, Default)]
struct Feed {
    last: Mutex<(Option<Instant>, Option<Arc<Seen>>)>,
}

/// What a look saw.
#[derive(Debug, Default)]
struct Seen {
    rooms: BTreeMap<RoomId, Shown>,
    /// The newest decision; 0 when there is none.
    newest: u64,
}

/// A room's body, and what makes it worth sending again.
#[derive(Clone, Debug)]
struct Shown {
    mark: Mark,
    body: Arc<str>,
}

/// Silence has no revision: it is not a change of facts, but of what they mean by now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    revision: u64,
    health: String,
}

impl Feed {
    /// What there is, at most [`LOOK`] old; `None` while the first look is under way, or failed.
    async fn look(&self, api: &Api, entry: &Entry) -> Option<Arc<Seen>> {
        let before = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            // A little less than the time between two ticks, so that a tick that is early by a hair is not left out.
            let is_fresh = |at: Instant| now.saturating_duration_since(at) < LOOK.mul_f32(0.9);
            if last.0.is_some_and(is_fresh) {
                return last.1.clone();
            }
            // Whoever comes meanwhile takes the look before this one.
            last.0 = Some(now);
            last.1.clone()
        };
        let seen = Arc::new(see(api, entry, before.as_deref()).await?);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(Arc::clone(&seen));
        Some(seen)
    }
}

/// Looks at all rooms, and at how far the journal goes. Bodies that are worth nothing new stay as they were.
async fn see(api: &Api, entry: &Entry, before: Option<&Seen>) -> Option<Seen> {
    let name = &entry.scheduler.name;
    let Ok(look) = look(api, entry).await else {
        return None;
    };
    let newest = match api.store.newest_decision(name).await {
        Ok(newest) => newest.unwrap_or(0),
        Err(error) => {
            tracing::debug!("the journal of {name} can't be watched: {}", chain(&error));
            before?.newest
        }
    };
    let rooms = look.rooms.iter().map(|room| {
        let mark = Mark {
            revision: room.revision.0,
            health: look.health(room).to_owned(),
        };
        let known = before.and_then(|before| before.rooms.get(&room.id));
        let shown = match known.filter(|known| known.mark == mark) {
            Some(known) => known.clone(),
            None => Shown {
                mark,
                body: Arc::from(text(&look.body(room))),
            },
        };
        (room.id.clone(), shown)
    });
    Some(Seen {
        rooms: rooms.collect(),
        newest,
    })
}

/// One stream.
struct Watch {
    api: Api,
    name: SchedulerName,
    feed: Arc<Feed>,
    ticks: Interval,
    /// What the client has of each room.
    sent: BTreeMap<RoomId, Mark>,
    /// The last decision that it has; `None` before the first look.
    last: Option<u64>,
    /// What the last look gave and the client has not read yet.
    waiting: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
}

/// `room` for each room now and when it changes, `gone` when one is no longer there, `decision` for each new one.
#[utoipa::path(
    get,
    path = "/scheduler/{scheduler}/watch",
    tag = "history",
    operation_id = "watch_stream",
    responses((status = 200, body = String, content_type = "text/event-stream", description = "Done"))
)]
pub(super) async fn stream(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let last = match headers.get("last-event-id") {
        None => None,
        Some(id) => Some(resume(id.to_str().unwrap_or(""))?),
    };
    let place = Arc::clone(&api.watchers.places).try_acquire_owned();
    let place = place.map_err(|_full| Problem::too_many_watchers(STREAMS))?;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let name = entry.scheduler.name.clone();
    let watch = Watch {
        feed: api.watchers.feed(&name),
        name,
        api,
        ticks,
        sent: BTreeMap::new(),
        last,
        waiting: VecDeque::new(),
        _place: place,
    };
    let events = futures::stream::unfold(watch, Watch::next);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("quiet")))
}

fn resume(id: &str) -> Result<u64, Problem> {
    List::Decisions
        .row(id)
        .map_err(|_| invalid("`Last-Event-ID` is not the id of a decision that this stream gave".to_owned()))
}

impl Watch {
    /// The next event; none when the scheduler is gone or the API ends.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let watchers = Arc::clone(&self.api.watchers);
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some((Ok(event), self));
            }
            tokio::select! {
                biased;
                () = watchers.end.cancelled() => return None,
                _ = self.ticks.tick() => {}
            }
            let entry = self.api.known.get(&self.name)?;
            if let Some(seen) = self.feed.look(&self.api, &entry).await {
                self.take_rooms(&seen);
                self.take_decisions(&seen).await;
            }
        }
    }

    fn take_rooms(&mut self, seen: &Seen) {
        for (room, shown) in &seen.rooms {
            if self.sent.get(room) != Some(&shown.mark) {
                self.sent.insert(room.clone(), shown.mark.clone());
                let event = Event::default().event("room").data(&shown.body);
                self.waiting.push_back(event);
            }
        }
        let waiting = &mut self.waiting;
        self.sent.retain(|room, _| {
            let is_there = seen.rooms.contains_key(room);
            if !is_there {
                let body = serde_json::json!({ "roomId": room.as_str() }).to_string();
                waiting.push_back(Event::default().event("gone").data(body));
            }
            is_there
        });
    }

    async fn take_decisions(&mut self, seen: &Seen) {
        let last = *self.last.get_or_insert(seen.newest);
        if seen.newest <= last {
            return;
        }
        let rows = self.api.store.decisions_after(&self.name, last, DECISIONS).await;
        // What can't be read now is asked for again at the next look.
        for row in rows.unwrap_or_default() {
            self.last = Some(row.id);
            match decisions::decode(&row) {
                Ok(record) => {
                    let view = DecisionView::new(&record.decision, row.since, row.count);
                    let event = Event::default()
                        .event("decision")
                        .id(List::Decisions.cursor(row.id));
                    self.waiting.push_back(event.data(text(&view)));
                }
                Err(error) => tracing::warn!("{error}"),
            }
        }
    }
}

/// JSON on one line. Bodies of ours have nothing in them that JSON can't write.
fn text(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_default()
}
