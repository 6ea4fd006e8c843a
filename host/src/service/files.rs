//! Scheduler files of a service, or folders of them: what they hold is created and updated, and removed where that is wanted.
//!
//! Files are read again every few seconds, since a folder may be a mounted ConfigMap, or lie on another machine. A text is applied
//! when it is new to this process: while a roll-out shows two workers two texts, neither goes back and forth. A scheduler
//! is removed only once its file was read without it, or is gone from a folder that can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use maestro_core::names::SchedulerName;
use maestro_wire::document;
use tokio::time::{MissedTickBehavior, interval};

use crate::api::{Api, apply};
use crate::app::App;
use crate::config::settings::Settings;
use crate::store::schedulers::{ManagedBy, State, Stored};
use crate::supervisor::chain;
use crate::tasks::{Kind, blocking};

/// Time between two looks at the files.
const EVERY: Duration = Duration::from_secs(5);

/// Endings of files in a folder that are documents.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Keeps schedulers as the files say, until the installation is shut down. Fails when a path is not there at the start.
pub(super) fn reconcile(app: &App, settings: &Settings) -> Result<()> {
    if settings.files.is_empty() {
        return Ok(());
    }
    let absolute = |path: &PathBuf| {
        let found = fs::metadata(path).and_then(|_| std::path::absolute(path));
        found.with_context(|| format!("can't read {}", path.display()))
    };
    let mut reconciler = Reconciler {
        api: app.api.clone(),
        roots: settings.files.iter().map(absolute).collect::<Result<_>>()?,
        prune: settings.prune,
        applied: BTreeMap::new(),
        told: BTreeMap::new(),
    };
    let stop = app.acting.stop_token();
    app.acting.spawn(Kind::Files, async move {
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok::<(), Infallible>(()),
                _ = looks.tick() => reconciler.look().await,
            }
        }
    });
    Ok(())
}

struct Reconciler {
    api: Api,
    roots: Vec<PathBuf>,
    prune: bool,
    /// The text of each file that was applied last.
    applied: BTreeMap<PathBuf, String>,
    /// What was told of each file or scheduler last: the same is told once.
    told: BTreeMap<String, String>,
}

/// What a look at the files found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    texts: BTreeMap<PathBuf, String>,
    /// What can't be read, and why.
    unreadable: BTreeMap<PathBuf, String>,
}

impl Reconciler {
    async fn look(&mut self) {
        let roots = self.roots.clone();
        let found = blocking(move || find(&roots)).await;
        for (path, reason) in &found.unreadable {
            self.tell(&path.display().to_string(), reason.clone());
        }
        for (path, text) in &found.texts {
            if self.applied.get(path) != Some(text) {
                self.apply(path, text).await;
            }
        }
        self.remove(&found).await;
    }

    async fn apply(&mut self, path: &Path, text: &str) {
        let manager = manager(path);
        let shown = path.display().to_string();
        match apply::apply(&self.api, text, &manager).await {
            Ok(all) => {
                self.told.remove(&shown);
                self.applied.insert(path.to_owned(), text.to_owned());
                for applied in all {
                    if applied.operation.is_some() {
                        tracing::info!(scheduler.name = %applied.name, "{}: {} ({shown})", applied.name, applied.message);
                    }
                    for warning in applied.warnings {
                        tracing::warn!(scheduler.name = %applied.name, "{shown}:{warning}");
                    }
                }
            }
            Err(problem) => self.tell(&shown, problem.show(&shown, text)),
        }
    }

    /// Removes schedulers that no file holds any more, or says that they are there.
    async fn remove(&mut self, found: &Found) {
        let Ok(schedulers) = self.api.store.schedulers().await else {
            // Whoever reads it anyway tells of it.
            return;
        };
        let orphans = schedulers.iter().filter(|stored| self.is_orphan(stored, found));
        for stored in orphans.cloned().collect::<Vec<_>>() {
            let name = &stored.name;
            if !self.prune {
                self.tell(
                    name.as_str(),
                    format!("{name} is in no file any more and goes on; --prune would remove it"),
                );
                continue;
            }
            let now = (self.api.wall)();
            match self
                .api
                .store
                .delete_scheduler(name, &stored.managed_by, false, now)
                .await
            {
                Ok(_) => {
                    tracing::info!(scheduler.name = %name, "{name} is in no file any more; it is being deleted");
                    self.api.changed.notify_one();
                }
                Err(error) => self.tell(name.as_str(), chain(&error)),
            }
        }
    }

    /// Whether a scheduler came from one of our files and is no longer in it. What can't be read says nothing.
    fn is_orphan(&self, stored: &Stored, found: &Found) -> bool {
        let ManagedBy::File(path) = &stored.managed_by else {
            return false;
        };
        let path = Path::new(path);
        let is_ours = self.roots.iter().any(|root| path.starts_with(root));
        let is_hidden = found
            .unreadable
            .keys()
            .any(|unreadable| path.starts_with(unreadable));
        if !is_ours || is_hidden || stored.state != State::Live {
            return false;
        }
        match found.texts.get(path) {
            None => true,
            Some(text) => names(text).is_some_and(|names| !names.contains(&stored.name)),
        }
    }

    fn tell(&mut self, about: &str, what: String) {
        if self.told.get(about) != Some(&what) {
            tracing::warn!("{what}");
            self.told.insert(about.to_owned(), what);
        }
    }
}

fn manager(path: &Path) -> ManagedBy {
    ManagedBy::File(path.display().to_string())
}

fn names(text: &str) -> Option<BTreeSet<SchedulerName>> {
    let documents = document::read(text).ok()?;
    Some(
        documents
            .into_iter()
            .map(|document| document.scheduler.name)
            .collect(),
    )
}

/// Reads the files, and the documents of the folders: those that a name does not hide, not what lies deeper.
fn find(roots: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for root in roots {
        let files = match files(root) {
            Ok(files) => files,
            Err(error) => {
                let reason = format!("can't read {}: {error}", root.display());
                found.unreadable.insert(root.clone(), reason);
                continue;
            }
        };
        for file in files {
            match fs::read_to_string(&file) {
                Ok(text) => {
                    found.texts.insert(file, text);
                }
                Err(error) => {
                    let reason = format!("can't read {}: {error}", file.display());
                    found.unreadable.insert(file, reason);
                }
            }
        }
    }
    found
}

fn files(root: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(root)?.is_dir() {
        return Ok(vec![root.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let ending = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        if !name.starts_with('.') && ENDINGS.contains(&ending.as_str()) && path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_documents_and_what_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.yaml", "b.YML", "c.json", ".hidden.yaml", "notes.txt"] {
            fs::write(at(name), name).unwrap();
        }
        fs::create_dir(at("deeper.yaml")).unwrap();
        let missing = at("missing.yaml");
        let found = find(&[folder.path().to_owned(), missing.clone()]);
        let names: Vec<_> = found.texts.values().map(String::as_str).collect();
        assert_eq!(names, ["a.yaml", "b.YML", "c.json"]);
        assert!(
            found.unreadable.contains_key(&missing),
            "one that is gone is not an empty one"
        );
    }
}
