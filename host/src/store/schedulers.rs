//! Schedulers and their versions: what there shall be.
//!
//! A scheduler, its version and the operation that tells of the change are written in one transaction, so that
//! nobody ever sees one without the others. The document is kept as it was given; whoever needs the specification
//! reads the document again. The number of the next version is decided here, from the two specifications.

use std::collections::BTreeMap;
use std::fmt;

use maestro_core::names::{Digest, SchedulerName, Version};
use maestro_core::scheduler::Scheduler;
use maestro_core::time::Timestamp;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder,
};
use serde_json::json;

use super::entity::scheduler;
use super::operations::{self, Input, Operation};
use super::versions::{self, Release};
use super::{Error, Store, Subject, column, events, failed, unreadable};

/// A version to be stored.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// The specification.
    pub scheduler: &'a Scheduler,
    /// The document that it was read from.
    pub document: &'a str,
    /// What each trigger's policy was resolved to, by the trigger's id.
    pub digests: &'a BTreeMap<String, Digest>,
    /// Those of them that were deployed, and must still be there when this is stored.
    pub deployed: &'a [Digest],
    /// Where it comes from.
    pub managed_by: ManagedBy,
}

/// A scheduler as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its name.
    pub name: SchedulerName,
    /// The game it belongs to.
    pub game: String,
    /// From where it may be changed.
    pub managed_by: ManagedBy,
    /// Whether it shall be.
    pub state: State,
    /// Its active version.
    pub active: Release,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed; of one that is being deleted, when that was asked for first.
    pub updated_at: Timestamp,
    /// Since when scaling down is paused by hand; `None` while it is not.
    pub scale_in_paused_at: Option<Timestamp>,
}

/// Whether a scheduler shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It shall.
    Live,
    /// It shall go; with `force`, rooms in a match too.
    Deleting {
        /// Whether rooms in a match are ended as well.
        force: bool,
    },
}

/// From where a scheduler may be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagedBy {
    /// Through the API.
    Api,
    /// By a change of this file, or of what a command line names.
    File(String),
}

/// What became of a new document for a scheduler.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It says what the active version says already; nothing was stored.
    Unchanged(Version),
    /// It was stored as this version, which is the active one now.
    Stored {
        /// The new version.
        version: Version,
        /// The operation that makes it true.
        operation: Operation,
    },
}

impl Store {
    /// Stores a new scheduler as `v1.0`.
    pub async fn create_scheduler(&self, draft: &Draft<'_>, now: Timestamp) -> Result<Operation, Error> {
        const WHAT: &str = "store a new scheduler";
        let name = &draft.scheduler.name;
        let transaction = self.begin(Subject::Definitions, WHAT).await?;
        match find(&transaction, name).await? {
            Some(row) if row.state != LIVE => return Err(Error::Deleting(name.clone())),
            Some(_) => return Err(Error::SchedulerExists(name.clone())),
            None => {}
        }
        let row = scheduler::ActiveModel {
            name: Set(name.to_string()),
            game: Set(draft.scheduler.game.clone()),
            managed_by: Set(draft.managed_by.to_string()),
            state: Set(LIVE.to_owned()),
            version_major: Set(column(Version::FIRST.major)),
            version_minor: Set(column(Version::FIRST.minor)),
            created_at: Set(now.ms()),
            updated_at: Set(now.ms()),
            scale_in_paused_at: Set(None),
        };
        let inserted = scheduler::Entity::insert(row).exec_without_returning(&transaction);
        inserted.await.map_err(failed(WHAT))?;
        versions::insert(&transaction, draft, Version::FIRST, now).await?;
        let input = Input::Create {
            version: Version::FIRST,
        };
        let operation = operations::insert(&transaction, name, &input, now).await?;
        let told = json!({ "version": Version::FIRST.to_string() });
        events::tell(&transaction, name, ("schedulerCreated", told), now).await?;
        transaction.commit().await.map_err(failed(WHAT))?;
        Ok(operation)
    }

