//! Scheduler files of a service, or folders of them: what they hold is created and updated, and removed where that is wanted.
//!
//! Files are read again every few seconds, since a folder may be a mounted ConfigMap, or lie on another machine. A text is applied
//! when it is new to this process, or when a scheduler of it is missing: while a roll-out shows two workers two texts,
//! neither goes back and forth. A scheduler is removed only once all files could be read for minutes and none held it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

/// How long no file has to hold a scheduler before it is removed: longer than a change of a ConfigMap takes to reach
/// the last worker that has it mounted, so that none removes what another one has just read.
const ABSENT: Duration = Duration::from_secs(240);

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
        absent: BTreeMap::new(),
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
    /// Since when no file holds a scheduler that came from one.
    absent: BTreeMap<SchedulerName, Instant>,
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

impl Found {
    /// Whether this file can be read and holds the scheduler.
    fn holds(&self, path: &Path, name: &SchedulerName) -> bool {
        let text = self.texts.get(path);
        text.and_then(|text| names(text))
            .is_some_and(|names| names.contains(name))
    }

    /// Whether this file, or its folder, can't be read.
    fn is_hidden(&self, path: &Path) -> bool {
        self.unreadable
            .keys()
            .any(|unreadable| path.starts_with(unreadable))
    }

    /// Whether all documents can be read, and none is this scheduler's.
    fn lacks(&self, name: &SchedulerName) -> bool {
        let mut texts = self.texts.values();
        texts.all(|text| names(text).is_some_and(|names| !names.contains(name)))
    }
}

impl Reconciler {
    async fn look(&mut self) {
        let roots = self.roots.clone();
        let found = blocking(move || find(&roots)).await;
        for (path, reason) in &found.unreadable {
            self.tell(&path.display().to_string(), reason.clone());
        }
        let Ok(stored) = self.api.store.schedulers().await else {
            // Whoever reads it anyway tells of it.
            return;
        };
        let there: BTreeSet<&SchedulerName> = stored.iter().map(|stored| &stored.name).collect();
        for (path, text) in &found.texts {
            let is_missing = names(text).is_some_and(|names| names.iter().any(|name| !there.contains(name)));
            if is_missing || self.applied.get(path) != Some(text) {
                self.take_over(path, text, &stored, &found).await;
                self.apply(path, text).await;
            }
        }
        self.remove(&stored, &found, Instant::now()).await;
    }

    /// Takes what moved from one of our files to another along: nobody else changes it.
    async fn take_over(&mut self, path: &Path, text: &str, stored: &[Stored], found: &Found) {
        let names = names(text).unwrap_or_default();
        for stored in stored.iter().filter(|stored| names.contains(&stored.name)) {
            let ManagedBy::File(before) = &stored.managed_by else {
                continue;
            };
            let (before, to) = (Path::new(before), manager(path));
            let is_left = self.is_ours(before) && !found.holds(before, &stored.name);
            if before == path || !is_left || found.is_hidden(before) {
                continue;
            }
            let handed = self
                .api
                .store
                .hand_over_scheduler(&stored.name, (&stored.managed_by, &to));
            match handed.await {
                Ok(()) => {
                    tracing::info!(scheduler.name = %stored.name, "{} moved to {}", stored.name, path.display())
                }
                Err(error) => self.tell(stored.name.as_str(), chain(&error)),
            }
        }
    }

    fn is_ours(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(root))
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

    /// Removes schedulers that no file has held for a while, or says that they are there.
    async fn remove(&mut self, stored: &[Stored], found: &Found, now: Instant) {
        let orphans: Vec<&Stored> = stored
            .iter()
            .filter(|stored| self.is_orphan(stored, found))
            .collect();
        self.absent
            .retain(|name, _| orphans.iter().any(|stored| stored.name == *name));
        for stored in orphans {
            let name = &stored.name;
            let since = *self.absent.entry(name.clone()).or_insert(now);
            if !self.prune {
                self.tell(
                    name.as_str(),
                    format!("{name} is in no file any more and goes on; --prune would remove it"),
                );
                continue;
            }
            if now.duration_since(since) < ABSENT {
                let told = format!(
                    "{name} is in no file any more; it is removed if it stays so for {} s",
                    ABSENT.as_secs()
                );
                self.tell(name.as_str(), told);
                continue;
            }
            let at = (self.api.wall)();
            match self
                .api
                .store
                .delete_scheduler(name, &stored.managed_by, false, at)
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

    /// Whether a scheduler came from one of our files and is in none any more. What can't be read says nothing.
    fn is_orphan(&self, stored: &Stored, found: &Found) -> bool {
        let ManagedBy::File(path) = &stored.managed_by else {
            return false;
        };
        let is_whole = found.unreadable.is_empty() && !found.texts.is_empty();
        let is_live = stored.state == State::Live;
        is_whole && is_live && self.is_ours(Path::new(path)) && found.lacks(&stored.name)
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
        let files = match files(root, &mut found) {
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

fn files(root: &Path, found: &mut Found) -> io::Result<Vec<PathBuf>> {
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
        if name.starts_with('.') || !ENDINGS.contains(&ending.as_str()) {
            continue;
        }
        match fs::metadata(&path) {
            Ok(what) if what.is_file() => files.push(path),
            Ok(_) => {}
            Err(error) => {
                let reason = format!("can't read {}: {error}", path.display());
                found.unreadable.insert(path, reason);
            }
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
