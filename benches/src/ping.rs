//! Pings through the whole API, against a handler of the same server that reads the same body and does nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::routing::put;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use maestro::api::{Api, Heads, Key, Operators, router};
use maestro::catalog::Catalog;
use maestro::cluster::local::{self, Local, Program};
use maestro::registry::clock;
use maestro::registry::{Memory, Registry};
use maestro::store::Store;
use maestro::tasks::{Kind, Tasks};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::time::Span;
use tokio::net::TcpListener;

use crate::load::{self, Make};

/// Rooms that ping in turn; so many that none of them comes near its own limit.
const ROOMS: u32 = 4_500;

const CONNECTIONS: u64 = 16;
const TIME: Duration = Duration::from_secs(2);

const PONG: &str = "name: pong\ngame: pong\nimage: pong:1\nautoscaling: {min: 2, max: 10}\n";

pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir()?;
        let floor = serve(Router::new().route(
            "/{*path}",
            put(async |body: Bytes| {
                std::hint::black_box(body);
            }),
        ))
        .await?;
        let api = serve(router(pong(folder.path()).await?)).await?;
        let make: Make = Arc::new(request);
        let (mut floors, mut apis) = (Vec::new(), Vec::new());
        // In turn, so that whatever else the machine does falls on both.
        for _ in 0..5 {
            floors.push(load::rate(floor, CONNECTIONS, TIME, &make).await?);
            apis.push(load::rate(api, CONNECTIONS, TIME, &make).await?);
        }
        let (floor, api) = (best(&floors), best(&apis));
        println!(
            "  pings a second: {api:.0}; by a handler that does nothing {floor:.0}: {:.2} of it",
            api / floor
        );
        Ok(())
    })
}

fn best(rates: &[f64]) -> f64 {
    rates.iter().copied().fold(0.0, f64::max)
}

fn name() -> Result<SchedulerName> {
    SchedulerName::parse("pong").map_err(|error| anyhow::anyhow!("{error}"))
}

fn request(number: u64) -> Request<Full<Bytes>> {
    let room = number % u64::from(ROOMS);
    let body =
        format!("{{\"timestamp\":1700000000,\"status\":\"ready\",\"metadata\":{{\"map\":\"{room}\"}}}}");
    let request = Request::put(format!("/scheduler/pong/rooms/pong-{room:08x}/ping"))
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)));
    request.unwrap_or_default()
}

async fn serve(app: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let tasks = Tasks::new();
    tasks.spawn(
        Kind::Api,
        maestro::api::serve(listener, app, Heads::default(), tasks.clone()),
    );
    Ok(address)
}

/// An API with a scheduler whose rooms are known.
async fn pong(folder: &Path) -> Result<Api> {
    let wall = clock::system();
    let registry = Arc::new(Memory::new(Arc::clone(&wall)));
    let store = Store::open(&folder.join("maestro.db")).await?;
    let engine = crate::engine::engine(&folder.join("cache"))?;
    let cluster = Local::new(local::Config {
        folder: folder.join("rooms"),
        ports: local::PORTS,
        advertise_host: "127.0.0.1".to_owned(),
        api_url: "http://127.0.0.1:9".to_owned(),
        program: Program::Document,
        survive: false,
        log_bytes: 1 << 20,
        measure_every: Duration::from_secs(1),
        maestro: std::env::current_exe()?,
        host_env: BTreeMap::new(),
    })?;
    let api = Api {
        catalog: Arc::new(Catalog::new(engine, store.clone()).await?),
        store,
        registry: Arc::<Memory>::clone(&registry),
        cluster: Arc::new(cluster),
        known: Arc::default(),
        key: Key::new([7; 32]),
        wall,
        changed: Arc::default(),
        cap: 50,
        measure_every: Span::from_secs(10),
        node_ports: None,
        limits: Arc::default(),
        watchers: Arc::default(),
        operators: Operators::default(),
        metrics: Arc::default(),
        probe: Arc::default(),
    };
    maestro::api::apply::apply(&api, PONG, &maestro::store::schedulers::ManagedBy::Api)
        .await
        .map_err(|problem| anyhow::anyhow!("{problem:?}"))?;
    let fence = registry
        .acquire(&name()?, "bench", Span::from_secs(3_600))
        .await?;
    let fence = fence.context("nobody else holds the lease")?;
    registry.set_epoch(&fence, Some((api.wall)())).await?;
    let rooms: Vec<(RoomId, Version)> = (0..ROOMS)
        .map(|room| Ok((RoomId::new(&name()?, room), Version::FIRST)))
        .collect::<Result<_>>()?;
    registry.reserve(&fence, &rooms, ROOMS).await?;
    Ok(api)
}
