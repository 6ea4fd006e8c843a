//! Answers that need not be sent again: a tag made from the body, and no body for whoever has it already.
//!
//! The tag is of what is sent, so that no route has to know when its answer changes, and YAML and JSON of one document
//! have tags of their own. It saves the way to the client, not the reading.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::problem::{Kind, Problem, not_modified};

/// Tags the answer of a route that reads.
pub(super) async fn tagged(request: Request, next: Next) -> Response {
    let asked = request.headers().clone();
    let response = next.run(request).await;
    if !response.status().is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Ours alone, and in memory already.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return Problem::new(Kind::Internal, "internal error", "the answer broke off").into_response();
    };
    // Half of the digest is more than enough to tell one answer from another.
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&bytes)[..16]));
    let is_known = is_known(&asked, &tag);
    let headers = [
        (header::ETAG, HeaderValue::from_str(&tag).ok()),
        (header::CACHE_CONTROL, Some(HeaderValue::from_static("no-cache"))),
        (header::VARY, Some(HeaderValue::from_static("accept"))),
    ];
    for (name, value) in headers {
        if let Some(value) = value {
            parts.headers.insert(name, value);
        }
    }
    match is_known {
        true => not_modified(parts.headers),
        false => Response::from_parts(parts, Body::from(bytes)),
    }
}

/// Whether the client says that it has this one. It compares as RFC 9110 has it for reading: `W/` says nothing.
fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let lists = asked.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    tags.any(|given| {
        let given = given.trim();
        given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag
    })
}
