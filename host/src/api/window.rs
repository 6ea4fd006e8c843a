//! The recent past of a scheduler, as its policies see it: for charts, and for spreadsheets.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use maestro_core::decision::Counts;
use maestro_core::time::Timestamp;
use maestro_core::window::Window;
use maestro_wire::http::{SampleBody, WindowBody};
use maestro_wire::view::{counts, rfc3339};
use serde::Deserialize;

use super::Api;
use super::extract::{Path, Query};
use super::parameter::{Between, between, one_of};
use super::problem::Problem;

/// Which part of it, and how it is written.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// RFC 3339 in UTC, or seconds or milliseconds since 1970.
    since: Option<String>,
    /// As `since`.
    until: Option<String>,
    /// `json` or `csv`; else what `Accept` says.
    format: Option<String>,
}

enum Format {
    Json,
    Csv,
}

/// What the loop remembers; nothing before its first step.
#[utoipa::path(
    get,
    path = "/scheduler/{scheduler}/window",
    tag = "history",
    operation_id = "window_show",
    params(Which),
    responses((status = 200, content((WindowBody = "application/json"), (String = "text/csv")), description = "Done"))
)]
pub(super) async fn show(
    State(api): State<Api>,
    Path(scheduler): Path<String>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = api.scheduler(&scheduler).await?;
    let between = between(which.since.as_deref(), which.until.as_deref())?;
    let format = format(which.format.as_deref(), &headers)?;
    let state = api.registry.state(&entry.scheduler.name).await?;
    let mut window = state.map(|state| state.window).unwrap_or_default();
    keep(&mut window, between);
    Ok(match format {
        Format::Json => Json(body(&window)).into_response(),
        Format::Csv => ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv(&window)).into_response(),
    })
}

fn format(asked: Option<&str>, headers: &HeaderMap) -> Result<Format, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    match asked {
        Some("json") => Ok(Format::Json),
        Some("csv") => Ok(Format::Csv),
        Some(other) => Err(one_of("format", other, &["json", "csv"])),
        None if accept.is_some_and(|accept| accept.contains("text/csv")) => Ok(Format::Csv),
        None => Ok(Format::Json),
    }
}

fn keep(window: &mut Window, between: Between) {
    window.samples.retain(|sample| between.contains(sample.at));
    for points in window.series.values_mut() {
        points.retain(|(at, _)| between.contains(*at));
    }
    window.series.retain(|_, points| !points.is_empty());
}

fn body(window: &Window) -> WindowBody {
    let samples = window.samples.iter().map(|sample| SampleBody {
        at: rfc3339(sample.at),
        counts: counts(&sample.counts),
    });
    let series = window.series.iter().map(|(name, points)| {
        let points = points.iter().map(|(at, value)| (rfc3339(*at), *value));
        (name.clone(), points.collect())
    });
    WindowBody {
        samples: samples.collect(),
        series: series.collect(),
    }
}

/// One line for each time at which anything was measured, and a column for each thing; empty where that was not
/// measured then, because a number made up between two others would look like a measured one.
fn csv(window: &Window) -> String {
    let mut lines: BTreeMap<Timestamp, (Option<&Counts>, BTreeMap<&str, f64>)> = BTreeMap::new();
    for sample in &window.samples {
        lines.entry(sample.at).or_default().0 = Some(&sample.counts);
    }
    for (name, points) in &window.series {
        for (at, value) in points {
            lines.entry(*at).or_default().1.insert(name, *value);
        }
    }
    let mut out = format!("at,{}", Counts::COLUMNS.join(","));
    for name in window.series.keys() {
        out.push(',');
        out.push_str(&cell(name));
    }
    out.push_str("\r\n");
    for (at, (counts, values)) in lines {
        out.push_str(&rfc3339(at));
        out.push_str(&rooms(counts));
        for name in window.series.keys() {
            out.push(',');
            if let Some(value) = values.get(name.as_str()) {
                out.push_str(&value.to_string());
            }
        }
        out.push_str("\r\n");
    }
    out
}

fn rooms(counts: Option<&Counts>) -> String {
    let Some(counts) = counts else {
        return ",".repeat(Counts::COLUMNS.len());
    };
    counts.columns().iter().map(|count| format!(",{count}")).collect()
}

/// A text that may hold commas or quotes.
fn cell(text: &str) -> String {
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
