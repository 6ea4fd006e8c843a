//! What the service costs on real servers: Redis, PostgreSQL and Kubernetes, as `deploy/testbed/up` starts them.
//!
//! Roles run as programs of their own, each bench in a database, below keys and in namespaces of its own, which it removes.
//! What runs in rooms is played here: simulated nodes run nothing.

mod site;
mod cluster;
mod pods;
mod crowd;
mod pings;
mod create;
mod fleet;
mod idle;
mod jump;

use anyhow::Result;

/// What is measured on servers.
pub(crate) const BENCHES: [crate::Bench; 5] = [
    ("pings", pings::run),
    ("create", create::run),
    ("jump", jump::run),
    ("idle", idle::run),
    ("fleet", fleet::run),
];

pub(crate) use pings::VERB;

/// Serves what does nothing, for [`pings`] to compare with.
pub(crate) fn serve_nothing() -> Result<()> {
    pings::serve_nothing()
}
