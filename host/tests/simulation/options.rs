//! What the command line asks for.

use crate::registry::Broken;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Everything that belongs to a test run.
    All,
    Seeds {
        from: u64,
        number: u64,
    },
    Seed(u64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub task: Task,
    pub broken: Option<Broken>,
}

const USAGE: &str = "usage: [--seeds NUMBER [--from SEED] | --seed SEED] [--broken WAY]";

impl Options {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut seeds, mut from, mut seed, mut broken) = (None, 0, None, None);
        while let Some(word) = words.next() {
            let mut number = || {
                let text = words.next().unwrap_or_default();
                text.parse()
                    .map_err(|_| format!("{word} needs a number\n{USAGE}"))
            };
            match word.as_str() {
                "--seeds" => seeds = Some(number()?),
                "--from" => from = number()?,
                "--seed" => seed = Some(number()?),
                "--broken" => broken = Some(way(&words.next().unwrap_or_default())?),
                // What cargo hands to every test of a run means nothing here.
                "--nocapture" | "--quiet" | "-q" | "--show-output" | "--exact" => {}
                "--help" | "-h" => return Err(USAGE.to_owned()),
                other if other.starts_with("--test-threads") => {}
                other => return Err(format!("{other} is not known\n{USAGE}")),
            }
        }
        let task = match (seed, seeds) {
            (Some(seed), _) => Task::Seed(seed),
            (None, Some(number)) => Task::Seeds { from, number },
            (None, None) => Task::All,
        };
        Ok(Self { task, broken })
    }
}

fn way(text: &str) -> Result<Broken, String> {
    let known = Broken::ALL.into_iter().find(|broken| broken.as_str() == text);
    known.ok_or_else(|| {
        let ways = Broken::ALL.map(Broken::as_str).join(", ");
        format!("--broken knows {ways}")
    })
}
