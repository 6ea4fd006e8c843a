//! A loaded policy. Cheap to clone; each call runs in an instance of its own, so that no call can leave anything
//! behind for the next.

use std::fmt;
use std::sync::Arc;

use maestro_core::names::Digest;
use maestro_core::scheduler::Direction;
use maestro_core::votes::Vote;

use crate::class::{Class, Limits, REASON_BYTES, STATE_BYTES};
use crate::engine::Engine;
use crate::failure::{Failure, FailureClass, Refusal};
use crate::guest::{self, Linked, Run, contract};
use crate::observation::{Counts, Evaluation, Observation, Rooms, Series, Verdict};
use crate::package::Manifest;
use crate::text::clean;

/// A policy, ready to be asked.
#[derive(Clone)]
pub struct Policy(Arc<Loaded>);

struct Loaded {
    engine: Arc<Engine>,
    linked: Linked,
    digest: Digest,
    manifest: Manifest,
    class: Class,
    limits: Limits,
}

impl Policy {
    pub(crate) fn new(
        engine: Arc<Engine>,
        linked: Linked,
        digest: Digest,
        manifest: Manifest,
        (class, limits): (Class, Limits),
    ) -> Self {
        Self(Arc::new(Loaded {
            engine,
            linked,
            digest,
            manifest,
            class,
            limits,
        }))
    }

    /// The sha256 of its component.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// What it says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// How much it is trusted with.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// What each run of it may use.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Asks it whether it takes `parameters`, the JSON text of an object.
    pub fn validate(&self, parameters: &str) -> Result<(), Refusal> {
        let loaded = &*self.0;
        let _pass = loaded.engine.gate().enter(loaded.class);
        let run = guest::run(&loaded.linked, loaded.limits, |store, policy| {
            policy.call_validate(store, parameters)
        });
        match run.result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(message)) => Err(Refusal::Rejected(clean(&message, REASON_BYTES))),
            Err(failure) => Err(Refusal::Failed(failure)),
        }
    }

    /// Asks it for its verdict. Blocks for at most its deadline of processor time, and for its turn before.
    pub fn evaluate(&self, observation: &Observation) -> Result<Evaluation, Failure> {
        let loaded = &*self.0;
        let metrics: Vec<_> = observation.metrics.iter().map(show_series).collect();
        let labels: Vec<_> = observation
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let shown = contract::Observation {
            now_ms: observation.now_ms,
            window_ms: observation.window_ms,
            period_ms: observation.period_ms,
            direction: match observation.direction {
                Direction::Up => contract::Direction::Up,
                Direction::Down => contract::Direction::Down,
                Direction::Both => contract::Direction::Both,
            },
            wanted: observation.wanted,
            current: show_counts(observation.current),
            min: observation.min,
            max: observation.max,
            last_scaled_ms: observation.last_scaled_ms,
            rooms: show_rooms(&observation.rooms),
            metrics: &metrics,
            parameters: &observation.parameters,
            labels: &labels,
            state: &observation.state,
        };
        let _pass = loaded.engine.gate().enter(loaded.class);
        let Run { result, fuel } = guest::run(&loaded.linked, loaded.limits, |store, policy| {
            policy.call_evaluate(store, shown)
        });
        let verdict = match result? {
            Ok(verdict) => take_verdict(verdict, fuel)?,
            Err(error) => return Err(take_error(&error, fuel)),
        };
        Ok(Evaluation { verdict, fuel })
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("digest", &self.0.digest)
            .field("class", &self.0.class)
            .finish_non_exhaustive()
    }
}

fn show_counts(counts: Counts) -> contract::Counts {
    let Counts {
        creating,
        ready,
        allocated,
        occupied,
        terminating,
    } = counts;
    contract::Counts {
        creating,
        ready,
        allocated,
        occupied,
        terminating,
    }
}

fn show_rooms(rooms: &Rooms) -> contract::Rooms<'_> {
    contract::Rooms {
        at_ms: &rooms.at_ms,
        creating: &rooms.creating,
        ready: &rooms.ready,
        allocated: &rooms.allocated,
        occupied: &rooms.occupied,
        terminating: &rooms.terminating,
    }
}

fn show_series(series: &Series) -> contract::Series<'_> {
    contract::Series {
        name: &series.name,
        at_ms: &series.at_ms,
        values: &series.values,
    }
}

/// Takes over what is within bounds. A reason is cut, because half of it is worth something; half a state is not.
fn take_verdict(verdict: contract::Verdict, fuel: u64) -> Result<Verdict, Failure> {
    if verdict.state.len() > STATE_BYTES {
        return Err(Failure {
            class: FailureClass::OutputTooLarge,
            message: format!(
                "its state has {} bytes, at most {STATE_BYTES} are kept: store less, such as sums instead of samples",
                verdict.state.len()
            ),
            fuel,
        });
    }
    Ok(Verdict {
        vote: match verdict.vote {
            contract::Vote::Hold => Vote::Hold,
            contract::Vote::Total(total) => Vote::Total(total),
        },
        urgent: verdict.urgent,
        reason: clean(&verdict.reason, REASON_BYTES),
        state: verdict.state,
    })
}

fn take_error(error: &contract::Error, fuel: u64) -> Failure {
    let (class, message) = match error {
        contract::Error::InvalidParameters(message) => (FailureClass::InvalidParameters, message),
        contract::Error::InsufficientData(message) => (FailureClass::InsufficientData, message),
        contract::Error::Internal(message) => (FailureClass::Policy, message),
    };
    Failure {
        class,
        message: clean(message, REASON_BYTES),
        fuel,
    }
}
