//! Processes told apart by pid and start time, signalled as groups, reaped with care.
//!
//! A pid alone is never trusted: it may belong to somebody else by now. What systems do differently is asked of
//! `os.rs`; what is in here holds on every Unix.

use std::fmt;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, getpid, getppid, kill_process, kill_process_group,
    setsid, waitid,
};

use crate::os::{self, Look};

/// One process, for ever told apart from a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pid: Pid,
    /// When it began, in the system's own unit.
    start: u64,
}

/// How the kernel lets us learn of a process's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kin {
    /// Our child: its pid is safe until we reap it.
    Child,
    /// Started by a Maestro before us.
    Stranger,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Only its parent was told, and that was not us.
    Untold,
}

/// The two signals that rooms are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// SIGTERM: end, please.
    Please,
    /// SIGKILL.
    Now,
}

impl Process {
    /// The process with this pid, which must be there.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let raw = i32::try_from(pid).map_err(io::Error::other)?;
        let pid = Pid::from_raw(raw).ok_or_else(|| io::Error::other("a pid is never zero"))?;
        Ok(Self {
            pid,
            start: os::look(raw)?.start,
        })
    }

    /// Ourselves.
    pub(super) fn current() -> io::Result<Self> {
        let pid = getpid();
        Ok(Self {
            pid,
            start: os::look(pid.as_raw_pid())?.start,
        })
    }

    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (pid, start) = text.trim().split_once('-')?;
        Some(Self {
            pid: Pid::from_raw(pid.parse().ok()?)?,
            start: start.parse().ok()?,
        })
    }

    /// Its pid, which is also that of its session and group.
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Whether exactly this process still runs, for certain: whoever signals it must not hit another.
    pub(super) fn is_running(&self) -> bool {
        os::look(self.pid.as_raw_pid()).is_ok_and(|look| self.is_alive_in(&look))
    }

    /// Whether this process has ended, for certain: what it leaves is killed. That we could not look, as when there
    /// are too many open files, is no proof.
    fn has_ended(&self, look: &io::Result<Look>) -> bool {
        match look {
            Ok(look) => !self.is_alive_in(look),
            Err(error) => {
                let gone = [Errno::NOENT, Errno::SRCH].map(Errno::raw_os_error);
                error.raw_os_error().is_some_and(|code| gone.contains(&code))
            }
        }
    }

    fn is_alive_in(&self, look: &Look) -> bool {
        look.start == self.start && !look.is_over
    }

    /// Sends a signal to its whole group; one that has ended is left alone.
    pub(super) fn ask(&self, kin: Kin, ask: Ask) {
        let signal = match ask {
            Ask::Please => Signal::TERM,
            Ask::Now => Signal::KILL,
        };
        // A child's pid stays ours until it is reaped; a stranger's may have been given to somebody else.
        if kin == Kin::Stranger && !self.is_running() {
            return;
        }
        if kill_process_group(self.pid, signal) == Err(Errno::SRCH) {
            // It has not come as far as founding its group. If it has gone altogether, all is done.
            ignore_gone(kill_process(self.pid, signal));
        }
    }

    /// Kills it and whatever it started, whosever child it is.
    pub(super) fn wipe(&self, mark: &str) {
        self.ask(Kin::Stranger, Ask::Now);
        kill_leftovers(self.pid.as_raw_pid(), mark);
    }

    /// How it ended, if it has. What it leaves running in its group is killed, as in a container whose first
    /// process ends. To be called no more after it said that the process ended.
    pub(super) fn poll(&self, kin: Kin, mark: &str) -> Option<End> {
        match kin {
            Kin::Child => {
                // Looked at without reaping first: while it is a zombie nobody else can get its group's number.
                let status = peek(self.pid)?;
                ignore_gone(kill_process_group(self.pid, Signal::KILL));
                if let End::Signal(_) = status {
                    // It had no chance to end the groups that it founded, as `maestro wrap` does for its program.
                    kill_leftovers(self.pid.as_raw_pid(), mark);
                }
                reap(self.pid);
                Some(status)
            }
            Kin::Stranger => {
                let look = os::look(self.pid.as_raw_pid());
                if !self.has_ended(&look) {
                    return None;
                }
                kill_leftovers(self.pid.as_raw_pid(), mark);
                // A room of an earlier cluster in this very process is a stranger, and still our child.
                let same = look.is_ok_and(|look| look.start == self.start);
                let end = match same {
                    true => peek(self.pid).unwrap_or(End::Untold),
                    false => End::Untold,
                };
                if end != End::Untold {
                    reap(self.pid);
                }
                Some(end)
            }
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.pid.as_raw_pid(), self.start)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match Signal::from_named_raw(*number) {
                Some(signal) => {
                    // rustix writes `"Signal::TERM"`.
                    let text = format!("{signal:?}");
                    write!(f, "SIG{}", text.trim_matches('"').trim_start_matches("Signal::"))
                }
                None => write!(f, "signal {number}"),
            },
            Self::Untold => write!(f, "exit code unknown"),
        }
    }
}

