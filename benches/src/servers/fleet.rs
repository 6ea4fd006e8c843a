//! A worker with 1,000 and with 5,000 rooms in 50 schedulers: memory and CPU at rest, and while rooms begin and end matches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc;

use super::cluster;
use super::crowd::{self, Crowd};
use super::pods::Pods;
use super::site::{self, Site};
use crate::load::Client;
use crate::process::Process;

const SCHEDULERS: usize = 50;

/// Rooms of one scheduler, first and then.
const ROOMS: [usize; 2] = [20, 100];

/// Changes of rooms' status a second.
const CHANGES: u64 = 500;

/// What was created is seen and stored after this.
const SETTLING: Duration = Duration::from_secs(15);

/// How long it is watched, each time.
const WATCH: Duration = Duration::from_secs(20);

/// The longest that all rooms may take to get ready.
const PATIENCE: Duration = Duration::from_secs(400);

/// Rooms that take players on a port of their node where that is to be had, and on none otherwise: there are not so many
/// node ports.
const NETWORKS: [&str; 2] = [
    "network: hostPort\nports: [{name: game, containerPort: 7000, protocol: UDP}]\n",
    "",
];

fn document(name: &str, network: &str) -> String {
    format!(
        "name: {name}\ngame: fleet\nimage: fleet:1\n{network}initializationTimeout: 30m\npingTimeout: 2h\nautoscaling:\n  min: {}\n  \
         max: {}\n  up: {{trigger: {{usage: 90, time: 600, threshold: 99}}}}\n  down: {{trigger: {{usage: 5, time: 600, threshold: 99}}}}\n",
        ROOMS[0], ROOMS[1]
    )
}

pub(super) fn run() -> Result<()> {
    site::with(async |site| {
        cluster::add_nodes(&site.kubernetes, &site.name).await?;
        let (api, worker) = (site.start("api", &[])?, site.start("worker", &[])?);
        let (running, to_play) = mpsc::unbounded_channel();
        let _pods = Pods::watch(&site.kubernetes, running).await?;
        let _crowd = Crowd::begin(api.address, &site.name, to_play).await?;
        let mut client = Client::connect(api.address).await?;
        let names: Vec<String> = (0..SCHEDULERS)
            .map(|number| format!("{}-{number}", site.name))
            .collect();
        let network = begin(&mut client, &names).await?;
        println!(
            "  {SCHEDULERS} schedulers, {}",
            network.lines().next().unwrap_or("rooms without ports")
        );
        for rooms in ROOMS {
            grow(&mut client, &names, rooms).await?;
            measure(site, (&api, &worker), &mut client, &names).await?;
        }
        Ok(())
    })
}

/// Creates the schedulers; answers how their rooms are reached.
async fn begin(client: &mut Client, names: &[String]) -> Result<&'static str> {
    let mut chosen = NETWORKS[1];
    let mut names = names.iter();
    if let Some(first) = names.next() {
        for network in NETWORKS {
            match client.send("POST", "/scheduler", &document(first, network)).await {
                Ok(_) => {
                    chosen = network;
                    break;
                }
                Err(error) if network == NETWORKS[1] => return Err(error),
                Err(_) => {}
            }
        }
    }
    for name in names {
        client.send("POST", "/scheduler", &document(name, chosen)).await?;
    }
    Ok(chosen)
}

async fn grow(client: &mut Client, names: &[String], rooms: usize) -> Result<()> {
    let began = Instant::now();
    for name in names {
        let scale = format!("{{\"replicas\":{rooms}}}");
        client.send("POST", &format!("/scheduler/{name}"), &scale).await?;
    }
    for name in names {
        let left = PATIENCE.saturating_sub(began.elapsed());
        client
            .wait(name, "roomsAtReady", u64::try_from(rooms)?, left)
            .await?;
    }
    Ok(())
}

async fn measure(
    site: &Site,
    (api, worker): (&Process, &Process),
    client: &mut Client,
    names: &[String],
) -> Result<()> {
    let mut rooms = Vec::new();
    for name in names {
        rooms.extend(crowd::ready_rooms(client, name).await?);
    }
    let rooms = Arc::new(rooms);
    tokio::time::sleep(SETTLING).await;
    let (before, scripts, began) = (worker.used()?, site.scripts().await?, Instant::now());
    tokio::time::sleep(WATCH).await;
    let (after, time) = (worker.used()?, began.elapsed());
    println!(
        "  {} rooms at rest: {:.2} % of a core, {:.0} MiB, {:.1} scripts of Redis a second",
        rooms.len(),
        after.share(before, time),
        after.mebibytes,
        (site.scripts().await? - scripts) as f64 / time.as_secs_f64()
    );
    // Every second room's first report is news; then all of them change.
    let (before, api_before, began) = (worker.used()?, api.used()?, Instant::now());
    let rate = crowd::change(api.address, Arc::clone(&rooms), CHANGES, WATCH).await?;
    let (after, time) = (worker.used()?, began.elapsed());
    println!(
        "  {} rooms, {rate:.0} changes a second: {:.1} % of a core, {:.0} MiB; the API {:.1} %, {:.0} MiB",
        rooms.len(),
        after.share(before, time),
        after.mebibytes,
        api.used()?.share(api_before, time),
        api.used()?.mebibytes
    );
    // All are ready again, to be counted.
    for room in rooms.iter() {
        crowd::report(client, room, "ready").await?;
    }
    Ok(())
}
