//! Waiting for a scheduler, so that scripts need no loop.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use maestro_wire::http::SchedulerStatus;
use serde::Serialize;

use crate::args::{Format, Goal, Wait};
use crate::client::{Client, Error, segment};
use crate::output;
use crate::terminal::Busy;

/// Between two looks. Rooms take a second or more to come up, and a look is one small call.
const PERIOD: Duration = Duration::from_millis(300);

/// States of rooms that are up and may stay. The older four tell nothing of those that are asked to leave: such a room
/// goes on being `ready` until it has answered.
const STAYING: [&str; 4] = ["ready", "allocated", "occupied", "unknown"];

/// What came of it, for programs.
#[derive(Debug, Serialize)]
struct Waited<'a> {
    scheduler: &'a str,
    is: &'static str,
    seconds: f64,
}

/// What a look found.
enum Look {
    Reached,
    /// Not yet; what there is, for people.
    Short(String),
}

pub(super) fn wait(client: &Client, format: Format, wait: &Wait) -> Result<()> {
    let name = &wait.scheduler;
    let goal = match wait.goal {
        Goal::Ready => "ready",
        Goal::Gone => "gone",
    };
    let begun = Instant::now();
    let busy = Busy::start(format!("waiting for {name} to be {goal}"));
    loop {
        let found = look(client, name, wait.goal);
        let left = wait.timeout.saturating_sub(begun.elapsed());
        match found {
            Ok(Look::Reached) => break,
            Ok(Look::Short(what)) if left.is_zero() => {
                let time = humantime::format_duration(wait.timeout);
                bail!("{name} is not {goal} after {time}: {what}\n  see why: maestro-cli explain {name}");
            }
            Ok(Look::Short(_)) => {}
            // A Maestro that is being started, or started anew, is worth waiting for too.
            Err(error) if error.is_passing() && !left.is_zero() => {}
            Err(error) => return Err(error.into()),
        }
        thread::sleep(PERIOD.min(left));
    }
    drop(busy);
    let waited = Waited {
        scheduler: name,
        is: goal,
        seconds: begun.elapsed().as_secs_f64(),
    };
    output::show(format, &waited, |waited| format!("{name} is {}", waited.is))
}

fn look(client: &Client, name: &str, goal: Goal) -> Result<Look, Error> {
    let status = client.get::<SchedulerStatus>(&format!("/scheduler/{}", segment(name)));
    match (goal, status) {
        (Goal::Gone, Err(error)) if error.is_unknown() => Ok(Look::Reached),
        (_, Err(error)) => Err(error),
        (Goal::Ready, Ok(status)) => Ok(ready(&status)),
        (Goal::Gone, Ok(status)) => Ok(Look::Short(format!(
            "it is {}, with {} rooms",
            status.state,
            all(&status)
        ))),
    }
}

fn ready(status: &SchedulerStatus) -> Look {
    let count = |state: &&str| status.rooms_by_state.get(*state).copied().unwrap_or(0);
    let there: u32 = STAYING.iter().map(count).sum();
    // Before the loop's first look nothing is known; a scheduler that goes is never ready again. What was asked for
    // a moment ago counts before the loop has taken it up.
    let is_settled =
        matches!(status.state.as_str(), "in-sync" | "overdimensioned") && status.pending.is_empty();
    match is_settled && there >= status.wanted {
        true => Look::Reached,
        false => {
            let pending: String = status.pending.iter().map(|what| format!("; {what}")).collect();
            Look::Short(format!(
                "it is {}, with {there} of {} rooms ready or occupied{pending}",
                status.state, status.wanted
            ))
        }
    }
}

fn all(status: &SchedulerStatus) -> u32 {
    status.rooms_at_creating + status.rooms_at_ready + status.rooms_at_occupied + status.rooms_at_terminating
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_was_asked_for_a_moment_ago_is_waited_for() {
        let settled = SchedulerStatus {
            state: "in-sync".to_owned(),
            rooms_by_state: BTreeMap::from([("ready".to_owned(), 2), ("draining".to_owned(), 9)]),
            wanted: 2,
            ..SchedulerStatus::default()
        };
        assert!(matches!(ready(&settled), Look::Reached));
        let asked = SchedulerStatus {
            pending: vec!["5 rooms were asked for by hand".to_owned()],
            ..settled.clone()
        };
        let leaving = SchedulerStatus { wanted: 3, ..settled };
        assert!(matches!(ready(&leaving), Look::Short(_)));
        match ready(&asked) {
            Look::Reached => panic!("it has two rooms of five"),
            Look::Short(what) => assert_eq!(
                what,
                "it is in-sync, with 2 of 2 rooms ready or occupied; 5 rooms were asked for by hand"
            ),
        }
    }
}
