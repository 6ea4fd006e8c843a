//! Why there are as many rooms as there are.

use anyhow::Result;
use maestro_wire::http::Decisions;

use crate::args::{Explain, Format};
use crate::client::{Client, segment};
use crate::output;

pub(super) fn explain(client: &Client, format: Format, explain: &Explain) -> Result<()> {
    let changes = if explain.changes { "&changes=true" } else { "" };
    let path = format!(
        "/scheduler/{}/decisions?limit={}{changes}",
        segment(&explain.scheduler),
        explain.last.max(1)
    );
    let mut page: Decisions = client.get(&path)?;
    // The newest one is what a reader's eye should end on.
    page.decisions.reverse();
    if page.decisions.is_empty() && format == Format::Table {
        eprintln!("no decision yet; the first one follows the first rooms within seconds");
        return Ok(());
    }
    output::show(format, &page.decisions, |decisions| {
        let texts: Vec<String> = decisions
            .iter()
            .map(|decision| {
                let mut lines = vec![format!("{}  {}", output::clock(&decision.at), decision.summary)];
                lines.extend(decision.sentences.iter().map(|sentence| format!("  {sentence}")));
                lines.join("\n")
            })
            .collect();
        texts.join("\n\n")
    })
}
