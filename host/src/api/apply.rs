//! Stores scheduler documents: through the API, and from files that `maestro dev` was given.

use std::collections::BTreeMap;

use maestro_core::names::{Digest, SchedulerName, Version};
use maestro_core::ports;
use maestro_wire::document::{self, Document, Warning};

use super::Api;
use super::problem::{Kind, Problem};
use crate::control::is_usage;
use crate::known::Entry;
use crate::store;
use crate::store::schedulers::{Change, Draft, ManagedBy};

/// Measurements that a trigger must be able to look back on. A value holds until the next one, and the newest, which is as
/// old as the cluster lets it be, says nothing of the past yet.
const LOOKS_LEAST: u64 = 3;

/// What became of one document.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// Its scheduler.
    pub name: SchedulerName,
    /// The scheduler's version now.
    pub version: Version,
    /// The operation that makes it true; `None` when nothing changed.
    pub operation: Option<u64>,
    /// For people.
    pub message: String,
    /// What its author should know of.
    pub warnings: Vec<Warning>,
}

/// A document that can be stored.
pub(super) struct Ready {
    document: Document,
    digests: BTreeMap<String, Digest>,
    deployed: Vec<Digest>,
}

/// Reads a text and looks up its policies; nothing is stored. All problems of all documents come back at once.
pub(super) async fn check(api: &Api, text: &str) -> Result<Vec<Ready>, Problem> {
    let documents = document::read(text).map_err(|found| Problem::document(&found))?;
    if documents.is_empty() {
        return Err(Problem::new(
            Kind::Document,
            "no document",
            "the body is empty; expected a scheduler document",
        ));
    }
    let mut ready = Vec::new();
    let mut problems = Vec::new();
    for mut document in documents {
        let shortage = shortage(api, &document);
        document.warnings.extend(shortage);
        match api.catalog.check(&document).await {
            Ok(digests) => {
                let hasty = hasty(api, &document, &digests).await;
                document.warnings.extend(hasty);
                ready.push(Ready {
                    deployed: deployed(api, &document, &digests),
                    document,
                    digests,
                });
            }
            Err(found) => problems.extend(found),
        }
    }
    match problems.is_empty() {
        true => Ok(ready),
        false => Err(Problem::listed(problems)),
    }
}

/// Whether rooms may come to lack ports of nodes, where those of the cluster are known.
fn shortage(api: &Api, document: &Document) -> Option<Warning> {
    let range = api.node_ports?;
    let known: Vec<_> = api
        .known
        .names()
        .iter()
        .filter_map(|name| api.known.get(name))
        .collect();
    let others = known.iter().map(|entry| &entry.scheduler);
    let shortage = ports::shortage(&document.scheduler, others, range)?;
    Some(document.problem("autoscaling.max", shortage.to_string()))
}

/// Triggers that look back for too short a time to see what is measured change.
async fn hasty(api: &Api, document: &Document, digests: &BTreeMap<String, Digest>) -> Vec<Warning> {
    let least = api.measure_every.times(LOOKS_LEAST);
    let mut hasty = Vec::new();
    for trigger in &document.scheduler.autoscaling.triggers {
        let digest = digests.get(&trigger.id).copied();
        let Ok(policy) = api.catalog.load(&trigger.policy, digest).await else {
            continue;
        };
        let is_measured = policy.manifest().inputs.iter().any(|input| is_usage(input));
        if is_measured && trigger.window < least {
            let path = document
                .reference(&trigger.id)
                .map_or("", |reference| &reference.path);
            let message = format!(
                "what rooms use is measured every {}, so that this may never fire when it looks back for {}; give it {least} or \
                 more",
                api.measure_every, trigger.window
            );
            hasty.push(document.problem(path, message));
        }
    }
    hasty
}

/// The digests of policies that don't ship with Maestro, and so could be removed before the document is stored.
fn deployed(api: &Api, document: &Document, digests: &BTreeMap<String, Digest>) -> Vec<Digest> {
    let triggers = document.scheduler.autoscaling.triggers.iter();
    triggers
        .filter(|trigger| !api.catalog.is_built_in(&trigger.policy.name))
        .filter_map(|trigger| digests.get(&trigger.id).copied())
        .collect()
}

/// Stores each scheduler that is new and each that changed.
pub async fn apply(api: &Api, text: &str, managed_by: &ManagedBy) -> Result<Vec<Applied>, Problem> {
    let mut applied = Vec::new();
    for ready in check(api, text).await? {
        let name = &ready.document.scheduler.name;
        applied.push(match api.store.scheduler(name).await? {
            Some(_) => update(api, &ready, managed_by).await?,
            None => create(api, &ready, managed_by).await?,
        });
    }
    Ok(applied)
}

impl Ready {
    pub(super) fn name(&self) -> &SchedulerName {
        &self.document.scheduler.name
    }

    fn draft<'a>(&'a self, managed_by: &ManagedBy) -> Draft<'a> {
        Draft {
            scheduler: &self.document.scheduler,
            document: &self.document.text,
            digests: &self.digests,
            deployed: &self.deployed,
            managed_by: managed_by.clone(),
        }
    }
}

/// Stores a new scheduler.
pub(super) async fn create(api: &Api, ready: &Ready, managed_by: &ManagedBy) -> Result<Applied, Problem> {
    let operation = api
        .store
        .create_scheduler(&ready.draft(managed_by), (api.wall)())
        .await?;
    tell(api, ready.name()).await?;
    let least = ready.document.scheduler.autoscaling.min;
    let rooms = match least.min(api.cap) {
        1 => "1 room comes up".to_owned(),
        rooms if rooms < least => format!(
            "{rooms} rooms come up, though its minimum is {least}: this installation allows a scheduler no more"
        ),
        rooms => format!("{rooms} rooms come up"),
    };
    Ok(Applied {
        name: ready.name().clone(),
        version: Version::FIRST,
        operation: Some(operation.id),
        message: format!("created as {}; at least {rooms}", Version::FIRST),
        warnings: ready.document.warnings.clone(),
    })
}

/// Stores a scheduler's new version, if it says anything new.
pub(super) async fn update(api: &Api, ready: &Ready, managed_by: &ManagedBy) -> Result<Applied, Problem> {
    let stored = api.store.scheduler(ready.name()).await?;
    let stored = stored.ok_or_else(|| store::Error::UnknownScheduler(ready.name().clone()))?;
    let active = stored.active.version;
    let before = Entry::read(stored)?.scheduler;
    let change = api
        .store
        .update_scheduler((&before, active), &ready.draft(managed_by), (api.wall)())
        .await?;
    let (version, operation, message) = match change {
        Change::Unchanged(version) => (version, None, format!("nothing changed, it stays {version}")),
        Change::Stored { version, operation } => {
            let what = match version.minor {
                0 => "rooms are replaced, idle ones first, occupied ones when their match ends",
                _ => "no room is touched",
            };
            (
                version,
                Some(operation.id),
                format!("stored as {version}; {what}"),
            )
        }
    };
    tell(api, ready.name()).await?;
    let warnings = ready.document.warnings.clone();
    Ok(Applied {
        name: ready.name().clone(),
        version,
        operation,
        message,
        warnings,
    })
}

/// Makes the change known here, and wakes whoever keeps the loops.
pub(super) async fn tell(api: &Api, name: &SchedulerName) -> Result<(), Problem> {
    if let Some(stored) = api.store.scheduler(name).await? {
        api.known.put(Entry::read(stored)?);
    }
    api.changed.notify_one();
    Ok(())
}
