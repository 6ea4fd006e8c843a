//! `maestro dev` as a user starts it: how soon the first room is ready, and what it costs while nothing happens.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;

use crate::load;

const IDLE: &str = "name: idle\ngame: idle\nimage: idle:1\nports: [{name: game, containerPort: 7000, protocol: TCP}]\nautoscaling: {min: 20, max: 20}\n";

/// How long it is watched while nothing happens.
const WATCH: Duration = Duration::from_secs(20);

/// A running `maestro dev`; dropping it ends it and its rooms.
pub(crate) struct Dev {
    child: Child,
    pub(crate) began: Instant,
    pub(crate) address: std::net::SocketAddr,
}

impl Dev {
    /// Starts it with these arguments; compiled policies are kept in `cache`.
    pub(crate) fn start(cache: &Path, arguments: &[&str]) -> Result<Self> {
        let began = Instant::now();
        let mut child = Command::new(maestro()?)
            .args(["dev", "--plain", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("XDG_CACHE_HOME", cache)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("maestro did not start")?;
        let stderr = child.stderr.take().context("its output is piped")?;
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once("API on http://")?.1.trim().to_owned()));
        // It goes on talking, and must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.context("maestro ended before it served")?.parse()?;
        Ok(Self {
            child,
            began,
            address,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<String> {
        let mut connection = load::connect(self.address).await?;
        let request = Request::get(path)
            .header("host", "localhost")
            .body(Full::<Bytes>::default())?;
        Ok(String::from_utf8(
            load::send(&mut connection, request).await?.to_vec(),
        )?)
    }

    /// Waits until a scheduler's status has so many ready rooms.
    async fn ready(&self, scheduler: &str, rooms: u64) -> Result<()> {
        while self.began.elapsed() < Duration::from_secs(60) {
            // Before the document is stored, nobody knows the scheduler.
            let status = self
                .get(&format!("/scheduler/{scheduler}"))
                .await
                .unwrap_or_default();
            if number(&status, "roomsAtReady").is_some_and(|ready| ready >= rooms) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("{scheduler} never had {rooms} ready rooms")
    }

    /// CPU time that the process (without its rooms) has used, and its resident memory in MiB.
    fn usage(&self) -> Result<(Duration, f64)> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let stat = fs::read_to_string(folder.join("stat"))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        let ticks = |at: usize| {
            fields
                .get(at)
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let ticks_a_second = rustix::param::clock_ticks_per_second();
        let cpu = Duration::from_secs_f64((ticks(11) + ticks(12)) as f64 / ticks_a_second as f64);
        let status = fs::read_to_string(folder.join("status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = resident
            .and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0.0);
        Ok((cpu, kib / 1024.0))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            && rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_err()
        {
            eprintln!("maestro had ended already");
        }
        if let Err(error) = self.child.wait() {
            eprintln!("maestro could not be waited for: {error}");
        }
    }
}

/// A whole number after a key of a JSON text.
pub(crate) fn number(json: &str, key: &str) -> Option<u64> {
    let after = json.split_once(&format!("\"{key}\":"))?.1;
    let digits: String = after
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

fn maestro() -> Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name("maestro");
    if !beside.exists() {
        bail!(
            "{} is not built; run `cargo build --release --bin maestro` first",
            beside.display()
        );
    }
    Ok(beside)
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
                dev.began.elapsed().as_secs_f64()
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
        let ((before, _), began) = (dev.usage()?, Instant::now());
        tokio::time::sleep(WATCH).await;
        let (after, resident) = dev.usage()?;
        let share = (after - before).as_secs_f64() * 100.0 / began.elapsed().as_secs_f64();
        println!("  idle with 20 rooms: {share:.2} % of a core, {resident:.1} MiB resident");
        Ok(())
    })
}
