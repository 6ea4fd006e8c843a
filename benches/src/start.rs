//! `maestro dev` as a user starts it: how soon the first room is ready, and what it costs while nothing happens.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::load::Client;
use crate::process::{Process, maestro};

const IDLE: &str = "name: idle\ngame: idle\nimage: idle:1\nports: [{name: game, containerPort: 7000, protocol: TCP}]\nautoscaling: {min: 20, max: 20}\n";

/// How long it is watched while nothing happens.
const WATCH: Duration = Duration::from_secs(20);

/// The longest that rooms may take to get ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `maestro dev`; dropping it ends it and its rooms.
pub(crate) struct Dev(pub(crate) Process);

impl Dev {
    /// Starts it with these arguments; compiled policies are kept in `cache`.
    pub(crate) fn start(cache: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = maestro()?;
        command
            .args(["dev", "--plain", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("XDG_CACHE_HOME", cache);
        Process::start(&mut command, |_| {}).map(Self)
    }

    /// Waits until a scheduler has so many ready rooms.
    async fn ready(&self, scheduler: &str, rooms: u64) -> Result<()> {
        let mut client = Client::connect(self.0.address).await?;
        client.wait(scheduler, "roomsAtReady", rooms, PATIENCE).await
    }
}

pub(crate) fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        for what in ["cold", "warm", "warm"] {
            let dev = Dev::start(folder.path(), &[])?;
            dev.ready("hello", 1).await?;
            println!(
                "  first room ready, {what} compile cache: {:.2} s",
                dev.0.began.elapsed().as_secs_f64()
            );
        }
        let document = folder.path().join("idle.yaml");
        fs::write(&document, IDLE)?;
        let dev = Dev::start(
            folder.path(),
            &["--matches", "none", &document.display().to_string()],
        )?;
        dev.ready("idle", 20).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (before, began) = (dev.0.used()?, Instant::now());
        tokio::time::sleep(WATCH).await;
        let after = dev.0.used()?;
        println!(
            "  idle with 20 rooms: {:.2} % of a core, {:.1} MiB resident",
            after.share(before, began.elapsed()),
            after.mebibytes
        );
        Ok(())
    })
}
