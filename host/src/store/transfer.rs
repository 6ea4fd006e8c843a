//! From one database to another: the way from a data folder to a server.
//!
//! All of it or nothing. What is copied are rows as they stand, so that versions, decisions and events keep their numbers; the
//! numbers that come next go on behind them. Rooms are in no store: the new installation finds them in the cluster.

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, IntoActiveModel,
    Iterable, PaginatorTrait, PrimaryKeyToColumn, QueryOrder, TransactionTrait,
};

use super::entity::{decision, drained_node, dropped, event, operation, policy, scheduler, segment, version};
use super::{Error, Store, failed};

/// Rows that are read, and written, at once. Components of policies are megabytes.
const PAGE: u64 = 50;

/// Tables whose rows have numbers.
const NUMBERED: [&str; 5] = ["operations", "journal", "samples", "events", "dropped"];

/// What was copied, by table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Tables and their rows, in the order in which they were copied.
    pub tables: Vec<(&'static str, u64)>,
}

impl Store {
    /// Copies everything into `to`, whose tables are up to date and which holds nothing yet. It takes as long as there is much
    /// to copy: its two transactions are the only ones without a limit, and somebody watches it who can end it.
    pub async fn transfer(&self, to: &Store) -> Result<Copied, Error> {
        const WHAT: &str = "copy the store";
        let (reader, writer) = (self.reader.unlimited(), to.writer.unlimited());
        let from = reader.begin_with_options(self.of_one_moment()).await;
        let from = from.map_err(failed(WHAT))?;
        let into = writer.begin().await.map_err(failed(WHAT))?;
        if let Some(table) = occupied(&into).await.map_err(failed(WHAT))? {
            return Err(Error::Occupied { table });
        }
        let copied = copy_all(&from, &into).await.map_err(failed(WHAT))?;
        into.commit().await.map_err(failed(WHAT))?;
        Ok(copied)
    }
}

/// A table that holds rows already.
async fn occupied(into: &DatabaseTransaction) -> Result<Option<&'static str>, DbErr> {
    if scheduler::Entity::find().count(into).await? > 0 {
        return Ok(Some("schedulers"));
    }
    if decision::Entity::find().count(into).await? > 0 {
        return Ok(Some("journal"));
    }
    match policy::Entity::find().count(into).await? {
        0 => Ok(None),
        _ => Ok(Some("policies")),
    }
}

async fn copy_all(from: &DatabaseTransaction, into: &DatabaseTransaction) -> Result<Copied, DbErr> {
    let tables = vec![
        (
            "policies",
            copy::<policy::Entity, policy::ActiveModel>(from, into).await?,
        ),
        (
            "schedulers",
            copy::<scheduler::Entity, scheduler::ActiveModel>(from, into).await?,
        ),
        (
            "versions",
            copy::<version::Entity, version::ActiveModel>(from, into).await?,
        ),
        (
            "drained_nodes",
            copy::<drained_node::Entity, drained_node::ActiveModel>(from, into).await?,
        ),
        (
            "operations",
            copy::<operation::Entity, operation::ActiveModel>(from, into).await?,
        ),
        (
            "journal",
            copy::<decision::Entity, decision::ActiveModel>(from, into).await?,
        ),
        (
            "samples",
            copy::<segment::Entity, segment::ActiveModel>(from, into).await?,
        ),
        (
            "events",
            copy::<event::Entity, event::ActiveModel>(from, into).await?,
        ),
        (
            "dropped",
            copy::<dropped::Entity, dropped::ActiveModel>(from, into).await?,
        ),
    ];
    if into.get_database_backend() == DbBackend::Postgres {
        for table in NUMBERED {
            let next = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'id'), GREATEST((SELECT MAX(id) FROM {table}), 1))"
            );
            into.execute_unprepared(&next).await?;
        }
    }
    Ok(Copied { tables })
}

async fn copy<E, A>(from: &DatabaseTransaction, into: &DatabaseTransaction) -> Result<u64, DbErr>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<A> + Send + Sync,
    A: ActiveModelTrait<Entity = E> + Send,
{
    let mut copied = 0;
    let mut all = E::find();
    for key in E::PrimaryKey::iter() {
        all = all.order_by_asc(key.into_column());
    }
    let mut pages = all.paginate(from, PAGE);
    while let Some(rows) = pages.fetch_and_next().await? {
        copied += rows.len() as u64;
        let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
        E::insert_many(rows).exec_without_returning(into).await?;
    }
    Ok(copied)
}
