//! Rooms as pods of a Kubernetes cluster, each with a service of its own on a port of its node.
//!
//! A scheduler has a namespace. Nothing is remembered here but what is costly to ask for and harmless when old: nodes'
//! addresses, whether nodes stay or are lost, which of them a scheduler's pods were on, and which namespaces are ours to look
//! into and prepared. Each answer comes from the API server, so two workers can not disagree about what there is. What
//! Kubernetes calls things stays below this file.

mod label;
mod pod;
mod service;
mod installation;
mod namespace;
mod affinity;
mod status;
mod prepare;
mod binding;
mod list;
mod logs;
mod address;
mod node;
mod usage;
mod act;
mod budget;
mod call;
mod failure;
mod hostport;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::config::{KubeConfigOptions, Kubeconfig};
use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::scheduler::{Network, PortRange, Scheduler};
use maestro_core::time::Span;
use tokio::sync::{Notify, OnceCell};

use self::binding::Account;
use self::budget::Budget;
use self::call::Caller;
use self::failure::Failure;
pub use self::hostport::HOST_PORTS;
use self::hostport::HostPorts;
pub use self::installation::Installation;
use self::namespace::Level;
use self::node::Watched;
use self::watch::Hints;
pub use self::watch::Watches;
use super::{Cluster, Error, Nodes, Object, Order, Usage};

/// How the Kubernetes cluster is used.
#[derive(Clone, Debug)]
pub struct Config {
    /// How its API server is found.
    pub access: Access,
    /// Which installation this is, the same in all of its processes: it uses no namespace of another one.
    pub installation: Installation,
    /// Where rooms reach Maestro's API.
    pub api_url: String,
    /// How long one act may take, all its calls and its turn in the budget included. To be less than
    /// `control::Settings::cluster_timeout`.
    pub timeout: Duration,
    /// Calls a second, for all schedulers of this process together.
    pub calls_per_second: u32,
    /// Calls that may be made at once after a pause.
    pub calls_at_once: u32,
}

/// How the API server is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// As Kubernetes tells each pod.
    InCluster,
    /// As this file says.
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// One of its contexts; `None` for the one that it names itself.
        context: Option<String>,
    },
}

/// Why the cluster can't be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to find out how Kubernetes is reached")]
pub struct OpenError {
    #[source]
    cause: Box<dyn std::error::Error + Send + Sync>,
}

/// A cluster of pods.
pub struct Kubernetes {
    caller: Arc<Caller>,
    hints: Arc<Hints>,
    addresses: address::Nodes,
    nodes: Arc<Watched>,
    prepared: Mutex<BTreeMap<SchedulerName, (Instant, Level)>>,
    /// Whether namespaces were seen to be ours to look into, and when.
    entered: Mutex<BTreeMap<SchedulerName, binding::Entered>>,
    host_ports: HostPorts,
    /// Who we are, where that is a service account; unknown until it is asked for.
    account: OnceCell<Option<Account>>,
    installation: Installation,
    api_url: String,
    timeout: Duration,
}

impl Kubernetes {
    /// A cluster, and its watches, which somebody has to run. Asks nothing of the API server yet.
    pub async fn new(config: Config) -> Result<(Self, Watches), OpenError> {
        let client = client(&config.access).await?;
        let budget = Budget::new(config.calls_per_second, config.calls_at_once, Instant::now());
        let caller = Arc::new(Caller::new(client, budget, config.timeout));
        let hints = Arc::<Hints>::default();
        let watches = Watches {
            caller: caller.clone(),
            hints: hints.clone(),
            metrics: Arc::default(),
            nodes: Arc::default(),
        };
        let kubernetes = Self {
            caller,
            hints,
            addresses: address::Nodes::default(),
            nodes: watches.nodes.clone(),
            prepared: Mutex::default(),
            entered: Mutex::default(),
            host_ports: HostPorts::new(HOST_PORTS),
            account: OnceCell::new(),
            installation: config.installation,
            api_url: config.api_url,
            timeout: config.timeout,
        };
        Ok((kubernetes, watches))
    }

