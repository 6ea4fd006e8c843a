//! Processes as only Linux shows them: told apart by pid and start time, signalled as groups, reaped with care.
//!
//! Everything of the local cluster that needs `/proc` or a Linux call is in here, so that another system needs
//! one more file and nothing else. A pid alone is never trusted: it may belong to somebody else by now.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, getpid, getppid, kill_process, kill_process_group,
    set_parent_process_death_signal, setsid, waitid,
};

/// One process, for ever told apart from a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pid: Pid,
    /// Clock ticks from boot to its start.
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

/// The fields of `/proc/<pid>/stat` that matter here.
struct Stat {
    state: char,
    session: i32,
    start: u64,
}

impl Process {
    /// The process with this pid, which must be there.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let raw = i32::try_from(pid).map_err(io::Error::other)?;
        let pid = Pid::from_raw(raw).ok_or_else(|| io::Error::other("a pid is never zero"))?;
        Ok(Self {
            pid,
            start: stat(raw)?.start,
        })
    }

    /// Ourselves.
    pub(super) fn current() -> io::Result<Self> {
        let pid = getpid();
        Ok(Self {
            pid,
            start: stat(pid.as_raw_pid())?.start,
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
        stat(self.pid.as_raw_pid()).is_ok_and(|stat| self.is_alive_in(&stat))
    }

    /// Whether this process has ended, for certain: what it leaves is killed. That we could not look, as when there
    /// are too many open files, is no proof.
    fn has_ended(&self, look: &io::Result<Stat>) -> bool {
        match look {
            Ok(stat) => !self.is_alive_in(stat),
            Err(error) => {
                let gone = [Errno::NOENT, Errno::SRCH].map(Errno::raw_os_error);
                error.raw_os_error().is_some_and(|code| gone.contains(&code))
            }
        }
    }

    fn is_alive_in(&self, stat: &Stat) -> bool {
        stat.start == self.start && !is_over(stat.state)
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
                let look = stat(self.pid.as_raw_pid());
                if !self.has_ended(&look) {
                    return None;
                }
                kill_leftovers(self.pid.as_raw_pid(), mark);
                // A room of an earlier cluster in this very process is a stranger, and still our child.
                let same = look.is_ok_and(|stat| stat.start == self.start);
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

/// The boot that pids and start times are of.
pub(super) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| String::new(), |id| id.trim().to_owned())
}

/// Founds a session of our own, so that no terminal's signals reach us and our whole tree can be signalled.
pub(super) fn found_session() -> io::Result<()> {
    setsid()?;
    Ok(())
}

/// Makes the kernel kill us when the thread that started us ends.
pub(super) fn die_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
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
    let Ok(entries) = fs::read_dir("/proc") else {
        return;
    };
    for entry in entries.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let is_ours = stat(pid).is_ok_and(|stat| stat.session == session && !is_over(stat.state))
            && fs::read(entry.path().join("environ")).is_ok_and(|environ| {
                environ
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == mark.as_bytes())
            });
        if let (true, Some(pid)) = (is_ours, Pid::from_raw(pid)) {
            ignore_gone(kill_process(pid, Signal::KILL));
        }
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

fn is_over(state: char) -> bool {
    matches!(state, 'Z' | 'X' | 'x')
}

fn stat(pid: i32) -> io::Result<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat"))?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/<pid>/stat has an unknown form"))
}

/// The program's name stands in parentheses and may itself hold any character, so fields count from the last `)`.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let session = fields.nth(2)?.parse().ok()?;
    let start = fields.nth(15)?.parse().ok()?;
    Some(Stat {
        state,
        session,
        start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let line = "42 (a) b (c) S 1 42 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 200 1844";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.state, stat.session, stat.start), ('S', 41, 987_654));
    }

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
        let seen = |state, start| {
            let session = 1;
            Ok(Stat {
                state,
                session,
                start,
            })
        };
        assert!(!process.has_ended(&seen('S', process.start)));
        assert!(process.has_ended(&seen('Z', process.start)));
        assert!(
            process.has_ended(&seen('S', process.start + 1)),
            "somebody else by now"
        );
        assert!(process.has_ended(&stat(i32::MAX)), "no such process");
    }

    #[test]
    fn ends_are_told_in_words() {
        assert_eq!(End::Code(3).to_string(), "exit code 3");
        assert_eq!(End::Signal(9).to_string(), "SIGKILL");
    }
}
