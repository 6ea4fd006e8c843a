//! A program that runs beside this one and is measured: `maestro` in whatever role, or what it is compared with.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::measure::{self, Used};

/// A running program that serves; dropping it ends it.
pub(crate) struct Process {
    child: Child,
    pub(crate) began: Instant,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts it and waits until it tells where it serves; each further line that it says goes to `heard`.
    pub(crate) fn start(command: &mut Command, heard: fn(&str)) -> Result<Self> {
        let began = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("it did not start")?;
        let stderr = child.stderr.take().context("its output is piped")?;
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let address = lines.find_map(|line| {
            let after = line.split_once(" on http://").map(|(_, after)| after);
            let address = after
                .and_then(|after| after.split_whitespace().next())
                .map(str::to_owned);
            said.push(line);
            address
        });
        // It goes on talking, and must not wait for a reader.
        std::thread::spawn(move || lines.for_each(|line| heard(&line)));
        let Some(address) = address else {
            child.wait()?;
            bail!("it ended before it served:\n{}", said.join("\n"));
        };
        Ok(Self {
            child,
            began,
            address: address.parse()?,
        })
    }

    /// What it has used so far, without its children.
    pub(crate) fn used(&self) -> Result<Used> {
        measure::used(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        if rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_err() {
            eprintln!("it had ended already");
        }
        if let Err(error) = self.child.wait() {
            eprintln!("it could not be waited for: {error}");
        }
    }
}

/// The service's binary, which lies beside this one.
pub(crate) fn maestro() -> Result<Command> {
    let beside = std::env::current_exe()?.with_file_name("maestro");
    if !beside.exists() {
        bail!(
            "{} is not built; run `cargo build --release --bin maestro` first",
            beside.display()
        );
    }
    Ok(Command::new(beside))
}
