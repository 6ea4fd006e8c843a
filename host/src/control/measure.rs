//! The window of one scheduler: room counts on a grid and on change, and what rooms use, once a period.
//!
//! What a cluster can't tell is absent: a room without a measurement is in neither sum, and a resource that the
//! specification does not request has no series at all.

use std::collections::BTreeMap;

use maestro_core::deadlines::{Place, Watch};
use maestro_core::names::RoomId;
use maestro_core::room::Room;
use maestro_core::scheduler::{Resources, RoomTemplate};
use maestro_core::time::{Span, Timestamp};
use maestro_core::window::{LEAST_GAP, Sample, Sampling, Window};

use super::Desired;
use crate::cluster::Usage;

/// The past that is kept even when no policy looks back that far, so that people can.
const LEAST_PAST: Span = Span::from_secs(300);

/// Thousandths of a core that measured rooms use.
pub(super) const CPU_USED: &str = "cpu.used";
/// Thousandths of a core set aside for the same rooms.
pub(super) const CPU_REQUESTED: &str = "cpu.requested";
/// Bytes that measured rooms use.
pub(super) const MEMORY_USED: &str = "memory.used";
/// Bytes set aside for the same rooms.
pub(super) const MEMORY_REQUESTED: &str = "memory.requested";

/// Whether a policy that reads this input needs the cluster to measure.
pub(super) fn is_usage(input: &str) -> bool {
    [CPU_USED, CPU_REQUESTED, MEMORY_USED, MEMORY_REQUESTED].contains(&input)
}

/// How a scheduler is sampled: by its longest window, and never more often than `least`.
pub(super) fn sampling(desired: &Desired, least: Span) -> Sampling {
    let windows = desired.scheduler.autoscaling.triggers.iter().map(|t| t.window);
    let longest = windows.max().unwrap_or_default().max(LEAST_PAST);
    Sampling {
        period: Span::from_ms(longest.ms().div_ceil(1_000)).max(least),
        longest,
    }
}

/// When what is measured next.
#[derive(Debug, Default)]
pub(super) struct Meter {
    usage_at: Timestamp,
}

impl Meter {
    /// Whether usage is due; then the next one is a period later, whatever comes of this one.
    pub(super) fn take_turn(&mut self, sampling: Sampling, now: Timestamp) -> bool {
        let due = now >= self.usage_at;
        if due {
            self.usage_at = now + sampling.period;
        }
        due
    }

    /// When usage is due.
    pub(super) fn usage_at(&self) -> Timestamp {
        self.usage_at
    }
}

/// When the window wants its next sample, by the registry's clock, with these counts at hand.
pub(super) fn sample_at(window: &Window, sample: &Sample, sampling: Sampling) -> Timestamp {
    match window.samples.back() {
        None => sample.at,
        Some(last) if last.counts != sample.counts => last.at + LEAST_GAP,
        Some(last) => {
            let period = i64::try_from(sampling.period.ms().max(1)).unwrap_or(i64::MAX);
            let slot = last.at.ms().div_euclid(period);
            Timestamp::from_ms(slot.saturating_add(1).saturating_mul(period))
        }
    }
}

/// What measured rooms that count as available use and may use, summed over the same rooms.
pub(super) fn totals(
    usages: &[Usage],
    rooms: &BTreeMap<RoomId, Room>,
    watch: &Watch,
    template: &RoomTemplate,
) -> Vec<(&'static str, f64)> {
    let counted: Vec<&Usage> = usages
        .iter()
        .filter(|usage| {
            rooms
                .get(&usage.room)
                .is_some_and(|room| is_available(room, watch))
        })
        .collect();
    if counted.is_empty() {
        return Vec::new();
    }
    let number = counted.len() as f64;
    let mut totals = Vec::new();
    if let Some(request) = requested(template, |r| r.cpu_milli) {
        totals.push((CPU_USED, counted.iter().map(|usage| usage.cpu_milli).sum()));
        totals.push((CPU_REQUESTED, request * number));
    }
    if let Some(request) = requested(template, |r| r.memory_bytes) {
        totals.push((MEMORY_USED, counted.iter().map(|usage| usage.memory_bytes).sum()));
        totals.push((MEMORY_REQUESTED, request * number));
    }
    totals
}

fn is_available(room: &Room, watch: &Watch) -> bool {
    match watch.place(room) {
        Place::Starting | Place::Ready | Place::Allocated | Place::Occupied => true,
        Place::Draining | Place::Stopping | Place::Silent | Place::Gone => false,
    }
}

fn requested(template: &RoomTemplate, of: impl Fn(&Resources) -> Option<u64>) -> Option<f64> {
    let requests = template.containers.iter().filter_map(|c| of(&c.requests));
    let sum: u64 = requests.fold(0, u64::saturating_add);
    (sum > 0).then_some(sum as f64)
}
