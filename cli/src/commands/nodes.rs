//! Verbs about nodes: which there are, and emptying one.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use maestro_wire::http::{NodeBody, NodesBody};

use super::patience::Patience;
use crate::args::{DrainNode, Format};
use crate::client::{Client, segment};
use crate::output;

/// Between two looks. Matches last minutes.
const PERIOD: Duration = Duration::from_secs(1);

/// States of rooms in the order of their lives, for people.
const STATES: [&str; 9] = [
    "starting",
    "ready",
    "allocated",
    "occupied",
    "unknown",
    "draining",
    "draining-occupied",
    "stopping",
    "reserved",
];

pub(super) fn list(client: &Client, format: Format) -> Result<()> {
    let found: NodesBody = client.get("/nodes")?;
    if found.nodes.is_empty() && format == Format::Table {
        output::say("no node has rooms");
        return Ok(());
    }
    output::show(format, &found.nodes, |nodes| {
        let row = |node: &NodeBody| {
            vec![
                node.name.clone(),
                standing(node),
                rooms(node),
                node.matches.to_string(),
                node.schedulers.join(", "),
            ]
        };
        let header = ["node", "standing", "rooms", "matches", "schedulers"];
        output::table(&header, nodes.iter().map(row))
    })
}

pub(super) fn drain(client: &Client, format: Format, drain: &DrainNode) -> Result<()> {
    let path = format!("/nodes/{}/drain", segment(&drain.node));
    let node: NodeBody = match drain.undo {
        true => client.delete(&path)?,
        false => client.put(&path, "application/json", b"")?,
    };
    if drain.wait {
        return wait(client, format, drain, node);
    }
    output::show(format, &node, |node| {
        let NodeBody { name, why, .. } = node;
        match (drain.undo, why) {
            (true, None) => format!("{name}: rooms may come to it again"),
            (true, Some(why)) => format!("{name}: it is no longer drained by hand, but it {why}"),
            (false, _) if node.rooms == 0 => {
                format!("{name}: no room is known to be on it, and none will come")
            }
            (false, _) => format!("{name}: {}; see how it empties: maestro-cli nodes", left(node)),
        }
    })
}

/// Looks again and again until nothing is left there. What changes is told on stderr, the end on stdout.
fn wait(client: &Client, format: Format, drain: &DrainNode, first: NodeBody) -> Result<()> {
    let begun = Instant::now();
    let mut patience = Patience::default();
    let mut told = String::new();
    let mut node = first;
    while node.rooms > 0 {
        let left = left(&node);
        if left != told {
            output::say(&format!("{}: {left}", node.name));
            told.clone_from(&left);
        }
        if drain.timeout.is_some_and(|timeout| begun.elapsed() >= timeout) {
            bail!("{} is not empty in time: {left}", node.name);
        }
        thread::sleep(PERIOD);
        match client.get::<NodesBody>("/nodes") {
            Ok(found) => {
                patience.end();
                let still = found.nodes.into_iter().find(|found| found.name == drain.node);
                node = still.unwrap_or_else(|| NodeBody {
                    name: drain.node.clone(),
                    ..NodeBody::default()
                });
                if node.drained_since.is_none() {
                    bail!("{} is no longer being drained: somebody took it back", node.name);
                }
            }
            Err(error) if error.is_passing() => patience.wait(&error),
            Err(error) => return Err(error.into()),
        }
    }
    output::show(format, &node, |node| {
        format!("{}: no room is left on it", node.name)
    })
}

fn standing(node: &NodeBody) -> String {
    match &node.why {
        Some(why) => format!("{}: it {why}", node.standing),
        None => node.standing.clone(),
    }
}

fn rooms(node: &NodeBody) -> String {
    let known = STATES.iter().filter_map(|state| {
        let count = node.rooms_by_state.get(*state)?;
        Some(format!("{count} {state}"))
    });
    let parts: Vec<String> = known.collect();
    match parts.is_empty() {
        true => "none".to_owned(),
        false => parts.join(", "),
    }
}

/// What is left on it, as a clause.
fn left(node: &NodeBody) -> String {
    let number = |count: u32, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    };
    let matches = number(node.matches, "match", "matches");
    format!("{matches} left in {}", number(node.rooms, "room", "rooms"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn node(states: &[(&str, u32)], matches: u32) -> NodeBody {
        let rooms_by_state: BTreeMap<String, u32> = states
            .iter()
            .map(|(state, count)| ((*state).to_owned(), *count))
            .collect();
        NodeBody {
            rooms: rooms_by_state.values().sum(),
            rooms_by_state,
            matches,
            ..NodeBody::default()
        }
    }

    #[test]
    fn what_is_left_is_told_in_words() {
        for (states, matches, expected) in [
            (vec![("ready", 1)], 0, "0 matches left in 1 room"),
            (
                vec![("draining-occupied", 2), ("stopping", 1)],
                2,
                "2 matches left in 3 rooms",
            ),
            (vec![("occupied", 1)], 1, "1 match left in 1 room"),
        ] {
            assert_eq!(left(&node(&states, matches)), expected);
        }
        let told = rooms(&node(&[("occupied", 2), ("ready", 1)], 2));
        assert_eq!(told, "1 ready, 2 occupied");
        assert_eq!(rooms(&node(&[], 0)), "none");
    }
}
