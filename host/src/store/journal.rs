//! The journal: every decision, encoded, newest first; and what it no longer holds.
//!
//! Equal holds in a row are one row with a count, so that an idle scheduler costs one row and not 8,640 a day. The
//! bytes are opaque here; whoever writes encodes, whoever reads decodes. While the database is away, decisions wait
//! in an [`Outbox`] that the control loop holds.

mod outbox;
mod budget;

use maestro_core::decision::{Clamp, Decision, Rule};
use maestro_core::names::SchedulerName;
use maestro_core::time::Timestamp;
use maestro_core::votes::{Ballot, Outcome};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use sha2::{Digest as _, Sha256};

use super::entity::decision;
use super::{Error, Store, Subject, column, failed, number, schedulers};

pub use budget::{Budget, Dropped, Reason, Table};
pub use outbox::Outbox;

/// Most records in one answer.
const PAGE: u64 = 500;

/// A decision on its way into the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose decision.
    pub scheduler: SchedulerName,
    /// When it was made.
    pub at: Timestamp,
    /// `wanted` after it.
    pub wanted: u32,
    /// The decision, encoded.
    pub bytes: Vec<u8>,
    /// The same for holds that say the same; `None` when something was changed or planned.
    hold: Option<String>,
}

/// A decision in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place; also the cursor for what lies before it.
    pub id: u64,
    /// Whose decision.
    pub scheduler: SchedulerName,
    /// When the first of `count` equal ones was made.
    pub since: Timestamp,
    /// When the last of them was made.
    pub at: Timestamp,
    /// How many equal holds in a row this stands for.
    pub count: u64,
    /// `wanted` after it.
    pub wanted: u32,
    /// The last of them, encoded.
    pub bytes: Vec<u8>,
}

/// Which part of the journal; everything when nothing is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Not what ended before this.
    pub since: Option<Timestamp>,
    /// Not what began after this.
    pub until: Option<Timestamp>,
    /// Only what stands before this record.
    pub before: Option<u64>,
}

impl Entry {
    /// `decision` of `scheduler`, which is encoded as `bytes`.
    pub fn new(scheduler: &SchedulerName, decision: &Decision, bytes: Vec<u8>) -> Self {
        Self {
            scheduler: scheduler.clone(),
            at: decision.at,
            wanted: decision.wanted,
            bytes,
            hold: hold_key(decision),
        }
    }
}

impl Store {
    /// Adds decisions, in order.
    pub async fn append(&self, entries: &[Entry]) -> Result<(), Error> {
        const WHAT: &str = "write the journal";
        let transaction = self.begin(Subject::Journal, WHAT).await?;
        for entry in entries {
            append_one(&transaction, entry).await?;
        }
        transaction.commit().await.map_err(failed(WHAT))
    }

    /// A scheduler's decisions, newest first, before `cursor` when one is given.
    pub async fn decisions(
        &self,
        name: &SchedulerName,
        cursor: Option<u64>,
        limit: u64,
    ) -> Result<Vec<Record>, Error> {
        let part = Part {
            before: cursor,
            ..Part::default()
        };
        self.decisions_in(name, part, limit).await
    }

    /// The decisions of a part of a scheduler's journal, newest first.
    pub async fn decisions_in(
        &self,
        name: &SchedulerName,
        part: Part,
        limit: u64,
    ) -> Result<Vec<Record>, Error> {
        let rows = decision::Entity::find()
            .filter(decision::Column::Scheduler.eq(name.as_str()))
            .filter(decision::Column::Id.lt(part.before.map_or(i64::MAX, column)))
            .filter(decision::Column::At.gte(part.since.map_or(i64::MIN, Timestamp::ms)))
            .filter(decision::Column::Since.lte(part.until.map_or(i64::MAX, Timestamp::ms)))
            .order_by_desc(decision::Column::Id)
            .limit(limit.min(PAGE));
        let rows = rows.all(&self.reader).await.map_err(failed("read the journal"))?;
        rows.into_iter().map(parse).collect()
    }

    /// A scheduler's decisions after the record `after`, oldest first.
    pub async fn decisions_after(
        &self,
        name: &SchedulerName,
        after: u64,
        limit: u64,
    ) -> Result<Vec<Record>, Error> {
        let rows = decision::Entity::find()
            .filter(decision::Column::Scheduler.eq(name.as_str()))
            .filter(decision::Column::Id.gt(column(after)))
            .order_by_asc(decision::Column::Id)
            .limit(limit.min(PAGE));
        let rows = rows.all(&self.reader).await.map_err(failed("read the journal"))?;
        rows.into_iter().map(parse).collect()
    }

    /// The place of a scheduler's newest decision.
    pub async fn newest_decision(&self, name: &SchedulerName) -> Result<Option<u64>, Error> {
        let id: Option<i64> = decision::Entity::find()
            .select_only()
            .column(decision::Column::Id)
            .filter(decision::Column::Scheduler.eq(name.as_str()))
            .order_by_desc(decision::Column::Id)
            .into_tuple()
            .one(&self.reader)
            .await
            .map_err(failed("read the last decision"))?;
        id.map(|id| number("a decision's number", id)).transpose()
    }

