//! The two classes of policies and everything that each of them is limited to.
//!
//! All numbers of the sandbox stand here and nowhere else. `Bounds` hold for a component as it lies there and are
//! checked before anything is compiled; `Limits` hold for each run of it.

use std::fmt;
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// How much a policy is trusted with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Compiled languages: small and fast. What everybody may deploy.
    #[default]
    Native,
    /// Components with a script engine inside, some ten megabytes each. An operator has to allow them, and they
    /// run one at a time on a thread of their own.
    Heavy,
}

impl Class {
    /// The class as it is written in documents and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Heavy => "heavy",
        }
    }

    /// Reads what [`Class::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "native" => Some(Self::Native),
            "heavy" => Some(Self::Heavy),
            _ => None,
        }
    }

    /// What a component of this class may consist of.
    ///
    /// The largest function of a policy in Rust has 6 KiB, of one with a JavaScript engine inside 172 KiB and of
    /// one with a Python interpreter 427 KiB. One function of 1.8 MB costs the compiler 15 s and 1.25 GiB.
    pub const fn bounds(self) -> Bounds {
        match self {
            Self::Native => Bounds {
                bytes: 2 * MIB,
                functions: 5_000,
                body_bytes: 64 * KIB,
                modules: 1,
                depth: 2,
                memories: 1,
                memory_bytes: 16 * MIB,
                tables: 4,
                table_elements: 10_000,
            },
            Self::Heavy => Bounds {
                bytes: 24 * MIB,
                functions: 100_000,
                body_bytes: 512 * KIB,
                modules: 128,
                depth: 4,
                memories: 4,
                memory_bytes: 256 * MIB,
                tables: 128,
                table_elements: 100_000,
            },
        }
    }

    /// What one run of a policy of this class may use.
    pub const fn limits(self) -> Limits {
        match self {
            Self::Native => Limits {
                fuel: 1_500_000,
                deadline: Duration::from_millis(20),
                memory_bytes: (16 * MIB) as usize,
                table_elements: 10_000,
            },
            Self::Heavy => Limits {
                fuel: 20_000_000,
                deadline: Duration::from_millis(100),
                memory_bytes: (256 * MIB) as usize,
                table_elements: 100_000,
            },
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a component may consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Size of the whole component.
    pub bytes: u64,
    /// Functions in all of its modules together.
    pub functions: u64,
    /// Code of its largest function.
    pub body_bytes: u64,
    /// Core modules inside.
    pub modules: u64,
    /// Components and modules inside each other, itself included.
    pub depth: u64,
    /// Linear memories of all modules together.
    pub memories: u64,
    /// What a memory begins with.
    pub memory_bytes: u64,
    /// Tables of all modules together.
    pub tables: u64,
    /// Elements that a table begins with.
    pub table_elements: u64,
}

/// What one run of a policy may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units of work: one for most instructions, one for each byte that is copied in bulk. The limit that counts,
    /// because it is the same on every machine.
    pub fuel: u64,
    /// Time of the thread that runs it; the outer guard.
    pub deadline: Duration,
    /// What its memory may grow to.
    pub memory_bytes: usize,
    /// What a table of it may grow to.
    pub table_elements: usize,
}

/// Bytes that a policy may hand to us in one answer before we stop copying. A reason is cut at 1 KiB and a state
/// refused above 4 KiB; this only has to be more than both and little enough to copy without a thought.
pub const ANSWER_BYTES: usize = 256 << 10;

/// A reason, or the message of an error, is cut here.
pub const REASON_BYTES: usize = 1 << 10;

/// A state above this is refused: it is stored with each decision.
pub const STATE_BYTES: usize = 4 << 10;
