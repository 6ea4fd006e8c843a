//! The switch that keeps votes from taking rooms away until a person takes that back.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use maestro_core::names::SchedulerName;
use maestro_core::time::Timestamp;
use maestro_wire::http::{ScaleInAnswer, ScaleInRequest};
use maestro_wire::view::rfc3339;

use crate::api::extract::Path;
use crate::api::problem::{Kind, Problem, read_body};
use crate::api::{Api, apply};
use crate::store::scale_in::ScaleIn;

/// The largest request.
const LIMIT: usize = 1024;

/// Pauses scaling down by policies, or takes that back.
///
/// A number asked for by hand, and the document's `min` and `max`, still take rooms away.
#[utoipa::path(
    put,
    path = "/scheduler/{scheduler}/scale-in",
    tag = "schedulers",
    operation_id = "scheduler_scale_in",
    request_body = ScaleInRequest,
    responses((status = 200, body = ScaleInAnswer, description = "Done"))
)]
pub(in crate::api) async fn switch(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    body: Body,
) -> Result<Json<ScaleInAnswer>, Problem> {
    let bytes = read_body(body, LIMIT).await?;
    let entry = api.scheduler(&scheduler).await?;
    let request: ScaleInRequest = serde_json::from_slice(&bytes).map_err(|error| {
        let description = format!("expected {{\"paused\": true}} or {{\"paused\": false}}: {error}");
        Problem::new(
            Kind::Invalid,
            "invalid request to pause scaling down",
            description,
        )
    })?;
    let to = match request.paused {
        true => ScaleIn::Paused,
        false => ScaleIn::Allowed,
    };
    let since = api.switch_scale_in(&entry.scheduler.name, to).await?;
    Ok(Json(ScaleInAnswer {
        success: true,
        paused: since.is_some(),
        since: since.map(rfc3339),
    }))
}

impl Api {
    /// Pauses scaling down, or takes that back; answers since when it is paused.
    pub(crate) async fn switch_scale_in(
        &self,
        name: &SchedulerName,
        to: ScaleIn,
    ) -> Result<Option<Timestamp>, Problem> {
        let since = self.store.switch_scale_in(name, to, (self.wall)()).await?;
        apply::tell(self, name).await?;
        Ok(since)
    }
}
