//! The hidden verb `launch-room`: what stands between a fork of Maestro and a room's program.
//!
//! It founds the room's session, asks the kernel to kill it with Maestro where that is wanted (and where no kernel does
//! that, the guard does), writes down which process the room is, makes sure that Maestro is still there, and becomes the
//! room's program. Because the room itself writes the note, and asks for its parent after that, there is no moment at
//! which a dying Maestro leaves a room that the next one does not find.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use super::handle::{self, Process};
use super::{guard, record};
use crate::os;

/// The verb that the binary must hand to [`main`].
pub const VERB: &str = "launch-room";

/// Whether a room ends with the Maestro that started it, as its launcher is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is killed when Maestro dies.
    Shared,
    /// It goes on, and the next Maestro on the same folder adopts it.
    Own,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared => "die",
            Self::Own => "survive",
        })
    }
}

/// The command that starts `program` by way of this verb of `maestro`. Arguments, environment and files of the
/// program are added by the caller as if there were no launcher.
pub(super) fn command(maestro: &Path, fate: Fate, folder: &Path, program: &Path) -> Command {
    let mut command = Command::new(maestro);
    command
        .arg(VERB)
        .arg(std::process::id().to_string())
        .arg(fate.to_string())
        .arg(folder)
        .arg(program);
    command
}

/// The word after the verb that means a program which a room's own program starts.
const BOUND: &str = "bound";

/// The command that starts `program` so that it is killed when the thread that starts it ends. Called from within a
/// room; arguments and files are added as above.
pub(crate) fn bound(maestro: &Path, program: &OsStr) -> Command {
    let mut command = Command::new(maestro);
    command
        .arg(VERB)
        .arg(BOUND)
        .arg(std::process::id().to_string())
        .arg(program);
    command
}

/// Runs the verb with the arguments that follow it; returns only when the program could not be started.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let [word, folder] = args.as_slice()
        && word == guard::WORD
    {
        return guard::main(Path::new(folder));
    }
    if let [word, parent, program, rest @ ..] = args.as_slice()
        && word == BOUND
    {
        return told(program, launch_bound(parent, program, rest));
    }
    let [parent, fate, folder, program, rest @ ..] = args.as_slice() else {
        eprintln!(
            "usage: {VERB} PARENT-PID die|survive ROOM-FOLDER PROGRAM [ARGUMENT…]; Maestro calls this itself"
        );
        return ExitCode::from(2);
    };
    told(program, launch(parent, fate, Path::new(folder), program, rest))
}

/// Says why the program did not begin.
fn told(program: &OsStr, launched: io::Result<std::convert::Infallible>) -> ExitCode {
    match launched {
        Ok(never) => match never {},
        Err(error) => {
            // This goes to the room's own output, where the reason of its end is taken from.
            eprintln!("{} could not be started: {error}", Path::new(program).display());
            ExitCode::from(127)
        }
    }
}

fn launch(
    parent: &OsStr,
    fate: &OsStr,
    folder: &Path,
    program: &OsStr,
    args: &[OsString],
) -> io::Result<std::convert::Infallible> {
    let parent = pid(parent)?;
    handle::found_session()?;
    if fate != OsStr::new("survive") {
        os::die_with_parent()?;
    }
    record::write_process(folder, &Process::current()?)?;
    if !handle::is_parent(parent) {
        return Err(io::Error::other("Maestro ended before the room began"));
    }
    Err(Command::new(program).args(args).exec())
}

fn launch_bound(parent: &OsStr, program: &OsStr, args: &[OsString]) -> io::Result<std::convert::Infallible> {
    let parent = pid(parent)?;
    os::die_with_parent()?;
    if !handle::is_parent(parent) {
        return Err(io::Error::other("what started it has ended"));
    }
    Err(Command::new(program).args(args).exec())
}

fn pid(text: &OsStr) -> io::Result<u32> {
    text.to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| io::Error::other("the first argument is the pid of Maestro"))
}