    /// What the last decision on this scheduler wanted; none from before `since`, when another scheduler may have
    /// had its name.
    pub async fn last_wanted(&self, name: &SchedulerName, since: Timestamp) -> Result<Option<u32>, Error> {
        let row = newest(&self.reader, name).await?;
        match row.filter(|row| row.at >= since.ms()) {
            Some(row) => number("a wanted number", row.wanted).map(Some),
            None => Ok(None),
        }
    }

    /// A scheduler's decisions since `since` that changed or planned something, newest first.
    pub async fn changes(
        &self,
        name: &SchedulerName,
        since: Timestamp,
        limit: u64,
    ) -> Result<Vec<Record>, Error> {
        let rows = decision::Entity::find()
            .filter(decision::Column::Scheduler.eq(name.as_str()))
            .filter(decision::Column::Hold.is_null())
            .filter(decision::Column::At.gte(since.ms()))
            .order_by_desc(decision::Column::Id)
            .limit(limit.min(PAGE));
        let rows = rows.all(&self.reader).await.map_err(failed("read the journal"))?;
        rows.into_iter().map(parse).collect()
    }
}

async fn append_one(database: &impl ConnectionTrait, entry: &Entry) -> Result<(), Error> {
    const WHAT: &str = "write a decision";
    let last = match entry.hold {
        Some(_) => newest(database, &entry.scheduler).await?,
        None => None,
    };
    let row = decision::ActiveModel {
        at: Set(entry.at.ms()),
        wanted: Set(column(entry.wanted)),
        size: Set(column(entry.bytes.len())),
        bytes: Set(entry.bytes.clone()),
        ..Default::default()
    };
    match last.filter(|last| last.hold == entry.hold) {
        Some(last) => {
            let row = decision::ActiveModel {
                id: Set(last.id),
                count: Set(last.count.saturating_add(1)),
                ..row
            };
            let updated = decision::Entity::update(row).exec(database).await;
            updated.map(|_| ()).map_err(failed(WHAT))
        }
        None => {
            let row = decision::ActiveModel {
                scheduler: Set(entry.scheduler.to_string()),
                since: Set(entry.at.ms()),
                count: Set(1),
                hold: Set(entry.hold.clone()),
                ..row
            };
            let inserted = decision::Entity::insert(row)
                .exec_without_returning(database)
                .await;
            inserted.map(|_| ()).map_err(failed(WHAT))
        }
    }
}

async fn newest(
    database: &impl ConnectionTrait,
    name: &SchedulerName,
) -> Result<Option<decision::Model>, Error> {
    decision::Entity::find()
        .filter(decision::Column::Scheduler.eq(name.as_str()))
        .order_by_desc(decision::Column::Id)
        .one(database)
        .await
        .map_err(failed("read the last decision"))
}

fn parse(row: decision::Model) -> Result<Record, Error> {
    Ok(Record {
        id: number("a decision's number", row.id)?,
        scheduler: schedulers::parse_name(&row.scheduler)?,
        since: Timestamp::from_ms(row.since),
        at: Timestamp::from_ms(row.at),
        count: number("a count of decisions", row.count)?,
        wanted: number("a wanted number", row.wanted)?,
        bytes: row.bytes,
    })
}

/// What makes two holds equal: the same rooms, votes and rules. Fuel, the policies' own words and what is left of
/// a cooldown differ from one second to the next and say nothing new. `None` when something was changed or planned.
fn hold_key(decision: &Decision) -> Option<String> {
    let Decision {
        at: _,
        actor,
        cluster,
        version,
        counts,
        ballots,
        winner,
        clamps,
        before,
        wanted,
        scaled,
        mass_silence,
        recovering,
        plan,
        waits: _,
    } = decision;
    if before != wanted || *scaled || !plan.is_empty() {
        return None;
    }
    let votes: Vec<String> = ballots.iter().map(vote_key).collect();
    let clamps: Vec<String> = clamps.iter().map(clamp_key).collect();
    let text = format!(
        "{actor:?} {cluster} {version} {counts:?} {winner:?} {wanted} {mass_silence} {recovering} {votes:?} {clamps:?}"
    );
    // Half of the digest is more than enough to tell one row from the row before it.
    Some(hex::encode(&Sha256::digest(text)[..16]))
}

fn vote_key(ballot: &Ballot) -> String {
    let outcome = match &ballot.outcome {
        Outcome::Voted { vote, urgent, .. } => format!("{vote:?} {urgent}"),
        Outcome::Waiting { .. } => "waiting".to_owned(),
        Outcome::Failed { class, .. } => format!("failed {class}"),
        Outcome::Skipped { .. } => "skipped".to_owned(),
        Outcome::Stale { input, .. } => format!("stale {input}"),
    };
    format!(
        "{} {:?} {:?} {:?} {outcome}",
        ballot.trigger, ballot.direction, ballot.mode, ballot.digest
    )
}

fn clamp_key(clamp: &Clamp) -> String {
    let rule = match &clamp.rule {
        Rule::Cooldown { left: _ } => "cooldown".to_owned(),
        rule @ (Rule::Paused { .. }
        | Rule::NoTrust { .. }
        | Rule::Recovering
        | Rule::StepLimit { .. }
        | Rule::Busy
        | Rule::Min
        | Rule::Max
        | Rule::Cap
        | Rule::Deleted) => format!("{rule:?}"),
    };
    format!("{rule} {} {}", clamp.from, clamp.to)
}