    /// The same with another range for the ports of rooms whose document says `network: hostPort` and no range of its own.
    #[must_use]
    pub fn with_host_ports(mut self, range: PortRange) -> Self {
        self.host_ports = HostPorts::new(range);
        self
    }

    async fn create_pod(&self, scheduler: &Scheduler, order: &Order) -> Result<(), Error> {
        let (name, room) = (&scheduler.name, &order.room);
        self.prepare(scheduler, room).await?;
        let pods = self.caller.pods(name);
        let mut wanted = self.wanted(scheduler, order)?;
        affinity::avoid(&mut wanted, &order.avoid);
        let made = self
            .caller
            .call(pods.create(&PostParams::default(), &wanted))
            .await;
        let made = match made {
            Ok(made) => made,
            Err(failure) if failure.is_already_there() => self.pod_that_is_there(name, room).await?,
            Err(failure) => {
                if failure.is_not_found() || failure.is_forbidden() {
                    // Somebody removed the namespace, or our rights in it.
                    self.prepared().remove(name);
                }
                return Err(failure.of_creation(room));
            }
        };
        self.serve(name, room, &made).await
    }

    /// The pod of a room, with ports of its node where it is to have some.
    fn wanted(&self, scheduler: &Scheduler, order: &Order) -> Result<Pod, Error> {
        let template = &scheduler.template;
        let ports = template.containers.iter().map(|container| container.ports.len());
        let ports = match template.network {
            Network::HostPort => {
                let of = (&scheduler.name, &order.room);
                self.host_ports
                    .take(of, template.port_range, ports.sum(), rand::random())?
            }
            Network::NodePort | Network::Pod => Vec::new(),
        };
        pod::pod(scheduler, order, &self.api_url, &ports).map_err(|error| Error::Refused {
            room: order.room.clone(),
            reason: format!("this release can't read its podTemplate: {error}"),
        })
    }

    async fn pod_that_is_there(&self, scheduler: &SchedulerName, room: &RoomId) -> Result<Pod, Error> {
        let found = self.find(scheduler, room).await?;
        let pod = found.ok_or_else(|| later("a room of this name ended just now"))?;
        if label::room(&pod.metadata, scheduler).as_ref() != Some(room) {
            return Err(Error::Refused {
                room: room.clone(),
                reason: "a pod of this name is somebody else's; remove it".to_owned(),
            });
        }
        match pod.metadata.deletion_timestamp {
            Some(_) => Err(later("a room of this name is still ending")),
            None => Ok(pod),
        }
    }

    /// Gives the pod its service. Without one for lack of ports the pod stays: it gets one once there are ports again.
    async fn serve(&self, scheduler: &SchedulerName, room: &RoomId, pod: &Pod) -> Result<(), Error> {
        let Some(wanted) = service::service(pod) else {
            return Ok(());
        };
        let services = self.caller.services(scheduler);
        let made = self
            .caller
            .call(services.create(&PostParams::default(), &wanted))
            .await;
        match made {
            Ok(_) => return Ok(()),
            Err(failure) if failure.is_already_there() => {}
            Err(failure) => return Err(failure.of_creation(room)),
        }
        let name = service::name(room.as_str());
        let found = self.caller.call(services.get_opt(&name)).await?;
        if found.as_ref().is_some_and(|found| service::is_of(found, pod)) {
            return Ok(());
        }
        if let Some(uid) = found.and_then(|found| found.metadata.uid) {
            // Of an earlier room of this name, which Kubernetes has not cleared away yet.
            let deleted = self.caller.call(services.delete(&name, &exactly(&uid))).await;
            done_or_gone(deleted.map(drop))?;
        }
        Err(later("the ports of an earlier room of this name were still held"))
    }

    async fn find(&self, scheduler: &SchedulerName, room: &RoomId) -> Result<Option<Pod>, Failure> {
        let pods = self.caller.pods(scheduler);
        self.caller.call(pods.get_opt(room.as_str())).await
    }

