//! Schedulers: create, change, look at, scale by hand, delete.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use maestro_core::decision::{Clamp, Counts};
use maestro_core::explain;
use maestro_core::guard::{self, Bounds};
use maestro_core::names::{SchedulerName, Version};
use maestro_core::room::Status;
use maestro_core::scheduler::{Direction, Scheduler};
use maestro_wire::document;
use maestro_wire::http::{
    ConfigBody, Done, Release, Releases, ScaleAnswer, ScaleRequest, SchedulerNames, SchedulerStatus,
    SchedulerSummary,
};
use maestro_wire::view::rfc3339;
use serde::Deserialize;

use super::apply::{self, Applied};
use super::extract::{Path, Query, flag};
use super::problem::{Kind, Problem, created, read_body};
use super::rooms::{Look, look};
use super::{Api, decisions};
use crate::known::Entry;
use crate::store::operations::Input;
use crate::store::schedulers::{ManagedBy, State as Stage};

/// The largest body with documents.
const DOCUMENT_LIMIT: usize = 1024 * 1024;

/// The largest request to scale.
const SCALE_LIMIT: usize = 4 * 1024;

/// `?info` is a flag: its presence counts.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    info: Option<String>,
}

/// All schedulers: names, or with `info` a line of figures each.
pub(super) async fn list(State(api): State<Api>, Query(query): Query<Info>) -> Result<Response, Problem> {
    let stored = api.store.schedulers().await?;
    if query.info.is_none() {
        let schedulers = stored.iter().map(|stored| stored.name.to_string()).collect();
        return Ok(Json(SchedulerNames { schedulers }).into_response());
    }
    let mut all = Vec::new();
    for stored in stored {
        let entry = Entry::read(stored)?;
        all.push(summary(&look(&api, &entry).await?));
    }
    Ok(Json(all).into_response())
}

/// Stores new schedulers; all documents of the body are checked before the first is stored.
pub(super) async fn create(State(api): State<Api>, body: Body) -> Result<Response, Problem> {
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
pub(super) async fn update(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    body: Body,
) -> Result<Json<Done>, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let text = read_text(body).await?;
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

/// `?config` is the older way to ask for the document.
#[derive(Debug, Deserialize)]
pub(super) struct Flags {
    config: Option<String>,
}

/// How a scheduler is doing.
pub(super) async fn status(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    Query(flags): Query<Flags>,
) -> Result<Response, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    if flags.config.is_some() {
        return Ok(Json(ConfigBody {
            yaml: entry.stored.active.document.clone(),
        })
        .into_response());
    }
    let look = look(&api, &entry).await?;
    let summary = summary(&look);
    let newest = api.store.decisions(&entry.scheduler.name, None, 1).await?;
    let decision = newest
        .first()
        .map(decisions::decode)
        .transpose()?
        .map(|record| record.decision);
    let mut by_state: BTreeMap<String, u32> = BTreeMap::new();
    for room in &look.rooms {
        *by_state.entry(room.state().to_owned()).or_default() += 1;
    }
    let scaled_at = look.state.as_ref().and_then(|state| state.scaled_at);
    let body = SchedulerStatus {
        game: summary.game,
        state: summary.state,
        state_last_changed_at: entry.stored.updated_at.ms() / 1_000,
        last_scale_op_at: scaled_at.map_or(0, |at| at.ms() / 1_000),
        rooms_at_creating: summary.rooms_creating,
        rooms_at_occupied: summary.rooms_occupied,
        rooms_at_ready: summary.rooms_ready,
        rooms_at_terminating: summary.rooms_terminating,
        name: summary.name,
        version: summary.version,
        wanted: summary.wanted,
        min: entry.scheduler.autoscaling.min,
        max: entry.scheduler.autoscaling.max,
        rooms_by_state: by_state,
        last_decision: decision.as_ref().map(explain::summary),
        waits: decision.map(|decision| decision.waits).unwrap_or_default(),
    };
    Ok(Json(body).into_response())
}

