//! Why there are as many rooms as there are.

use anyhow::Result;
use maestro_wire::http::Decisions;
use maestro_wire::view::DecisionView;

use crate::args::{Explain, Format};
use crate::client::{Client, segment};
use crate::output;

pub(super) fn explain(client: &Client, format: Format, explain: &Explain) -> Result<()> {
    let changes = if explain.changes { "&changes=true" } else { "" };
    let path = format!(
        "/scheduler/{}/decisions?limit={}{changes}",
        segment(&explain.scheduler),
        explain.last.unwrap_or(1)
    );
    let mut page: Decisions = client.get(&path)?;
    // The newest one is what a reader's eye should end on.
    page.decisions.reverse();
    if page.decisions.is_empty() && format == Format::Table {
        output::say(match explain.changes {
            true => "no decision has changed the number yet; without --changes the others are shown too",
            false => "no decision yet; the first one comes within seconds",
        });
        return Ok(());
    }
    output::show(format, &page.decisions, |decisions| {
        let texts: Vec<String> = decisions
            .iter()
            .map(|decision| text(decision, &explain.scheduler))
            .collect();
        texts.join("\n\n")
    })
}

fn text(decision: &DecisionView, scheduler: &str) -> String {
    let mut lines = vec![format!("{}  {}", output::clock(&decision.at), decision.summary)];
    if decision.count > 1 {
        let since = output::clock(&decision.since);
        lines.push(format!("  The same {} times since {since}.", decision.count));
    }
    let folded = fold(&decision.sentences, scheduler);
    lines.extend(folded.iter().map(|sentence| format!("  {sentence}")));
    lines.join("\n")
}

/// Sentences in a row that differ in the room alone become one: `Ask hello-0071360b and 8 more to leave: …`.
fn fold(sentences: &[String], scheduler: &str) -> Vec<String> {
    let mut folded: Vec<String> = Vec::new();
    let mut rest = sentences;
    while let Some((first, others)) = rest.split_first() {
        let Some(room) = first.split([' ', ':', '.']).find(|word| is_room(word, scheduler)) else {
            folded.push(first.clone());
            rest = others;
            continue;
        };
        let (before, after) = first.split_once(room).unwrap_or((first, ""));
        let is_alike = |other: &&String| {
            let middle = other
                .strip_prefix(before)
                .and_then(|other| other.strip_suffix(after));
            middle.is_some_and(|middle| is_room(middle, scheduler))
        };
        let more = others.iter().take_while(is_alike).count();
        folded.push(match more {
            0 => first.clone(),
            more => format!("{before}{room} and {more} more{after}"),
        });
        rest = &others[more..];
    }
    folded
}

fn is_room(word: &str, scheduler: &str) -> bool {
    let suffix = word
        .strip_prefix(scheduler)
        .and_then(|rest| rest.strip_prefix('-'));
    suffix.is_some_and(|suffix| suffix.len() == 8 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_that_differ_in_the_room_alone_become_one() {
        let said = [
            "Make 2 new rooms of v1.0.",
            "Ask hello-00000001 to leave: only 8 rooms are wanted.",
            "Ask hello-00000002 to leave: only 8 rooms are wanted.",
            "Ask hello-00000003 to leave: only 8 rooms are wanted.",
            "Stop hello-00000004: it failed.",
            "Stop hello-00000005: it fell silent.",
        ]
        .map(str::to_owned);
        let folded = [
            "Make 2 new rooms of v1.0.",
            "Ask hello-00000001 and 2 more to leave: only 8 rooms are wanted.",
            "Stop hello-00000004: it failed.",
            "Stop hello-00000005: it fell silent.",
        ];
        assert_eq!(fold(&said, "hello"), folded);
    }
}
