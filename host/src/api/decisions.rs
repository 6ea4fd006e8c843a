//! Why there are as many rooms as there are.

use axum::Json;
use axum::extract::State;
use maestro_wire::http::Decisions;
use maestro_wire::record::{self, RecordError};
use maestro_wire::view::DecisionView;
use serde::Deserialize;

use super::Api;
use super::extract::{Path, Query, flag};
use super::problem::{Kind, Problem};
use super::rooms::number;
use crate::store::journal::Record;

/// Rows read at a time while rows that don't match are left out.
const ROWS: u64 = 200;

/// Rows read for one answer, so that a long row of holds does not make one request slow: it goes on from `next`.
const ROWS_LIMIT: usize = 2_000;

/// Which decisions.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    limit: Option<String>,
    cursor: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    changes: bool,
}

/// Decisions, newest first.
pub(super) async fn list(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<Decisions>, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let limit = number("limit", which.limit.as_deref(), 20, 200)?;
    let mut cursor = which.cursor.as_deref().map(parse_cursor).transpose()?;
    let only_changes = which.changes;
    let mut page = Decisions::default();
    let mut read = 0;
    loop {
        let rows = api.store.decisions(&entry.scheduler.name, cursor, ROWS).await?;
        let is_last = rows.len() < ROWS as usize;
        read += rows.len();
        for row in rows {
            if page.decisions.len() == limit {
                page.next = cursor.map(|id| id.to_string());
                return Ok(Json(page));
            }
            cursor = Some(row.id);
            let decision = decode(&row)?.decision;
            if !only_changes || decision.wanted != decision.before {
                page.decisions
                    .push(DecisionView::new(&decision, row.since, row.count));
            }
        }
        if is_last {
            return Ok(Json(page));
        }
        if read >= ROWS_LIMIT {
            page.next = cursor.map(|id| id.to_string());
            return Ok(Json(page));
        }
    }
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

fn parse_cursor(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| {
        let description = "`cursor` is not one that an earlier page gave as `next`";
        Problem::new(Kind::Parameter, "invalid parameter", description)
    })
}
