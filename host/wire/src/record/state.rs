//! What the holder of a scheduler keeps for its successor in a shared registry, and the small part of it that
//! everybody reads. Called by the Redis registry only.

use std::collections::BTreeMap;

use maestro_core::time::Timestamp;
use maestro_core::window::{Cut, Window};

use super::code::Coded;
use super::{RecordError, columns, open};

/// A scheduler's whole state.
const STATE: u8 = 0x41;
/// How a scheduler stands.
const STANDING: u8 = 0x51;

/// A scheduler's state as it was stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeptState {
    /// Rooms that are wanted.
    pub wanted: u32,
    /// When `wanted` was last moved.
    pub scaled_at: Option<Timestamp>,
    /// Blobs that policies returned, by trigger id.
    pub policies: BTreeMap<String, Vec<u8>>,
    /// The past.
    pub window: Window,
}

/// Writes a scheduler's state down.
pub fn encode_state(
    (wanted, scaled_at): (u32, Option<Timestamp>),
    policies: &BTreeMap<String, Vec<u8>>,
    window: &Window,
) -> Vec<u8> {
    let mut out = vec![STATE];
    wanted.write(&mut out);
    scaled_at.write(&mut out);
    (policies.len() as u64).write(&mut out);
    for (trigger, blob) in policies {
        trigger.write(&mut out);
        blob.write(&mut out);
    }
    let series = window.series.iter();
    let cut = Cut {
        samples: window.samples.iter().copied().collect(),
        series: series
            .map(|(name, points)| (name.clone(), points.iter().copied().collect()))
            .collect(),
    };
    columns::write(&cut, &mut out);
    out
}

/// Reads a scheduler's state.
pub fn decode_state(bytes: &[u8]) -> Result<KeptState, RecordError> {
    let mut from = open(bytes, STATE)?;
    let (wanted, scaled_at) = (Coded::read(&mut from)?, Coded::read(&mut from)?);
    let policies: Vec<(String, Vec<u8>)> = Coded::read(&mut from)?;
    let cut = columns::read(&mut from)?;
    from.end()?;
    let series = cut.series.into_iter();
    Ok(KeptState {
        wanted,
        scaled_at,
        policies: policies.into_iter().collect(),
        window: Window {
            samples: cut.samples.into(),
            series: series.map(|(name, points)| (name, points.into())).collect(),
        },
    })
}

/// Writes down how a scheduler stands.
pub fn encode_standing(wanted: u32, scaled_at: Option<Timestamp>) -> Vec<u8> {
    let mut out = vec![STANDING];
    wanted.write(&mut out);
    scaled_at.write(&mut out);
    out
}

/// Reads how a scheduler stands.
pub fn decode_standing(bytes: &[u8]) -> Result<(u32, Option<Timestamp>), RecordError> {
    let mut from = open(bytes, STANDING)?;
    let standing = (Coded::read(&mut from)?, Coded::read(&mut from)?);
    from.end()?;
    Ok(standing)
}
