//! The thread that tells Maestro: at once what changed, and every few seconds that the room lives.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ureq::Agent;

use crate::room::{Options, Shared, State};

/// The pause after a first failure; it doubles up to the interval.
const FIRST_RETRY: Duration = Duration::from_millis(250);

pub(crate) struct Pinger {
    shared: Arc<Shared>,
    agent: Agent,
    /// `<api>/scheduler/<scheduler>/rooms/<room>/`
    base: String,
    authorization: String,
    interval: Duration,
    /// The timestamp of the last report, so that each is later than the one before, whatever the clock does.
    last_ms: u64,
    failures: u32,
}

/// One report as it is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    timestamp: u64,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running_matches: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<u32>,
}

/// What is read of an answer. An older Maestro says nothing of draining.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    draining: bool,
}

/// A report, and what it brings up to date once it is taken.
struct Message {
    route: &'static str,
    report: Report,
    wanted: u64,
    metadata_wanted: u64,
}

impl Pinger {
    /// `None` for a detached room.
    pub(crate) fn new(shared: Arc<Shared>, options: &Options) -> Option<Self> {
        let identity = shared.identity.as_ref()?;
        let agent = Agent::config_builder()
            .timeout_global(Some(options.timeout))
            .http_status_as_error(false)
            // Maestro is near; a proxy that the environment names is for the game's own traffic.
            .proxy(None)
            .max_redirects(0)
            .user_agent(concat!("maestro-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Some(Self {
            agent,
            base: format!(
                "{}/scheduler/{}/rooms/{}/",
                identity.api_url, identity.scheduler, identity.room
            ),
            authorization: format!("Bearer {}", identity.token),
            interval: options.interval,
            last_ms: 0,
            failures: 0,
            shared,
        })
    }

    /// Works until the connection is closed.
    pub(crate) fn run(mut self) {
        let mut due = Instant::now();
        let mut tried = 0;
        loop {
            // Nothing can be said before the game server said the first thing.
            let quiet = due.saturating_duration_since(Instant::now());
            let is_news = |state: &State| state.status.is_some() && state.wanted > tried;
            self.shared.wait(quiet, |state| state.is_closed || is_news(state));
            let shared = self.shared.clone();
            let state = shared.lock();
            if state.is_closed {
                return;
            }
            let message = self.message(&state);
            drop(state);
            let Some(message) = message else {
                due = Instant::now() + self.interval;
                continue;
            };
            tried = message.wanted;
            let result = self.send(&message);
            due = Instant::now() + self.pause(result.is_ok());
            self.hear(&message, result);
        }
    }

    fn message(&mut self, state: &State) -> Option<Message> {
        let status = state.status?;
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        self.last_ms = u64::try_from(now.as_millis()).unwrap_or(0).max(self.last_ms + 1);
        let is_metadata_new = state.metadata_wanted > state.metadata_taken;
        Some(Message {
            route: if state.wanted > state.taken {
                "status"
            } else {
                "ping"
            },
            report: Report {
                timestamp: self.last_ms,
                status: status.as_str(),
                metadata: is_metadata_new.then(|| state.metadata.clone()),
                running_matches: state.running_matches,
                capacity: state.capacity,
            },
            wanted: state.wanted,
            metadata_wanted: state.metadata_wanted,
        })
    }

    fn send(&self, message: &Message) -> Result<Answer, String> {
        let mut response = self
            .agent
            .put(format!("{}{}", self.base, message.route))
            .header("Authorization", &self.authorization)
            .send_json(&message.report)
            .map_err(|error| error.to_string())?;
        let status = response.status();
        let text = response
            .body_mut()
            .read_to_string()
            .map_err(|error| error.to_string())?;
        match status.is_success() {
            // Whatever the answer is, the report was taken.
            true => Ok(serde_json::from_str(&text).unwrap_or(Answer { draining: false })),
            false => Err(format!(
                "Maestro answered {status}: {}",
                text.chars().take(300).collect::<String>()
            )),
        }
    }

    /// How long to wait before the next report, moved a little so that many rooms spread.
    fn pause(&mut self, has_worked: bool) -> Duration {
        if has_worked {
            self.failures = 0;
            return self.interval.mul_f64(rand::random_range(0.9..1.1));
        }
        let doubled = FIRST_RETRY.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.interval).mul_f64(rand::random_range(0.5..1.0))
    }

    fn hear(&self, message: &Message, result: Result<Answer, String>) {
        let mut notice = None;
        self.shared.change(|state| match result {
            Ok(answer) => {
                state.taken = message.wanted;
                if message.report.metadata.is_some() {
                    state.metadata_taken = message.metadata_wanted;
                }
                state.last_error = None;
                state.is_draining = answer.draining;
                if answer.draining {
                    notice = state.on_drain.take();
                }
            }
            Err(error) => state.last_error = Some(error),
        });
        // Outside the lock: a notice may call the room.
        if let Some(notice) = notice {
            notice();
        }
    }
}
