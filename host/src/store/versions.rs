//! Versions of schedulers: each document that was ever active, and what its policies were resolved to.

use std::collections::BTreeMap;

use maestro_core::names::{Digest, SchedulerName, Version};
use maestro_core::time::Timestamp;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::entity::{scheduler, version};
use super::schedulers::Draft;
use super::{Error, Store, column, failed, number, policies, schedulers, unreadable};

/// Versions of one scheduler that are kept. The older system kept as many; each is a few kilobytes.
const VERSIONS_KEPT: u64 = 100;

/// A version as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// Its number.
    pub version: Version,
    /// The document as it was given.
    pub document: String,
    /// What each trigger's policy was resolved to, by the trigger's id.
    pub digests: BTreeMap<String, Digest>,
    /// When it was stored.
    pub created_at: Timestamp,
}

impl Store {
    /// One version of a scheduler.
    pub async fn release(&self, name: &SchedulerName, version: Version) -> Result<Option<Release>, Error> {
        let row = version::Entity::find_by_id(key(name, version))
            .one(&self.reader)
            .await
            .map_err(failed("read a scheduler's version"))?;
        row.map(release).transpose()
    }

    /// The versions of a scheduler that are kept, oldest first.
    pub async fn releases(&self, name: &SchedulerName) -> Result<Vec<Release>, Error> {
        let rows = version::Entity::find()
            .filter(version::Column::Scheduler.eq(name.as_str()))
            .order_by_asc(version::Column::Major)
            .order_by_asc(version::Column::Minor);
        let rows = rows.all(&self.reader).await;
        let rows = rows.map_err(failed("list a scheduler's versions"))?;
        rows.into_iter().map(release).collect()
    }
}

pub(super) fn parse(major: i64, minor: i64) -> Result<Version, Error> {
    Ok(Version {
        major: number("a major version", major)?,
        minor: number("a minor version", minor)?,
    })
}

fn key(name: &SchedulerName, version: Version) -> (String, i64, i64) {
    (name.to_string(), column(version.major), column(version.minor))
}

fn release(row: version::Model) -> Result<Release, Error> {
    let digests: BTreeMap<String, String> =
        serde_json::from_str(&row.digests).map_err(|reason| unreadable("a version's policies", reason))?;
    let digests = digests.into_iter().map(|(trigger, digest)| {
        let digest = Digest::parse(&digest);
        digest.map(|digest| (trigger, digest))
    });
    Ok(Release {
        version: parse(row.major, row.minor)?,
        document: row.document,
        digests: digests
            .collect::<Result<_, _>>()
            .map_err(|reason| unreadable("a policy's digest", reason))?,
        created_at: Timestamp::from_ms(row.created_at),
    })
}

pub(super) async fn find(
    database: &impl ConnectionTrait,
    name: &SchedulerName,
    version: Version,
) -> Result<Release, Error> {
    let row = version::Entity::find_by_id(key(name, version))
        .one(database)
        .await
        .map_err(failed("read a scheduler's version"))?;
    let missing = || {
        unreadable(
            "a scheduler",
            format_args!("version {version} of {name} is missing"),
        )
    };
    release(row.ok_or_else(missing)?)
}

pub(super) async fn insert(
    database: &impl ConnectionTrait,
    draft: &Draft<'_>,
    version: Version,
    now: Timestamp,
) -> Result<(), Error> {
    policies::check_deployed(database, draft.deployed).await?;
    let digests: BTreeMap<&str, String> = draft
        .digests
        .iter()
        .map(|(trigger, digest)| (trigger.as_str(), digest.to_string()))
        .collect();
    let row = version::ActiveModel {
        scheduler: Set(draft.scheduler.name.to_string()),
        major: Set(column(version.major)),
        minor: Set(column(version.minor)),
        document: Set(draft.document.to_owned()),
        digests: Set(serde_json::json!(digests).to_string()),
        created_at: Set(now.ms()),
    };
    let inserted = version::Entity::insert(row)
        .exec_without_returning(database)
        .await;
    inserted
        .map(|_| ())
        .map_err(failed("store a scheduler's version"))
}

/// The schedulers whose active version asks the policy of this digest, by name.
pub(super) async fn asking(
    database: &impl ConnectionTrait,
    digest: Digest,
) -> Result<Vec<SchedulerName>, Error> {
    const WHAT: &str = "look for a policy's schedulers";
    // A digest's hexadecimal digits stand nowhere else in the column.
    let naming: Vec<(String, i64, i64)> = version::Entity::find()
        .select_only()
        .columns([
            version::Column::Scheduler,
            version::Column::Major,
            version::Column::Minor,
        ])
        .filter(version::Column::Digests.contains(digest.to_string()))
        .order_by_asc(version::Column::Scheduler)
        .into_tuple()
        .all(database)
        .await
        .map_err(failed(WHAT))?;
    let mut names = Vec::new();
    for (name, major, minor) in naming {
        let active = scheduler::Entity::find_by_id(name.clone())
            .filter(scheduler::Column::VersionMajor.eq(major))
            .filter(scheduler::Column::VersionMinor.eq(minor))
            .one(database)
            .await
            .map_err(failed(WHAT))?;
        if active.is_some() {
            names.push(schedulers::parse_name(&name)?);
        }
    }
    Ok(names)
}

/// The number after `active`. A major one is counted from the greatest there ever was, so that none comes twice
/// with other contents.
pub(super) async fn next(
    database: &impl ConnectionTrait,
    name: &SchedulerName,
    active: Version,
    is_major: bool,
) -> Result<Version, Error> {
    let newest = version::Entity::find()
        .filter(version::Column::Scheduler.eq(name.as_str()))
        .order_by_desc(version::Column::Major)
        .order_by_desc(version::Column::Minor)
        .one(database)
        .await
        .map_err(failed("read a scheduler's newest version"))?;
    let newest = match newest {
        Some(row) => parse(row.major, row.minor)?.max(active),
        None => active,
    };
    Ok(match is_major || newest.major != active.major {
        true => newest.next_major(),
        false => newest.next_minor(),
    })
}

/// Deletes all but the newest versions.
pub(super) async fn forget_oldest(
    database: &impl ConnectionTrait,
    name: &SchedulerName,
) -> Result<(), Error> {
    const WHAT: &str = "forget a scheduler's oldest versions";
    let oldest = version::Entity::find()
        .filter(version::Column::Scheduler.eq(name.as_str()))
        .order_by_desc(version::Column::Major)
        .order_by_desc(version::Column::Minor)
        .offset(VERSIONS_KEPT)
        // SQLite takes an offset only together with a limit.
        .limit(1_000)
        .all(database)
        .await
        .map_err(failed(WHAT))?;
    for row in oldest {
        let key = (row.scheduler, row.major, row.minor);
        let deleted = version::Entity::delete_by_id(key).exec(database).await;
        deleted.map_err(failed(WHAT))?;
    }
    Ok(())
}
