//! Clocks and the arithmetic of figures.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};

/// CPU time that this thread has used.
pub(crate) fn thread_cpu() -> Duration {
    cpu(ClockId::ThreadCPUTime)
}

fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// CPU time of one call, in microseconds: the least of several rounds, because whatever else happens only adds.
pub(crate) fn cpu_micros(calls: u32, mut call: impl FnMut()) -> f64 {
    let round = |call: &mut dyn FnMut()| {
        let began = thread_cpu();
        for _ in 0..calls {
            call();
        }
        (thread_cpu() - began).as_secs_f64() * 1e6 / f64::from(calls)
    };
    round(&mut call);
    (0..7).map(|_| round(&mut call)).fold(f64::INFINITY, f64::min)
}

/// Calls a second of wall time.
pub(crate) fn rate(calls: u64, began: Instant) -> f64 {
    calls as f64 / began.elapsed().as_secs_f64()
}

/// Times in order, to be asked for percentiles.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time that `percent` per cent don't exceed, in milliseconds.
    pub(crate) fn ms(&self, percent: usize) -> f64 {
        let place = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(place).copied().unwrap_or_default().as_secs_f64() * 1e3
    }
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// CPU time since it began.
    pub(crate) cpu: Duration,
    /// Resident memory.
    pub(crate) mebibytes: f64,
}

impl Used {
    /// Per cent of a core that it used since `before`, which is so long ago.
    pub(crate) fn share(self, before: Self, time: Duration) -> f64 {
        (self.cpu - before.cpu).as_secs_f64() * 100.0 / time.as_secs_f64()
    }
}

/// What the process of this number has used, without its children.
pub(crate) fn used(pid: u32) -> Result<Used> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let stat = fs::read_to_string(folder.join("stat"))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks = |at: usize| {
        let text = fields.get(at).and_then(|text| text.parse::<u64>().ok());
        text.unwrap_or(0)
    };
    let ticks_a_second = rustix::param::clock_ticks_per_second();
    let cpu = Duration::from_secs_f64((ticks(11) + ticks(12)) as f64 / ticks_a_second as f64);
    let status = fs::read_to_string(folder.join("status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = resident
        .and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0.0);
    Ok(Used {
        cpu,
        mebibytes: kib / 1024.0,
    })
}
