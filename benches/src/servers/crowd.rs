//! What programs in rooms would do: report over HTTP that they are ready, and begin and end matches.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::pods::Name;
use crate::load::Client;

/// Connections over which rooms report.
const CONNECTIONS: u64 = 8;

/// Says that rooms are ready as soon as they run, until it is dropped.
pub(crate) struct Crowd(Vec<JoinHandle<()>>);

impl Crowd {
    /// Plays the rooms of schedulers whose names begin so.
    pub(crate) async fn begin(
        api: SocketAddr,
        prefix: &str,
        running: mpsc::UnboundedReceiver<Name>,
    ) -> Result<Self> {
        let running = Arc::new(Mutex::new(running));
        let mut tasks = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut client = Client::connect(api).await?;
            let (running, prefix) = (Arc::clone(&running), prefix.to_owned());
            tasks.push(tokio::spawn(async move {
                loop {
                    let Some(room) = running.lock().await.recv().await else {
                        return;
                    };
                    if !room.0.starts_with(&prefix) {
                        continue;
                    }
                    if let Err(error) = report(&mut client, &room, "ready").await {
                        eprintln!("{} could not report: {error}", room.1);
                    }
                }
            }));
        }
        Ok(Self(tasks))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// A room says what it does.
pub(crate) async fn report(client: &mut Client, room: &Name, status: &str) -> Result<()> {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let path = format!("/scheduler/{}/rooms/{}/ping", room.0, room.1);
    let body = format!("{{\"status\":\"{status}\",\"timestamp\":{millis}}}");
    client.send("PUT", &path, &body).await?;
    Ok(())
}

/// The ready rooms of a scheduler, as the API knows them.
pub(crate) async fn ready_rooms(client: &mut Client, scheduler: &str) -> Result<Vec<Name>> {
    let text = client
        .send("GET", &format!("/scheduler/{scheduler}/rooms?limit=1000"), "")
        .await?;
    let start = format!("{scheduler}-");
    let names = text.split('"').filter(|word| word.starts_with(&start));
    Ok(names
        .map(|name| (scheduler.to_owned(), name.to_owned()))
        .collect())
}

/// Lets rooms change what they do, one after the other, so many times a second, for so long; every second room begins
/// with a match. Answers how many times a second they did.
pub(crate) async fn change(api: SocketAddr, rooms: Arc<Vec<Name>>, rate: u64, time: Duration) -> Result<f64> {
    let (began, made) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for number in 0..CONNECTIONS {
        let mut client = Client::connect(api).await?;
        let (rooms, made) = (Arc::clone(&rooms), Arc::clone(&made));
        tasks.push(tokio::spawn(async move {
            let mut ticks =
                interval(Duration::from_secs(1) * u32::try_from(CONNECTIONS)? / u32::try_from(rate)?);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let (mut at, count) = (number, rooms.len() as u64);
            while began.elapsed() < time {
                ticks.tick().await;
                let (place, round) = (at % count, at / count);
                let room = rooms.get(usize::try_from(place)?).context("there are rooms")?;
                let status = match (place + round) % 2 {
                    0 => "occupied",
                    _ => "ready",
                };
                report(&mut client, room, status).await?;
                made.fetch_add(1, Ordering::Relaxed);
                at += CONNECTIONS;
            }
            Ok::<(), anyhow::Error>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(made.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}
