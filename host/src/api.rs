//! The HTTP API: routes, limits, and what every answer carries.
//!
//! Three kinds of routes: those that rooms call, with the rooms' own tokens; those of operators, for whom a token may be
//! asked too ([`Operators`]); and probes, which anybody may ask. One listener serves them all, or rooms have one of
//! their own.
//!
//! Requests record facts in the registry or intent in the store and wake the loop; none of them acts on a cluster.
//! Room routes touch the registry alone, but for events. Names, fields and success bodies of the older system are kept.

pub mod apply;
mod auth;
mod decisions;
mod etag;
mod events;
mod extract;
mod health;
mod limit;
mod metrics;
mod nodes;
mod openapi;
mod operators;
mod parameter;
mod policies;
mod problem;
mod rooms;
mod schedulers;
mod serve;
mod watch;
mod window;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{FromRef, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::Response;
use maestro_core::decision::Decision;
use maestro_core::names::SchedulerName;
use maestro_core::scheduler::PortRange;
use maestro_core::time::Span;
use tokio::sync::Notify;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::catalog::Catalog;
use crate::cluster::Cluster;
use crate::control::{Clock, TokenMaker};
use crate::known::{Entry, Known};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::store::Store;

pub use auth::Key;
pub use health::Probe;
pub use operators::{Exposed, HashError, Operators};
use problem::{Problem, guarded};
pub use serve::{Heads, serve};

/// The longest that most requests may take.
const REQUEST: Duration = Duration::from_secs(10);

/// The longest that the store is waited for where there is an answer without it.
const STORE: Duration = Duration::from_secs(2);

/// The longest that deploying a policy may take, compilation included.
const DEPLOYMENT: Duration = Duration::from_secs(90);

/// What the API works with; cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// What should be.
    pub store: Store,
    /// What rooms say.
    pub registry: Arc<dyn Registry>,
    /// For rooms' output only.
    pub cluster: Arc<dyn Cluster>,
    /// Policies.
    pub catalog: Arc<Catalog>,
    /// Schedulers, so that a room's ping never asks the store.
    pub known: Arc<Known>,
    /// What rooms' tokens are made from.
    pub key: Key,
    /// This machine's time of day.
    pub wall: Clock,
    /// Wakes whoever keeps the loops.
    pub changed: Arc<Notify>,
    /// Most rooms of one scheduler.
    pub cap: u32,
    /// How often what rooms use is measured, at most.
    pub measure_every: Span,
    /// The ports of nodes that rooms can have; `None` where rooms run elsewhere than on Kubernetes.
    pub node_ports: Option<PortRange>,
    /// How often each room may call, and the store be asked for what nobody knows.
    pub limits: Arc<limit::Limits>,
    /// Who watches schedulers.
    pub watchers: Arc<watch::Watchers>,
    /// Who may call operators' routes.
    pub operators: Operators,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What probes are told.
    pub probe: Arc<Probe>,
}

/// Routes share one; those that are not asked all the time take a copy.
impl FromRef<Arc<Self>> for Api {
    fn from_ref(shared: &Arc<Self>) -> Self {
        Self::clone(shared)
    }
}

impl Api {
    /// Makes rooms' tokens.
    pub fn token_maker(&self) -> TokenMaker {
        let key = self.key.clone();
        Arc::new(move |scheduler, room| key.token(scheduler, room))
    }

    /// The newest decision on a scheduler, if the journal has one.
    pub async fn last_decision(&self, name: &SchedulerName) -> Result<Option<Decision>, crate::store::Error> {
        let newest = self.store.decisions(name, None, 1).await?;
        Ok(newest
            .first()
            .and_then(|record| decisions::decode(record).ok())
            .map(|record| record.decision))
    }

    /// A scheduler by the name in a path. Anybody may call with any name: the store is asked for those that are not
    /// known here, at a bounded rate and for none of them twice in a moment.
    async fn scheduler(&self, name: &str) -> Result<Arc<Entry>, Problem> {
        let Ok(parsed) = SchedulerName::parse(name) else {
            return Err(self.unknown_scheduler(name));
        };
        if let Some(entry) = self.known.get(&parsed) {
            return Ok(entry);
        }
        let now = Instant::now();
        if self.known.is_absent(&parsed, now) {
            return Err(self.unknown_scheduler(name));
        }
        self.limits.take_lookup(now).map_err(Problem::too_many_unknown)?;
        match self.store.scheduler(&parsed).await? {
            Some(stored) => Ok(self.known.put(Entry::read(stored)?)),
            None => {
                self.known.miss(&parsed, now);
                Err(self.unknown_scheduler(name))
            }
        }
    }

    /// What the store says, for an answer that is worth something without it too: `None` when it does not answer soon.
    async fn if_store_answers<T>(
        &self,
        asked: impl Future<Output = Result<T, Problem>>,
    ) -> Result<Option<T>, Problem> {
        if self.known.is_store_away() {
            return Ok(None);
        }
        match tokio::time::timeout(STORE, asked).await {
            Ok(Ok(said)) => Ok(Some(said)),
            Ok(Err(problem)) if problem.is_outage() => Ok(None),
            Ok(Err(problem)) => Err(problem),
            Err(_) => Ok(None),
        }
    }

