//! Compiled code on disk, so that a policy is compiled once and not at every start.
//!
//! An entry's name is the component's sha256, its class and a fingerprint of the engine and of the check. Its first 32
//! bytes are a checksum over these and the code behind it, so that neither a flipped byte nor an entry under another's
//! name is ever loaded: the engine itself takes machine code as it comes. Anything odd about an entry means that it is
//! compiled again. Only what passed the check is compiled, so that whatever has an entry needs no check any more.
//! Several processes may share a folder; entries appear whole, by renaming.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use maestro_core::names::Digest;
use sha2::{Digest as _, Sha256};

use crate::class::Class;
use crate::code::Code;

/// The rules that a component passed before it was compiled, as they stand: another check, and no entry is found.
const RULES: [&str; 2] = [include_str!("check.rs"), include_str!("class.rs")];

/// What all entries together may take: some three thousand policies, or thirteen with a script engine inside.
pub(crate) const CACHE_BYTES: u64 = 512 << 20;

/// The length of an entry's checksum.
const CHECKSUM: usize = 32;

/// How entries end.
const SUFFIX: &str = "cwasm";

/// How files end that are not entries yet.
const UNFINISHED: &str = "unfinished";

/// Whose code it is: a component, which was checked as one of this class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) component: Digest,
    pub(crate) class: Class,
}

/// A folder of compiled code that nobody else can write to.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    fingerprint: [u8; 32],
    limit: u64,
    /// Makes names of unfinished files differ within this process.
    count: AtomicU64,
}

impl Cache {
    /// Opens `folder`, creates it if need be, and makes sure that it is ours alone.
    pub(crate) fn open(folder: PathBuf, fingerprint: [u8; 32], limit: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let metadata = fs::metadata(&folder)?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the folder belongs to another user, who could put code there",
            ));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        }
        let mut sha256 = Sha256::new_with_prefix(fingerprint);
        RULES.iter().for_each(|rules| sha256.update(rules));
        Ok(Self {
            folder,
            fingerprint: sha256.finalize().into(),
            limit,
            count: AtomicU64::new(0),
        })
    }

    /// The code of `key`, if there is an entry and it is exactly as it was written.
    pub(crate) fn get(&self, key: Key) -> Option<Code> {
        let path = self.path(key);
        let entry = match read(&path) {
            Ok(entry) => entry,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "failed to read compiled code: compiling it again");
                return None;
            }
        };
        match entry.split_first_chunk::<CHECKSUM>() {
            Some((checksum, code)) if *checksum == self.checksum(key, code) => {
                Some(Code::from_verified_cache(entry, CHECKSUM))
            }
            Some(_) | None => {
                tracing::warn!(path = %path.display(), "compiled code was changed on disk: compiling it again");
                None
            }
        }
    }

    /// Writes an entry. Its failure costs a compilation later and nothing else.
    pub(crate) fn put(&self, key: Key, code: &Code) {
        if code.bytes().len() as u64 > self.limit {
            return;
        }
        if let Err(error) = self.try_put(key, code).and_then(|()| self.shrink()) {
            tracing::warn!(folder = %self.folder.display(), %error, "failed to keep compiled code");
        }
    }

    /// Drops the entry of `key`, which is as it was written and could not be loaded all the same.
    pub(crate) fn drop_entry(&self, key: Key) {
        let path = self.path(key);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "failed to remove compiled code");
        }
    }

    fn try_put(&self, key: Key, code: &Code) -> io::Result<()> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}.{UNFINISHED}", std::process::id());
        let unfinished = self.folder.join(name);
        // What a process of the same number left behind when it died would be in the way.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        let written = file
            .write_all(&self.checksum(key, code.bytes()))
            .and_then(|()| file.write_all(code.bytes()))
            .and_then(|()| fs::rename(&unfinished, self.path(key)));
        if written.is_err() {
            // The first error is the one to tell; what is left is dropped when the folder is shrunk.
            drop(fs::remove_file(&unfinished));
        }
        written
    }

    /// Drops what was not used for longest until the rest is within the limit.
    fn shrink(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            let ours = path
                .extension()
                .is_some_and(|end| end == SUFFIX || end == UNFINISHED);
            // Another process may have dropped it meanwhile.
            if let (true, Ok(metadata)) = (ours, entry.metadata()) {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                entries.push((used, metadata.len(), path));
            }
        }
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in entries {
            if total <= self.limit {
                break;
            }
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => total -= bytes,
            }
        }
        Ok(())
    }

    fn path(&self, key: Key) -> PathBuf {
        let fingerprint = hex::encode(&self.fingerprint[..8]);
        let (component, class) = (key.component, key.class.as_str());
        self.folder
            .join(format!("{component}-{class}-{fingerprint}.{SUFFIX}"))
    }

    fn checksum(&self, key: Key, code: &[u8]) -> [u8; CHECKSUM] {
        let mut sha256 = Sha256::new();
        sha256.update(key.component.0);
        sha256.update(key.class.as_str());
        sha256.update(self.fingerprint);
        sha256.update(code);
        sha256.finalize().into()
    }
}

/// Reads an entry, and remembers by its time of change that it was used.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    // One byte more, in which the end is found without growing.
    let mut entry = Vec::with_capacity(length.saturating_add(1));
    file.read_to_end(&mut entry)?;
    if let Err(error) = file.set_modified(SystemTime::now()) {
        tracing::debug!(path = %path.display(), %error, "failed to note the use of compiled code");
    }
    Ok(entry)
}

#[cfg(test)]
mod tests;
