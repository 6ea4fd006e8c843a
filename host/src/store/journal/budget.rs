//! How old and how large the journal, the recorded samples and the events may get, and what went for it.

use std::sync::atomic::Ordering;

use maestro_core::time::{Span, Timestamp};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::store::entity::{decision, dropped, event, segment};
use crate::store::{Error, Store, Subject, Transaction, column, failed, number, unreadable};

/// Rows that go at once when the size is over its budget.
const CHUNK: u64 = 500;

/// What a row takes beside its bytes: keys, times and indexes, rounded up.
const ROW_BYTES: u64 = 128;

/// Events get this part of the journal's size beside it: rooms that say much must not push decisions out.
const EVENTS_PART: u64 = 4;

/// Events after which a trim comes before its time: at the longest that an event may be, an eighth of their budget.
const MUCH: u64 = 2_000;

/// Notes of what was dropped are joined within this time and kept for ninety times as long.
const NOTE: Span = Span::from_secs(86_400);

/// How old and how large the journal and the recorded samples may get together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What ended longer ago goes.
    pub age: Span,
    /// While there are more bytes, the oldest rows go. Events have a quarter of it of their own.
    pub bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            // A week covers the weekend whose peak one asks about on Monday.
            age: Span::from_secs(7 * 86_400),
            bytes: 1 << 30,
        }
    }
}

/// What is dropped from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Decisions.
    Journal,
    /// Recorded samples.
    Samples,
    /// What rooms, players and people did.
    Events,
}

/// Why something was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was too old.
    Age,
    /// There was too much.
    Size,
    /// The database was away for longer than the queue before it is long.
    Outage,
}

