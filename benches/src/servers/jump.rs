//! From a jump of occupancy at the API to the first pod that is created for it, as the API server tells.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc;

use super::crowd::{self, Crowd};
use super::pods::Pods;
use super::site;
use crate::load::Client;
use crate::measure::Times;

/// Schedulers, each asked once.
const SCHEDULERS: usize = 100;

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// One room, and more at once when it is in use.
fn document(name: &str) -> String {
    format!(
        "name: {name}\ngame: jump\nimage: jump:1\nports: [{{name: game, containerPort: 7000, protocol: UDP}}]\n\
         autoscaling:\n  min: 1\n  max: 2\n  up: {{trigger: {{usage: 50, time: 600, threshold: 90, limit: 90}}}}\n"
    )
}

pub(super) fn run() -> Result<()> {
    site::with(async |site| {
        let (api, worker) = (site.start("api", &[])?, site.start("worker", &[])?);
        let (running, to_play) = mpsc::unbounded_channel();
        let pods = Pods::watch(&site.kubernetes, running).await?;
        let _crowd = Crowd::begin(api.address, &site.name, to_play).await?;
        let mut client = Client::connect(api.address).await?;
        let names: Vec<String> = (0..SCHEDULERS)
            .map(|number| format!("{}-{number}", site.name))
            .collect();
        for name in &names {
            client.send("POST", "/scheduler", &document(name)).await?;
        }
        let mut rooms = Vec::new();
        for name in &names {
            client.wait(name, "roomsAtReady", 1, PATIENCE).await?;
            let ready = crowd::ready_rooms(&mut client, name).await?;
            rooms.push(ready.into_iter().next().context("there is a ready room")?);
        }
        let mut times = Vec::new();
        for room in &rooms {
            let began = Instant::now();
            crowd::report(&mut client, room, "occupied").await?;
            times.push(next(&pods, &room.0, began).await? - began);
        }
        let times = Times::new(times);
        println!(
            "  from a room's report to the pod of the next room, {SCHEDULERS} times: half within {:.0} ms, 99 % within {:.0} ms, \
             all within {:.0} ms",
            times.ms(50),
            times.ms(99),
            times.ms(100)
        );
        drop(worker);
        Ok(())
    })
}

/// When the first pod after `began` was seen in a namespace.
async fn next(pods: &Pods, namespace: &str, began: Instant) -> Result<Instant> {
    while began.elapsed() < PATIENCE {
        let seen = pods.of(namespace).into_iter().map(|seen| seen.created);
        if let Some(first) = seen.filter(|created| *created > began).min() {
            return Ok(first);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bail!("{namespace} never had a second pod")
}
