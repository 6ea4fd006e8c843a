//! A scheduler's namespace and its disruption budget: pure, but for what they are compared with.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use maestro_core::names::SchedulerName;
use maestro_core::scheduler::{Network, RoomTemplate, Security};

use super::installation::Installation;
use super::label;

/// The name of the disruption budget in each scheduler's namespace.
pub(super) const BUDGET: &str = "maestro-rooms";

/// More rooms than there can be: with so many to be kept, none may be evicted. A figure that followed the number of
/// matches would have to be written with each of them, and would be late.
const ALL: i32 = i32::MAX;

/// Labels that say which pods the namespace takes, and of which it is told that they could do with less.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const TOLD: [&str; 2] = [
    "pod-security.kubernetes.io/warn",
    "pod-security.kubernetes.io/audit",
];

/// Which pods a namespace has to take, by the pod security standards; the one that takes most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Pods that hold ports of their nodes: no lower standard lets them.
    Privileged,
    /// What `restricted` would refuse is only told, because it would break images that run as root.
    Baseline,
    /// Those of documents that ask for it.
    Restricted,
}

impl Level {
    /// What rooms of this template need.
    pub(super) fn of(template: &RoomTemplate) -> Self {
        match (template.network, template.security) {
            (Network::HostPort, _) => Self::Privileged,
            (Network::NodePort | Network::Pod, Security::Legacy) => Self::Baseline,
            (Network::NodePort | Network::Pod, Security::Restricted) => Self::Restricted,
        }
    }

    /// Whether this namespace takes just these.
    pub(super) fn is_of(self, namespace: &Namespace) -> bool {
        label::get(&namespace.metadata, ENFORCE) == Some(self.word())
    }

    fn word(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// What a namespace that exists is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// We made it, and delete it.
    Ours,
    /// Somebody made it and lets us use it: it keeps all that it has, and stays.
    Lent,
    /// It is on its way out.
    Ending,
    /// Another installation's. One that names none is ours: earlier releases made such ones, and who lends one need not say
    /// to which of several.
    Taken,
    /// Nobody said that we may use it.
    Foreign,
}

/// The namespace of a scheduler.
pub(super) fn namespace(scheduler: &SchedulerName, level: Level, installation: &Installation) -> Namespace {
    let mut labels = label::of_scheduler(scheduler);
    labels.insert(label::MANAGED.to_owned(), "true".to_owned());
    labels.insert(label::INSTALLATION.to_owned(), installation.to_string());
    labels.insert(ENFORCE.to_owned(), level.word().to_owned());
    labels.extend(TOLD.map(|key| (key.to_owned(), Level::Restricted.word().to_owned())));
    Namespace {
        metadata: ObjectMeta {
            name: Some(scheduler.to_string()),
            labels: Some(labels),
            annotations: Some([(label::CREATED.to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// What this namespace is to us, who are this installation.
pub(super) fn standing(namespace: &Namespace, installation: &Installation) -> Standing {
    let metadata = &namespace.metadata;
    let named = label::get(metadata, label::INSTALLATION);
    if label::get(metadata, label::MANAGED).is_none() {
        return Standing::Foreign;
    }
    match metadata.deletion_timestamp {
        _ if named.is_some_and(|named| named != installation.as_str()) => Standing::Taken,
        Some(_) => Standing::Ending,
        None if label::annotation(metadata, label::CREATED).is_some() => Standing::Ours,
        None => Standing::Lent,
    }
}

/// Why a scheduler has no rooms in a namespace that nobody lent to us.
pub(super) fn foreign(scheduler: &SchedulerName) -> String {
    let managed = label::MANAGED;
    format!(
        "the namespace {scheduler} is not Maestro's; label it with {managed}=true, or give the scheduler another name"
    )
}

/// Why this installation has no rooms in a namespace that is another one's.
pub(super) fn taken(namespace: &Namespace, installation: &Installation) -> String {
    let (metadata, key) = (&namespace.metadata, label::INSTALLATION);
    let name = metadata.name.as_deref().unwrap_or_default();
    let other = label::get(metadata, key).unwrap_or_default();
    format!(
        "the namespace {name} belongs to the installation {other}, and this one is {installation}; give the scheduler another \
         name, or correct the label {key} of the namespace, or the setting --installation"
    )
}

/// The disruption budget that keeps a scheduler's rooms where they are when nodes are drained.
pub(super) fn budget(scheduler: &SchedulerName) -> PodDisruptionBudget {
    let rooms = [(label::SCHEDULER.to_owned(), scheduler.to_string())];
    PodDisruptionBudget {
        metadata: ObjectMeta {
            name: Some(BUDGET.to_owned()),
            namespace: Some(scheduler.to_string()),
            labels: Some(label::of_scheduler(scheduler)),
            ..ObjectMeta::default()
        },
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(ALL)),
            selector: Some(LabelSelector {
                match_labels: Some(rooms.into()),
                match_expressions: None,
            }),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
