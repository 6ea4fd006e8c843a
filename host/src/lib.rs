//! The service: HTTP API, control loop, registry, cluster, store.

pub mod config;
pub mod telemetry;
pub mod tasks;
pub mod registry;
pub mod cluster;
pub mod room;
pub mod store;
pub mod control;
