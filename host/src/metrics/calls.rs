//! Calls to what Maestro depends on: how long they took, and whether there was an answer.

use std::time::{Duration, Instant};

use super::Metrics;
use super::label::{label, owned};

/// What Maestro depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// What should be.
    Store,
    /// What rooms say.
    Registry,
    /// Where rooms run.
    Cluster,
}

impl Dependency {
    /// Its name in metrics and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Registry => "registry",
            Self::Cluster => "cluster",
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As asked for.
    Ok,
    /// With an answer that says no.
    Refused,
    /// Without an answer.
    Failed,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// A call that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    dependency: Dependency,
    name: &'static str,
    begun: Instant,
}

impl Call {
    /// Begins now.
    pub fn begin(dependency: Dependency, name: &'static str) -> Self {
        let begun = Instant::now();
        Self {
            dependency,
            name,
            begun,
        }
    }
}

impl Metrics {
    /// Counts a call that ended now.
    pub fn call(&self, call: Call, outcome: Outcome) {
        self.called(call.dependency, call.name, outcome, call.begun.elapsed());
        self.answered(call.dependency, outcome != Outcome::Failed);
    }

    /// Takes down whether a dependency answers.
    pub fn answered(&self, dependency: Dependency, is_up: bool) {
        let gauge = self
            .answers
            .get_or_create(&[label("dependency", dependency.as_str())]);
        gauge.set(i64::from(is_up));
    }

    /// Counts a call that took so long.
    pub fn called(&self, dependency: Dependency, name: &'static str, outcome: Outcome, took: Duration) {
        let whose = label("dependency", dependency.as_str());
        let labels = [whose, label("call", name), label("result", outcome.as_str())];
        self.calls.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Whether the last call to a dependency was answered; `None` when there was none yet.
    pub fn answers(&self, dependency: Dependency) -> Option<bool> {
        let gauge = self.answers.get(&[label("dependency", dependency.as_str())])?;
        Some(gauge.get() == 1)
    }

    /// Counts what a matchmaker was told.
    pub fn allocation(&self, scheduler: &str, result: &'static str) {
        let labels = [owned("scheduler", scheduler), label("result", result)];
        self.allocations.get_or_create(&labels).inc();
    }
}
