//! The behaviour of the core: golden scenarios, properties of each rule, and a small world that plans are applied to.

mod world;
mod script;
mod scenarios;
mod reports;
mod rooms;
mod silence;
mod windows;
mod rulings;
mod plans;
