//! The scheduler documents that `maestro dev` was given: reads them, applies them, and tries again what has to wait.
//!
//! A well-formed document can be refused all the same: its policy can be deployed only once the API is up, or its
//! scheduler is left from an earlier run and being deleted. Such a one waits here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use maestro_core::names::SchedulerName;
use maestro_wire::document;

use crate::api::{Api, apply};
use crate::store;
use crate::store::schedulers::{ManagedBy, State};

/// The quick scheduler that runs without a file.
pub(super) const HELLO: &str = include_str!("hello.yaml");

/// What the quick scheduler's document is called where a file's name would stand.
const HELLO_NAME: &str = "the quick scheduler";

/// All documents of one run.
pub(super) struct Sources {
    all: Vec<Source>,
}

/// A scheduler document and where it comes from.
struct Source {
    /// As the user calls it.
    name: String,
    /// `None` for the quick scheduler.
    path: Option<PathBuf>,
    manager: ManagedBy,
    text: String,
    /// Why it was not applied, while it waits to be tried again.
    refused: Option<Refusal>,
}

/// Why a document was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    /// These schedulers of it are being deleted.
    Deleting(Vec<SchedulerName>),
    /// It has problems of its own; trying again makes no difference.
    Malformed(String),
    /// It can't be applied as things are.
    Refused(String),
}

impl Sources {
    /// Reads these files; without one, the quick scheduler.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self> {
        let all = match files {
            [] => vec![Source::hello()],
            files => files
                .iter()
                .map(|file| Source::read(file))
                .collect::<Result<_>>()?,
        };
        Ok(Self { all })
    }

    /// Reads every document before anything is started, so that a typing error costs no waiting.
    pub(super) fn check(&self) -> Result<Vec<SchedulerName>> {
        let mut names = Vec::new();
        let mut problems = Vec::new();
        for source in &self.all {
            match source.schedulers() {
                Ok(found) => names.extend(found),
                Err(found) => problems.push(found),
            }
        }
        names.sort();
        names.dedup();
        match problems.is_empty() {
            true => Ok(names),
            false => bail!(
                "nothing was started: put right what follows, and start again\n{}",
                problems.join("\n")
            ),
        }
    }

    /// The files and their texts.
    pub(super) fn texts(&self) -> BTreeMap<PathBuf, String> {
        let text = |source: &Source| Some((source.path.clone()?, source.text.clone()));
        self.all.iter().filter_map(text).collect()
    }

    /// Takes schedulers of earlier runs over from files that this one was not given: into the file that holds them now,
    /// else into the care of the API, where everybody can change and delete them.
    pub(super) async fn claim(&self, api: &Api) -> Result<(), store::Error> {
        for stored in api.store.schedulers().await? {
            let ManagedBy::File(before) = &stored.managed_by else {
                continue;
            };
            let is_there = |source: &&Source| source.manager == stored.managed_by;
            if self
                .all
                .iter()
                .any(|source| is_there(&source) && source.holds(&stored.name))
            {
                continue;
            }
            let holder = self.all.iter().find(|source| source.holds(&stored.name));
            let to = holder.map_or(&ManagedBy::Api, |source| &source.manager);
            api.store
                .hand_over_scheduler(&stored.name, (&stored.managed_by, to))
                .await?;
            let name = &stored.name;
            match holder {
                Some(source) => tracing::info!(
                    scheduler.name = %name,
                    "{name} was managed by {before}, and is managed by {} from now on",
                    source.name
                ),
                None => tracing::warn!(
                    scheduler.name = %name,
                    "{name} is still there and no longer managed by {before}; to change or delete it: maestro-cli update, maestro-cli delete {name}"
                ),
            }
        }
        Ok(())
    }

    /// Applies what can be applied.
    pub(super) async fn apply(&mut self, api: &Api) {
        for source in &mut self.all {
            source.apply(api).await;
        }
    }

    /// Applies a file that was saved with this text.
    pub(super) async fn save(&mut self, api: &Api, path: &Path, text: &str) {
        let saved = |source: &&mut Source| source.path.as_deref() == Some(path);
        for source in self.all.iter_mut().filter(saved) {
            source.text = text.to_owned();
            // What is wrong with it is told anew, though it be the same.
            source.refused = None;
            source.apply(api).await;
        }
        let is_well_formed = self.all.iter().all(|source| source.schedulers().is_ok());
        // What a file no longer holds must not be out of everybody's reach.
        if is_well_formed && let Err(error) = self.claim(api).await {
            tracing::warn!("{error}");
        }
    }

    /// Whether anything can be tried again.
    pub(super) fn has_waiting(&self) -> bool {
        self.all.iter().any(Source::waits)
    }

    /// Tries again what waits.
    pub(super) async fn again(&mut self, api: &Api) {
        for source in self.all.iter_mut().filter(|source| source.waits()) {
            source.apply(api).await;
        }
    }
}

