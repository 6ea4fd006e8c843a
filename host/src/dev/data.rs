//! Where `maestro dev` keeps what it has to write: the folder that the user names, or a temporary one of its own.
//!
//! A temporary folder is removed at the end. One whose Maestro was killed is removed by the next run, and nothing else
//! is: only a folder of this user that bears our name and holds an owner's file that nobody has locked. The kernel
//! gives the lock up when its holder ends, however that happens, which no note of a process's number can promise:
//! the folder for temporary files may be shared with containers that count processes on their own.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use tempfile::TempDir;

use crate::cluster::local;
use crate::folder::holder::{self, Holder};
use crate::registry::clock;

/// What the names of temporary folders begin with.
const PREFIX: &str = "maestro-dev-";

/// The file in a temporary folder that its Maestro keeps locked.
const OWNER: &str = "owner";

/// A data folder in use.
pub(super) struct Folder {
    /// Where it is.
    pub(super) path: PathBuf,
    keeps: Keeps,
}

/// What makes a folder ours.
enum Keeps {
    Named(Holder),
    // Removed when dropped.
    Temporary { _folder: Temporary },
}

/// A folder that is removed when this is dropped.
struct Temporary {
    folder: TempDir,
    // Let go of after the folder is removed.
    _owner: File,
}

impl Folder {
    /// The folder with this name, or a temporary one. To be called off the async threads: it may remove many files.
    pub(super) fn open(wanted: Option<&Path>) -> Result<Self> {
        if let Some(folder) = wanted {
            let absolute = std::path::absolute(folder);
            let path = absolute.with_context(|| format!("can't use {} for data", folder.display()))?;
            let holder = Holder::take(&path, (clock::system())())?;
            return Ok(Self {
                path,
                keeps: Keeps::Named(holder),
            });
        }
        let root = std::env::temp_dir();
        remove_leftovers(&root);
        let temporary = Temporary::make(&root).map_err(|error| {
            let (root, why) = (root.display(), holder::why(&error));
            anyhow!(
                "can't make a temporary folder in {root}: {why}; set TMPDIR, or name a folder with --data"
            )
        })?;
        Ok(Self {
            path: temporary.folder.path().to_owned(),
            keeps: Keeps::Temporary { _folder: temporary },
        })
    }

    /// Says in a folder that others may name too where the API listens.
    pub(super) fn tell(&mut self, address: SocketAddr) -> Result<()> {
        match &mut self.keeps {
            Keeps::Named(holder) => Ok(holder.tell(address)?),
            Keeps::Temporary { .. } => Ok(()),
        }
    }
}

impl Temporary {
    fn make(root: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(root)?;
        // It gets its name once it is locked, so that nobody ever finds it unlocked while we live.
        let fresh = folder.path().join("owner.new");
        let mut owner = File::create_new(&fresh)?;
        owner.lock()?;
        writeln!(owner, "{}", std::process::id())?;
        fs::rename(&fresh, folder.path().join(OWNER))?;
        Ok(Self {
            folder,
            _owner: owner,
        })
    }
}

/// Removes the temporary folders below `root` whose Maestro was killed.
fn remove_leftovers(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    let ours = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(PREFIX);
    for entry in entries.flatten().filter(|entry| ours(&entry.file_name())) {
        let path = entry.path();
        match remove_leftover(&path) {
            Ok(true) => tracing::info!("removed {}, which a run that was killed had left", path.display()),
            Ok(false) => {}
            Err(error) => tracing::debug!("{} is left alone: {error}", path.display()),
        }
    }
}

/// Whether the folder was one to remove, and is gone.
fn remove_leftover(folder: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(folder)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return Ok(false);
    }
    let owner = match File::open(folder.join(OWNER)) {
        // Not finished yet, or not one of these.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    match owner.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Its guard may be at this still, and needs the files to do it.
    local::wipe(&folder.join(local::FOLDER))?;
    fs::remove_dir_all(folder)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as a Maestro that was killed leaves it.
    fn leave(root: &Path) -> PathBuf {
        let Temporary { folder, _owner } = Temporary::make(root).unwrap();
        let folder = folder.keep();
        fs::create_dir(folder.join(local::FOLDER)).unwrap();
        fs::write(folder.join("maestro.db"), "rows").unwrap();
        folder
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let in_use = Temporary::make(root.path()).unwrap();
        let left = leave(root.path());
        let others = ["maestro-dev-unfinished", "maestro-policies-1", "somebody"];
        for name in others {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        fs::write(root.path().join("somebody").join(OWNER), "1").unwrap();
        // What somebody named is theirs, whatever its name and whether or not it is in use.
        let named = root.path().join("maestro-dev-named");
        drop(Folder::open(Some(&named)).unwrap());
        let elsewhere = leave(&root.path().join("somebody"));
        std::os::unix::fs::symlink(&elsewhere, root.path().join("maestro-dev-link")).unwrap();

        remove_leftovers(root.path());
        assert!(!left.exists());
        assert!(in_use.folder.path().join(OWNER).exists());
        assert!(elsewhere.exists(), "a link is not followed");
        assert!(named.exists());
        assert!(others.iter().all(|name| root.path().join(name).exists()));

        let path = in_use.folder.path().to_owned();
        drop(in_use);
        assert!(!path.exists(), "it is removed at its own end");
    }
}
