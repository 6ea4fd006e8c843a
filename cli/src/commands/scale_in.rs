//! The verb that keeps policies from taking rooms away, and lets them again.

use anyhow::{Context, Result};
use maestro_wire::http::{ScaleInAnswer, ScaleInRequest};

use crate::args::{Format, ScaleIn};
use crate::client::{Client, segment};
use crate::output;

pub(super) fn switch(client: &Client, format: Format, change: &ScaleIn) -> Result<()> {
    let (name, paused) = match change {
        ScaleIn::Pause(name) => (&name.scheduler, true),
        ScaleIn::Resume(name) => (&name.scheduler, false),
    };
    let body = serde_json::to_vec(&ScaleInRequest { paused }).context("can't write the request")?;
    let path = format!("/scheduler/{}/scale-in", segment(name));
    let answer: ScaleInAnswer = client.put(&path, "application/json", &body)?;
    output::show(format, &answer, |answer| match &answer.since {
        Some(since) => format!("{name}: {}", paused_since(name, since)),
        None => format!("{name}: policies may take rooms away"),
    })
}

/// That scaling down is paused, and how that is taken back.
pub(super) fn paused_since(name: &str, since: &str) -> String {
    let since = output::clock(since);
    format!("scaling down is paused by hand since {since}; maestro-cli scale-in resume {name}")
}