/// A gap: what is no longer there, or never came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// From what.
    pub table: Table,
    /// Why.
    pub reason: Reason,
    /// Time of the oldest.
    pub since: Timestamp,
    /// Time of the newest.
    pub until: Timestamp,
    /// How many rows.
    pub records: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Store {
    /// Drops what is over the budget, and says what that was. However much it is, it goes by calls that are short.
    pub async fn trim(&self, budget: Budget, now: Timestamp) -> Result<Vec<Dropped>, Error> {
        self.told.store(0, Ordering::Relaxed);
        let mut all = Vec::new();
        for table in [Table::Journal, Table::Samples, Table::Events] {
            while let Some(gone) = self.drop_aged(table, now - budget.age).await? {
                add(&mut all, gone);
            }
        }
        while let Some(gone) = self.drop_oldest(budget.bytes).await? {
            add(&mut all, gone);
        }
        while let Some(gone) = self.drop_oldest_events(budget.bytes / EVENTS_PART).await? {
            add(&mut all, gone);
        }
        for gone in &all {
            self.note_dropped(gone, now).await?;
        }
        Ok(all)
    }

    /// Whether so many events were written since the last trim that another one is due.
    pub fn is_much_told(&self) -> bool {
        self.told.load(Ordering::Relaxed) >= MUCH
    }

    /// What was dropped in the last ninety days, newest first.
    pub async fn dropped(&self) -> Result<Vec<Dropped>, Error> {
        let rows = dropped::Entity::find().order_by_desc(dropped::Column::Id);
        let rows = rows.all(&self.reader).await;
        let rows = rows.map_err(failed("read what was dropped"))?;
        rows.into_iter().map(parse).collect()
    }

    /// Writes down a gap, joined with one of the same kind that was written within a day.
    pub(super) async fn note_dropped(&self, gone: &Dropped, now: Timestamp) -> Result<(), Error> {
        const WHAT: &str = "write down what was dropped";
        let transaction = self.begin(Subject::Journal, WHAT).await?;
        dropped::Entity::delete_many()
            .filter(dropped::Column::At.lt((now - NOTE.times(90)).ms()))
            .exec(&transaction)
            .await
            .map_err(failed(WHAT))?;
        let known = dropped::Entity::find()
            .filter(dropped::Column::What.eq(gone.table.as_str()))
            .filter(dropped::Column::Reason.eq(gone.reason.as_str()))
            .filter(dropped::Column::At.gt((now - NOTE).ms()))
            .order_by_desc(dropped::Column::Id)
            .one(&transaction)
            .await
            .map_err(failed(WHAT))?;
        let (id, at, sum) = match known {
            Some(row) => {
                let (id, at) = (row.id, row.at);
                let mut sum = parse(row)?;
                join(&mut sum, gone);
                (Set(id), at, sum)
            }
            None => (sea_orm::ActiveValue::NotSet, now.ms(), *gone),
        };
        let is_new = id.is_not_set();
        let row = dropped::ActiveModel {
            id,
            what: Set(sum.table.as_str().to_owned()),
            reason: Set(sum.reason.as_str().to_owned()),
            since: Set(sum.since.ms()),
            until: Set(sum.until.ms()),
            records: Set(column(sum.records)),
            bytes: Set(column(sum.bytes)),
            at: Set(at),
        };
        match is_new {
            true => {
                let inserted = dropped::Entity::insert(row).exec_without_returning(&transaction);
                inserted.await.map_err(failed(WHAT))?;
            }
            false => {
                let updated = dropped::Entity::update(row).exec(&transaction);
                updated.await.map_err(failed(WHAT))?;
            }
        }
        transaction.commit().await.map_err(failed(WHAT))
    }

    /// Drops some of the rows that are too old: few at a time, so that no statement takes long, however many there are.
    async fn drop_aged(&self, table: Table, edge: Timestamp) -> Result<Option<Dropped>, Error> {
        const WHAT: &str = "drop what is too old";
        let transaction = self.begin(Subject::Journal, WHAT).await?;
        let mut rows = table.oldest(&transaction).await?;
        rows.retain(|(_, at, _)| *at < edge.ms());
        let gone = table.drop_rows(&transaction, &rows, Reason::Age).await?;
        transaction.commit().await.map_err(failed(WHAT))?;
        Ok(gone)
    }

    /// Drops the oldest rows of the table that reaches back further, if both together are over `bytes`.
    async fn drop_oldest(&self, bytes: u64) -> Result<Option<Dropped>, Error> {
        const WHAT: &str = "trim the journal";
        let transaction = self.begin(Subject::Journal, WHAT).await?;
        let journal = Table::Journal.size(&transaction).await?;
        let samples = Table::Samples.size(&transaction).await?;
        if journal.bytes.saturating_add(samples.bytes) <= bytes {
            return Ok(None);
        }
        let excess = journal.bytes.saturating_add(samples.bytes).saturating_sub(bytes);
        let (table, other) = match (journal.oldest, samples.oldest) {
            (Some(journal), Some(samples)) if samples < journal => (Table::Samples, Some(journal)),
            (None, _) => (Table::Samples, None),
            (Some(_), samples) => (Table::Journal, samples),
        };
        let gone = table.drop_chunk(&transaction, excess, other).await?;
        transaction.commit().await.map_err(failed(WHAT))?;
        Ok(gone)
    }

    /// Drops the oldest events, if all are over `bytes`.
    async fn drop_oldest_events(&self, bytes: u64) -> Result<Option<Dropped>, Error> {
        const WHAT: &str = "trim the events";
        let transaction = self.begin(Subject::Journal, WHAT).await?;
        let excess = Table::Events
            .size(&transaction)
            .await?
            .bytes
            .saturating_sub(bytes);
        if excess == 0 {
            return Ok(None);
        }
        let gone = Table::Events.drop_chunk(&transaction, excess, None).await?;
        transaction.commit().await.map_err(failed(WHAT))?;
        Ok(gone)
    }
}

/// Adds up what went from the same table for the same reason.
fn add(all: &mut Vec<Dropped>, gone: Dropped) {
    match all
        .iter_mut()
        .find(|known| known.table == gone.table && known.reason == gone.reason)
    {
        Some(known) => join(known, &gone),
        None => all.push(gone),
    }
}

/// How much a table holds.
struct Size {
    bytes: u64,
    oldest: Option<i64>,
}

#[derive(FromQueryResult)]
struct Sum {
    records: i64,
    bytes: Option<i64>,
    oldest: Option<i64>,
}

/// Number, time and size of a row.
type Row = (i64, i64, i64);

/// The same statement on any table: they share the names of these columns.
macro_rules! on {
    ($table:expr, $entity:ident => $body:expr) => {
        match $table {
            Table::Journal => {
                use decision as $entity;
                $body
            }
            Table::Samples => {
                use segment as $entity;
                $body
            }
            Table::Events => {
                use event as $entity;
                $body
            }
        }
    };
}

