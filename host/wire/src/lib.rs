//! Shapes on the wire and in storage: scheduler documents, HTTP bodies, records.
//!
//! Everything that crosses a boundary of the process is given its form here and turned into the domain's types at
//! once; the domain itself knows no format. Shared by the service and the command line.

pub mod call;
pub mod document;
pub mod http;
pub mod record;
pub mod view;
