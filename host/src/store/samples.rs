//! Recorded samples: what schedulers' windows were made of, in encoded segments.
//!
//! Written once by the control loop, read for replay and back-tests. They share the journal's budget.

use maestro_core::names::SchedulerName;
use maestro_core::time::Timestamp;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::segment;
use super::{Error, Store, column, failed};

/// Most segments in one answer.
const PAGE: u64 = 1_000;

/// Samples of one scheduler, encoded together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Time of the first one.
    pub since: Timestamp,
    /// Time of the last one.
    pub at: Timestamp,
    /// The samples, encoded.
    pub bytes: Vec<u8>,
}

impl Store {
    /// Adds a segment.
    pub async fn append_segment(&self, name: &SchedulerName, segment: &Segment) -> Result<(), Error> {
        let row = segment::ActiveModel {
            scheduler: Set(name.to_string()),
            since: Set(segment.since.ms()),
            at: Set(segment.at.ms()),
            size: Set(column(segment.bytes.len())),
            bytes: Set(segment.bytes.clone()),
            ..Default::default()
        };
        let inserted = segment::Entity::insert(row)
            .exec_without_returning(&self.writer)
            .await;
        inserted.map(|_| ()).map_err(failed("record samples"))
    }

    /// The segments that reach into `from..=to`, oldest first; at most a thousand, so that a long span is read by
    /// asking again from the end of the last one.
    pub async fn segments(
        &self,
        name: &SchedulerName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Segment>, Error> {
        let rows = segment::Entity::find()
            .filter(segment::Column::Scheduler.eq(name.as_str()))
            .filter(segment::Column::At.gte(from.ms()))
            .filter(segment::Column::Since.lte(to.ms()))
            .order_by_asc(segment::Column::At)
            .limit(PAGE);
        let rows = rows
            .all(&self.reader)
            .await
            .map_err(failed("read recorded samples"))?;
        Ok(rows
            .into_iter()
            .map(|row| Segment {
                since: Timestamp::from_ms(row.since),
                at: Timestamp::from_ms(row.at),
                bytes: row.bytes,
            })
            .collect())
    }
}
