//! Stored encodings: decisions, samples, what a policy was shown, and what a shared registry keeps.
//!
//! Each opens with a byte that says what it is and in which format, so that a reader knows what it can't read. The
//! bytes come from a disk: reading them never panics, and takes memory in proportion to their number and to
//! [`POINT_LIMIT`]. A new format gets a new byte, and its reader goes on taking the one before.

mod code;
mod columns;
mod domain;
mod room;
mod state;

use maestro_core::decision::{Counts, Decision};
use maestro_core::scheduler::Direction;
use maestro_core::time::{Span, Timestamp};
use maestro_core::window::Cut;
use sha2::{Digest as _, Sha256};

use code::{Bytes, Coded};

pub use columns::POINT_LIMIT;
pub use room::{KeptRoom, Quiet, ROOM_HEAD, Signature, decode_room, encode_room, signature};
pub use state::{KeptState, decode_standing, decode_state, encode_standing, encode_state};

/// A decision, with what it takes to ask its policies once more.
const DECISION: u8 = 0x01;
/// Points of a window.
const SAMPLES: u8 = 0x11;
/// What a policy was shown.
const OBSERVATION: u8 = 0x21;

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer Maestro, or something else altogether.
    #[error("the record has the unknown format {found:#04x}")]
    Format {
        /// Its first byte.
        found: u8,
    },
    /// The bytes end too early.
    #[error("the record is cut off")]
    Truncated,
    /// The bytes contradict themselves.
    #[error("the record is damaged: {0}")]
    Damaged(&'static str),
}

/// A decision as the journal keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The decision.
    pub decision: Decision,
    /// The version of the engine that ran its policies.
    pub engine: String,
    /// What each policy that was asked had before it.
    pub evidence: Vec<Evidence>,
}

/// What one policy was asked with: together with the recorded samples and the scheduler's version, enough to show
/// it the same once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The trigger's id.
    pub trigger: String,
    /// Time between samples.
    pub period: Span,
    /// When `wanted` was last moved, before this decision.
    pub scaled_at: Option<Timestamp>,
    /// Times of the first and the last room sample shown.
    pub samples: Option<(Timestamp, Timestamp)>,
    /// The state it left for the next time, if it is not the one it was given.
    pub state: Option<Vec<u8>>,
    /// The [`observation_digest`] of what it was shown.
    pub digest: [u8; 32],
}

/// All that a policy was shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation<'a> {
    /// The present.
    pub now: Timestamp,
    /// How much of the past the trigger asks for.
    pub window: Span,
    /// Time between samples.
    pub period: Span,
    /// Which way the trigger may move `wanted`.
    pub direction: Direction,
    /// `wanted` before the decision.
    pub wanted: u32,
    /// Rooms now.
    pub counts: Counts,
    /// The scheduler's minimum.
    pub min: u32,
    /// Its maximum.
    pub max: Option<u32>,
    /// When `wanted` was last moved.
    pub scaled_at: Option<Timestamp>,
    /// The past, of the inputs that the policy reads.
    pub cut: &'a Cut,
    /// JSON text of an object.
    pub parameters: &'a str,
    /// Labels of the scheduler.
    pub labels: &'a [(String, String)],
    /// What the policy returned last time.
    pub state: &'a [u8],
}

/// Writes a decision down.
pub fn encode_decision(record: &Record) -> Vec<u8> {
    let mut out = vec![DECISION];
    record.write(&mut out);
    out
}

/// Reads a decision.
pub fn decode_decision(bytes: &[u8]) -> Result<Record, RecordError> {
    let mut from = open(bytes, DECISION)?;
    let record = Record::read(&mut from)?;
    from.end()?;
    Ok(record)
}

/// Writes points of a window down, in columns: what does not change takes next to nothing. Points past
/// [`POINT_LIMIT`] would not be read back: write a segment before it is that long.
pub fn encode_samples(cut: &Cut) -> Vec<u8> {
    let mut out = vec![SAMPLES];
    columns::write(cut, &mut out);
    out
}

/// Reads points of a window.
pub fn decode_samples(bytes: &[u8]) -> Result<Cut, RecordError> {
    let mut from = open(bytes, SAMPLES)?;
    let cut = columns::read(&mut from)?;
    from.end()?;
    Ok(cut)
}

/// What a policy was shown, as bytes: equal for equal observations, different for different ones. Kept as its
/// [`observation_digest`] only, so that nothing reads it.
pub fn encode_observation(shown: &Observation<'_>) -> Vec<u8> {
    let mut out = vec![OBSERVATION];
    shown.now.write(&mut out);
    shown.window.write(&mut out);
    shown.period.write(&mut out);
    shown.direction.write(&mut out);
    shown.wanted.write(&mut out);
    shown.counts.write(&mut out);
    shown.min.write(&mut out);
    shown.max.write(&mut out);
    shown.scaled_at.write(&mut out);
    columns::write(shown.cut, &mut out);
    shown.parameters.to_owned().write(&mut out);
    shown.labels.to_vec().write(&mut out);
    shown.state.to_vec().write(&mut out);
    out
}

/// The sha256 of an encoded observation: a replay compares it before it trusts what it rebuilt.
pub fn observation_digest(shown: &Observation<'_>) -> [u8; 32] {
    Sha256::digest(encode_observation(shown)).into()
}

/// Checks the first byte.
fn open(bytes: &[u8], format: u8) -> Result<Bytes<'_>, RecordError> {
    match bytes.split_first() {
        Some((found, rest)) if *found == format => Ok(Bytes::new(rest)),
        Some((found, _)) => Err(RecordError::Format { found: *found }),
        None => Err(RecordError::Truncated),
    }
}
