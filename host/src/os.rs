//! What each operating system does its own way, behind one thin interface: looking at processes, the boot they are of,
//! dying with a parent, and where sockets are listed.
//!
//! A further system needs one more file here and nothing else. Whatever all Unix systems share (signals, sessions,
//! waiting for children) is no part of it.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use macos as system;

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!("Maestro runs on Linux and macOS; another system needs a file beside host/src/os/linux.rs");

pub(crate) use system::{FILES_SETTING, SOCKET_TABLES, boot, die_with_parent, look, marked};

/// One process as the system shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Whether it has ended, and only its parent has not asked how.
    pub(crate) is_over: bool,
    /// When it began, in a unit of the system's own: with its pid it tells it from all others of the same boot.
    pub(crate) start: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use rustix::process::getpid;

    #[test]
    fn we_are_seen_to_run_and_nobody_is_nobody() {
        let ours = getpid().as_raw_pid();
        let seen = look(ours).unwrap();
        assert!(!seen.is_over);
        assert_eq!(look(ours).unwrap(), seen, "the same at every look");
        let gone = look(i32::MAX).unwrap_err().raw_os_error().unwrap();
        let known = [Errno::NOENT, Errno::SRCH].map(Errno::raw_os_error);
        assert!(known.contains(&gone), "{gone}");
    }

    #[test]
    fn a_boot_has_one_name() {
        assert!(!boot().is_empty());
        assert_eq!(boot(), boot());
    }
}
