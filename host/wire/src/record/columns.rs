//! Points of a window by columns: times as the change of their distance, counts as their change, metrics as the bits
//! in which they differ from the one before. Of all three most are zero, and a run of zeros takes two or three bytes.

use std::collections::BTreeMap;

use maestro_core::decision::Counts;
use maestro_core::time::Timestamp;
use maestro_core::window::{Cut, MAX_SERIES, Sample};

use super::RecordError;
use super::code::{Bytes, Coded, fold, unfold};

/// Most points of a column. A run of zeros says how long it is, so that few bytes could stand for any number.
pub const POINT_LIMIT: usize = 100_000;

pub(super) fn write(cut: &Cut, out: &mut Vec<u8>) {
    (cut.samples.len() as u64).write(out);
    write_times(cut.samples.iter().map(|sample| sample.at), out);
    for column in 0..Counts::COLUMNS.len() {
        let values = cut
            .samples
            .iter()
            .map(|sample| i64::from(sample.counts.columns()[column]));
        write_runs(differences(values).map(fold), out);
    }
    (cut.series.len() as u64).write(out);
    for (name, points) in &cut.series {
        name.write(out);
        (points.len() as u64).write(out);
        write_times(points.iter().map(|(at, _)| *at), out);
        let mut before = 0;
        let changes = points.iter().map(|(_, value)| {
            let bits = value.to_bits();
            // Round numbers end in zero bits: reversed they are small, and small numbers take few bytes.
            (bits ^ std::mem::replace(&mut before, bits)).reverse_bits()
        });
        write_runs(changes, out);
    }
}

pub(super) fn read(from: &mut Bytes<'_>) -> Result<Cut, RecordError> {
    let count = point_count(from)?;
    let times = read_times(from, count)?;
    let mut samples: Vec<Sample> = times
        .into_iter()
        .map(|at| Sample {
            at,
            counts: Counts::default(),
        })
        .collect();
    for column in 0..Counts::COLUMNS.len() {
        let mut value: i64 = 0;
        for (sample, change) in samples.iter_mut().zip(read_runs(from, count)?) {
            value = value.wrapping_add(unfold(change));
            let number = u32::try_from(value).map_err(|_| RecordError::Damaged("a count is out of range"))?;
            *sample.counts.columns_mut()[column] = number;
        }
    }
    let mut series = BTreeMap::new();
    let names = from.count()?;
    if names > MAX_SERIES {
        return Err(RecordError::Damaged("too many series"));
    }
    for _ in 0..names {
        let name = String::read(from)?;
        let count = point_count(from)?;
        let times = read_times(from, count)?;
        let mut bits = 0;
        let values = read_runs(from, count)?.into_iter().map(|change| {
            bits ^= change.reverse_bits();
            f64::from_bits(bits)
        });
        let points: Vec<(Timestamp, f64)> = times.into_iter().zip(values).collect();
        if points.iter().any(|(_, value)| !value.is_finite()) {
            return Err(RecordError::Damaged("a number that is not finite"));
        }
        series.insert(name, points);
    }
    Ok(Cut { samples, series })
}

fn point_count(from: &mut Bytes<'_>) -> Result<usize, RecordError> {
    let count = usize::try_from(u64::read(from)?).unwrap_or(usize::MAX);
    if count > POINT_LIMIT {
        Err(RecordError::Damaged("too many points"))
    } else {
        Ok(count)
    }
}

fn write_times(times: impl Iterator<Item = Timestamp>, out: &mut Vec<u8>) {
    write_runs(differences(differences(times.map(Timestamp::ms))).map(fold), out);
}

fn read_times(from: &mut Bytes<'_>, count: usize) -> Result<Vec<Timestamp>, RecordError> {
    let (mut time, mut step): (i64, i64) = (0, 0);
    let changes = read_runs(from, count)?.into_iter();
    Ok(changes
        .map(|change| {
            step = step.wrapping_add(unfold(change));
            time = time.wrapping_add(step);
            Timestamp::from_ms(time)
        })
        .collect())
}

/// Each value less the one before it; wraps, and so does its inverse.
fn differences(values: impl Iterator<Item = i64>) -> impl Iterator<Item = i64> {
    let mut before: i64 = 0;
    values.map(move |value| value.wrapping_sub(std::mem::replace(&mut before, value)))
}

/// Numbers as they are, but zeros as one zero and how many more follow it.
fn write_runs(values: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
    let mut values = values.peekable();
    while let Some(value) = values.next() {
        value.write(out);
        if value == 0 {
            let mut more: u64 = 0;
            while values.next_if_eq(&0).is_some() {
                more += 1;
            }
            more.write(out);
        }
    }
}

fn read_runs(from: &mut Bytes<'_>, count: usize) -> Result<Vec<u64>, RecordError> {
    let mut values = Vec::new();
    while values.len() < count {
        let value = u64::read(from)?;
        let more = if value == 0 { u64::read(from)? } else { 0 };
        let length = usize::try_from(more)
            .ok()
            .and_then(|more| more.checked_add(values.len() + 1));
        match length {
            Some(length) if length <= count => values.resize(length, value),
            _ => return Err(RecordError::Damaged("a run is longer than its column")),
        }
    }
    Ok(values)
}
