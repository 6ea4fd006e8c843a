//! The only place that spawns: every task has a kind, a rule for when it fails, and ends when the group stops.
//!
//! A task is handed in as a future that ends by itself when the group's token is cancelled. Nobody keeps join handles;
//! who needs an answer from a task uses a channel.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a task is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Serves the HTTP API.
    Api,
    /// Serves one client of the API.
    Connection,
    /// Tells the registry each second that an API hears rooms.
    Heartbeat,
    /// Keeps one loop a scheduler.
    Supervisor,
    /// Says that this worker is there, and hears who else is.
    Roster,
    /// Hears of changes in the store that others made.
    Listener,
    /// Keeps what an API knows fresh.
    Follower,
    /// Watches the cluster.
    Watches,
    /// The loop of one scheduler.
    Loop(String),
    /// Loads the policies of one scheduler for its loop.
    Loading(String),
    /// Writes decisions and samples to the store.
    Journal,
    /// Sends traces to a collector.
    Traces,
    /// Simulates demand in `maestro dev`.
    Matchmaker,
    /// Applies scheduler files.
    Files,
    /// Tells in `maestro dev` how rooms report.
    Hint,
    /// Draws the table of `maestro dev`.
    Screen,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api => f.write_str("api"),
            Self::Connection => f.write_str("connection"),
            Self::Heartbeat => f.write_str("heartbeat"),
            Self::Supervisor => f.write_str("supervisor"),
            Self::Roster => f.write_str("roster"),
            Self::Listener => f.write_str("listener"),
            Self::Follower => f.write_str("follower"),
            Self::Watches => f.write_str("watches"),
            Self::Loop(scheduler) => write!(f, "loop of {scheduler}"),
            Self::Loading(scheduler) => write!(f, "policies of {scheduler}"),
            Self::Journal => f.write_str("journal"),
            Self::Traces => f.write_str("traces"),
            Self::Matchmaker => f.write_str("matchmaker"),
            Self::Files => f.write_str("files"),
            Self::Hint => f.write_str("hint"),
            Self::Screen => f.write_str("screen"),
        }
    }
}

/// What the failure of a task does to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnFailure {
    /// Nothing works without it: everything stops, and the process ends with the failure.
    StopAll,
    /// The rest goes on; the failure is logged, and whoever needs the task starts another.
    LogOnly,
}

impl Kind {
    fn on_failure(&self) -> OnFailure {
        match self {
            Self::Api
            | Self::Heartbeat
            | Self::Supervisor
            | Self::Roster
            | Self::Journal
            | Self::Listener
            | Self::Follower
            | Self::Watches => OnFailure::StopAll,
            Self::Connection
            | Self::Loop(_)
            | Self::Loading(_)
            | Self::Traces
            | Self::Matchmaker
            | Self::Files
            | Self::Hint
            | Self::Screen => OnFailure::LogOnly,
        }
    }
}

/// A group of tasks that stop together. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    stop: CancellationToken,
    tracker: TaskTracker,
    failure: Arc<Mutex<Option<String>>>,
}

impl Tasks {
    /// An empty group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the group stops.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs `task` until it ends. An error or a panic is logged and handled by the kind's rule.
    pub fn spawn<E>(&self, kind: Kind, task: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: fmt::Display + Send + 'static,
    {
        let group = self.clone();
        self.tracker.spawn(async move {
            let failure = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(panic) => format!("it panicked: {}", panic_text(panic.as_ref())),
            };
            tracing::error!(task = %kind, "{kind} failed: {failure}");
            if kind.on_failure() == OnFailure::StopAll {
                let mut first = group.failure.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(format!("{kind} failed: {failure}"));
                group.stop.cancel();
            }
        });
    }

    /// Asks every task to end and waits for them for at most `deadline`. The error is the failure that stopped the
    /// group, or says that tasks were left behind.
    pub async fn stop(&self, deadline: Duration) -> Result<(), String> {
        self.stop.cancel();
        self.tracker.close();
        let all_ended = tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok();
        if let Some(failure) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(failure);
        }
        match all_ended {
            true => Ok(()),
            false => Err(format!(
                "{} tasks did not end in {} s",
                self.tracker.len(),
                deadline.as_secs()
            )),
        }
    }
}

/// Runs something that blocks (files, compilation) beside the asynchronous tasks. A panic in it goes on in the caller.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down, and this future with it: it is never polled to an end.
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_loop_leaves_the_others_running() {
        let tasks = Tasks::new();
        let stop = tasks.stop_token();
        let (ended, waits) = tokio::sync::oneshot::channel();
        tasks.spawn(Kind::Loop("bad".into()), async {
            panic!("of its own doing") as Result<(), String>
        });
        tasks.spawn(Kind::Api, async move {
            stop.cancelled().await;
            ended.send(()).map_err(|()| "nobody waits")
        });
        assert_eq!(tasks.stop(Duration::from_secs(5)).await, Ok(()));
        waits.await.unwrap();
    }

    #[tokio::test]
    async fn the_failure_of_what_nothing_works_without_stops_all_and_is_told() {
        let tasks = Tasks::new();
        tasks.spawn(Kind::Supervisor, async { Err("no store") });
        tasks.stop_token().cancelled().await;
        assert_eq!(
            tasks.stop(Duration::from_secs(5)).await,
            Err("supervisor failed: no store".to_owned())
        );
    }
}
