//! The service: HTTP API, control loop, registry, cluster, store.
//!
//! `args` is what a user types; `service` opens what a role needs, `app` wires the parts together; each of the others is described in its own file, and
//! how they work together in `README.md`. In reading order:

pub mod args;
pub mod dev;
pub mod service;
pub mod migrate;
pub mod app;
pub mod folder;
mod listen;
mod signals;
pub mod api;
pub mod known;
pub mod supervisor;
pub mod control;
pub mod catalog;
pub mod registry;
pub mod cluster;
pub mod room;
pub mod wrap;
pub mod store;
pub mod tasks;
pub mod config;
mod os;
pub mod telemetry;
pub mod metrics;
pub mod token;
