//! Why there are as many rooms as there are.

use axum::Json;
use axum::extract::State;
use maestro_core::decision::{Actor, Decision};
use maestro_wire::http::Decisions;
use maestro_wire::record::{self, RecordError};
use maestro_wire::view::{DecisionView, actor};
use serde::Deserialize;

use super::Api;
use super::extract::{Path, Query, flag};
use super::parameter::{Between, List, between, number, one_of};
use super::problem::{Kind, Problem};
use crate::store::journal::{Part, Record};

/// Rows read at a time while rows that don't match are left out.
const ROWS: u64 = 200;

/// Rows read for one answer, so that a long row of holds does not make one request slow: it goes on from `next`.
const ROWS_LIMIT: usize = 2_000;

/// Which decisions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// RFC 3339 in UTC, or seconds or milliseconds since 1970.
    since: Option<String>,
    /// As `since`.
    until: Option<String>,
    /// `loop`, `manual` or `file`.
    actor: Option<String>,
    /// Most decisions, up to 200; 20 when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Only decisions that changed what is wanted.
    #[param(required = false)]
    #[serde(default, deserialize_with = "flag")]
    changes: bool,
}

/// What a decision must be like to be shown; the journal's columns say nothing of it.
struct Filter {
    actor: Option<Actor>,
    changes: bool,
}

impl Filter {
    fn takes(&self, decision: &Decision) -> bool {
        let is_asked = self.actor.as_ref().is_none_or(|actor| *actor == decision.actor);
        is_asked && (!self.changes || decision.wanted != decision.before)
    }
}

/// Decisions, newest first.
#[utoipa::path(
    get,
    path = "/scheduler/{scheduler}/decisions",
    tag = "history",
    operation_id = "decisions_list",
    params(Which),
    responses((status = 200, body = Decisions, description = "Done"))
)]
pub(super) async fn list(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<Decisions>, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let limit = number("limit", which.limit.as_deref(), 20, 200)?;
    let filter = Filter {
        actor: which.actor.as_deref().map(parse_actor).transpose()?,
        changes: which.changes,
    };
    let Between { since, until } = between(which.since.as_deref(), which.until.as_deref())?;
    let cursor = which.cursor.as_deref();
    let mut part = Part {
        since,
        until,
        before: cursor.map(|cursor| List::Decisions.row(cursor)).transpose()?,
    };
    let mut page = Decisions::default();
    let mut read = 0;
    loop {
        let rows = api.store.decisions_in(&entry.scheduler.name, part, ROWS).await?;
        let is_last = rows.len() < ROWS as usize;
        read += rows.len();
        for row in rows {
            if page.decisions.len() == limit {
                page.next = part.before.map(|id| List::Decisions.cursor(id));
                return Ok(Json(page));
            }
            part.before = Some(row.id);
            let decision = decode(&row)?.decision;
            if filter.takes(&decision) {
                page.decisions
                    .push(DecisionView::new(&decision, row.since, row.count));
            }
        }
        if is_last {
            return Ok(Json(page));
        }
        if read >= ROWS_LIMIT {
            page.next = part.before.map(|id| List::Decisions.cursor(id));
            return Ok(Json(page));
        }
    }
}

fn parse_actor(text: &str) -> Result<Actor, Problem> {
    let all = [Actor::Loop, Actor::Manual, Actor::File];
    let words: Vec<&str> = all.iter().map(actor).collect();
    let found = all.into_iter().find(|known| actor(known) == text);
    found.ok_or_else(|| one_of("actor", text, &words))
}

/// A journal's row.
pub(super) fn decode(row: &Record) -> Result<record::Record, Unreadable> {
    record::decode_decision(&row.bytes).map_err(|cause| Unreadable { id: row.id, cause })
}

/// A row that this release can't read.
#[derive(Debug, thiserror::Error)]
#[error("decision {id} in the journal can't be read: {cause}")]
pub(super) struct Unreadable {
    id: u64,
    cause: RecordError,
}

impl From<Unreadable> for Problem {
    fn from(error: Unreadable) -> Self {
        Self::new(
            Kind::Internal,
            "the journal holds an unreadable decision",
            error.to_string(),
        )
    }
}
