//! Changes of schedulers: create, update, scale by hand, delete. Each records what is wanted and wakes the loop.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use maestro_core::decision::{Clamp, Counts};
use maestro_core::explain;
use maestro_core::guard::{self, Bounds};
use maestro_core::names::SchedulerName;
use maestro_wire::http::{Done, ScaleAnswer, ScaleRequest};
use serde::Deserialize;

use crate::api::Api;
use crate::api::apply::{self, Applied};
use crate::api::extract::{Path, Query, flag};
use crate::api::problem::{Kind, Problem, created, read_body};
use crate::api::rooms::look;
use crate::store;
use crate::store::operations::Input;
use crate::store::schedulers::{ManagedBy, State as Stage};

/// The largest body with documents.
const DOCUMENT_LIMIT: usize = 1024 * 1024;

/// The largest request to scale.
const SCALE_LIMIT: usize = 4 * 1024;

/// Stores new schedulers; all documents of the body are checked before the first is stored.
#[utoipa::path(
    post,
    path = "/scheduler",
    tag = "schedulers",
    operation_id = "scheduler_create",
    request_body(content = String, content_type = "application/yaml", description = "Scheduler documents, YAML or JSON"),
    responses((status = 201, body = Done, description = "Done"))
)]
pub(in crate::api) async fn create(State(api): State<Api>, body: Body) -> Result<Response, Problem> {
    let text = read_text(body).await?;
    let ready = apply::check(&api, &text).await?;
    for one in &ready {
        if let Some(stored) = api.store.scheduler(one.name()).await? {
            let description = match stored.state {
                Stage::Live => format!(
                    "{0} is there already; change it with PUT /scheduler/{0}, or maestro-cli update FILE",
                    one.name()
                ),
                Stage::Deleting { .. } => {
                    format!("scheduler {} is being deleted; try again soon", one.name())
                }
            };
            return Err(Problem::new(
                Kind::Conflict,
                "scheduler already exists",
                description,
            ));
        }
    }
    let mut done = Done {
        success: true,
        ..Done::default()
    };
    for one in &ready {
        let applied = apply::create(&api, one, &ManagedBy::Api).await?;
        add(&mut done, applied);
    }
    Ok(created(Json(done)))
}

/// Stores a new version.
#[utoipa::path(
    put,
    path = "/scheduler/{scheduler}",
    tag = "schedulers",
    operation_id = "scheduler_update",
    request_body(content = String, content_type = "application/yaml", description = "Scheduler documents, YAML or JSON"),
    responses((status = 200, body = Done, description = "Done"))
)]
pub(in crate::api) async fn update(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    body: Body,
) -> Result<Json<Done>, Problem> {
    let text = read_text(body).await;
    let entry = api.scheduler(&scheduler).await?;
    let text = text?;
    let ready = apply::check(&api, &text).await?;
    let [one] = ready.as_slice() else {
        let description = format!("expected one document for {scheduler}, there are {}", ready.len());
        return Err(Problem::new(Kind::Document, "too many documents", description));
    };
    if *one.name() != entry.scheduler.name {
        let description = format!(
            "the document is named {}, the route {}",
            one.name(),
            entry.scheduler.name
        );
        return Err(Problem::new(Kind::Parameter, "the names differ", description));
    }
    let mut done = Done {
        success: true,
        ..Done::default()
    };
    add(&mut done, apply::update(&api, one, &ManagedBy::Api).await?);
    Ok(Json(done))
}

fn add(done: &mut Done, applied: Applied) {
    let message = match done.message.take() {
        Some(before) => format!("{before}; {}: {}", applied.name, applied.message),
        None => applied.message,
    };
    done.message = Some(message);
    done.version = Some(applied.version.to_string());
    done.operation_key = applied.operation.map(|id| id.to_string());
    done.warnings.extend(applied.warnings);
}

