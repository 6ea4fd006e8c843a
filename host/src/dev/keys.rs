//! Keys of the terminal, one at a time and unseen, for as long as this lives.
//!
//! Only what stands between a key and us is changed: lines are not gathered and keys not shown. Output and Ctrl-C stay
//! as they are, so that log lines, errors and whoever started us notice nothing. The terminal is put back when this is
//! dropped, which a panic does too. A process in the background would be stopped for touching its terminal, so that it
//! is left alone then.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read};
use rustix::process::getpgrp;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The terminal of this process, opened anew: not to block is then ours alone, and not the shell's too.
const TERMINAL: &str = "/dev/tty";

/// Between two looks for a key: nobody feels it. A read that waits would hold up the end of the process.
const LOOK: Duration = Duration::from_millis(50);

/// What the keys that have names instead of letters begin with.
const ESCAPE: u8 = 0x1b;

/// Takes keys.
#[derive(Debug)]
pub(super) struct Keys {
    terminal: OwnedFd,
    before: Termios,
    looks: Interval,
}

impl Keys {
    /// Takes the terminal; [`None`] where there is none, or others use it.
    pub(super) fn take() -> io::Result<Option<Self>> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let Ok(terminal) = open(TERMINAL, flags, Mode::empty()) else {
            return Ok(None);
        };
        if !is_ours(&terminal) {
            return Ok(None);
        }
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let keys = Self {
            before: tcgetattr(&terminal)?,
            terminal,
            looks,
        };
        keys.open_up()?;
        Ok(Some(keys))
    }

    /// The next key. Safe to drop at any await.
    pub(super) async fn next(&mut self) -> char {
        loop {
            self.looks.tick().await;
            match self.look() {
                Ok(Some(key)) => return key,
                Ok(None) => {}
                // It was hung up; the drawing says so.
                Err(_) => return pending().await,
            }
        }
    }

    fn look(&self) -> io::Result<Option<char>> {
        if !is_ours(&self.terminal) {
            return Ok(None);
        }
        // A shell that stopped us has put the terminal back for itself.
        self.open_up()?;
        let mut bytes = [0; 16];
        match read(&self.terminal, &mut bytes) {
            Ok(0) | Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Ok(_) => Ok(Some(bytes[0]).filter(|first| *first != ESCAPE).map(char::from)),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets each key through as it is pressed.
    fn open_up(&self) -> io::Result<()> {
        let mut modes = tcgetattr(&self.terminal)?;
        let gathers = LocalModes::ICANON | LocalModes::ECHO;
        if modes.local_modes.intersects(gathers) {
            modes.local_modes.remove(gathers);
            modes.special_codes[SpecialCodeIndex::VMIN] = 1;
            modes.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(&self.terminal, OptionalActions::Now, &modes)?;
        }
        Ok(())
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if is_ours(&self.terminal) && tcsetattr(&self.terminal, OptionalActions::Now, &self.before).is_err() {
            // The terminal has gone, and its modes with it.
        }
    }
}

/// Whether we are in the terminal's foreground.
fn is_ours(terminal: &OwnedFd) -> bool {
    tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp())
}
