//! From a room's report to the decision that answers it: a whole `maestro dev`, an urgent policy, HTTP on loopback.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::load::Client;
use crate::measure::Times;
use crate::start::Dev;

/// Schedulers, each asked once.
const SCHEDULERS: usize = 60;

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One room, and more at once when it is in use.
fn document(name: &str) -> String {
    format!(
        "name: {name}\ngame: lag\nimage: lag:1\nports: [{{name: game, containerPort: 7000, protocol: TCP}}]\n\
         autoscaling:\n  min: 1\n  max: 2\n  up: {{trigger: {{usage: 50, time: 600, threshold: 90, limit: 90}}}}\n"
    )
}

async fn ask(client: &mut Client, name: &str) -> Result<Duration> {
    client.wait(name, "roomsAtReady", 1, PATIENCE).await?;
    let rooms = client
        .send("GET", &format!("/scheduler/{name}/rooms"), "")
        .await?;
    let room = rooms.split('"').nth(3).context("no ready room")?.to_owned();
    let path = format!("/scheduler/{name}/rooms/{room}/ping");
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let began = Instant::now();
    client
        .send(
            "PUT",
            &path,
            &format!("{{\"status\":\"occupied\",\"timestamp\":{}}}", seconds + 1),
        )
        .await?;
    client.wait(name, "wanted", 2, PATIENCE).await?;
    Ok(began.elapsed())
}

pub(crate) fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let hello = folder.path().join("lag.yaml");
        let documents: Vec<String> = (0..SCHEDULERS).map(|index| document(&format!("lag-{index}"))).collect();
        std::fs::write(&hello, documents.join("---\n"))?;
        let dev = Dev::start(folder.path(), &["--matches", "none", &hello.display().to_string()])?;
        let mut client = Client::connect(dev.0.address).await?;
        let mut times = Vec::new();
        for index in 0..SCHEDULERS {
            times.push(ask(&mut client, &format!("lag-{index}")).await?);
        }
        let times = Times::new(times);
        println!(
            "  from the report to the decision, {SCHEDULERS} times: half within {:.0} ms, 99 % within {:.0} ms",
            times.ms(50),
            times.ms(99)
        );
        Ok(())
    })
}
