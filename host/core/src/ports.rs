//! Whether ports of nodes will do for all rooms that there may come to be.
//!
//! On Kubernetes each port of a room with `network: nodePort` takes one of a range that the whole cluster has once. Asked
//! when a document is accepted, so that its author knows before rooms are missing.

use std::fmt;

use crate::scheduler::{Network, PortRange, Scheduler};

/// The range of a Kubernetes cluster whose administrator set no other.
pub const NODE_PORTS: PortRange = PortRange {
    start: 30_000,
    end: 32_767,
};

/// More ports may be asked for than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Most ports that the scheduler's own rooms come to take.
    pub own: u64,
    /// Most ports that rooms of all schedulers come to take.
    pub needed: u64,
    /// The ports that there are.
    pub range: PortRange,
}

/// Whether node ports run out when the rooms of `scheduler` and of all `others` are as many as their documents allow.
/// One without `max` counts with its `min`, which it is sure to come to; for a `scheduler` that takes no port, the answer is
/// none. Of `others` one of the same name is an older version, and does not count.
pub fn shortage<'s>(
    scheduler: &Scheduler,
    others: impl IntoIterator<Item = &'s Scheduler>,
    range: PortRange,
) -> Option<Shortage> {
    let own = most(scheduler);
    let others = others.into_iter().filter(|other| other.name != scheduler.name);
    let needed = others.map(most).fold(own, u64::saturating_add);
    let there = u64::from(range.end.saturating_sub(range.start)) + 1;
    (own > 0 && needed > there).then_some(Shortage { own, needed, range })
}

/// Most node ports that this scheduler's rooms take.
fn most(scheduler: &Scheduler) -> u64 {
    if scheduler.template.network != Network::NodePort {
        return 0;
    }
    let ports = scheduler
        .template
        .containers
        .iter()
        .map(|container| container.ports.len());
    let rooms = scheduler.autoscaling.max.unwrap_or(scheduler.autoscaling.min);
    u64::from(rooms) * u64::try_from(ports.sum::<usize>()).unwrap_or(u64::MAX)
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { own, needed, range } = self;
        let there = u32::from(range.end.saturating_sub(range.start)) + 1;
        write!(
            f,
            "rooms of this scheduler may take {own} node ports, those of all schedulers {needed}, and {}-{} are {there}: \
             rooms will be missing; lower `max`, or write `network: hostPort`",
            range.start, range.end
        )
    }
}
