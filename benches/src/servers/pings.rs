//! Pings a second through `maestro api` on Redis, against what its two parts allow one after the other: a program of the
//! same server code that answers nothing, and the script that a ping is, called without anything around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use axum::Router;
use axum::routing::put;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use maestro::api::{Heads, serve};
use maestro::registry::{Redis, RedisConfig, Registry};
use maestro::tasks::{Kind, Tasks};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::time::Span;
use maestro_wire::call::read_report;
use maestro_wire::record;
use tokio::net::TcpListener;

use super::site::{self, Site};
use crate::load::{self, Make};
use crate::process::Process;

/// The verb with which this program is what does nothing.
pub(crate) const VERB: &str = "serve-nothing";

/// What the older system did on this kind of machine with as many connections: reference R22.
const OLDER: f64 = 7_148.0;

/// So many rooms that none comes near its own limit.
const ROOMS: u32 = 4_500;

const CONNECTIONS: u64 = 16;
const TIME: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

/// The script of a ping as the registry sends it.
const SCRIPT: &str = concat!(
    include_str!("../../../host/src/registry/redis/time.lua"),
    include_str!("../../../host/src/registry/redis/ping.lua")
);

pub(super) fn run() -> Result<()> {
    site::with(async |site| {
        let scheduler = format!("{}-pong", site.name);
        let api = site.start("api", &[])?;
        let mut client = load::Client::connect(api.address).await?;
        let document =
            format!("name: {scheduler}\ngame: pong\nimage: pong:1\nautoscaling: {{min: 2, max: 10}}\n");
        client.send("POST", "/scheduler", &document).await?;
        let name = SchedulerName::parse(&scheduler).map_err(|error| anyhow!("{error}"))?;
        reserve(site, &name).await?;
        let nothing = Process::start(
            std::process::Command::new(std::env::current_exe()?).arg(VERB),
            |_| {},
        )?;
        let make = make(&scheduler);
        // Each room's first report is news; from then on it repeats itself.
        load::rate(api.address, CONNECTIONS, TIME, &make).await?;
        let (mut apis, mut handlers, mut scripts) = (0.0_f64, 0.0_f64, 0.0_f64);
        let (mut cpu, mut answered) = (Duration::ZERO, 0.0);
        // In turn, so that whatever else the machine does falls on all of them.
        for _ in 0..ROUNDS {
            let before = api.used()?.cpu;
            let rate = load::rate(api.address, CONNECTIONS, TIME, &make).await?;
            cpu += api.used()?.cpu - before;
            answered += rate * TIME.as_secs_f64();
            apis = apis.max(rate);
            handlers = handlers.max(load::rate(nothing.address, CONNECTIONS, TIME, &make).await?);
            scripts = scripts.max(bare(site, &scheduler).await?);
        }
        let allowed = 1.0 / (1.0 / handlers + 1.0 / scripts);
        println!(
            "  pings a second: {apis:.0}, {:.1} times the older system's {OLDER:.0}",
            apis / OLDER
        );
        println!(
            "  by a handler that does nothing {handlers:.0}, by the script alone {scripts:.0}: {:.2} of both one after the other",
            apis / allowed
        );
        println!(
            "  CPU of the API for one: {:.0} µs",
            cpu.as_secs_f64() * 1e6 / answered
        );
        Ok(())
    })
}

/// Serves what reads a body and answers nothing.
pub(super) fn serve_nothing() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let app = Router::new().route(
            "/{*path}",
            put(async |body: Bytes| {
                std::hint::black_box(body);
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("nothing on http://{}", listener.local_addr()?);
        let tasks = Tasks::new();
        tasks.spawn(Kind::Api, serve(listener, app, Heads::default(), tasks.clone()));
        tasks.stop_token().cancelled().await;
        Ok(())
    })
}

/// Makes the rooms known, as a worker would.
async fn reserve(site: &Site, name: &SchedulerName) -> Result<()> {
    let config = RedisConfig {
        prefix: site.name.clone(),
        ..RedisConfig::new(vec![site.redis.clone()])
    };
    let registry = Redis::connect(config).await?;
    let fence = registry.acquire(name, "bench", Span::from_secs(3_600)).await?;
    let fence = fence.context("nobody else holds the lease")?;
    let now = registry
        .changes(name, maestro::registry::Cursor::START)
        .await?
        .now;
    registry.set_epoch(&fence, Some(now)).await?;
    let rooms: Vec<(RoomId, Version)> = (0..ROOMS)
        .map(|room| (RoomId::new(name, room), Version::FIRST))
        .collect();
    registry.reserve(&fence, &rooms, ROOMS).await?;
    Ok(())
}

fn body(room: u64) -> String {
    format!("{{\"timestamp\":1700000000,\"status\":\"ready\",\"metadata\":{{\"map\":\"{room}\"}}}}")
}

fn make(scheduler: &str) -> Make {
    let scheduler = scheduler.to_owned();
    Arc::new(move |number| {
        let room = number % u64::from(ROOMS);
        let request = Request::put(format!(
            "/scheduler/{scheduler}/rooms/{scheduler}-{room:08x}/ping"
        ))
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body(room))));
        request.unwrap_or_default()
    })
}

/// Calls of the bare script a second, from as many callers as there are connections, on one connection to Redis as the
/// registry has it.
async fn bare(site: &Site, scheduler: &str) -> Result<f64> {
    let keys: Arc<Vec<String>> = Arc::new(
        ["meta", "rooms", "log", "allocatable", "held"]
            .map(|key| format!("{}:{{{scheduler}}}:{key}", site.name))
            .into(),
    );
    let mut connection = site.redis().await?;
    let digest: String = redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(SCRIPT)
        .query_async(&mut connection)
        .await?;
    let began = Instant::now();
    let mut callers = Vec::new();
    for caller in 0..CONNECTIONS {
        let (digest, keys, mut connection) = (digest.clone(), Arc::clone(&keys), connection.clone());
        let scheduler = scheduler.to_owned();
        callers.push(tokio::spawn(async move {
            let mut called = 0;
            while began.elapsed() < TIME {
                let room = (caller + called * CONNECTIONS) % u64::from(ROOMS);
                let report = read_report(body(room).as_bytes()).map_err(|all| anyhow!("{all:?}"))?;
                let mut call = redis::cmd("EVALSHA");
                call.arg(&digest).arg(keys.len());
                call.arg(keys.as_slice())
                    .arg("0")
                    .arg(format!("{scheduler}-{room:08x}"))
                    .arg(0_u64.to_be_bytes().as_slice())
                    .arg(report.sent_at.ms().to_be_bytes().as_slice())
                    .arg("0")
                    .arg(record::signature(&report).as_slice());
                let answer: redis::Value = call.query_async(&mut connection).await?;
                let is_fresh = matches!(&answer, redis::Value::Array(parts)
                    if parts.first() == Some(&redis::Value::BulkString(b"fresh".to_vec())));
                if !is_fresh {
                    return Err(anyhow!("the script did not do what a ping does: {answer:?}"));
                }
                called += 1;
            }
            Ok::<u64, anyhow::Error>(called)
        }));
    }
    let mut called = 0;
    for caller in callers {
        called += caller.await??;
    }
    Ok(called as f64 / began.elapsed().as_secs_f64())
}
