//! What Maestro may do in a scheduler's namespace, where it runs as a service account of a cluster with RBAC.
//!
//! The chart gives that account next to nothing but the right to bind the role `maestro-rooms`. Here it binds that role to
//! itself in a namespace that it made or was lent, before it does anything there. Who it is, the API server says; somebody
//! who is no service account (a person's kubeconfig, a test's administrator) has rights already and gets none.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PostParams};
use maestro_core::names::{RoomId, SchedulerName};

use super::failure::Failure;
use super::namespace::{self, Standing};
use super::{Kubernetes, done_or_gone, label, later};
use crate::cluster::Error;

/// The cluster role of the chart, and the name of its binding in each namespace.
const ROLE: &str = "maestro-rooms";

/// Pauses until a binding is known to the server that is asked: each follows the bindings by a watch of its own.
const PAUSES_MS: [u64; 6] = [20, 50, 100, 200, 400, 800];

/// How long a namespace counts as ours to look into. Labels of namespaces hardly ever change, and asking each minute would
/// make a list half as dear again.
const ENTERED: Duration = Duration::from_secs(300);

/// How long it counts as somebody else's: whoever gives it back wants to see that soon.
const REFUSED: Duration = Duration::from_secs(30);

/// What was found of a namespace.
#[derive(Clone, Debug)]
pub(super) struct Entered {
    at: Instant,
    /// Why it is not ours to look into; `None` where it is.
    refused: Option<String>,
}

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    namespace: String,
    name: String,
}

impl Account {
    /// Of a user's name, as Kubernetes makes it.
    fn of_user(user: &str) -> Option<Self> {
        let rest = user.strip_prefix("system:serviceaccount:")?;
        let (namespace, name) = rest.split_once(':')?;
        Some(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// What gives this account its rights in the scheduler's namespace.
    fn binding(&self, scheduler: &SchedulerName) -> RoleBinding {
        RoleBinding {
            metadata: ObjectMeta {
                name: Some(ROLE.to_owned()),
                namespace: Some(scheduler.to_string()),
                labels: Some(label::of_scheduler(scheduler)),
                ..ObjectMeta::default()
            },
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".to_owned(),
                kind: "ClusterRole".to_owned(),
                name: ROLE.to_owned(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".to_owned(),
                name: self.name.clone(),
                namespace: Some(self.namespace.clone()),
                api_group: None,
            }]),
        }
    }
}

impl Kubernetes {
    /// Sees to it that we have our rights in this namespace, which is ours to use.
    pub(super) async fn bind(&self, scheduler: &SchedulerName, room: &RoomId) -> Result<(), Error> {
        match self.bound(scheduler).await {
            Ok(()) => Ok(()),
            Err(failure) => Err(failure.of_creation(room)),
        }
    }

    /// Takes our rights back out of a namespace that stays. The last thing that is done there.
    pub(super) async fn unbind(&self, scheduler: &SchedulerName) -> Result<(), Error> {
        if self.account().await?.is_none() {
            return Ok(());
        }
        let bindings = self.caller.bindings(scheduler);
        let params = DeleteParams::default();
        match self.caller.call(bindings.delete(ROLE, &params)).await {
            // Whoever bound it himself may do so by another name, and take it back himself.
            Err(failure) if failure.is_forbidden() => Ok(()),
            deleted => done_or_gone(deleted.map(drop)),
        }
    }

    /// What a call says that looks for what there is in a scheduler's namespace; nothing where there is none. Another
    /// installation's rooms are never looked at, even with the rights to: they would pass for ours, and for too many.
    pub(super) async fn look<T, Call>(
        &self,
        scheduler: &SchedulerName,
        call: impl Fn() -> Call + Sync,
    ) -> Result<T, Error>
    where
        T: Default,
        Call: Future<Output = Result<T, Failure>> + Send,
    {
        match self.may_enter(scheduler).await? {
            true => self.within(scheduler, call).await,
            false => Ok(T::default()),
        }
    }

    /// What a call says within a scheduler's namespace, which was looked into before; nothing where there is none. Without a
    /// namespace there is no binding either, so that the server refuses to tell whether there is anything in it.
    pub(super) async fn within<T, Call>(
        &self,
        scheduler: &SchedulerName,
        call: impl Fn() -> Call + Sync,
    ) -> Result<T, Error>
    where
        T: Default,
        Call: Future<Output = Result<T, Failure>> + Send,
    {
        match call().await {
            Err(failure) if failure.is_forbidden() => match self.enter(scheduler).await {
                Ok(true) => Ok(call().await?),
                Ok(false) => Ok(T::default()),
                // Who may not even ask that lacks the first right too.
                Err(Error::Forbidden { .. }) => Err(failure.into()),
                Err(error) => Err(error),
            },
            answer => Ok(answer?),
        }
    }

