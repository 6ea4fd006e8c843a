//! What the verbs about policies take.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

/// Which policy to deploy.
#[derive(Debug, Args)]
pub(crate) struct DeployPolicy {
    /// The component, or the core module that `cargo build --target wasm32-unknown-unknown` leaves.
    #[arg(value_name = "FILE.wasm")]
    pub file: PathBuf,
}

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Deploy a policy.
    Deploy(DeployPolicy),
    /// List policies.
    List,
    /// Show one policy: its summary, parameters and inputs.
    Get {
        /// The policy, as in queue-depth or queue-depth@1.2.0.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
}
