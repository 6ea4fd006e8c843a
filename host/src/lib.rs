//! The service: HTTP API, control loop, registry, cluster, store.

pub mod registry;
pub mod cluster;
