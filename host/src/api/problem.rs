//! Every error of the API: one body, one place that knows HTTP statuses.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::{FutureExt, StreamExt};
use maestro_wire::document::{self, Problems, nearest};
use maestro_wire::http::ErrorBody;
use serde::Serialize;

use crate::known::Unreadable;
use crate::supervisor::chain;
use crate::{catalog, cluster, registry, store};

/// An error on its way to a client.
#[derive(Debug, Default)]
pub struct Problem {
    kind: Kind,
    error: String,
    description: String,
    problems: Vec<document::Problem>,
    retry_after: Option<Duration>,
}

/// When to try again where nobody knows when it will be better.
const AGAIN: Duration = Duration::from_secs(5);

/// What kind of error it is; each has one status and one of the older system's codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A parameter of the query or the path is wrong.
    Parameter,
    /// The body is wrong.
    Invalid,
    /// The document in the body is wrong.
    Document,
    /// Nothing has this name.
    Unknown,
    /// The route has no such method.
    Method,
    /// What is there already stands against it.
    Conflict,
    /// A token was sent and is not valid.
    Access,
    /// The body is larger than its limit.
    TooLarge,
    /// Too many calls.
    TooOften,
    /// It took too long.
    TooSlow,
    /// The store, the registry or the cluster does not answer.
    Unavailable,
    /// A defect of ours.
    #[default]
    Internal,
}

impl Kind {
    fn status(self) -> StatusCode {
        match self {
            Self::Parameter => StatusCode::BAD_REQUEST,
            Self::Invalid | Self::Document => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Access => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooOften => StatusCode::TOO_MANY_REQUESTS,
            Self::TooSlow | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Parameter | Self::Invalid | Self::Document | Self::Unknown => "MAE-004",
            Self::Access => "MAE-005",
            Self::Unavailable => "MAE-001",
            Self::Method
            | Self::Conflict
            | Self::TooLarge
            | Self::TooOften
            | Self::TooSlow
            | Self::Internal => "MAE-000",
        }
    }
}