    /// Stores a new version of a scheduler and makes it the active one. `before` is what the active version says
    /// and its number; on another one by now, [`Error::Moved`].
    pub async fn update_scheduler(
        &self,
        before: (&Scheduler, Version),
        draft: &Draft<'_>,
        now: Timestamp,
    ) -> Result<Change, Error> {
        const WHAT: &str = "store a new version of a scheduler";
        let name = &draft.scheduler.name;
        let transaction = self.begin(Subject::Definitions, WHAT).await?;
        let row = find_live(&transaction, name, Some(&draft.managed_by)).await?;
        let active = active_version(&row)?;
        if active != before.1 {
            return Err(Error::Moved {
                scheduler: name.clone(),
                version: active,
            });
        }
        let stored = versions::find(&transaction, name, active).await?;
        if before.0 == draft.scheduler && stored.digests == *draft.digests {
            return Ok(Change::Unchanged(active));
        }
        let is_major = draft.scheduler.is_major_change_from(before.0);
        let version = versions::next(&transaction, name, active, is_major).await?;
        versions::insert(&transaction, draft, version, now).await?;
        let mut row = row.into_active_model();
        row.game = Set(draft.scheduler.game.clone());
        row.version_major = Set(column(version.major));
        row.version_minor = Set(column(version.minor));
        row.updated_at = Set(now.ms());
        row.update(&transaction).await.map_err(failed(WHAT))?;
        versions::forget_oldest(&transaction, name).await?;
        let input = Input::Update {
            from: active,
            to: version,
        };
        let operation = operations::insert(&transaction, name, &input, now).await?;
        let told = json!({ "from": active.to_string(), "version": version.to_string() });
        events::tell(&transaction, name, ("schedulerUpdated", told), now).await?;
        transaction.commit().await.map_err(failed(WHAT))?;
        Ok(Change::Stored { version, operation })
    }

    /// Marks a scheduler as one that shall go. A second call finds the first one's operation; `force` can be added.
    pub async fn delete_scheduler(
        &self,
        name: &SchedulerName,
        managed_by: &ManagedBy,
        force: bool,
        now: Timestamp,
    ) -> Result<Operation, Error> {
        const WHAT: &str = "mark a scheduler for deletion";
        let transaction = self.begin(Subject::Definitions, WHAT).await?;
        let row = find(&transaction, name)
            .await?
            .ok_or_else(|| Error::UnknownScheduler(name.clone()))?;
        check_manager(&row, name, Some(managed_by))?;
        let was = parse_state(&row.state)?;
        let force = force || was == State::Deleting { force: true };
        if was != (State::Deleting { force }) {
            let mut row = row.into_active_model();
            row.state = Set(render_state(State::Deleting { force }).to_owned());
            if was == State::Live {
                // The time for matches to end counts from here; asking again must not move it.
                row.updated_at = Set(now.ms());
            }
            row.update(&transaction).await.map_err(failed(WHAT))?;
        }
        let begun = operations::find_open(&transaction, name, operations::Kind::Delete).await?;
        let operation = match begun {
            Some(operation) => operation,
            None => {
                let told = json!({ "force": force });
                events::tell(&transaction, name, ("schedulerDeleted", told), now).await?;
                operations::insert(&transaction, name, &Input::Delete { force }, now).await?
            }
        };
        transaction.commit().await.map_err(failed(WHAT))?;
        Ok(operation)
    }

    /// Gives a scheduler that is changed from one place into the care of another. Nothing happens when it is no longer
    /// in the first one's.
    pub async fn hand_over_scheduler(
        &self,
        name: &SchedulerName,
        (from, to): (&ManagedBy, &ManagedBy),
    ) -> Result<(), Error> {
        const WHAT: &str = "hand a scheduler over";
        let transaction = self.begin(Subject::Definitions, WHAT).await?;
        let row = find(&transaction, name).await?;
        if let Some(row) = row.filter(|row| ManagedBy::parse(&row.managed_by) == *from) {
            let mut row = row.into_active_model();
            row.managed_by = Set(to.to_string());
            row.update(&transaction).await.map_err(failed(WHAT))?;
        }
        transaction.commit().await.map_err(failed(WHAT))
    }

    /// Forgets a scheduler that is being deleted, once its last room is gone, and answers whether it did. One that shall be stays,
    /// as one does that somebody made anew under the name of one that is gone. Its journal stays until it is too old.
    pub async fn remove_scheduler(&self, name: &SchedulerName, now: Timestamp) -> Result<bool, Error> {
        const WHAT: &str = "remove a scheduler";
        let transaction = self.begin(Subject::Definitions, WHAT).await?;
        let removed = scheduler::Entity::delete_by_id(name.to_string())
            .filter(scheduler::Column::State.is_in([DELETING, FORCED]))
            .exec(&transaction)
            .await
            .map_err(failed(WHAT))?;
        if removed.rows_affected == 0 {
            return Ok(false);
        }
        operations::close_all(&transaction, name, now).await?;
        events::tell(&transaction, name, ("schedulerRemoved", json!({})), now).await?;
        transaction.commit().await.map_err(failed(WHAT))?;
        Ok(true)
    }