impl Table {
    fn as_str(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Samples => "samples",
            Self::Events => "events",
        }
    }

    async fn size(self, database: &Transaction) -> Result<Size, Error> {
        let sum = self.sum(database).await?;
        let records: u64 = number("a count of rows", sum.records)?;
        let bytes: u64 = number("a sum of sizes", sum.bytes.unwrap_or(0))?;
        Ok(Size {
            bytes: bytes.saturating_add(records.saturating_mul(ROW_BYTES)),
            oldest: sum.oldest,
        })
    }

    /// Adds up all of it, from the index alone.
    async fn sum(self, database: &impl ConnectionTrait) -> Result<Sum, Error> {
        const WHAT: &str = "add up the journal";
        let big = |sum| Func::cast_as(sum, Alias::new("bigint"));
        let sum = on!(self, rows => rows::Entity::find()
            .select_only()
            .column_as(rows::Column::At.count(), "records")
            .expr_as(big(Expr::col(rows::Column::Size).sum()), "bytes")
            .column_as(rows::Column::At.min(), "oldest")
            .into_model::<Sum>()
            .one(database)
            .await);
        let none = Sum {
            records: 0,
            bytes: None,
            oldest: None,
        };
        Ok(sum.map_err(failed(WHAT))?.unwrap_or(none))
    }

    /// Drops the oldest rows: no more than it takes to free `excess`, and none that is newer than `edge`.
    async fn drop_chunk(
        self,
        database: &Transaction,
        excess: u64,
        edge: Option<i64>,
    ) -> Result<Option<Dropped>, Error> {
        let mut rows = match self {
            Self::Events => oldest_events(database).await?,
            Self::Journal | Self::Samples => self.oldest(database).await?,
        };
        let mut freed = 0;
        let enough = rows.iter().position(|(_, at, size)| {
            let is_enough = freed >= excess || edge.is_some_and(|edge| *at > edge);
            freed += ROW_BYTES.saturating_add_signed(*size);
            is_enough
        });
        rows.truncate(enough.unwrap_or(rows.len()));
        self.drop_rows(database, &rows, Reason::Size).await
    }

    /// Some of the oldest rows: their numbers, times and sizes.
    async fn oldest(self, database: &Transaction) -> Result<Vec<Row>, Error> {
        let rows = on!(self, rows => rows::Entity::find()
            .select_only()
            .columns([rows::Column::Id, rows::Column::At, rows::Column::Size])
            .order_by_asc(rows::Column::At)
            .limit(CHUNK)
            .into_tuple()
            .all(database)
            .await);
        rows.map_err(failed("find the oldest rows"))
    }

    async fn drop_rows(
        self,
        database: &Transaction,
        rows: &[Row],
        reason: Reason,
    ) -> Result<Option<Dropped>, Error> {
        const WHAT: &str = "drop the oldest rows";
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(None);
        };
        let gone = Dropped {
            table: self,
            reason,
            since: Timestamp::from_ms(first.1),
            until: Timestamp::from_ms(last.1),
            records: rows.len() as u64,
            bytes: number("a sum of sizes", rows.iter().map(|row| row.2).sum())?,
        };
        let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
        on!(self, rows => rows::Entity::delete_many()
            .filter(rows::Column::Id.is_in(ids))
            .exec(database)
            .await
            .map_err(failed(WHAT))?);
        Ok(Some(gone))
    }
}

/// Some of the oldest events that rooms told of themselves; when there are none any more, of all. Rooms that say much
/// then push out what rooms said, and not how rooms ended or what people did.
async fn oldest_events(database: &Transaction) -> Result<Vec<Row>, Error> {
    let told: Vec<Row> = event::Entity::find()
        .select_only()
        .columns([event::Column::Id, event::Column::At, event::Column::Size])
        .filter(event::Column::SentAt.is_not_null())
        .order_by_asc(event::Column::At)
        .limit(CHUNK)
        .into_tuple()
        .all(database)
        .await
        .map_err(failed("find the oldest events"))?;
    match told.is_empty() {
        true => Table::Events.oldest(database).await,
        false => Ok(told),
    }
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
            Self::Outage => "outage",
        }
    }
}

fn join(sum: &mut Dropped, more: &Dropped) {
    sum.since = sum.since.min(more.since);
    sum.until = sum.until.max(more.until);
    sum.records = sum.records.saturating_add(more.records);
    sum.bytes = sum.bytes.saturating_add(more.bytes);
}

fn parse(row: dropped::Model) -> Result<Dropped, Error> {
    Ok(Dropped {
        table: match row.what.as_str() {
            "journal" => Table::Journal,
            "samples" => Table::Samples,
            "events" => Table::Events,
            other => return Err(unreadable("a gap", other)),
        },
        reason: match row.reason.as_str() {
            "age" => Reason::Age,
            "size" => Reason::Size,
            "outage" => Reason::Outage,
            other => return Err(unreadable("a gap", other)),
        },
        since: Timestamp::from_ms(row.since),
        until: Timestamp::from_ms(row.until),
        records: number("a count of rows", row.records)?,
        bytes: number("a sum of sizes", row.bytes)?,
    })
}