impl Problem {
    /// What went wrong in a few words, and what would help.
    pub fn new(kind: Kind, error: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            kind,
            error: error.into(),
            description: description.into(),
            ..Self::default()
        }
    }

    /// Nothing of this sort has this name; the nearest of `names` is told.
    pub fn unknown<'n>(sort: &str, name: &str, names: impl IntoIterator<Item = &'n str>) -> Self {
        let shown = document::quoted(name);
        let description = match nearest(name, names) {
            Some(nearest) => format!("there is no {sort} {shown}; did you mean `{nearest}`?"),
            None => format!("there is no {sort} {shown}"),
        };
        Self::new(Kind::Unknown, format!("{sort} not found"), description)
    }

    /// A document with problems, all at once.
    pub fn document(found: &Problems) -> Self {
        let mut problem = Self::listed(found.list.clone());
        if found.left_out > 0 {
            problem
                .description
                .push_str(&format!("; {} more are not listed", found.left_out));
        }
        problem
    }

    /// A document with these problems.
    pub fn listed(problems: Vec<document::Problem>) -> Self {
        let description = match problems.as_slice() {
            [one] => one.to_string(),
            several => format!("{} problems", several.len()),
        };
        Self {
            problems,
            ..Self::new(Kind::Document, "the document is not valid", description)
        }
    }

    /// A room calls too often.
    pub fn too_often(wait: Duration) -> Self {
        Self::later(wait, "this room calls more often than ten times a second")
    }

    /// A room, or all rooms of a scheduler, tell of too many events.
    pub fn too_many_events(wait: Duration) -> Self {
        Self::later(
            wait,
            "a room tells of more than ten events a second, or its scheduler's rooms of more than 200",
        )
    }

    /// Too many schedulers were asked for that nobody knows.
    pub fn too_many_unknown(wait: Duration) -> Self {
        Self::later(wait, "too many schedulers are asked for that are not known")
    }

    /// There is no place for another watcher.
    pub fn too_many_watchers(most: usize) -> Self {
        let description = format!("{most} watch already; read /decisions and /rooms instead, or try again");
        Self::later(Duration::from_secs(5), &description)
    }

    /// Too many calls of operators' routes came without a valid token.
    pub fn too_many_refusals(wait: Duration) -> Self {
        Self::later(wait, "too many calls came without a valid operator's token")
    }

    /// An operators' route was called by somebody else; `has_token` says whether they sent a token at all.
    pub fn not_an_operator(has_token: bool) -> Self {
        let (error, description) = match has_token {
            false => (
                "an operator's token is needed",
                "send one as `Authorization: Bearer TOKEN`; maestro-cli takes it from --token or MAESTRO_TOKEN",
            ),
            true => (
                "invalid operator's token",
                "the token that was sent is none of this installation's; `maestro token` makes one, and its hash is to be configured",
            ),
        };
        Self::new(Kind::Access, error, description)
    }

    fn later(wait: Duration, description: &str) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::new(Kind::TooOften, "too many calls", description)
        }
    }

    /// Whether something that Maestro depends on does not answer.
    pub(super) fn is_outage(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// What became of a room's report, as it is counted.
    pub(super) fn word(&self) -> &'static str {
        match self.kind {
            Kind::Unknown => "unknown",
            Kind::TooOften => "too-often",
            Kind::Access => "refused",
            Kind::Unavailable | Kind::TooSlow => "unavailable",
            Kind::Parameter | Kind::Invalid | Kind::Document | Kind::Method | Kind::TooLarge => "malformed",
            Kind::Conflict | Kind::Internal => "error",
        }
    }

    /// For a terminal, with the lines of the text that it is about.
    pub fn show(&self, file: &str, text: &str) -> String {
        if self.problems.is_empty() {
            return format!("{file}: {}: {}", self.error, self.description);
        }
        let shown: Vec<String> = self
            .problems
            .iter()
            .map(|problem| problem.show(file, text))
            .collect();
        shown.join("\n")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let may_pass = matches!(self.kind, Kind::Unavailable | Kind::TooSlow);
        let wait = self.retry_after.or(may_pass.then_some(AGAIN));
        let is_refused = self.kind == Kind::Access;
        let body = ErrorBody {
            code: self.kind.code().to_owned(),
            error: self.error,
            description: self.description,
            success: false,
            problems: self.problems,
            warnings: Vec::new(),
        };
        let mut response = (self.kind.status(), Json(body)).into_response();
        if let Some(wait) = wait {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if is_refused {
            const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"maestro\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        response
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        let description = error.to_string();
        match error {
            store::Error::UnknownScheduler(_) => Self::new(Kind::Unknown, "scheduler not found", description),
            store::Error::SchedulerExists(_)
            | store::Error::Deleting(_)
            | store::Error::ManagedElsewhere { .. }
            | store::Error::Moved { .. }
            | store::Error::PolicyExists { .. }
            | store::Error::PolicyInUse { .. }
            | store::Error::PolicyGone(_)
            | store::Error::OperationOver(_) => Self::new(Kind::Conflict, "conflict", description),
            store::Error::Open { .. }
            | store::Error::Migrate { .. }
            | store::Error::Diverged { .. }
            | store::Error::Occupied { .. }
            | store::Error::Statement { .. }
            | store::Error::Unreadable { .. } => {
                if !error.is_outage() {
                    tracing::error!("{}", chain(&error));
                    return Self::new(Kind::Internal, "the store failed", description);
                }
                // Said at each request of an outage, and by others too.
                tracing::debug!("{}", chain(&error));
                let description = format!(
                    "{description}; nothing was changed for all that is known. Rooms, status and allocation go on without the store"
                );
                Self::new(Kind::Unavailable, "the store does not answer", description)
            }
        }
    }
}

impl From<Unreadable> for Problem {
    fn from(error: Unreadable) -> Self {
        tracing::error!("{error}");
        Self::new(
            Kind::Internal,
            "the store holds an unreadable document",
            error.to_string(),
        )
    }
}

impl From<registry::Error> for Problem {
    fn from(error: registry::Error) -> Self {
        let description = chain(&error);
        match error {
            registry::Error::UnknownRoom(_) => Self::new(Kind::Unknown, "room not found", description),
            registry::Error::Moved { .. }
            | registry::Error::Refused { .. }
            | registry::Error::Fenced { .. } => Self::new(Kind::Conflict, "conflict", description),
            registry::Error::Full { .. } | registry::Error::Unavailable { .. } => {
                Self::new(Kind::Unavailable, "the registry failed", description)
            }
        }
    }
}

impl From<cluster::Error> for Problem {
    fn from(error: cluster::Error) -> Self {
        let description = chain(&error);
        match error {
            cluster::Error::UnknownRoom(_) => Self::new(Kind::Unknown, "room not found", description),
            cluster::Error::Refused { .. } => Self::new(Kind::Conflict, "refused", description),
            cluster::Error::Exhausted { .. }
            | cluster::Error::Forbidden { .. }
            | cluster::Error::Foreign(_)
            | cluster::Error::Crowded
            | cluster::Error::Unavailable { .. } => {
                Self::new(Kind::Unavailable, "the cluster failed", description)
            }
        }
    }
}

impl From<catalog::Error> for Problem {
    fn from(error: catalog::Error) -> Self {
        if let catalog::Error::Store(error) = error {
            return error.into();
        }
        let kind = match (error.is_unknown(), error.is_conflict(), error.is_retryable()) {
            (true, _, _) => Kind::Unknown,
            (_, true, _) => Kind::Conflict,
            (_, _, true) => Kind::Unavailable,
            (false, false, false) => Kind::Invalid,
        };
        let title = match kind {
            Kind::Unknown => "policy not found",
            Kind::Conflict => "conflict",
            _ => "the policy can't be used",
        };
        Self::new(kind, title, chain(&error))
    }
}

/// Runs a request for at most `limit`; a panic becomes an error of ours, and the connection lives on.
pub(super) async fn guarded(limit: Duration, request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(limit, AssertUnwindSafe(next.run(request)).catch_unwind()).await;
    match answered {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            tracing::error!("a request panicked: {}", panic_text(panic.as_ref()));
            Problem::new(
                Kind::Internal,
                "internal error",
                "a defect of Maestro; its log says more",
            )
            .into_response()
        }
        Err(_elapsed) => {
            let description = format!("the request took longer than {} s", limit.as_secs());
            Problem::new(Kind::TooSlow, "time-out", description).into_response()
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// What is read and thrown away of a body that is too large, so that whoever sends it still hears the answer: a
/// connection that is closed with bytes left unread takes the answer with it.
const THROWN_AWAY: usize = 1024 * 1024;

/// Reads a body of at most `limit` bytes. To be called before anything that may refuse the request: what is left unread
/// can't stay in a connection that is kept.
pub(super) async fn read_body(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut parts = body.into_data_stream();
    // Nearly every body comes in one part, which is taken as it is.
    let (mut only, mut joined, mut length) = (Bytes::new(), Vec::new(), 0);
    while let Some(part) = parts.next().await {
        let part =
            part.map_err(|error| Problem::new(Kind::Parameter, "the body could not be read", chain(&error)))?;
        let is_first = length == 0;
        length += part.len();
        if length > limit {
            if length > limit.saturating_add(THROWN_AWAY) {
                break;
            }
            (only, joined) = (Bytes::new(), Vec::new());
        } else if is_first {
            only = part;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut only));
            joined.extend_from_slice(&part);
        }
    }
    match (length > limit, joined.is_empty()) {
        (true, _) => Err(Problem::new(
            Kind::TooLarge,
            "the body is too large",
            format!("at most {limit} bytes are read"),
        )),
        (false, true) => Ok(only),
        (false, false) => Ok(joined.into()),
    }
}

/// A success with the status that the older system gave to creations.
pub(super) fn created(body: impl IntoResponse) -> Response {
    (StatusCode::CREATED, body).into_response()
}

/// An answer to a probe.
pub(super) fn healthy_if(is_healthy: bool, body: impl Serialize) -> Response {
    let status = match is_healthy {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(body)).into_response()
}

/// What was asked for is what the client has already.
pub(super) fn not_modified(headers: HeaderMap) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    for name in [header::ETAG, header::CACHE_CONTROL, header::VARY] {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// Where there is no such route.
pub(super) async fn no_such_route(uri: Uri) -> Problem {
    Problem::new(
        Kind::Unknown,
        "no such route",
        format!("nothing is at {}", document::quoted(uri.path())),
    )
}

/// Where a route has no such method.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let path = document::quoted(uri.path());
    Problem::new(
        Kind::Method,
        "no such method",
        format!("{method} is not possible at {path}"),
    )
}
