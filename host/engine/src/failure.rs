//! Why a run of a policy brought no verdict.

use std::fmt;

use thiserror::Error;

/// The kind of a failure, for programs: metrics, breakers, records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureClass {
    /// It used up its time.
    Deadline,
    /// It used up its fuel.
    OutOfFuel,
    /// It called itself too deeply.
    StackOverflow,
    /// It failed after being refused more memory.
    Memory,
    /// It crashed in another way.
    Trap,
    /// Its answer was not of the form that the contract says.
    AbiViolation,
    /// Its answer was too large.
    OutputTooLarge,
    /// It says that something is wrong inside of it.
    Policy,
    /// It says that it has too little to go on. Not a failure of anybody.
    InsufficientData,
    /// It does not take the parameters it was given.
    InvalidParameters,
    /// All places to run in were taken.
    PoolExhausted,
    /// Too many runs were waiting already.
    QueueFull,
    /// The engine itself is at fault.
    Engine,
}

impl FailureClass {
    /// The class as it stands in records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::OutOfFuel => "out-of-fuel",
            Self::StackOverflow => "stack-overflow",
            Self::Memory => "memory",
            Self::Trap => "trap",
            Self::AbiViolation => "abi-violation",
            Self::OutputTooLarge => "output-too-large",
            Self::Policy => "policy",
            Self::InsufficientData => "insufficient-data",
            Self::InvalidParameters => "invalid-parameters",
            Self::PoolExhausted => "pool-exhausted",
            Self::QueueFull => "queue-full",
            Self::Engine => "engine",
        }
    }

    /// Whether the policy is to blame, so that its breaker counts it.
    pub const fn is_policys_fault(self) -> bool {
        match self {
            Self::Deadline
            | Self::OutOfFuel
            | Self::StackOverflow
            | Self::Memory
            | Self::Trap
            | Self::AbiViolation
            | Self::OutputTooLarge
            | Self::Policy
            | Self::InvalidParameters => true,
            Self::InsufficientData | Self::PoolExhausted | Self::QueueFull | Self::Engine => false,
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A run of a policy that brought no verdict.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{class}: {message}")]
pub struct Failure {
    /// What kind.
    pub class: FailureClass,
    /// What happened, for people; what a policy wrote in it is escaped and cut.
    pub message: String,
    /// Fuel used until then.
    pub fuel: u64,
}

/// Why parameters are not accepted by a policy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The policy says what is wrong with them.
    #[error("{0}")]
    Rejected(String),
    /// It failed while looking at them.
    #[error("the policy failed while checking its parameters")]
    Failed(#[source] Failure),
}
