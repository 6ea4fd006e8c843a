//! A data folder: where an installation that has no server keeps its database and its key. One process uses it at a time.

pub(crate) mod holder;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result};

/// The database's file in a data folder.
pub const DATABASE: &str = "maestro.db";

/// Makes the folder and reads the installation's key, from which rooms' tokens are made; makes one at first.
pub fn prepare(folder: &Path) -> Result<[u8; 32]> {
    let shown = folder.display();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("can't make the data folder {shown}"))?;
    let path = folder.join("key");
    match fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            anyhow::anyhow!(
                "{} is damaged: expected 32 bytes; remove it, and rooms get new tokens",
                path.display()
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key: [u8; 32] = rand::random();
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .with_context(|| format!("can't write to the data folder {shown}"))?;
            file.write_all(&key)
                .with_context(|| format!("can't write {}", path.display()))?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}
