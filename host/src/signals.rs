//! SIGINT, SIGTERM and SIGHUP as a person means them: once is "end", again a while later is "now".

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// Signals this soon after the first one are the same wish: a wrapper such as `cargo run` passes on what the terminal
/// has sent to us as well. Nobody makes up their mind that fast.
const ECHO: Duration = Duration::from_secs(1);

/// The signals that end Maestro.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal was closed.
    hang_up: Signal,
    first: Option<Instant>,
}

impl Signals {
    /// Takes the signals over from the system.
    pub(crate) fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("can't listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            first: None,
        })
    }

    /// Waits for the first signal, and in later calls for one that is no echo of it. Safe to drop at any await.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
                _ = self.hang_up.recv() => {}
            }
            let now = Instant::now();
            match self.first {
                None => {
                    self.first = Some(now);
                    return;
                }
                Some(first) if now - first >= ECHO => return,
                Some(_echoed) => {}
            }
        }
    }
}