    /// One scheduler.
    pub async fn scheduler(&self, name: &SchedulerName) -> Result<Option<Stored>, Error> {
        let look = self.look("read a scheduler").await?;
        match find(&look, name).await? {
            Some(row) => Ok(Some(stored(&look, row).await?)),
            None => Ok(None),
        }
    }

    /// All schedulers, by name.
    pub async fn schedulers(&self) -> Result<Vec<Stored>, Error> {
        const WHAT: &str = "list the schedulers";
        let look = self.look(WHAT).await?;
        let rows = scheduler::Entity::find().order_by_asc(scheduler::Column::Name);
        let rows = rows.all(&look).await.map_err(failed(WHAT))?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            all.push(stored(&look, row).await?);
        }
        Ok(all)
    }
}

async fn stored(database: &impl ConnectionTrait, row: scheduler::Model) -> Result<Stored, Error> {
    let name = parse_name(&row.name)?;
    let active = versions::find(database, &name, active_version(&row)?).await?;
    Ok(Stored {
        name,
        active,
        state: parse_state(&row.state)?,
        managed_by: ManagedBy::parse(&row.managed_by),
        game: row.game,
        created_at: Timestamp::from_ms(row.created_at),
        updated_at: Timestamp::from_ms(row.updated_at),
        scale_in_paused_at: row.scale_in_paused_at.map(Timestamp::from_ms),
    })
}

impl ManagedBy {
    pub(super) fn parse(text: &str) -> Self {
        match text.strip_prefix("file ") {
            Some(path) => Self::File(path.to_owned()),
            None => Self::Api,
        }
    }
}

impl fmt::Display for ManagedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api => write!(f, "the API"),
            Self::File(path) => write!(f, "file {path}"),
        }
    }
}

const LIVE: &str = "live";
const DELETING: &str = "deleting";
const FORCED: &str = "deleting by force";

fn render_state(state: State) -> &'static str {
    match state {
        State::Live => LIVE,
        State::Deleting { force: false } => DELETING,
        State::Deleting { force: true } => FORCED,
    }
}

fn parse_state(text: &str) -> Result<State, Error> {
    match text {
        LIVE => Ok(State::Live),
        DELETING => Ok(State::Deleting { force: false }),
        FORCED => Ok(State::Deleting { force: true }),
        other => Err(unreadable("a scheduler's state", other)),
    }
}

/// A scheduler's name in a column.
pub(super) fn parse_name(text: &str) -> Result<SchedulerName, Error> {
    SchedulerName::parse(text).map_err(|reason| unreadable("a scheduler's name", reason))
}

fn active_version(row: &scheduler::Model) -> Result<Version, Error> {
    versions::parse(row.version_major, row.version_minor)
}

async fn find(
    database: &impl ConnectionTrait,
    name: &SchedulerName,
) -> Result<Option<scheduler::Model>, Error> {
    scheduler::Entity::find_by_id(name.to_string())
        .one(database)
        .await
        .map_err(failed("read a scheduler"))
}

/// The scheduler's row, if it shall be and may be changed from where the change comes from.
pub(super) async fn find_live(
    database: &impl ConnectionTrait,
    name: &SchedulerName,
    managed_by: Option<&ManagedBy>,
) -> Result<scheduler::Model, Error> {
    let row = find(database, name)
        .await?
        .ok_or_else(|| Error::UnknownScheduler(name.clone()))?;
    if row.state != LIVE {
        return Err(Error::Deleting(name.clone()));
    }
    check_manager(&row, name, managed_by)?;
    Ok(row)
}

fn check_manager(
    row: &scheduler::Model,
    name: &SchedulerName,
    managed_by: Option<&ManagedBy>,
) -> Result<(), Error> {
    let manager = ManagedBy::parse(&row.managed_by);
    match managed_by {
        Some(managed_by) if *managed_by != manager => Err(Error::ManagedElsewhere {
            scheduler: name.clone(),
            managed_by: manager,
        }),
        _ => Ok(()),
    }
}
