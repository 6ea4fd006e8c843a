//! The guard: a small process that outlives a killed Maestro for a moment, to end what its rooms leave.
//!
//! The kernel kills a room's first process with Maestro, and only that one; what a start script started goes on.
//! The guard waits at a pipe that closes when Maestro ends, however that happens, and then ends whatever runs of the
//! rooms that are still written down.

use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use super::{handle, launch, process, record};

/// The word after the hidden verb that means the guard.
pub(super) const WORD: &str = "guard";

/// A guard at work; dropping it lets it look a last time and end.
pub(super) struct Guard(Child);

impl Guard {
    /// Posts a guard for the rooms below `folder`.
    pub(super) fn post(maestro: &Path, folder: &Path) -> io::Result<Self> {
        let mut command = Command::new(maestro);
        command.arg(launch::VERB).arg(WORD).arg(folder).env_clear();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if let Err(error) = self.0.wait() {
            tracing::warn!(%error, "the rooms' guard could not be waited for");
        }
    }
}

/// What the guard does.
pub(super) fn main(folder: &Path) -> ExitCode {
    match watch(folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn watch(folder: &Path) -> io::Result<()> {
    // Ctrl-C in Maestro's terminal is for Maestro.
    handle::found_session()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    wipe(folder)
}

/// Ends whatever runs of the rooms that are written down below `folder`.
pub(super) fn wipe(folder: &Path) -> io::Result<()> {
    for found in record::read_all(folder)? {
        if let Some(process) = found.process {
            process.wipe(&process::mark(&found.record.room));
        }
    }
    Ok(())
}
