//! Whether everything that the API needs answers.

use axum::Json;
use axum::extract::State;
use maestro_wire::http::Health;

use super::Api;
use super::problem::{Kind, Problem};

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
            crate::supervisor::chain(&error),
        )),
    }
}