/// Founds a session of our own, so that no terminal's signals reach us and our whole tree can be signalled.
pub(super) fn found_session() -> io::Result<()> {
    setsid()?;
    Ok(())
}

/// Whether `pid` is our parent.
pub(super) fn is_parent(pid: u32) -> bool {
    getppid().map_or(0, |parent| parent.as_raw_pid().unsigned_abs()) == pid
}

/// Whether `path` may be executed by us.
pub(super) fn is_executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Kills what runs in the session `session` and carries our room's mark in its environment. The mark is asked
/// for because the session's number may belong to somebody else once our processes are gone.
fn kill_leftovers(session: i32, mark: &str) {
    for pid in os::marked(session, mark).into_iter().filter_map(Pid::from_raw) {
        ignore_gone(kill_process(pid, Signal::KILL));
    }
}

fn peek(pid: Pid) -> Option<End> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(pid), options) {
        Ok(Some(status)) => Some(end_of(&status)),
        Ok(None) | Err(Errno::INTR) => None,
        // Not our child (any more): somebody reaped it.
        Err(_) => Some(End::Untold),
    }
}

fn reap(pid: Pid) {
    while waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
        .is_err_and(|e| e == Errno::INTR)
    {}
}

fn end_of(status: &WaitIdStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Code(code),
        (None, Some(signal)) => End::Signal(signal),
        (None, None) => End::Untold,
    }
}

/// A process that is gone needs no signal, and one that we may not signal is none of ours.
fn ignore_gone(result: Result<(), Errno>) {
    if let Err(error) = result
        && error != Errno::SRCH
        && error != Errno::PERM
    {
        tracing::warn!(%error, "a room's process could not be signalled");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_again_by_its_text() {
        let process = Process::current().unwrap();
        assert!(process.is_running());
        assert_eq!(Process::parse(&format!("{process}\n")), Some(process));
        let impostor = Process {
            start: process.start + 1,
            ..process
        };
        assert!(!impostor.is_running(), "same pid, other start: somebody else");
    }

    #[test]
    fn a_process_that_could_not_be_looked_at_has_not_ended() {
        let process = Process::current().unwrap();
        let failed = |errno: Errno| Err(io::Error::from(errno));
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::ACCESS, Errno::IO] {
            assert!(!process.has_ended(&failed(errno)), "{errno}");
        }
        assert!(!process.has_ended(&Err(io::ErrorKind::InvalidData.into())));
        for errno in [Errno::NOENT, Errno::SRCH] {
            assert!(process.has_ended(&failed(errno)), "{errno}");
        }
        let seen = |is_over, start| Ok(Look { is_over, start });
        assert!(!process.has_ended(&seen(false, process.start)));
        assert!(process.has_ended(&seen(true, process.start)));
        assert!(
            process.has_ended(&seen(false, process.start + 1)),
            "somebody else by now"
        );
        assert!(process.has_ended(&os::look(i32::MAX)), "no such process");
    }

    #[test]
    fn ends_are_told_in_words() {
        assert_eq!(End::Code(3).to_string(), "exit code 3");
        assert_eq!(End::Signal(9).to_string(), "SIGKILL");
    }
}
