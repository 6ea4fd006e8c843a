//! Whether this process works, and whether it is of use: two questions, because the answers call for different things.
//!
//! One that does not work is ended and begun anew (`/livez`); one that is of no use just now gets no calls (`/readyz`).
//! Without the registry no room is heard and none is given out, and with tables of another release nothing can be read:
//! then it is of no use. While the store is away, pings, status and allocation go on and changes are refused; while the
//! cluster is away, rooms that are there go on. To send rooms' calls to nobody for that would make an outage of it: both
//! are told, and no more. Anybody may ask, so that the answers name no places, and what is behind them is asked at most
//! once a second.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use maestro_core::names::{RoomId, SchedulerName};
use maestro_wire::http::{DependencyBody, Health, Liveness, Readiness};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Api;
use super::problem::{Kind, Problem, healthy_if};
use crate::metrics::Dependency;
use crate::supervisor::chain;

/// How long an answer is good for.
const AGE: Duration = Duration::from_secs(1);

/// The longest that a dependency may take: probes give up after a few seconds themselves.
const PATIENCE: Duration = Duration::from_secs(2);

/// A step's calls end after seconds each, and a step makes some hundred of them at most: one that takes so long never
/// ends.
const STUCK: Duration = Duration::from_secs(600);

/// A scheduler that nobody can have made: names have a letter or digit at their ends, and this has too many parts to be
/// chosen by chance. Asked for one of its rooms, the registry says no, if it says anything.
const NOBODY: &str = "maestro-asks-whether-the-registry-answers";

/// What was found last.
#[derive(Default)]
pub struct Probe {
    is_ending: AtomicBool,
    last: Mutex<Option<(Instant, Readiness)>>,
}

impl Probe {
    /// From now on this process is not ready, so that nobody sends it new calls while it ends.
    pub fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

/// Whether everything that the API needs answers.
#[utoipa::path(
    get,
    path = "/healthcheck",
    tag = "installation",
    operation_id = "health_check",
    responses((status = 200, body = Health, description = "Done"))
)]
pub(super) async fn check(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    match api.store.ping().await {
        Ok(()) => Ok(Json(Health { healthy: true })),
        Err(error) => Err(Problem::new(
            Kind::Unavailable,
            "the store does not answer",
            chain(&error),
        )),
    }
}

/// Whether this process works: it answers, and none of its loops is stuck.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "installation",
    operation_id = "liveness",
    responses(
        (status = 200, body = Liveness, description = "It works"),
        (status = 503, body = Liveness, description = "It is to be begun anew")
    )
)]
pub(super) async fn live(State(api): State<Api>) -> Response {
    let stuck = api.metrics.stuck(STUCK, Instant::now());
    let live = stuck.is_empty();
    healthy_if(live, Liveness { live, stuck })
}

/// Whether this process is of use, and what it misses.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "installation",
    operation_id = "readiness",
    responses(
        (status = 200, body = Readiness, description = "It is of use; what it does without is told"),
        (status = 503, body = Readiness, description = "It is of no use for now, and why")
    )
)]
pub(super) async fn ready(State(api): State<Api>) -> Response {
    let readiness = look(&api).await;
    healthy_if(readiness.ready, readiness)
}

/// What there is, at most [`AGE`] old. Whoever comes while others look waits for what they find.
async fn look(api: &Api) -> Readiness {
    let mut last = api.probe.last.lock().await;
    let mut readiness = match &*last {
        Some((at, readiness)) if at.elapsed() < AGE => readiness.clone(),
        Some(_) | None => {
            let (registry, store) = tokio::join!(registry(api), store(api));
            let dependencies = vec![registry, store, cluster(api)];
            let is_missed = |one: &DependencyBody| one.required && one.state != "up";
            let readiness = Readiness {
                ready: !dependencies.iter().any(is_missed),
                ending: false,
                dependencies,
            };
            *last = Some((Instant::now(), readiness.clone()));
            readiness
        }
    };
    readiness.ending = api.probe.is_ending.load(Ordering::Relaxed);
    readiness.ready &= !readiness.ending;
    readiness
}

async fn registry(api: &Api) -> DependencyBody {
    let Ok(nobody) = SchedulerName::parse(NOBODY) else {
        return told(Dependency::Registry, "unknown", true, None);
    };
    let no_room = RoomId::new(&nobody, 0);
    let asked = api.registry.room(&nobody, &no_room);
    let is_up = matches!(timeout(PATIENCE, asked).await, Ok(Ok(_)));
    match is_up {
        true => told(Dependency::Registry, "up", true, None),
        false => {
            let without = "no room is heard, none is given out, and nothing is decided";
            told(Dependency::Registry, "down", true, Some(without.to_owned()))
        }
    }
}

async fn store(api: &Api) -> DependencyBody {
    let asked = timeout(PATIENCE, api.store.standing()).await;
    api.metrics
        .answered(Dependency::Store, matches!(asked, Ok(Ok(_))));
    match asked {
        Ok(Ok(standing)) if standing.pending.is_empty() => told(Dependency::Store, "up", false, None),
        Ok(Ok(standing)) => {
            let without = format!(
                "its tables lack {}; run `maestro migrate`",
                standing.pending.join(", ")
            );
            told(Dependency::Store, "behind", true, Some(without))
        }
        Ok(Err(_)) | Err(_) => {
            let without = "changes are refused; pings, status, allocation and scaling go on";
            told(Dependency::Store, "down", false, Some(without.to_owned()))
        }
    }
}

/// Asked by whoever has a loop, and not for this.
fn cluster(api: &Api) -> DependencyBody {
    match api.metrics.answers(Dependency::Cluster) {
        Some(true) => told(Dependency::Cluster, "up", false, None),
        Some(false) => {
            let without = "no room is created or ended; rooms that are there go on";
            told(Dependency::Cluster, "down", false, Some(without.to_owned()))
        }
        None => told(Dependency::Cluster, "unasked", false, None),
    }
}

fn told(which: Dependency, state: &str, required: bool, without: Option<String>) -> DependencyBody {
    DependencyBody {
        name: which.as_str().to_owned(),
        state: state.to_owned(),
        required,
        without,
    }
}
