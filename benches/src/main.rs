//! Measures what the service costs, each figure beside a floor that runs in the same minute on the same machine.
//!
//! `cargo run --release -p maestro-benches -- [policy|guard|ping|step|start|lag]…`; without a name all of them, one
//! after the other. With `--servers [pings|create|jump|idle|fleet]…` those that need the testbed's servers. Figures go to
//! stdout; nothing here passes or fails. What they were once is in `README.md`.

mod measure;
mod engine;
mod policy;
mod guard;
mod load;
mod process;
mod ping;
mod step;
mod start;
mod lag;
mod servers;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// A bench's name and what runs it.
type Bench = (&'static str, fn() -> Result<()>);

const BENCHES: [Bench; 6] = [
    ("policy", policy::run),
    ("guard", guard::run),
    ("ping", ping::run),
    ("step", step::run),
    ("start", start::run),
    ("lag", lag::run),
];

/// Asks for what needs servers.
const SERVERS: &str = "--servers";

fn main() -> ExitCode {
    let first = std::env::args().nth(1);
    if first.as_deref() == Some(engine::VERB) {
        return maestro_engine::compile_child_main();
    }
    let done = match first.as_deref() {
        Some(servers::VERB) => servers::serve_nothing(),
        Some(SERVERS) => run(&servers::BENCHES, 2),
        Some(_) | None => run(&BENCHES, 1),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs those of `benches` that the arguments after so many name, or all.
fn run(benches: &[Bench], skipped: usize) -> Result<()> {
    let names: Vec<String> = std::env::args().skip(skipped).collect();
    if let Some(unknown) = names
        .iter()
        .find(|name| benches.iter().all(|(known, _)| known != name))
    {
        let known: Vec<&str> = benches.iter().map(|(name, _)| *name).collect();
        bail!(
            "`{unknown}` is not measured here; expected any of {}",
            known.join(", ")
        );
    }
    for (name, bench) in benches {
        if names.is_empty() || names.iter().any(|chosen| chosen == name) {
            println!("\n{name}");
            bench()?;
        }
    }
    Ok(())
}
