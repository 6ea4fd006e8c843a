//! Measures what the service costs, each figure beside a floor that runs in the same minute on the same machine.
//!
//! `cargo run --release -p maestro-benches -- [policy|guard|ping|step|start|lag]…`; without a name all of them, one
//! after the other. Figures go to stdout; nothing here passes or fails. What they were once is in `README.md`.

mod measure;
mod engine;
mod policy;
mod guard;
mod load;
mod ping;
mod step;
mod start;
mod lag;

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

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(engine::VERB) {
        return maestro_engine::compile_child_main();
    }
    let names: Vec<String> = std::env::args().skip(1).collect();
    match run(&names) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(names: &[String]) -> Result<()> {
    if let Some(unknown) = names
        .iter()
        .find(|name| BENCHES.iter().all(|(known, _)| known != name))
    {
        let known: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        bail!(
            "`{unknown}` is not measured here; expected any of {}",
            known.join(", ")
        );
    }
    for (name, bench) in BENCHES {
        if names.is_empty() || names.iter().any(|chosen| chosen == name) {
            println!("\n{name}");
            bench()?;
        }
    }
    Ok(())
}