fn summary(look: &Look<'_>) -> SchedulerSummary {
    let scheduler = &look.entry.scheduler;
    let count = |status: Status| {
        u32::try_from(look.rooms.iter().filter(|room| room.status() == status).count()).unwrap_or(u32::MAX)
    };
    let counts = Counts::of(&look.rooms, &look.watch);
    let wanted = look
        .state
        .as_ref()
        .map_or(scheduler.autoscaling.min, |state| state.wanted);
    SchedulerSummary {
        name: scheduler.name.to_string(),
        game: scheduler.game.clone(),
        state: state(look, &counts, wanted).to_owned(),
        version: look.entry.stored.active.version.to_string(),
        rooms_ready: count(Status::Ready),
        rooms_occupied: count(Status::Occupied),
        rooms_creating: count(Status::Creating),
        rooms_terminating: count(Status::Terminating),
        wanted,
        autoscaling_min: scheduler.autoscaling.min,
        autoscaling_max: scheduler.autoscaling.max.unwrap_or(0),
        autoscaling_up_trigger_usage: first_usage(scheduler, Direction::Up),
        autoscaling_down_trigger_usage: first_usage(scheduler, Direction::Down),
    }
}

/// The older system's five words.
fn state(look: &Look<'_>, counts: &Counts, wanted: u32) -> &'static str {
    match (look.entry.stored.state, &look.state) {
        (Stage::Deleting { .. }, _) => "terminating",
        (Stage::Live, None) => "creating",
        (Stage::Live, Some(_)) if counts.available() < wanted => "subdimensioned",
        (Stage::Live, Some(_)) if counts.available() > wanted => "overdimensioned",
        (Stage::Live, Some(_)) => "in-sync",
    }
}

/// `usage` of the first trigger in a direction, as the older list showed it; 0 when there is none.
fn first_usage(scheduler: &Scheduler, direction: Direction) -> u32 {
    let first = scheduler
        .autoscaling
        .triggers
        .iter()
        .find(|trigger| trigger.direction == direction);
    let parameters = first.and_then(|trigger| serde_json::from_str::<Usage>(&trigger.parameters).ok());
    parameters
        .and_then(|parameters| parameters.usage)
        .map_or(0, |usage| usage as u32)
}

#[derive(Deserialize)]
struct Usage {
    usage: Option<f64>,
}

/// Which version's document.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    version: Option<String>,
}

/// A document as it was given; as an object for those who ask for JSON.
pub(super) async fn config(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let name = &entry.scheduler.name;
    let text = match which.version.as_deref() {
        None => entry.stored.active.document.clone(),
        Some(version) => older(&api, name, version).await?,
    };
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    if !accept.contains("application/json") {
        return Ok(Json(ConfigBody { yaml: text }).into_response());
    }
    let documents = document::read(&text).map_err(|found| Problem::document(&found))?;
    let scheduler = documents
        .into_iter()
        .map(|document| document.scheduler)
        .find(|read| read.name == *name);
    let scheduler = scheduler.ok_or_else(|| Problem::unknown("scheduler", name.as_str(), []))?;
    let json = document::to_json(&scheduler)
        .map_err(|error| Problem::new(Kind::Internal, "the document can't be written", error.to_string()))?;
    Ok(Json(json).into_response())
}

async fn older(api: &Api, name: &SchedulerName, version: &str) -> Result<String, Problem> {
    let parsed = Version::parse(version).map_err(|reason| {
        Problem::new(
            Kind::Parameter,
            "invalid parameter",
            format!("`version` is not valid: {reason}"),
        )
    })?;
    match api.store.release(name, parsed).await? {
        Some(release) => Ok(release.document),
        None => {
            let releases = api.store.releases(name).await?;
            let known: Vec<String> = releases
                .iter()
                .map(|release| release.version.to_string())
                .collect();
            Err(Problem::unknown(
                "version",
                version,
                known.iter().map(String::as_str),
            ))
        }
    }
}

/// All versions, oldest first.
pub(super) async fn releases(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
) -> Result<Json<Releases>, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let mut releases = api.store.releases(&entry.scheduler.name).await?;
    releases.sort_by_key(|release| release.version);
    let body = |release: crate::store::versions::Release| Release {
        version: release.version.to_string(),
        created_at: rfc3339(release.created_at),
    };
    Ok(Json(Releases {
        releases: releases.into_iter().map(body).collect(),
    }))
}

/// Asks for another number of rooms. The loop makes it so; what it will come to is said at once.
pub(super) async fn scale(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    body: Body,
) -> Result<Json<ScaleAnswer>, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let bytes = read_body(body, SCALE_LIMIT).await?;
    let request: ScaleRequest = serde_json::from_slice(&bytes).map_err(|error| {
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
async fn asked_before(api: &Api, name: &SchedulerName) -> Result<Option<u32>, Problem> {
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
#[derive(Debug, Deserialize)]
pub(super) struct Force {
    #[serde(default, deserialize_with = "flag")]
    force: bool,
}

/// Marks a scheduler as one that shall go.
pub(super) async fn delete(
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
