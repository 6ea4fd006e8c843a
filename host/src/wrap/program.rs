//! The wrapped program as a process: it gets our signals, dies with us, and its end becomes ours.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::cluster::local::launch;

/// A program that was started, until it has ended.
pub(super) struct Program {
    child: Child,
    pid: Pid,
}

/// Its ends of the pipes.
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

impl Program {
    /// Starts `command`, whose first word is a program. The kernel kills it when the thread that calls this ends.
    pub(super) fn start(maestro: &Path, command: &[OsString]) -> io::Result<(Self, Pipes)> {
        let (program, args) = command
            .split_first()
            .ok_or_else(|| io::Error::other("no program was named"))?;
        let mut child = launch::bound(maestro, program)
            .args(args)
            // A group of its own: Maestro signals the room's whole group, and we pass that on, so that the program
            // would be asked twice, and many take the second time for "at once".
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = Pid::from_child(&child);
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(stdin), Some(stdout), Some(stderr)) => {
                let pipes = Pipes {
                    stdin,
                    stdout,
                    stderr,
                };
                Ok((Self { child, pid }, pipes))
            }
            _ => Err(io::Error::other("its pipes are missing")),
        }
    }

    /// Waits until it has ended, from another thread; it is kept for [`Program::finish`].
    pub(super) fn end(&self) -> impl FnOnce() + Send + 'static {
        let pid = self.pid;
        move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while waitid(WaitId::Pid(pid), options).is_err_and(|error| error == Errno::INTR) {}
        }
    }

    /// Sends a signal to it and to what it started.
    pub(super) fn pass_on(&self, signal: i32) {
        if let Some(signal) = Signal::from_named_raw(signal)
            && let Err(error) = kill_process_group(self.pid, signal)
        {
            // It stays in the table until we have taken its end, so this is one that may not be signalled.
            super::say(&format!("the program could not be signalled: {error}"));
        }
    }

    /// Takes its end, once it has ended. What it left in its group ends with it, as in a container whose first process
    /// ends.
    pub(super) fn finish(mut self) -> io::Result<ExitStatus> {
        match kill_process_group(self.pid, Signal::KILL) {
            // Nothing is left, or nothing that is ours.
            Ok(()) | Err(_) => {}
        }
        self.child.wait()
    }
}

/// The exit code that stands for an end, as a shell has it: the program's own, or 128 and the signal's number.
pub(super) fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| 128 + number))
        .and_then(|code| u8::try_from(code).ok());
    code.unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_as_a_shell_tells_them() {
        // As wait(2) encodes them.
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
        assert_eq!(code(ExitStatus::from_raw(11 | 0x80)), 139, "with a core dump");
    }
}
