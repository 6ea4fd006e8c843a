//! From a loop's record to the journal's bytes: the decision, and what it takes to ask its policies once more.

use std::collections::BTreeMap;

use maestro_core::decision::Counts;
use maestro_core::time::{Span, Timestamp};
use maestro_core::window::{Cut, Sample};
use maestro_engine::{Engine, Observation};
use maestro_wire::record;

use crate::control::{Evidence, Record};

/// The journal's bytes of a record.
pub(super) fn encode(found: &Record) -> Vec<u8> {
    record::encode_decision(&record::Record {
        decision: found.decision.clone(),
        engine: Engine::VERSION.to_owned(),
        evidence: found.evidence.iter().map(evidence).collect(),
    })
}

fn evidence(found: &Evidence) -> record::Evidence {
    let shown = &found.observation;
    let edges = shown.rooms.at_ms.first().zip(shown.rooms.at_ms.last());
    record::Evidence {
        trigger: found.trigger.clone(),
        period: Span::from_ms(shown.period_ms),
        scaled_at: shown.last_scaled_ms.map(timestamp),
        samples: edges.map(|(first, last)| (timestamp(*first), timestamp(*last))),
        state: found.state.clone().filter(|state| *state != shown.state),
        digest: digest(shown),
    }
}

fn timestamp(ms: u64) -> Timestamp {
    Timestamp::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// The digest of exactly what the policy was shown: `creating` and `terminating` stand for the states that the
/// contract folds into them, so that a replay folds and digests in the same way.
fn digest(shown: &Observation) -> [u8; 32] {
    let rooms = &shown.rooms;
    let samples = rooms.at_ms.iter().enumerate().map(|(i, at)| {
        let column = |column: &Vec<u32>| column.get(i).copied().unwrap_or(0);
        Sample {
            at: timestamp(*at),
            counts: Counts {
                starting: column(&rooms.creating),
                ready: column(&rooms.ready),
                allocated: column(&rooms.allocated),
                occupied: column(&rooms.occupied),
                stopping: column(&rooms.terminating),
                ..Counts::default()
            },
        }
    });
    let series: BTreeMap<String, Vec<(Timestamp, f64)>> = shown
        .metrics
        .iter()
        .map(|series| {
            let points = series
                .at_ms
                .iter()
                .map(|at| timestamp(*at))
                .zip(series.values.iter().copied());
            (series.name.clone(), points.collect())
        })
        .collect();
    let cut = Cut {
        samples: samples.collect(),
        series,
    };
    record::observation_digest(&record::Observation {
        now: timestamp(shown.now_ms),
        window: Span::from_ms(shown.window_ms),
        period: Span::from_ms(shown.period_ms),
        direction: shown.direction,
        wanted: shown.wanted,
        counts: Counts {
            starting: shown.current.creating,
            ready: shown.current.ready,
            allocated: shown.current.allocated,
            occupied: shown.current.occupied,
            stopping: shown.current.terminating,
            ..Counts::default()
        },
        min: shown.min,
        max: shown.max,
        scaled_at: shown.last_scaled_ms.map(timestamp),
        cut: &cut,
        parameters: &shown.parameters,
        labels: &shown.labels,
        state: &shown.state,
    })
}