impl Source {
    fn hello() -> Self {
        Self {
            name: HELLO_NAME.to_owned(),
            path: None,
            manager: ManagedBy::File(HELLO_NAME.to_owned()),
            text: HELLO.to_owned(),
            refused: None,
        }
    }

    fn read(file: &Path) -> Result<Self> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).with_context(|| {
            format!("can't read {name}; `maestro dev init {name}` writes one to begin with")
        })?;
        // The same file by whatever path is the same manager. A pipe has no path, only the name it was given.
        let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        Ok(Self {
            name,
            path: Some(file.to_owned()),
            manager: ManagedBy::File(real.display().to_string()),
            text,
            refused: None,
        })
    }

    fn holds(&self, scheduler: &SchedulerName) -> bool {
        self.schedulers().is_ok_and(|names| names.contains(scheduler))
    }

    fn waits(&self) -> bool {
        match &self.refused {
            Some(Refusal::Deleting(_) | Refusal::Refused(_)) => true,
            Some(Refusal::Malformed(_)) | None => false,
        }
    }

    /// The schedulers in its text; or its problems, for people.
    fn schedulers(&self) -> Result<Vec<SchedulerName>, String> {
        let documents = document::read(&self.text);
        let documents = documents.map_err(|found| found.show(&self.name, &self.text))?;
        match documents.is_empty() {
            true => Err(format!("{}: it holds no scheduler", self.name)),
            false => Ok(documents
                .into_iter()
                .map(|document| document.scheduler.name)
                .collect()),
        }
    }

    /// Applies it, and tells what is new about how that went.
    async fn apply(&mut self, api: &Api) {
        let refused = self.try_apply(api).await.err();
        if refused != self.refused
            && let Some(refusal) = &refused
        {
            refusal.tell(&self.name);
        }
        self.refused = refused;
    }

    async fn try_apply(&self, api: &Api) -> Result<(), Refusal> {
        let mut deleting = Vec::new();
        for name in self.schedulers().map_err(Refusal::Malformed)? {
            // A store that does not answer says so below.
            let stored = api.store.scheduler(&name).await.ok().flatten();
            if stored.is_some_and(|stored| matches!(stored.state, State::Deleting { .. })) {
                deleting.push(name);
            }
        }
        if !deleting.is_empty() {
            return Err(Refusal::Deleting(deleting));
        }
        let applied = apply::apply(api, &self.text, &self.manager).await;
        let applied = applied.map_err(|problem| Refusal::Refused(problem.show(&self.name, &self.text)))?;
        for one in applied {
            tracing::info!(scheduler.name = %one.name, "{}: {}", one.name, one.message);
            for warning in &one.warnings {
                tracing::warn!("{}", warning.show(&self.name, &self.text));
            }
        }
        Ok(())
    }
}

impl Refusal {
    fn tell(&self, file: &str) {
        match self {
            Self::Deleting(schedulers) => {
                for name in schedulers {
                    tracing::warn!(
                        scheduler.name = %name,
                        "{name} of an earlier run is being deleted; once its last room has left, it is created again from {file} (to end rooms in a match too: maestro-cli delete {name} --force)"
                    );
                }
            }
            Self::Malformed(problems) => {
                tracing::error!(
                    "{problems}\n{file} was not applied and the rooms go on as they were; put it right and save it again"
                );
            }
            Self::Refused(problems) => {
                tracing::error!(
                    "{problems}\n{file} was not applied; it is tried again each second, and when you save it"
                );
            }
        }
    }
}
