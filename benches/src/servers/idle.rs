//! What a worker costs for a hundred schedulers in which nothing happens: their watches, leases and looks.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc;

use super::cluster::Calls;
use super::crowd::Crowd;
use super::pods::Pods;
use super::site::{self, Site};
use crate::load::Client;
use crate::process::Process;

/// Schedulers of one room each.
const SCHEDULERS: usize = 100;

/// What their start has to do with is over after this.
const SETTLING: Duration = Duration::from_secs(20);

/// How long it is watched.
const WATCH: Duration = Duration::from_secs(60);

/// The longest that rooms may take to get ready.
const PATIENCE: Duration = Duration::from_secs(120);

/// What policies are asked, where they are: so rarely that nothing changes.
const TRIGGERS: &str = "  up: {trigger: {usage: 70, time: 600, threshold: 90}}\n  down: {trigger: {usage: 20, time: 600, threshold: 90}}\n";

/// No room pings while it is watched, and none is given up for that.
fn document(name: &str, triggers: &str) -> String {
    format!(
        "name: {name}\ngame: idle\nimage: idle:1\npingTimeout: 1h\nautoscaling:\n  min: 1\n  max: 10\n{triggers}"
    )
}

pub(super) fn run() -> Result<()> {
    site::with(async |site| {
        let (api, worker) = (site.start("api", &[])?, site.start("worker", &[])?);
        let (running, to_play) = mpsc::unbounded_channel();
        let _pods = Pods::watch(&site.kubernetes, running).await?;
        let _crowd = Crowd::begin(api.address, &site.name, to_play).await?;
        let mut client = Client::connect(api.address).await?;
        let none = watch(site, &worker).await?;
        let names: Vec<String> = (0..SCHEDULERS)
            .map(|number| format!("{}-{number}", site.name))
            .collect();
        let began = Instant::now();
        for name in &names {
            client.send("POST", "/scheduler", &document(name, "")).await?;
        }
        for name in &names {
            client.wait(name, "roomsAtReady", 1, PATIENCE).await?;
        }
        println!(
            "  {SCHEDULERS} schedulers at once, of one room each: ready after {:.1} s",
            began.elapsed().as_secs_f64()
        );
        tell("watches, leases and samples", &watch(site, &worker).await?, &none);
        for name in &names {
            let path = format!("/scheduler/{name}");
            client.send("PUT", &path, &document(name, TRIGGERS)).await?;
        }
        tell("and two triggers each", &watch(site, &worker).await?, &none);
        Ok(())
    })
}

fn tell(what: &str, all: &Rest, none: &Rest) {
    println!(
        "  {SCHEDULERS} schedulers at rest, {what}: {:.2} % of a core beyond the {:.2} % of none, {:.1} MiB beyond {:.1}",
        all.share - none.share,
        none.share,
        all.mebibytes - none.mebibytes,
        none.mebibytes
    );
    println!(
        "    a second, for all: {:.1} scripts of Redis, {:.1} transactions of PostgreSQL, {:.1} reads of Kubernetes",
        all.scripts - none.scripts,
        all.transactions - none.transactions,
        all.reads - none.reads
    );
}

/// What was used a second.
struct Rest {
    share: f64,
    mebibytes: f64,
    scripts: f64,
    transactions: f64,
    reads: f64,
}

async fn watch(site: &Site, worker: &Process) -> Result<Rest> {
    tokio::time::sleep(SETTLING).await;
    let (calls, scripts, transactions) = (
        Calls::count(&site.kubernetes).await?,
        site.scripts().await?,
        site.transactions().await?,
    );
    let (before, began) = (worker.used()?, Instant::now());
    tokio::time::sleep(WATCH).await;
    let (after, time) = (worker.used()?, began.elapsed());
    let seconds = time.as_secs_f64();
    Ok(Rest {
        share: after.share(before, time),
        mebibytes: after.mebibytes,
        scripts: (site.scripts().await? - scripts) as f64 / seconds,
        transactions: (site.transactions().await? - transactions) as f64 / seconds,
        reads: Calls::count(&site.kubernetes).await?.since(&calls).reads() as f64 / seconds,
    })
}
