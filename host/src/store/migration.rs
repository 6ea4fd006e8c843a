//! Bringing the tables up to date, and telling whether they are.
//!
//! Migrations expand first and contract a release later: a release works with the tables of the next one, so that
//! replicas of both run beside each other while an installation is upgraded. On a server, one process migrates at a
//! time. Callers: whoever opens a file; `maestro migrate`; every role as it starts.

use maestro_migrations::{Migrator, MigratorTrait};
use sea_orm::sea_query::{Alias, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use sea_orm_migration::SchemaManager;

use super::{Error, Store, failed, postgres};

/// The table in which sea-orm writes down what was applied.
const APPLIED: &str = "seaql_migrations";

/// What looking into it is called.
const WHAT: &str = "read which migrations were applied";

/// How the tables of a database stand to what this release needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Migrations that are still to be applied, in order.
    pub pending: Vec<String>,
    /// Migrations that were applied by a later release, by name.
    pub newer: Vec<String>,
}

impl Store {
    /// How the tables stand to what this release needs. Changes nothing, and needs no right to.
    pub async fn standing(&self) -> Result<Standing, Error> {
        let standing = self.reader.in_time(standing(self.reader.unlimited())).await;
        standing.map_err(failed(WHAT))
    }

    /// Applies what is pending, and says what that was. On a server it waits for whoever does so already. It takes as long as
    /// the migrations take: they have connections of their own, without the limit that other calls have (`postgres::alone`).
    pub async fn migrate(&self) -> Result<Vec<String>, Error> {
        match &self.server {
            None => up(self.writer.unlimited()).await,
            Some(config) => {
                let alone = postgres::alone(config).await?;
                let applied = up(alone.connection()).await;
                let ended = alone.end().await;
                // Why it failed says more than that a connection could not be closed after it.
                let applied = applied?;
                ended.map(|()| applied)
            }
        }
    }
}

async fn standing(database: &DatabaseConnection) -> Result<Standing, DbErr> {
    let ours: Vec<String> = Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect();
    let mut applied: Vec<String> = Vec::new();
    if SchemaManager::new(database).has_table(APPLIED).await? {
        let query = Query::select()
            .column(Alias::new("version"))
            .from(Alias::new(APPLIED))
            .to_owned();
        for row in database.query_all(&query).await? {
            applied.push(row.try_get("", "version")?);
        }
    }
    applied.sort();
    let newer = applied.iter().filter(|name| !ours.contains(name)).cloned();
    Ok(Standing {
        newer: newer.collect(),
        pending: ours.into_iter().filter(|name| !applied.contains(name)).collect(),
    })
}

async fn up(database: &DatabaseConnection) -> Result<Vec<String>, Error> {
    let Standing { pending, newer } = standing(database).await.map_err(failed(WHAT))?;
    // Tables of a later release serve this one too; sea-orm would refuse what it does not know.
    if pending.is_empty() {
        return Ok(pending);
    }
    if !newer.is_empty() {
        return Err(Error::Diverged { pending, newer });
    }
    Migrator::up(database, None)
        .await
        .map_err(|cause| Error::Migrate { cause })?;
    Ok(pending)
}
