//! macOS: no `/proc`, and no signal at a parent's death. Checked by a compiler, and never run by us.
//!
//! What differs for users, and why that is bearable:
//! - A room that shall end with Maestro is ended by the guard (`cluster/local/guard.rs`) a moment later rather than by
//!   the kernel at once; so is what `maestro wrap` started.
//! - The system shows the environment of Apple's own programs (`/bin/sh`) to nobody. One of those that a room left
//!   behind carries no mark that we see, and is left alone: better one process too many than somebody else's ended.
//! - Sockets are not listed: `maestro wrap` tries to connect instead, and can't tell of UDP.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, getsid, test_kill_process, waitid};
use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use super::Look;

/// There are no tables of sockets to read.
pub(crate) const SOCKET_TABLES: Option<&str> = None;

/// What limits the files that all processes may hold open together.
pub(crate) const FILES_SETTING: &str = "kern.maxfiles";

/// Looks at one process. `NOENT` and `SRCH` mean that there is none, any other error that we could not look.
pub(crate) fn look(pid: i32) -> io::Result<Look> {
    let id = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    if test_kill_process(id) == Err(Errno::SRCH) {
        return Err(Errno::SRCH.into());
    }
    let key = sysinfo::Pid::from_u32(pid.unsigned_abs());
    let seen = read(ProcessesToUpdate::Some(&[key]), ProcessRefreshKind::nothing())?;
    match seen.process(key) {
        Some(process) => Ok(Look {
            is_over: matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead),
            // Seconds since 1970, as noted when it began: setting the clock does not move it.
            start: process.start_time(),
        }),
        // It is there and not shown: over, if it is a child of ours that waits to be asked.
        None if is_waiting(id) => Ok(Look {
            is_over: true,
            start: 0,
        }),
        None => Err(io::Error::other("the system does not show the process")),
    }
}

/// The boot that pids and start times are of.
pub(crate) fn boot() -> String {
    static BOOT: OnceLock<String> = OnceLock::new();
    let began = || System::boot_time().map_or_else(|_| String::new(), |at| at.to_string());
    BOOT.get_or_init(|| session_uuid().unwrap_or_else(began)).clone()
}

/// Does nothing: the guard does it, see above.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(())
}

/// What runs in the session `session` and has `mark` (`NAME=value`) in the environment it was started with.
pub(crate) fn marked(session: i32, mark: &str) -> Vec<i32> {
    let what = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
    let Ok(seen) = read(ProcessesToUpdate::All, what) else {
        return Vec::new();
    };
    let ours = seen.processes().iter().filter(|(_, process)| {
        process
            .environ()
            .iter()
            .any(|variable| variable == OsStr::new(mark))
    });
    ours.filter_map(|(pid, _)| i32::try_from(pid.as_u32()).ok())
        .filter(|pid| {
            let found = Pid::from_raw(*pid).and_then(|pid| getsid(Some(pid)).ok());
            found.is_some_and(|found| found.as_raw_pid() == session)
        })
        .collect()
}

fn read(which: ProcessesToUpdate<'_>, what: ProcessRefreshKind) -> io::Result<System> {
    let mut system = System::new().map_err(|error| io::Error::other(error.to_string()))?;
    system.refresh_processes_specifics(which, true, what);
    Ok(system)
}

fn is_waiting(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_)))
}

/// Unlike the time of the boot, it is the same however the clock is set.
fn session_uuid() -> Option<String> {
    let asked = Command::new("/usr/sbin/sysctl")
        .args(["-n", "kern.bootsessionuuid"])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(asked.stdout).ok()?;
    let text = text.trim();
    (asked.status.success() && !text.is_empty()).then(|| text.to_owned())
}
