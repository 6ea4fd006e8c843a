//! What Prometheus scrapes, and the counting of requests.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::Api;
use crate::telemetry;

/// The route of a request that none takes.
const NO_ROUTE: &str = "none";

/// Everything that this process counts, in OpenMetrics' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "installation",
    operation_id = "metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text", description = "Done"))
)]
pub(super) async fn show(State(api): State<Api>) -> impl IntoResponse {
    const KIND: HeaderValue =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, KIND)], api.metrics.text())
}

/// Counts a request and makes it a trace, or a part of its caller's.
pub(super) async fn observe(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = name(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    // Of these there are thousands a second, and probes come for ever. Those that fail are traced all the same.
    let is_kept = !(super::is_rooms(route) || super::is_probe(route) || route == "/metrics");
    let span = telemetry::request(method, route, traceparent(request.headers()), is_kept);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    if !span.is_disabled() {
        telemetry::answered(&span, &format!("{method} {route}"), status);
    }
    api.metrics
        .request(method, route.to_owned(), status, begun.elapsed());
    response
}

fn traceparent(headers: &HeaderMap) -> Option<&str> {
    headers.get("traceparent")?.to_str().ok()
}

/// A method as a label; whoever makes one up makes no label of it.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
