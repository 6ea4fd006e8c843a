//! Deployed policies.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use maestro_wire::http::{Done, Policies, PolicyBody};

use super::Api;
use super::extract::Path;
use super::problem::{Problem, created, read_body};

/// The largest component, of the class that holds script engines.
const COMPONENT_LIMIT: usize = 24 * 1024 * 1024;

/// Takes a component, or the core module that `cargo build` leaves.
#[utoipa::path(
    post,
    path = "/policies",
    tag = "policies",
    operation_id = "policies_deploy",
    request_body(content = String, content_type = "application/wasm", description = "A component, or the core module that `cargo build` leaves"),
    responses((status = 201, body = PolicyBody, description = "Done"))
)]
pub(super) async fn deploy(State(api): State<Api>, body: Body) -> Result<Response, Problem> {
    let bytes = read_body(body, COMPONENT_LIMIT).await?;
    let policy = api.catalog.deploy(&bytes, (api.wall)()).await?;
    // Schedulers whose policy could not be loaded can be tried again now.
    api.changed.notify_one();
    Ok(created(Json(policy)))
}

/// All policies, those that ship with Maestro first.
#[utoipa::path(
    get,
    path = "/policies",
    tag = "policies",
    operation_id = "policies_list",
    responses((status = 200, body = Policies, description = "Done"))
)]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Policies>, Problem> {
    Ok(Json(Policies {
        policies: api.catalog.list().await?,
    }))
}

/// One policy, as in `queue-depth` or `queue-depth@1.2.0`.
#[utoipa::path(
    get,
    path = "/policies/{policy}",
    tag = "policies",
    operation_id = "policies_one",
    responses((status = 200, body = PolicyBody, description = "Done"))
)]
pub(super) async fn one(
    State(api): State<Api>,
    Path(policy): Path<String>,
) -> Result<Json<PolicyBody>, Problem> {
    Ok(Json(api.catalog.get(&policy).await?))
}

/// Removes a policy that no scheduler asks: every version of `queue-depth`, or exactly `queue-depth@1.2.0`.
#[utoipa::path(
    delete,
    path = "/policies/{policy}",
    tag = "policies",
    operation_id = "policies_remove",
    responses((status = 200, body = Done, description = "Done"))
)]
pub(super) async fn remove(
    State(api): State<Api>,
    Path(policy): Path<String>,
) -> Result<Json<Done>, Problem> {
    let removed = api.catalog.remove(&policy).await?;
    let removed: Vec<String> = removed
        .iter()
        .map(|policy| format!("{}@{}", policy.name, policy.version))
        .collect();
    Ok(Json(Done {
        success: true,
        message: Some(format!("removed {}", removed.join(", "))),
        ..Done::default()
    }))
}
