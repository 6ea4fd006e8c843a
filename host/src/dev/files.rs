//! Tells when a scheduler file was saved.
//!
//! Editors save by writing in place, by renaming a new file over the old one, or by both, so the folder is watched and
//! a change counts once the text differs from the last one seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Quiet time after the last event before a file is read: editors make several events of one save.
const QUIET: Duration = Duration::from_millis(150);

/// Events that may wait. More are dropped, because a look at all files follows anyway.
const EVENTS: usize = 16;

/// Watches files.
pub(super) struct Files {
    texts: BTreeMap<PathBuf, String>,
    events: mpsc::Receiver<()>,
    // Dropping it ends the watch.
    _watcher: RecommendedWatcher,
}

/// Why files can't be watched.
#[derive(Debug, thiserror::Error)]
#[error("can't watch {} for changes", .path.display())]
pub(super) struct Error {
    path: PathBuf,
    #[source]
    cause: notify::Error,
}

impl Files {
    /// Watches these files, whose texts are known already.
    pub(super) fn watch(texts: BTreeMap<PathBuf, String>) -> Result<Self, Error> {
        let (tx, events) = mpsc::channel(EVENTS);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| Error { path, cause }
        };
        let on_event = move |event: notify::Result<notify::Event>| {
            let is_read = matches!(&event, Ok(event) if event.kind.is_access());
            if !is_read && tx.try_send(()).is_err() {
                // Full: a look is due already. Closed: nobody watches any more.
            }
        };
        let mut watcher = notify::recommended_watcher(on_event).map_err(failed(Path::new("files")))?;
        let mut folders: Vec<PathBuf> = texts.keys().map(|file| folder(file)).collect();
        folders.sort();
        folders.dedup();
        for folder in folders {
            watcher
                .watch(&folder, RecursiveMode::NonRecursive)
                .map_err(failed(&folder))?;
        }
        Ok(Self {
            texts,
            events,
            _watcher: watcher,
        })
    }

    /// Waits for a save and gives the files whose texts changed. A file that is away for a moment is not a change.
    /// Safe to drop at any await: what was not handed out is found again.
    pub(super) async fn changed(&mut self) -> Vec<(PathBuf, String)> {
        loop {
            if self.events.recv().await.is_none() {
                return std::future::pending().await;
            }
            while let Ok(Some(())) = tokio::time::timeout(QUIET, self.events.recv()).await {}
            let changed = self.look();
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    fn look(&mut self) -> Vec<(PathBuf, String)> {
        let mut changed = Vec::new();
        for (path, known) in &mut self.texts {
            if let Ok(text) = std::fs::read_to_string(path)
                && text != *known
            {
                known.clone_from(&text);
                changed.push((path.clone(), text));
            }
        }
        changed
    }
}

fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_save_in_place_and_a_save_by_renaming_are_both_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        std::fs::write(&file, "one").unwrap();
        let mut files = Files::watch([(file.clone(), "one".to_owned())].into()).unwrap();
        let mut next = async || {
            let changed = tokio::time::timeout(Duration::from_secs(20), files.changed());
            changed.await.unwrap()
        };

        std::fs::write(&file, "two").unwrap();
        assert_eq!(next().await, [(file.clone(), "two".to_owned())]);

        let beside = folder.path().join(".a.yaml.swp");
        std::fs::write(&beside, "three").unwrap();
        std::fs::rename(&beside, &file).unwrap();
        assert_eq!(next().await, [(file.clone(), "three".to_owned())]);
    }
}
