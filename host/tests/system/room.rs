//! One simulated room: what a game server with a good conscience does.
//!
//! It pings each second, in turn with one API and the other, and with the other one at once when one fails. It begins a match
//! only after an answer that did not say `draining`, and keeps its match whatever it is told. When its pod is being deleted
//! it says `terminating`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::line::Line;
use super::world::World;

/// Time between two pings.
const EVERY: Duration = Duration::from_secs(1);

/// Words of a room's history that are kept, for when something went wrong.
const HISTORY: usize = 12;

/// What a room is told by its pod.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) scheduler: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) token: String,
}

/// A room, as the test sees it.
pub(crate) struct Room {
    pub(crate) identity: Identity,
    pub(crate) now: Mutex<Now>,
    /// Makes it look before its next ping.
    pub(crate) wake: Notify,
}

/// What is known of a room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Now {
    pub(crate) node: Option<String>,
    /// Whether its process runs.
    pub(crate) is_running: bool,
    /// Whether its pod is being deleted, or is gone.
    pub(crate) is_ending: bool,
    pub(crate) in_match: bool,
    /// Whether the matchmaker wants a match here.
    pub(crate) wants_match: bool,
    /// Whether the last call was answered, and did not say `draining`.
    pub(crate) is_open: bool,
    /// Whether its words don't get through.
    pub(crate) is_mute: bool,
    /// Whether the test itself ended it, so that nobody is to blame.
    pub(crate) is_forfeit: bool,
    pub(crate) history: Vec<String>,
}

/// What a room says next.
enum Word {
    /// Nothing: it does not run, or is not heard.
    None,
    Say(&'static str),
    Last(&'static str),
    /// Nothing any more.
    Gone,
}

impl Now {
    pub(crate) fn note(&mut self, text: String) {
        if self.history.len() == HISTORY {
            self.history.remove(0);
        }
        self.history.push(format!("{} {text}", now_ms() % 1_000_000));
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A time later than all that were given before, so that no two reports of a room have the same.
fn stamp(last: &AtomicI64) -> i64 {
    let now = now_ms();
    let before = last.fetch_max(now, Ordering::Relaxed);
    match before < now {
        true => now,
        false => last.fetch_add(1, Ordering::Relaxed) + 1,
    }
}

impl Room {
    pub(crate) fn new(identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            identity,
            now: Mutex::default(),
            wake: Notify::new(),
        })
    }

    /// Lives until its pod is gone.
    pub(crate) async fn live(self: Arc<Self>, world: Arc<World>) {
        let mut lines = [Line::default(), Line::default()];
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let last = AtomicI64::new(0);
        let mut turn = usize::from(rand::random::<bool>());
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.wake.notified() => {}
            }
            let (status, is_last) = match self.next_word() {
                Word::None => continue,
                Word::Last(status) => (status, true),
                Word::Say(status) => (status, false),
                Word::Gone => return,
            };
            turn += 1;
            let apis = world.apis();
            let mut answer = Err("there is no API".to_owned());
            for other in 0..2 {
                let side = (turn + other) % 2;
                let body = format!(r#"{{"status":"{status}","timestamp":{}}}"#, stamp(&last));
                answer = self.say(&mut lines[side], &apis[side], body).await;
                if matches!(answer, Ok((200, _))) {
                    break;
                }
            }
            self.hear(&world, status, answer);
            if is_last {
                return;
            }
        }
    }

    async fn say(&self, line: &mut Line, api: &str, body: String) -> Result<(u16, String), String> {
        let Identity {
            scheduler,
            name,
            token,
            ..
        } = &self.identity;
        let path = format!("/scheduler/{scheduler}/rooms/{name}/ping");
        line.put(api, &path, token, body).await
    }

    fn next_word(&self) -> Word {
        let mut now = self.now.lock().unwrap();
        let is_heard = now.is_running && !now.is_mute;
        if now.is_ending {
            now.in_match = false;
            return if is_heard {
                Word::Last("terminating")
            } else {
                Word::Gone
            };
        }
        if !is_heard {
            now.is_open = false;
            return Word::None;
        }
        if now.wants_match && !now.in_match && now.is_open {
            now.in_match = true;
        } else if !now.wants_match {
            // Before it says so: from then on it may be taken.
            now.in_match = false;
        }
        Word::Say(if now.in_match { "occupied" } else { "ready" })
    }

    fn hear(&self, world: &World, said: &str, answer: Result<(u16, String), String>) {
        let mut now = self.now.lock().unwrap();
        match &answer {
            Ok((200, body)) => {
                let body: Value = serde_json::from_str(body).unwrap_or_default();
                let is_draining = body["draining"] == true;
                now.is_open = !is_draining;
                if is_draining && !now.in_match {
                    now.wants_match = false;
                }
                now.note(format!("{said}: draining {is_draining}"));
                world.figures.answered();
            }
            Ok((status, body)) => {
                now.is_open = false;
                now.note(format!("{said}: {status} {body}"));
                // Its scheduler may be gone before its last word comes.
                if said != "terminating" {
                    world.figures.refused(*status, &self.identity.name, body);
                }
            }
            Err(failure) => {
                now.is_open = false;
                now.note(format!("{said}: {failure}"));
                world.figures.failed();
            }
        }
    }
}
