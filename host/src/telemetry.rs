//! Where log lines go: to stderr, readable on a terminal, quiet about what libraries mutter.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// What is logged unless the user says otherwise.
const DEFAULT: &str =
    "info,sqlx=warn,sea_orm=warn,sea_orm_migration=warn,tower_http=warn,wasmtime=warn,cranelift=warn";

/// Begins logging to stderr by `filter`, in the syntax of `RUST_LOG`; [`None`] takes the default. Called once.
pub fn log_to_stderr(filter: Option<&str>) {
    let filter = filter
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(DEFAULT));
    let layer = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false);
    if let Err(error) = layer.try_init() {
        // Only a second call ends here, and the first one's subscriber goes on.
        eprintln!("logging was set up already: {error}");
    }
}
