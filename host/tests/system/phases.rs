//! What happens, in this order.

mod load;
mod workers;
mod servers;
mod nodes;
mod broken;
mod end;

use super::stage::Stage;

/// A phase: its name, and what happens in it.
type Phase = (&'static str, fn(&mut Stage));

/// All of them. Each can be run alone: none relies on what the one before left but for the schedulers.
pub(crate) const PHASES: [Phase; 17] = [
    ("load rises to 100 rooms and falls", load::rises_and_falls),
    ("cpu and memory rise", load::usage_rises),
    (
        "the acting worker is killed while scaling up",
        workers::killed_scaling_up,
    ),
    (
        "the acting worker is killed while scaling down",
        workers::killed_scaling_down,
    ),
    ("the acting worker ends and hands over", workers::hands_over),
    (
        "the acting worker is stopped past its lease and goes on",
        workers::stopped_past_its_lease,
    ),
    ("an API is killed", workers::api_killed),
    ("cpu and memory fall", load::usage_falls),
    ("redis is flushed", servers::redis_flushed),
    ("redis hangs", servers::redis_hangs),
    ("redis is away", servers::redis_away),
    ("postgres is away", servers::postgres_away),
    ("the API server of Kubernetes is away", servers::kubernetes_away),
    ("a node is not ready, then lost", nodes::not_ready),
    ("half the nodes are drained under load", nodes::drained),
    ("rooms that run out of memory or can't be pulled", broken::broken),
    ("every step is explained, and all is deleted", end::deleted),
];
