//! The switch that keeps votes from taking rooms away, stored with the scheduler. Callers: the API.

use maestro_core::names::SchedulerName;
use maestro_core::time::Timestamp;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde_json::json;

use super::schedulers::find_live;
use super::{Error, Store, Subject, events, failed};

/// Whether votes may take rooms away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleIn {
    /// They may.
    Allowed,
    /// They may not, until that is taken back by hand.
    Paused,
}

impl Store {
    /// Pauses scaling down, or takes that back, wherever the scheduler is changed from: it is no part of its document.
    /// Answers since when it is paused. Asking for what is so already changes nothing.
    pub async fn switch_scale_in(
        &self,
        name: &SchedulerName,
        to: ScaleIn,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        const WHAT: &str = "switch scaling down";
        let transaction = self.begin(Subject::Definitions, WHAT).await?;
        let row = find_live(&transaction, name, None).await?;
        let was = row.scale_in_paused_at.map(Timestamp::from_ms);
        let (since, event) = match (was, to) {
            (Some(_), ScaleIn::Paused) | (None, ScaleIn::Allowed) => return Ok(was),
            (None, ScaleIn::Paused) => (Some(now), "scaleInPaused"),
            (Some(_), ScaleIn::Allowed) => (None, "scaleInResumed"),
        };
        let mut row = row.into_active_model();
        row.scale_in_paused_at = Set(since.map(Timestamp::ms));
        row.update(&transaction).await.map_err(failed(WHAT))?;
        events::tell(&transaction, name, (event, json!({})), now).await?;
        transaction.commit().await.map_err(failed(WHAT))?;
        Ok(since)
    }
}
