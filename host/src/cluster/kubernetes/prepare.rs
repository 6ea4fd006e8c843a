//! A scheduler's namespace is there before its first room, and goes after its last one.

use std::time::{Duration, Instant};

use futures::future::join;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::scheduler::Scheduler;
use serde_json::json;

use super::namespace::{Level, Standing};
use super::{Kubernetes, done_or_gone, exactly, later, namespace};
use crate::cluster::Error;

/// How long a namespace counts as prepared. Whoever removes its disruption budget finds it there again after this.
const PREPARED: Duration = Duration::from_secs(300);

impl Kubernetes {
    /// Sees to it that the scheduler's namespace is there, is ours to use, and keeps rooms from being evicted.
    pub(super) async fn prepare(&self, of: &Scheduler, room: &RoomId) -> Result<(), Error> {
        let (scheduler, level) = (&of.name, Level::of(&of.template));
        let before = self.prepared().get(scheduler).copied();
        // One that takes more serves as well: rooms of two versions may be created by turns.
        if before.is_some_and(|(since, at)| since.elapsed() < PREPARED && at <= level) {
            return Ok(());
        }
        let gone = || later("the namespace is still being removed");
        let claimed = self.claim(scheduler, level, room).await?.ok_or_else(gone)?;
        let refused = |reason| Error::Refused {
            room: room.clone(),
            reason,
        };
        match namespace::standing(&claimed, &self.installation) {
            Standing::Ours if level.is_of(&claimed) => {}
            Standing::Ours => self.relabel(scheduler, level, room).await?,
            Standing::Lent => {}
            Standing::Ending => return Err(gone()),
            Standing::Taken => return Err(refused(namespace::taken(&claimed, &self.installation))),
            Standing::Foreign => return Err(refused(namespace::foreign(scheduler))),
        }
        self.bind(scheduler, room).await?;
        self.furnish(scheduler, room).await?;
        self.prepared().insert(scheduler.clone(), (Instant::now(), level));
        Ok(())
    }

    /// Removes the namespace if we made it; of one that was lent to us, what we put into it.
    pub(super) async fn leave(&self, scheduler: &SchedulerName) -> Result<(), Error> {
        self.prepared().remove(scheduler);
        self.entered().remove(scheduler);
        let namespaces = self.caller.namespaces();
        let found = self.caller.call(namespaces.get_opt(scheduler.as_str())).await?;
        let Some(found) = found else {
            return Ok(());
        };
        let removed = match namespace::standing(&found, &self.installation) {
            Standing::Foreign | Standing::Taken | Standing::Ending => return Ok(()),
            Standing::Ours => {
                let params = exactly(found.metadata.uid.as_deref().unwrap_or_default());
                let call = namespaces.delete(scheduler.as_str(), &params);
                self.caller.call(call).await.map(drop)
            }
            Standing::Lent => {
                let budgets = self.caller.budgets(scheduler);
                let params = DeleteParams::default();
                let removed = self.caller.call(budgets.delete(namespace::BUDGET, &params)).await;
                match removed {
                    // Without rights nothing of ours was put into it.
                    Err(failure) if failure.is_forbidden() => {}
                    removed => done_or_gone(removed.map(drop))?,
                }
                return self.unbind(scheduler).await;
            }
        };
        done_or_gone(removed)
    }

    /// The namespace as it is; made first where there was none.
    async fn claim(
        &self,
        scheduler: &SchedulerName,
        level: Level,
        room: &RoomId,
    ) -> Result<Option<Namespace>, Error> {
        let namespaces = self.caller.namespaces();
        let find = || self.caller.call(namespaces.get_opt(scheduler.as_str()));
        if let Some(found) = find().await? {
            return Ok(Some(found));
        }
        let (params, wanted) = (PostParams::default(), self.namespace(scheduler, level));
        match self.caller.call(namespaces.create(&params, &wanted)).await {
            Ok(made) => Ok(Some(made)),
            // Somebody was faster; whether it is ours to use is seen next.
            Err(failure) if failure.is_already_there() => Ok(find().await?),
            Err(failure) => Err(failure.of_creation(room)),
        }
    }

    fn namespace(&self, scheduler: &SchedulerName, level: Level) -> Namespace {
        namespace::namespace(scheduler, level, &self.installation)
    }

    /// Has the namespace take what rooms of this level are. The rooms that are in it stay.
    async fn relabel(&self, scheduler: &SchedulerName, level: Level, room: &RoomId) -> Result<(), Error> {
        let labels = self.namespace(scheduler, level).metadata.labels;
        let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
        let namespaces = self.caller.namespaces();
        let params = PatchParams::default();
        let patched = self
            .caller
            .call(namespaces.patch(scheduler.as_str(), &params, &patch))
            .await;
        patched.map(drop).map_err(|failure| failure.of_creation(room))
    }

    /// Puts in what rooms need besides themselves.
    async fn furnish(&self, scheduler: &SchedulerName, room: &RoomId) -> Result<(), Error> {
        // Kubernetes makes it too, a moment after the namespace; until then it takes no pod.
        let account = ServiceAccount {
            metadata: ObjectMeta {
                name: Some("default".to_owned()),
                ..ObjectMeta::default()
            },
            ..ServiceAccount::default()
        };
        let budget = namespace::budget(scheduler);
        let (accounts, budgets) = (self.caller.accounts(scheduler), self.caller.budgets(scheduler));
        let params = PostParams::default();
        let (account, budget) = join(
            self.caller.call(accounts.create(&params, &account)),
            self.caller.call(budgets.create(&params, &budget)),
        )
        .await;
        for failure in [account.err(), budget.err()].into_iter().flatten() {
            if !failure.is_already_there() {
                return Err(failure.of_creation(room));
            }
        }
        Ok(())
    }
}
