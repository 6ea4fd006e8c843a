//! All of a scheduler's rooms, from one list of its pods and one of its services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use futures::future::try_join;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::ListParams;
use maestro_core::names::SchedulerName;

use super::{Kubernetes, label, service, status};
use crate::cluster::{Error, Nodes, Object};

impl Kubernetes {
    pub(super) async fn list_pods(&self, scheduler: &SchedulerName) -> Result<Vec<Object>, Error> {
        let (begun, nodes_then) = (Instant::now(), self.nodes.nodes());
        let ours = || ListParams::default().labels(&label::selector(scheduler));
        let (pods, services) = (self.caller.pods(scheduler), self.caller.services(scheduler));
        let both = || try_join(self.caller.all(&pods, ours()), self.caller.all(&services, ours()));
        let (pods, services) = self.look(scheduler, both).await?;
        let held = pods.iter().filter_map(|pod| {
            let is_over = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            let is_over = matches!(is_over, Some("Failed" | "Succeeded"));
            let room = label::room(&pod.metadata, scheduler).filter(|_| !is_over)?;
            Some((room, status::host_ports(pod)))
        });
        self.host_ports.saw(scheduler, held, begun);
        let nodes: BTreeSet<&str> = pods.iter().filter_map(status::node).collect();
        self.note_nodes(scheduler, &nodes, &nodes_then);
        let addresses = self.addresses.addresses(&self.caller, nodes).await?;
        let services: BTreeMap<&str, &Service> = services
            .iter()
            .filter_map(|service| Some((label::get(&service.metadata, label::ROOM)?, service)))
            .collect();
        let object = |pod: &Pod| {
            let of_pod = services.get(pod.metadata.name.as_deref()?).copied();
            let of_pod = of_pod.filter(|service| service::is_of(service, pod));
            let addresses = status::node(pod).and_then(|node| addresses.get(node));
            status::object(scheduler, pod, of_pod, addresses.cloned().unwrap_or_default())
        };
        Ok(pods.iter().filter_map(object).collect())
    }

    /// Has news of these nodes wake whoever waits for the scheduler. Those that came while the list was under way did not,
    /// where a pod was not known yet to be on the node.
    fn note_nodes(&self, scheduler: &SchedulerName, nodes: &BTreeSet<&str>, then: &Arc<Nodes>) {
        self.hints.note_nodes(scheduler, nodes);
        let now = self.nodes.nodes();
        if !Arc::ptr_eq(&now, then) && !now.news(then).is_disjoint(nodes) {
            self.hints.wake(scheduler);
        }
    }
}
