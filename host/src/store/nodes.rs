//! Nodes that people drain: intent, as everything in the store. Callers: the API, and the supervisor at each look.

use maestro_core::time::Timestamp;
use sea_orm::{ActiveValue::Set, EntityTrait};

use super::entity::drained_node;
use super::{Error, Store, Subject, failed};
use crate::control::DrainedNodes;

impl Store {
    /// The nodes that people drain, and since when.
    pub async fn drained_nodes(&self) -> Result<DrainedNodes, Error> {
        let rows = drained_node::Entity::find().all(&self.reader).await;
        let rows = rows.map_err(failed("list the drained nodes"))?;
        let node = |row: drained_node::Model| (row.name, Timestamp::from_ms(row.since));
        Ok(rows.into_iter().map(node).collect())
    }

    /// Drains a node; answers since when. One that is drained already is drained since then.
    pub async fn drain_node(&self, name: &str, now: Timestamp) -> Result<Timestamp, Error> {
        const WHAT: &str = "drain a node";
        let transaction = self.begin(Subject::Definitions, WHAT).await?;
        let present = drained_node::Entity::find_by_id(name).one(&transaction).await;
        if let Some(row) = present.map_err(failed(WHAT))? {
            return Ok(Timestamp::from_ms(row.since));
        }
        let row = drained_node::ActiveModel {
            name: Set(name.to_owned()),
            since: Set(now.ms()),
        };
        let inserted = drained_node::Entity::insert(row)
            .exec_without_returning(&transaction)
            .await;
        inserted.map_err(failed(WHAT))?;
        transaction.commit().await.map_err(failed(WHAT))?;
        Ok(now)
    }

    /// Takes that back; answers whether it was drained.
    pub async fn undrain_node(&self, name: &str) -> Result<bool, Error> {
        const WHAT: &str = "take back that a node is drained";
        let transaction = self.begin(Subject::Definitions, WHAT).await?;
        let deleted = drained_node::Entity::delete_by_id(name).exec(&transaction).await;
        let deleted = deleted.map_err(failed(WHAT))?;
        transaction.commit().await.map_err(failed(WHAT))?;
        Ok(deleted.rows_affected > 0)
    }
}
