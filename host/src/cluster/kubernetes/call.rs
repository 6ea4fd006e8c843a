//! How the API server is called: one budget for all schedulers, and a time-out on each call.

use std::future::Future;
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, ListParams};
use maestro_core::names::SchedulerName;
use serde::de::DeserializeOwned;

use super::act;
use super::budget::{Budget, Lane};
use super::failure::Failure;

/// Objects of one page of a list: some 2 MB of pods.
const PAGE: u32 = 500;

/// A client with its manners.
pub(super) struct Caller {
    client: kube::Client,
    budget: Budget,
    patience: Duration,
}

impl Caller {
    pub(super) fn new(client: kube::Client, budget: Budget, patience: Duration) -> Self {
        Self {
            client,
            budget,
            patience,
        }
    }

    pub(super) fn client(&self) -> &kube::Client {
        &self.client
    }

    pub(super) fn pods(&self, scheduler: &SchedulerName) -> Api<Pod> {
        Api::namespaced(self.client.clone(), scheduler.as_str())
    }

    pub(super) fn services(&self, scheduler: &SchedulerName) -> Api<Service> {
        Api::namespaced(self.client.clone(), scheduler.as_str())
    }

    pub(super) fn accounts(&self, scheduler: &SchedulerName) -> Api<ServiceAccount> {
        Api::namespaced(self.client.clone(), scheduler.as_str())
    }

    pub(super) fn budgets(&self, scheduler: &SchedulerName) -> Api<PodDisruptionBudget> {
        Api::namespaced(self.client.clone(), scheduler.as_str())
    }

    pub(super) fn bindings(&self, scheduler: &SchedulerName) -> Api<RoleBinding> {
        Api::namespaced(self.client.clone(), scheduler.as_str())
    }

    /// Where one asks who one is.
    pub(super) fn reviews(&self) -> Api<SelfSubjectReview> {
        Api::all(self.client.clone())
    }

    pub(super) fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    pub(super) fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    /// Whether an act that takes so long would be given a turn, were it to begin now.
    pub(super) fn has_turn(&self, length: Duration) -> bool {
        self.budget.has_turn(Instant::now(), length / 2)
    }

    /// Makes a call when it is its turn.
    pub(super) async fn call<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
        self.call_in(Lane::Usual, call).await
    }

    /// Makes a call before all that wait: a deletion makes room for what they create.
    pub(super) async fn call_first<T>(
        &self,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failure> {
        self.call_in(Lane::First, call).await
    }

    async fn call_in<T>(
        &self,
        lane: Lane,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failure> {
        let now = Instant::now();
        let (lane, patience) = act::place(lane, now, self.patience);
        self.budget.turn(lane, now, patience).await?;
        let answer = tokio::time::timeout(self.patience, call).await;
        let answer = answer.map_err(|_| Failure::late(self.patience))?;
        answer.map_err(|error| {
            let failure = Failure::from(error);
            if let Some(respite) = failure.respite() {
                self.budget.pause(respite);
            }
            failure
        })
    }

    /// All objects that `params` select, as they were at one moment between the call and its return.
    pub(super) async fn all<K>(&self, api: &Api<K>, params: ListParams) -> Result<Vec<K>, Failure>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let mut params = params.limit(PAGE);
        let mut all = Vec::new();
        loop {
            let page = self.call(api.list(&params)).await?;
            all.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(all),
            }
        }
    }
}