    fn prepared(&self) -> MutexGuard<'_, BTreeMap<SchedulerName, (Instant, Level)>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Cluster for Kubernetes {
    async fn list(&self, scheduler: &SchedulerName) -> Result<Vec<Object>, Error> {
        self.act(self.list_pods(scheduler)).await
    }

    async fn create(&self, scheduler: &Scheduler, order: &Order) -> Result<(), Error> {
        self.act(self.create_pod(scheduler, order)).await
    }

    async fn expose(&self, scheduler: &Scheduler, room: &RoomId) -> Result<(), Error> {
        let name = &scheduler.name;
        let expose = async {
            let pod = self.find(name, room).await?;
            let pod = pod.ok_or_else(|| Error::UnknownRoom(room.clone()))?;
            self.serve(name, room, &pod).await
        };
        self.act(expose).await
    }

    async fn delete(
        &self,
        scheduler: &SchedulerName,
        room: &RoomId,
        uid: &str,
        grace: Span,
    ) -> Result<(), Error> {
        // Without any grace Kubernetes forgets the pod before its processes have ended.
        let seconds = pod::seconds(grace.ms()).max(1);
        let params = DeleteParams {
            grace_period_seconds: Some(u32::try_from(seconds).unwrap_or(u32::MAX)),
            ..exactly(uid)
        };
        let pods = self.caller.pods(scheduler);
        let delete = || async {
            match self.caller.call_first(pods.delete(room.as_str(), &params)).await {
                Err(failure) if failure.is_not_found() || failure.is_conflict() => Ok(()),
                deleted => deleted.map(drop),
            }
        };
        self.act(self.within(scheduler, delete)).await
    }

    async fn usage(&self, scheduler: &SchedulerName) -> Result<Vec<Usage>, Error> {
        self.act(self.look(scheduler, || usage::usage(&self.caller, scheduler)))
            .await
    }

    async fn logs(
        &self,
        scheduler: &SchedulerName,
        room: &RoomId,
        lines: usize,
        previous: bool,
    ) -> Result<String, Error> {
        self.act(self.read_logs(scheduler, room, lines, previous)).await
    }

    async fn remove(&self, scheduler: &SchedulerName) -> Result<(), Error> {
        self.act(self.leave(scheduler)).await
    }

    fn nudges(&self, scheduler: &SchedulerName) -> Arc<Notify> {
        self.hints.of(scheduler)
    }

    fn has_turn(&self) -> bool {
        self.caller.has_turn(self.timeout)
    }

    fn nodes(&self) -> Arc<Nodes> {
        self.nodes.nodes()
    }
}

async fn client(access: &Access) -> Result<kube::Client, OpenError> {
    let open = |cause: Box<dyn std::error::Error + Send + Sync>| OpenError { cause };
    let mut config = match access {
        Access::InCluster => kube::Config::incluster().map_err(|error| open(error.into()))?,
        Access::Kubeconfig { file, context } => {
            let options = KubeConfigOptions {
                context: context.clone(),
                ..KubeConfigOptions::default()
            };
            let read = Kubeconfig::read_from(file).map_err(|error| open(error.into()))?;
            let config = kube::Config::from_custom_kubeconfig(read, &options).await;
            config.map_err(|error| open(error.into()))?
        }
    };
    // Whether and when to try again is decided by the control loop, and counted by the budget.
    config.default_retry = false;
    kube::Client::try_from(config).map_err(|error| open(error.into()))
}

/// Deletes this very object, and no later one of its name.
fn exactly(uid: &str) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    }
}

/// Whether a deletion came to what was wanted: the object is no longer there, or another one is.
fn done_or_gone(deleted: Result<(), Failure>) -> Result<(), Error> {
    match deleted {
        Err(failure) if failure.is_not_found() || failure.is_conflict() => Ok(()),
        answer => Ok(answer?),
    }
}

fn later(why: &str) -> Error {
    Error::Unavailable { cause: why.into() }
}
