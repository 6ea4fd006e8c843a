//! What the verbs about contexts take.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

/// What to do with contexts.
#[derive(Debug, Subcommand)]
pub(crate) enum ContextVerb {
    /// Give the Maestro at --url a name; the first one is in use from then on.
    Add(AddContext),
    /// Use a context from now on.
    Use(ContextName),
    /// List contexts, and which one is in use.
    List,
    /// Forget a context.
    Remove(ContextName),
}

/// A new context.
#[derive(Debug, Args)]
pub(crate) struct AddContext {
    /// Its name; one of that name is replaced.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub name: String,
}

/// Names a context.
#[derive(Debug, Args)]
pub(crate) struct ContextName {
    /// The context.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub name: String,
}