    fn unknown_scheduler(&self, name: &str) -> Problem {
        let known = self.known.names();
        Problem::unknown("scheduler", name, known.iter().map(SchedulerName::as_str))
    }
}

/// All routes, for one listener.
pub fn router(api: Api) -> Router {
    let api = Arc::new(api);
    let all = begin().merge(operators(&api)).merge(of_rooms()).merge(probes());
    finish(all, api)
}

/// What rooms call, and probes: for a listener of their own.
pub fn rooms_router(api: Api) -> Router {
    finish(begin().merge(of_rooms()).merge(probes()), Arc::new(api))
}

/// What operators call, and probes: for the listener beside that of the rooms.
pub fn operators_router(api: Api) -> Router {
    let api = Arc::new(api);
    finish(begin().merge(operators(&api)).merge(probes()), api)
}

/// What a process without the API answers: probes, and its figures.
pub fn worker_router(api: Api) -> Router {
    let api = Arc::new(api);
    let figures = OpenApiRouter::new()
        .routes(routes!(metrics::show))
        .layer(middleware::from_fn(within_a_request))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), operators::only));
    finish(begin().merge(figures).merge(probes()), api)
}

fn begin() -> OpenApiRouter<Arc<Api>> {
    openapi::begin()
}

fn finish(routes: OpenApiRouter<Arc<Api>>, api: Arc<Api>) -> Router {
    let (routes, document) = routes.split_for_parts();
    routes
        .merge(openapi::routes(document))
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(middleware::from_fn(with_version))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), metrics::observe))
        .with_state(api)
}

/// What needs an operator's token where any is configured.
fn operators(api: &Arc<Api>) -> OpenApiRouter<Arc<Api>> {
    let quick = schedulers_routes()
        .merge(rooms_routes())
        .routes(routes!(nodes::list))
        .routes(routes!(nodes::drain, nodes::undrain))
        .routes(read(routes!(policies::one)))
        .routes(routes!(policies::remove))
        .routes(routes!(metrics::show))
        .layer(middleware::from_fn(within_a_request));
    let slow = OpenApiRouter::new()
        .routes(read(routes!(policies::list)))
        .routes(routes!(policies::deploy))
        .layer(middleware::from_fn(|request, next| {
            guarded(DEPLOYMENT, request, next)
        }));
    let only = middleware::from_fn_with_state(Arc::clone(api), operators::only);
    quick.merge(slow).layer(only)
}

/// What rooms call.
fn of_rooms() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(rooms::ping))
        .routes(routes!(rooms::status))
        .routes(routes!(rooms::event::of_room))
        .routes(routes!(rooms::event::of_player))
        .routes(routes!(rooms::address))
        .layer(middleware::from_fn(within_a_request))
}

/// What anybody may ask.
fn probes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(health::check))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .layer(middleware::from_fn(within_a_request))
}

async fn within_a_request(request: Request, next: Next) -> Response {
    guarded(REQUEST, request, next).await
}

/// Whether rooms call this route. The templates are those of `rooms` and `rooms::event`.
fn is_rooms(route: &str) -> bool {
    let last = route.strip_prefix("/scheduler/{scheduler}/rooms/{room}/");
    last.is_some_and(|last| ["ping", "status", "roomevent", "playerevent", "address"].contains(&last))
}

/// Whether anybody may ask this route.
fn is_probe(route: &str) -> bool {
    ["/healthcheck", "/livez", "/readyz"].contains(&route)
}

fn schedulers_routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(schedulers::list, schedulers::change::create))
        .routes(routes!(
            schedulers::status,
            schedulers::change::update,
            schedulers::change::scale,
            schedulers::change::delete
        ))
        .routes(routes!(schedulers::scale_in::switch))
        .routes(read(routes!(schedulers::config)))
        .routes(read(routes!(schedulers::releases)))
        .routes(read(routes!(decisions::list)))
        .routes(routes!(window::show))
        .routes(routes!(events::list))
        .routes(routes!(events::all))
        // Its time-out ends with the head of the answer: the stream itself goes on.
        .routes(routes!(watch::stream))
}

fn rooms_routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(rooms::names))
        .routes(routes!(rooms::by_status))
        .routes(routes!(rooms::one))
        .routes(routes!(rooms::logs))
}

/// A route whose answers have tags.
fn read(route: UtoipaMethodRouter<Arc<Api>>) -> UtoipaMethodRouter<Arc<Api>> {
    route.map(|route| route.route_layer(middleware::from_fn(etag::tagged)))
}

/// The older system's header, and the one that its documentation promised.
static VERSION_NAMES: [HeaderName; 2] = [
    HeaderName::from_static("x-version"),
    HeaderName::from_static("x-maestro-version"),
];

async fn with_version(request: Request, next: Next) -> Response {
    const VERSION: HeaderValue = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
    let mut response = next.run(request).await;
    for name in &VERSION_NAMES {
        response.headers_mut().insert(name, VERSION);
    }
    response
}
