//! The whole system: two APIs, three workers, PostgreSQL, Redis and a real control plane with simulated nodes, on which
//! schedulers live through everything that may happen to them.
//!
//! Needs the testbed: `deploy/testbed/up --tier kwok`. One installation goes through all phases, one after the other, because
//! each takes away what all the others need; all the while rooms ping over HTTP, matches are played in them, and an oracle
//! sees to it that none is ended. `cargo test --release -p maestro --features testbed --test system -- redis` runs only the
//! phases with these letters in their names. `MAESTRO_TESTBED_FULL=1` makes outages and leases as long as in earnest.
#![cfg(feature = "testbed")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it can't go on, its helpers too"
)]

#[path = "../shared/running.rs"]
#[expect(dead_code, reason = "what starts `maestro dev` is not needed here")]
mod running;

mod bed;
mod line;
mod room;
mod world;
mod installation;
mod oracle;
mod stage;
mod phases;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use bed::Bed;
use installation::Installation;
use phases::PHASES;
use stage::Stage;

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let begun = Instant::now();
    let mut stage = Stage::set(Installation::start(Bed::new(runtime.handle().clone())));
    stage.tell("two APIs and three workers run", begun);
    for (name, phase) in PHASES {
        let is_meant = words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
        if !is_meant {
            continue;
        }
        let begun = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| {
            phase(&mut stage);
            stage.installation.check();
        }));
        if let Err(panic) = done {
            let path =
                std::env::temp_dir().join(format!("maestro-system-{}.log", stage.installation.bed.run));
            std::fs::write(&path, stage.installation.logs()).unwrap();
            eprintln!(
                "FAILED: {name}; what all processes logged is in {}",
                path.display()
            );
            resume_unwind(panic);
        }
        stage.tell(name, begun);
    }
    let begun = Instant::now();
    let ended = stage.end();
    println!(
        "all processes ended {:40} {:6.1} s",
        "",
        begun.elapsed().as_secs_f64()
    );
    ended.clean();
}