    /// Whether there is a namespace to look into; an error where that is another installation's.
    async fn may_enter(&self, scheduler: &SchedulerName) -> Result<bool, Error> {
        let known = self.entered().get(scheduler).cloned();
        match known {
            Some(Entered { at, refused: None }) if at.elapsed() < ENTERED => return Ok(true),
            Some(Entered {
                at,
                refused: Some(why),
            }) if at.elapsed() < REFUSED => return Err(Error::Foreign(why)),
            Some(_) | None => {}
        }
        let namespaces = self.caller.namespaces();
        let found = match self.caller.call(namespaces.get_opt(scheduler.as_str())).await {
            // Who may not ask for namespaces goes by what he is refused in them.
            Err(failure) if failure.is_forbidden() => return Ok(true),
            found => found?,
        };
        let Some(found) = found else {
            return Ok(false);
        };
        match namespace::standing(&found, &self.installation) {
            Standing::Ours | Standing::Lent => {
                self.note_entered(scheduler, None);
                Ok(true)
            }
            // Rooms that are in it are known by labels of their own.
            Standing::Ending | Standing::Foreign => Ok(true),
            Standing::Taken => {
                let why = namespace::taken(&found, &self.installation);
                self.note_entered(scheduler, Some(why.clone()));
                Err(Error::Foreign(why))
            }
        }
    }

    fn note_entered(&self, scheduler: &SchedulerName, refused: Option<String>) {
        let at = Instant::now();
        self.entered().insert(scheduler.clone(), Entered { at, refused });
    }

    pub(super) fn entered(&self) -> MutexGuard<'_, BTreeMap<SchedulerName, Entered>> {
        self.entered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Binds our rights where somebody took them away, or lent us the namespace just now; `false` if there is none.
    async fn enter(&self, scheduler: &SchedulerName) -> Result<bool, Error> {
        let namespaces = self.caller.namespaces();
        let found = self.caller.call(namespaces.get_opt(scheduler.as_str())).await?;
        let Some(found) = found else {
            return Ok(false);
        };
        match namespace::standing(&found, &self.installation) {
            Standing::Ours | Standing::Lent => {
                self.bound(scheduler).await?;
                Ok(true)
            }
            Standing::Ending => Err(later("the namespace is still being removed")),
            // Somebody may have taken the label away, with rooms of ours in it.
            Standing::Foreign => Err(later(&namespace::foreign(scheduler))),
            Standing::Taken => Err(Error::Foreign(namespace::taken(&found, &self.installation))),
        }
    }

    async fn bound(&self, scheduler: &SchedulerName) -> Result<(), Failure> {
        let Some(account) = self.account().await? else {
            return Ok(());
        };
        let (bindings, params) = (self.caller.bindings(scheduler), PostParams::default());
        let wanted = account.binding(scheduler);
        match self.caller.call(bindings.create(&params, &wanted)).await {
            Ok(_) => {}
            Err(failure) if failure.is_already_there() => {}
            // Where we may bind nothing, somebody else has to: whether he did is seen next.
            Err(failure) if failure.is_forbidden() => {}
            Err(failure) => return Err(failure),
        }
        let (pods, one) = (self.caller.pods(scheduler), ListParams::default().limit(1));
        for pause in PAUSES_MS.map(Duration::from_millis) {
            match self.caller.call(pods.list_metadata(&one)).await {
                Err(failure) if failure.is_forbidden() => tokio::time::sleep(pause).await,
                answer => {
                    self.hints.let_in();
                    return answer.map(drop);
                }
            }
        }
        self.caller.call(pods.list_metadata(&one)).await.map(drop)
    }

    /// Who we are, if a service account. Asked once.
    async fn account(&self) -> Result<&Option<Account>, Failure> {
        let ask = async {
            let (review, params) = (SelfSubjectReview::default(), PostParams::default());
            let told = self
                .caller
                .call(self.caller.reviews().create(&params, &review))
                .await?;
            let user = told.status.and_then(|status| status.user_info);
            let name = user.and_then(|user| user.username);
            Ok(name.as_deref().and_then(Account::of_user))
        };
        self.account.get_or_try_init(|| ask).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_account_gets_a_binding() {
        assert_eq!(Account::of_user("admin"), None);
        assert_eq!(Account::of_user("system:node:one"), None);
        assert_eq!(Account::of_user("system:serviceaccount:alone"), None);
        let account = Account::of_user("system:serviceaccount:maestro-system:maestro").unwrap();
        let expected = Account {
            namespace: "maestro-system".to_owned(),
            name: "maestro".to_owned(),
        };
        assert_eq!(account, expected);
    }

    #[test]
    fn a_binding_gives_one_role_to_one_account_in_one_namespace() {
        let account = Account::of_user("system:serviceaccount:maestro-system:maestro").unwrap();
        let binding = account.binding(&SchedulerName::parse("pong").unwrap());
        insta::assert_yaml_snapshot!(binding);
    }
}
