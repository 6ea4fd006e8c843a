//! Rooms created a second, from a scheduler's document to its last ready room, against a plain client that makes the same
//! pods and services; and what Maestro writes to the API server for that, and while nothing changes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service, ServiceAccount};
use kube::api::{Api, PostParams};
use serde_json::json;
use tokio::sync::mpsc;

use super::cluster::{self, Calls, Model};
use super::crowd::Crowd;
use super::pods::Pods;
use super::site::{self, Site};
use crate::load::Client;

/// Rooms of one scheduler.
const ROOMS: usize = 300;

const ROUNDS: usize = 2;

/// Creations that the plain client has under way at once: as many as a control loop.
const AT_ONCE: usize = 8;

/// The longest that a round may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was written last is counted after this.
const SETTLING: Duration = Duration::from_secs(5);

/// How long it is watched while nothing changes.
const REST: Duration = Duration::from_secs(30);

/// What a round came to.
#[derive(Debug, Default)]
struct Round {
    /// Rooms a second until the last was created.
    created: f64,
    /// Rooms a second until the last was ready, or ran.
    ready: f64,
    calls: Calls,
}

pub(super) fn run() -> Result<()> {
    site::with(async |site| {
        cluster::add_nodes(&site.kubernetes, &site.name).await?;
        let (api, worker) = (site.start("api", &[])?, site.worker()?);
        let (running, to_play) = mpsc::unbounded_channel();
        let pods = Pods::watch(&site.kubernetes, running).await?;
        let ours = format!("{}-ours", site.name);
        let _crowd = Crowd::begin(api.address, &ours, to_play).await?;
        let mut client = Client::connect(api.address).await?;
        // Policies are compiled, connections made.
        scheduler(site, &mut client, &pods, (&format!("{ours}-first"), 1)).await?;
        let (mut maestro, mut plain) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let name = format!("{ours}-{round}");
            maestro.push(scheduler(site, &mut client, &pods, (&name, ROOMS)).await?);
            plain.push(floor(site, &pods, (&name, &format!("{}-plain-{round}", site.name))).await?);
        }
        show(&maestro, &plain);
        rest(site, ROUNDS + 1).await?;
        drop(worker);
        Ok(())
    })
}

fn show(maestro: &[Round], plain: &[Round]) {
    let best = |rounds: &[Round], of: fn(&Round) -> f64| rounds.iter().map(of).fold(0.0, f64::max);
    for (what, of) in [
        (
            "from the document to ready",
            (|round| round.ready) as fn(&Round) -> f64,
        ),
        ("created", |round| round.created),
    ] {
        let (ours, floor) = (best(maestro, of), best(plain, of));
        println!(
            "  rooms a second, {what}: {ours:.1}; pods and services by a plain client {floor:.1}: {:.2} of it",
            ours / floor
        );
    }
    let each = |rounds: &[Round], of: fn(&Calls) -> u64| {
        let all: u64 = rounds.iter().map(|round| of(&round.calls)).sum();
        all as f64 / (rounds.len() * ROOMS) as f64
    };
    // A plain client writes two; what else is written besides it is by Kubernetes itself.
    let ours = each(maestro, Calls::writes_of_whole) - each(plain, Calls::writes_of_whole) + 2.0;
    println!(
        "  writes to the API server for one room: {ours:.2} by Maestro, {:.2} by Kubernetes itself",
        each(maestro, Calls::writes) - ours
    );
    if let Some(round) = maestro.last() {
        println!("    {}", round.calls.show_writes());
    }
}

/// Has Maestro bring up a scheduler.
async fn scheduler(
    site: &Site,
    client: &mut Client,
    pods: &Pods,
    (name, rooms): (&str, usize),
) -> Result<Round> {
    let document = format!(
        "name: {name}\ngame: bench\nimage: bench:1\nports: [{{name: game, containerPort: 7000, protocol: UDP}}]\n\
         initializationTimeout: 10m\npingTimeout: 1h\nautoscaling: {{min: {rooms}, max: {rooms}}}\n"
    );
    let (before, began) = (Calls::count(&site.kubernetes).await?, Instant::now());
    client.send("POST", "/scheduler", &document).await?;
    let (created, _) = pods.wait(name, rooms, PATIENCE).await?;
    client
        .wait(name, "roomsAtReady", u64::try_from(rooms)?, PATIENCE)
        .await?;
    let ready = began.elapsed();
    tokio::time::sleep(SETTLING).await;
    Ok(Round {
        created: rooms as f64 / (created - began).as_secs_f64(),
        ready: rooms as f64 / ready.as_secs_f64(),
        calls: Calls::count(&site.kubernetes).await?.since(&before),
    })
}

/// Makes the same number of the same pods and services.
async fn floor(site: &Site, pods: &Pods, (from, to): (&str, &str)) -> Result<Round> {
    let client = &site.kubernetes;
    let model = Model::of(client, from).await?;
    let before = Calls::count(client).await?;
    let began = Instant::now();
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": to}}))?;
    Api::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await?;
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "default"}}))?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), to);
    // Kubernetes makes it too, and may be faster.
    drop(accounts.create(&PostParams::default(), &account).await);
    let all = stream::iter(0..ROOMS).map(|number| create(client, &model, (from, to), number));
    all.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    let created = began.elapsed();
    let (_, ran) = pods.wait(to, ROOMS, PATIENCE).await?;
    tokio::time::sleep(SETTLING).await;
    Ok(Round {
        created: ROOMS as f64 / created.as_secs_f64(),
        ready: ROOMS as f64 / (ran - began).as_secs_f64(),
        calls: Calls::count(client).await?.since(&before),
    })
}

async fn create(client: &kube::Client, model: &Model, (from, to): (&str, &str), number: usize) -> Result<()> {
    let room = model.pod.metadata.name.as_deref().context("a pod has a name")?;
    let uid = model.pod.metadata.uid.as_deref().context("a pod has a uid")?;
    let suffix = room.rsplit_once('-').map_or(room, |(_, suffix)| suffix);
    let other = format!("{number:08x}");
    let pods: Api<Pod> = Api::namespaced(client.clone(), to);
    let pod = cluster::again(&model.pod, &[(suffix, &other), (from, to)])?;
    let made = pods.create(&PostParams::default(), &pod).await?;
    if let Some(service) = &model.service {
        let own = made.metadata.uid.as_deref().context("a pod has a uid")?;
        let service = cluster::again(service, &[(uid, own), (suffix, &other), (from, to)])?;
        let services: Api<Service> = Api::namespaced(client.clone(), to);
        services.create(&PostParams::default(), &service).await?;
    }
    Ok(())
}

/// What is asked of the API server while nothing changes.
async fn rest(site: &Site, schedulers: usize) -> Result<()> {
    let before = Calls::count(&site.kubernetes).await?;
    tokio::time::sleep(REST).await;
    let calls = Calls::count(&site.kubernetes).await?.since(&before);
    println!(
        "  while nothing changes: {} writes in {} s, {:.1} reads a minute for one scheduler",
        calls.writes_of_whole(),
        REST.as_secs(),
        calls.reads() as f64 * 60.0 / REST.as_secs_f64() / schedulers as f64
    );
    Ok(())
}