/// Asks for another number of rooms. The loop makes it so; what it will come to is said at once.
#[utoipa::path(
    post,
    path = "/scheduler/{scheduler}",
    tag = "schedulers",
    operation_id = "scheduler_scale",
    request_body = ScaleRequest,
    responses((status = 200, body = ScaleAnswer, description = "Done"))
)]
pub(in crate::api) async fn scale(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    body: Body,
) -> Result<Json<ScaleAnswer>, Problem> {
    let bytes = read_body(body, SCALE_LIMIT).await;
    let entry = api.scheduler(&scheduler).await?;
    let request: ScaleRequest = serde_json::from_slice(&bytes?).map_err(|error| {
        let description =
            format!("expected one of `scaleup`, `scaledown` and `replicas` with a whole number: {error}");
        Problem::new(Kind::Invalid, "invalid request to scale", description)
    })?;
    let autoscaling = &entry.scheduler.autoscaling;
    let name = &entry.scheduler.name;
    // Before the look: a request that is carried out in between is then in the state that is looked at.
    let asked_before = asked_before(&api, name).await?;
    let look = look(&api, &entry).await?;
    let before = match asked_before {
        Some(wanted) => wanted,
        None => look.state.as_ref().map_or(autoscaling.min, |state| state.wanted),
    };
    let asked = asked(&request, before)?;
    let ruling = guard::rule_manual(
        asked,
        &guard::Input {
            ballots: &[],
            before,
            counts: Counts::of(&look.rooms, &look.watch),
            bounds: Bounds {
                min: autoscaling.min,
                max: autoscaling.max,
                cap: api.cap,
            },
            scaled_at: None,
            up_cooldown: autoscaling.up_cooldown,
            down_cooldown: autoscaling.down_cooldown,
            paused: entry.stored.scale_in_paused_at,
            recovering: false,
            now: look.watch.now,
        },
    );
    api.store.request_scale(name, ruling.wanted, (api.wall)()).await?;
    api.changed.notify_one();
    let clamped = ruling.clamps.iter().map(clamp).collect();
    Ok(Json(ScaleAnswer {
        success: true,
        asked,
        wanted: ruling.wanted,
        clamped,
    }))
}

/// What the newest request to scale comes to that the loop has not carried out yet: the next one adds to it.
pub(super) async fn asked_before(api: &Api, name: &SchedulerName) -> Result<Option<u32>, store::Error> {
    let open = api.store.open_operations(name).await?;
    Ok(open.iter().rev().find_map(|operation| match operation.input {
        Input::Scale { wanted } => Some(wanted),
        Input::Create { .. } | Input::Update { .. } | Input::Delete { .. } => None,
    }))
}

fn clamp(clamp: &Clamp) -> String {
    let because = explain::because(clamp);
    format!("{} became {}: {because}", clamp.from, clamp.to)
}

fn asked(request: &ScaleRequest, before: u32) -> Result<u32, Problem> {
    match (request.scaleup, request.scaledown, request.replicas) {
        (Some(more @ 1..), None, None) => Ok(before.saturating_add(more)),
        (None, Some(fewer @ 1..), None) => Ok(before.saturating_sub(fewer)),
        (None, None, Some(all)) => Ok(all),
        (Some(0), None, None) | (None, Some(0), None) => {
            let description = "0 rooms more or fewer changes nothing; expected at least 1";
            Err(Problem::new(Kind::Invalid, "nothing to do", description))
        }
        _ => {
            let given: Vec<&str> = [
                request.scaleup.map(|_| "`scaleup`"),
                request.scaledown.map(|_| "`scaledown`"),
                request.replicas.map(|_| "`replicas`"),
            ]
            .into_iter()
            .flatten()
            .collect();
            let found = if given.is_empty() {
                "none".to_owned()
            } else {
                given.join(" and ")
            };
            let description =
                format!("expected exactly one of `scaleup`, `scaledown` and `replicas`, found {found}");
            Err(Problem::new(
                Kind::Invalid,
                "invalid request to scale",
                description,
            ))
        }
    }
}

/// `?force=true` ends rooms in a match too.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Force {
    /// Whether rooms in a match are ended too.
    #[param(required = false)]
    #[serde(default, deserialize_with = "flag")]
    force: bool,
}

/// Marks a scheduler as one that shall go.
#[utoipa::path(
    delete,
    path = "/scheduler/{scheduler}",
    tag = "schedulers",
    operation_id = "scheduler_delete",
    params(Force),
    responses((status = 200, body = Done, description = "Done"))
)]
pub(in crate::api) async fn delete(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    Query(query): Query<Force>,
) -> Result<Json<Done>, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let name = &entry.scheduler.name;
    let force = query.force;
    let operation = api
        .store
        .delete_scheduler(name, &ManagedBy::Api, force, (api.wall)())
        .await?;
    apply::tell(&api, name).await?;
    let busy = look(&api, &entry)
        .await?
        .rooms
        .iter()
        .filter(|room| room.is_protected())
        .count();
    let message = match (force, busy) {
        (_, 0) => "its rooms are being ended".to_owned(),
        (true, busy) => format!("its rooms are being ended, {busy} of them in a match"),
        (false, busy) => format!("idle rooms are being ended, {busy} in a match finish it first"),
    };
    let operation_key = Some(operation.id.to_string());
    Ok(Json(Done {
        success: true,
        message: Some(message),
        operation_key,
        ..Done::default()
    }))
}

async fn read_text(body: Body) -> Result<String, Problem> {
    let bytes = read_body(body, DOCUMENT_LIMIT).await?;
    String::from_utf8(bytes.into()).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Problem::new(
            Kind::Document,
            "the document is not text",
            format!("byte {place} is not UTF-8"),
        )
    })
}
