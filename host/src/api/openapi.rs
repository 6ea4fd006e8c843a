//! The API's description of itself, for clients that are generated and for people who look around.
//!
//! It is made from the routes and their types when the router is built, so that it can't name a route that is not
//! there. What all routes share is added here once: names in paths, and the one shape of errors.

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Redirect};
use axum::routing::get;
use axum::{Json, Router};
use maestro_wire::http::ErrorBody;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, ObjectBuilder, OpenApi, Ref, Required, ResponseBuilder};
use utoipa::{OpenApi as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::Api;

/// The page under `/docs`: it shows the document and loads nothing from anywhere else.
const PAGE: &str = include_str!("docs.html");

/// The name of operators' tokens in the document.
const OPERATOR: &str = "operator";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Maestro",
        description = "Schedules game rooms. Errors have one shape on all routes; times are RFC 3339 in UTC."
    ),
    components(schemas(ErrorBody)),
    tags(
        (name = "schedulers", description = "What there shall be"),
        (name = "history", description = "What happened, and why"),
        (name = "rooms", description = "What there is"),
        (name = "room protocol", description = "What rooms call"),
        (name = "nodes", description = "What rooms run on, and emptying it"),
        (name = "policies", description = "What decides how many rooms there shall be"),
        (name = "installation", description = "Maestro itself"),
    )
)]
struct Document;

/// What a room says of itself.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "read field by field; this is what the document says of it"
)]
pub(super) struct ReportBody {
    /// `ready`, `occupied`, `terminating` or `terminated`.
    status: String,
    /// Seconds or milliseconds since 1970, by the room's clock.
    timestamp: f64,
    /// Anything; shown with the room.
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// Matches that it holds.
    #[schema(rename = "runningMatches")]
    running_matches: Option<u32>,
    /// Matches that it can hold.
    capacity: Option<u32>,
}

/// Something that happened in a room.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "read field by field; this is what the document says of it"
)]
pub(super) struct EventRequest {
    /// What it is called; of players `playerJoin` or `playerLeft`.
    event: String,
    /// Seconds or milliseconds since 1970, by the room's clock.
    timestamp: f64,
    /// Anything; of players, `playerId` is a text.
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A router whose document says what no route does.
pub(super) fn begin() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(Document::openapi())
}

/// Where the finished document and its page are.
pub(super) fn routes(mut document: OpenApi) -> Router<Arc<Api>> {
    for (path, item) in &mut document.paths.paths {
        complete(path, item);
    }
    ask_for_tokens(&mut document);
    let document = Arc::new(document);
    let show = async move || Json(document.as_ref().clone());
    Router::new()
        .route("/openapi.json", get(show))
        .route("/docs", get(page))
        // Whoever opens the address in a browser wants to see something.
        .route("/", get(async || Redirect::temporary("/docs")))
}

async fn page() -> impl IntoResponse {
    // Whatever stands in the document, the page runs no script but its own and loads nothing from elsewhere.
    const ALLOWED: HeaderValue = HeaderValue::from_static(
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'",
    );
    ([(header::CONTENT_SECURITY_POLICY, ALLOWED)], Html(PAGE))
}

/// Adds the names in the path, and what every refusal looks like.
fn complete(path: &str, item: &mut PathItem) {
    let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
    for operation in operations.into_iter().flatten() {
        for name in names(path) {
            add_name(operation, name);
        }
        let refusal = ResponseBuilder::new().description("Why it was refused").content(
            "application/json",
            Content::new(Some(Ref::from_schema_name("ErrorBody"))),
        );
        let responses = &mut operation.responses.responses;
        responses.insert("default".to_owned(), refusal.build().into());
    }
}

/// Says where a token may be asked for.
fn ask_for_tokens(document: &mut OpenApi) {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An operator's token, as `maestro token` makes it; asked for where the installation has any.",
        ))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(OPERATOR, SecurityScheme::Http(bearer));
    for (path, item) in &mut document.paths.paths {
        if super::is_rooms(path) || super::is_probe(path) {
            continue;
        }
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let none: [&str; 0] = [];
            operation.security = Some(vec![SecurityRequirement::new(OPERATOR, none)]);
        }
    }
}

fn add_name(operation: &mut Operation, name: &str) {
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
    operation
        .parameters
        .get_or_insert_default()
        .push(parameter.build().into());
}

/// The names in braces.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}
