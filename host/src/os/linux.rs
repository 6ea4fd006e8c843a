//! Linux: `/proc`, and the kernel's own signal at a parent's death.

use std::fs;
use std::io;

use rustix::process::{Signal, set_parent_process_death_signal};

use super::Look;

/// Where the kernel lists all sockets.
pub(crate) const SOCKET_TABLES: Option<&str> = Some("/proc/net");

/// What limits the files that all processes may hold open together.
pub(crate) const FILES_SETTING: &str = "fs.file-max";

/// The fields of `/proc/<pid>/stat` that matter here.
struct Stat {
    state: char,
    session: i32,
    /// Clock ticks from boot.
    start: u64,
}

/// Looks at one process. `NOENT` and `SRCH` mean that there is none, any other error that we could not look.
pub(crate) fn look(pid: i32) -> io::Result<Look> {
    let stat = stat(pid)?;
    Ok(Look {
        is_over: stat.is_over(),
        start: stat.start,
    })
}

/// The boot that pids and start times are of.
pub(crate) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| String::new(), |id| id.trim().to_owned())
}

/// Makes the kernel kill us when the thread that started us ends.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// What runs in the session `session` and has `mark` (`NAME=value`) in the environment it was started with.
pub(crate) fn marked(session: i32, mark: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        stat(*pid).is_ok_and(|stat| stat.session == session && !stat.is_over()) && carries(*pid, mark)
    })
    .collect()
}

fn carries(pid: i32, mark: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
        environ
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
    })
}

impl Stat {
    fn is_over(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

fn stat(pid: i32) -> io::Result<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat"))?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/<pid>/stat has an unknown form"))
}

/// The program's name stands in parentheses and may itself hold any character, so fields count from the last `)`.
fn parse(text: &str) -> Option<Stat> {
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
    use rustix::process::{getpid, getsid};
    use std::process::{Command, Stdio};

    #[test]
    fn a_program_may_have_any_name() {
        let line = "42 (a) b (c) S 1 42 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 200 1844";
        let stat = parse(line).unwrap();
        assert_eq!((stat.state, stat.session, stat.start), ('S', 41, 987_654));
    }

    #[test]
    fn processes_of_our_session_are_found_by_their_mark() {
        let ours = getpid().as_raw_pid();
        let session = getsid(None).unwrap().as_raw_pid();
        let mut child = Command::new("cat")
            .env("MAESTRO_TEST_MARK", ours.to_string())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let mark = format!("MAESTRO_TEST_MARK={ours}");
        let (found, elsewhere) = (marked(session, &mark), marked(pid, &mark));
        let other = marked(session, &format!("{mark}0"));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(found, [pid]);
        assert_eq!((elsewhere, other), (Vec::new(), Vec::new()));
        assert_eq!(marked(session, &mark), Vec::<i32>::new(), "it has ended");
    }
}
