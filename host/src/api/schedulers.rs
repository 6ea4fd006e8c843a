//! Schedulers as they are: lists, figures, documents, versions. What changes them is in [`change`].

pub(super) mod change;
pub(super) mod scale_in;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use maestro_core::decision::{Counts, Decision};
use maestro_core::explain;
use maestro_core::names::{SchedulerName, Version};
use maestro_core::room::Status;
use maestro_core::scheduler::{Direction, Scheduler};
use maestro_wire::document;
use maestro_wire::http::{ConfigBody, Release, Releases, SchedulerNames, SchedulerStatus, SchedulerSummary};
use maestro_wire::view::rfc3339;
use serde::Deserialize;

use super::extract::{Path, Query};
use super::problem::{Kind, Problem};
use super::rooms::{Look, look};
use super::{Api, decisions};
use crate::known::Entry;
use crate::store::schedulers::State as Stage;

/// `?info` is a flag: its presence counts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Info {
    /// A flag: an array with a line of figures each, instead of names.
    info: Option<String>,
}

/// All schedulers: names, or with `info` a line of figures each.
#[utoipa::path(
    get,
    path = "/scheduler",
    tag = "schedulers",
    operation_id = "scheduler_list",
    params(Info),
    responses((status = 200, body = SchedulerNames, description = "Done"))
)]
pub(super) async fn list(State(api): State<Api>, Query(query): Query<Info>) -> Result<Response, Problem> {
    let asked = async { Ok(api.store.schedulers().await?) };
    let entries: Vec<Arc<Entry>> = match api.if_store_answers(asked).await? {
        Some(stored) if query.info.is_none() => {
            let schedulers = stored.iter().map(|stored| stored.name.to_string()).collect();
            return Ok(Json(SchedulerNames { schedulers }).into_response());
        }
        Some(stored) => stored
            .into_iter()
            .map(|stored| Entry::read(stored).map(Arc::new))
            .collect::<Result<_, _>>()?,
        // Those that were there a moment ago.
        None => {
            let names = api.known.names();
            names.iter().filter_map(|name| api.known.get(name)).collect()
        }
    };
    if query.info.is_none() {
        let schedulers = entries
            .iter()
            .map(|entry| entry.scheduler.name.to_string())
            .collect();
        return Ok(Json(SchedulerNames { schedulers }).into_response());
    }
    let mut all = Vec::new();
    for entry in entries {
        all.push(summary(&look(&api, &entry).await?));
    }
    Ok(Json(all).into_response())
}

/// `?config` is the older way to ask for the document.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Flags {
    /// A flag: the document, as `/config` gives it.
    config: Option<String>,
}

/// How a scheduler is doing.
#[utoipa::path(
    get,
    path = "/scheduler/{scheduler}",
    tag = "schedulers",
    operation_id = "scheduler_status",
    params(Flags),
    responses((status = 200, body = SchedulerStatus, description = "Done"))
)]
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
    // Both before the look: what is carried out in between is then in what is looked at.
    let name = &entry.scheduler.name;
    let past = async {
        let asked = change::asked_before(&api, name).await?;
        Ok((asked, api.store.decisions(name, None, 1).await?))
    };
    let past = api.if_store_answers(past).await?;
    let is_away = past.is_none();
    let (asked, newest) = past.unwrap_or_default();
    let decision = newest
        .first()
        .map(decisions::decode)
        .transpose()?
        .map(|record| record.decision);
    let look = look(&api, &entry).await?;
    let summary = summary(&look);
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
        pending: match is_away {
            false => pending(&entry, asked, decision.as_ref()),
            true => vec![
                "the store does not answer: the last decision is not known, and no change is taken"
                    .to_owned(),
            ],
        },
        min: entry.scheduler.autoscaling.min,
        max: entry.scheduler.autoscaling.max,
        rooms_by_state: by_state,
        scale_in_paused_since: entry.stored.scale_in_paused_at.map(rfc3339),
        last_decision: decision.as_ref().map(explain::summary),
        waits: decision.map(|decision| decision.waits).unwrap_or_default(),
    };
    Ok(Json(body).into_response())
}

/// What the loop has not taken up yet: a number asked for by hand, and a version that no decision was made on.
fn pending(entry: &Entry, asked: Option<u32>, newest: Option<&Decision>) -> Vec<String> {
    let version = entry.stored.active.version;
    let is_new = newest.is_some_and(|newest| newest.version != version);
    let asked = asked.map(|wanted| format!("{wanted} rooms were asked for by hand"));
    let update = is_new.then(|| format!("version {version} is not taken up yet"));
    asked.into_iter().chain(update).collect()
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
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `v1.0`; the active one when none is given.
    version: Option<String>,
}

/// A document as it was given; as an object for those who ask for JSON.
#[utoipa::path(
    get,
    path = "/scheduler/{scheduler}/config",
    tag = "schedulers",
    operation_id = "scheduler_config",
    params(Which),
    responses((status = 200, body = ConfigBody, description = "Done"))
)]
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
#[utoipa::path(
    get,
    path = "/scheduler/{scheduler}/releases",
    tag = "schedulers",
    operation_id = "scheduler_releases",
    responses((status = 200, body = Releases, description = "Done"))
)]
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
