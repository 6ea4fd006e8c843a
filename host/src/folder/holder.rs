//! Who uses a data folder: a file in it that its Maestro keeps locked, and in which it says who it is.
//!
//! The kernel gives the lock up when its holder ends, however that happens; what the file says is only for people. It
//! bears another name than the file in a temporary folder, because a folder with that one is removed.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use maestro_core::time::Timestamp;
use maestro_wire::view::rfc3339;

/// The file.
const FILE: &str = "holder";

/// The lock of a Maestro that was killed may be held for a moment more by a child that had not become its room yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two looks at a lock that is held.
const LOOK: Duration = Duration::from_millis(20);

/// A data folder that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Holder {
    file: File,
    path: PathBuf,
    who: String,
}

/// Why a data folder can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "the data folder {} is in use by another Maestro{who}; end that one, or name another folder with --data", folder.display()
    )]
    InUse { folder: PathBuf, who: String },
    #[error(
        "the data folder {} can't be used: {}; {}", folder.display(), why(cause), way_out(cause)
    )]
    Unusable {
        folder: PathBuf,
        // Its words stand in the text, for they are half of what is to be said.
        cause: io::Error,
    },
}

impl Holder {
    /// Makes the folder where it is missing, and takes it. To be called off the async threads.
    pub(crate) fn take(folder: &Path, now: Timestamp) -> Result<Self, Error> {
        let unusable = |cause| Error::Unusable {
            folder: folder.to_owned(),
            cause,
        };
        let mut private = DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(folder).map_err(unusable)?;
        let path = folder.join(FILE);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(unusable)?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::Error(cause)) => return Err(unusable(cause)),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::InUse {
                    folder: folder.to_owned(),
                    who: who_holds(&path),
                });
            }
        }
        let who = format!("process {}, since {}", std::process::id(), rfc3339(now));
        let mut holder = Self { file, path, who };
        holder.write("").map_err(unusable)?;
        Ok(holder)
    }

    /// Says where the API listens.
    pub(crate) fn tell(&mut self, address: SocketAddr) -> Result<(), Error> {
        self.write(&format!(", API on {address}"))
            .map_err(|cause| Error::Unusable {
                folder: self.path.parent().unwrap_or(&self.path).to_owned(),
                cause,
            })
    }

    fn write(&mut self, more: &str) -> io::Result<()> {
        let line = format!("{}{more}\n", self.who);
        self.file.rewind()?;
        self.file.write_all(line.as_bytes())?;
        // Who held it before may have said more. Cut last, so that a reader never finds nothing.
        self.file.set_len(line.len() as u64)
    }
}

fn lock(file: &File) -> Result<(), TryLockError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOOK),
            locked_or_not => return locked_or_not,
        }
    }
}

/// What the holder says of itself, in brackets; nothing where it has not come to that yet.
fn who_holds(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    match text.trim() {
        "" => String::new(),
        who => format!(" ({who})"),
    }
}

/// What is wrong, where the system's own words say less.
pub(crate) fn why(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "there is a file where it, or a folder above it, should be".to_owned()
        }
        io::ErrorKind::ReadOnlyFilesystem => "it lies on a file system that can only be read".to_owned(),
        io::ErrorKind::PermissionDenied => "you may not write there".to_owned(),
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::QuotaExceeded => "your share of the disk is used up".to_owned(),
        _ => cause.to_string(),
    }
}

fn way_out(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "remove some files, or name a folder on another disk with --data"
        }
        _ => "name another folder with --data, or leave --data out and nothing is kept",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(folder: &Path) -> Result<Holder, Error> {
        Holder::take(folder, Timestamp::from_ms(0))
    }

    #[test]
    fn a_folder_has_one_holder_who_says_who_it_is() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("some/data");
        let mut first = take(&folder).unwrap();
        let in_use = || take(&folder).unwrap_err().to_string();
        let who = format!("(process {}, since 1970-01-01T00:00:00.000Z)", std::process::id());
        assert!(in_use().contains(&who), "{}", in_use());
        first.tell("127.0.0.1:8080".parse().unwrap()).unwrap();
        assert!(in_use().contains(".000Z, API on 127.0.0.1:8080)"), "{}", in_use());
        assert!(in_use().contains("--data"));
        drop(first);
        take(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_told_with_the_reason_and_a_way_out() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        // A device that is always full stands in for the disk.
        let full = root.path().join("full");
        fs::create_dir(&full).unwrap();
        std::os::unix::fs::symlink("/dev/full", full.join(FILE)).unwrap();
        for (folder, reason, way_out) in [
            (
                &file,
                "there is a file where it",
                "name another folder with --data",
            ),
            (
                &file.join("below"),
                "there is a file where it",
                "name another folder",
            ),
            (&full, "the disk is full", "remove some files"),
        ] {
            let error = take(folder).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(way_out), "{error}");
            assert!(error.contains(&folder.display().to_string()), "{error}");
        }
    }

    #[test]
    fn what_the_system_says_of_folders_is_put_in_words() {
        use rustix::io::Errno;
        for (errno, expected) in [
            (Errno::ROFS, "can only be read"),
            (Errno::ACCESS, "you may not write there"),
            (Errno::DQUOT, "your share of the disk"),
            (Errno::IO, "os error 5"),
        ] {
            let told = why(&io::Error::from_raw_os_error(errno.raw_os_error()));
            assert!(told.contains(expected), "{told}");
        }
    }
}
