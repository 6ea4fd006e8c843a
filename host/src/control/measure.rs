//! The window of one scheduler: room counts on a grid and on change, and what rooms use, once a period.
//!
//! What a cluster can't tell is absent: a room without a measurement is in neither sum, and a resource that the
//! specification does not request has no series at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use maestro_core::deadlines::{Place, Watch};
use maestro_core::decision::Counts;
use maestro_core::names::RoomId;
use maestro_core::room::Room;
use maestro_core::scheduler::{Resources, RoomTemplate};
use maestro_core::time::{Span, Timestamp};
use maestro_core::window::{LEAST_GAP, Sample, Sampling, Window};

use super::{Control, Desired, Error, judge};
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
pub fn is_usage(input: &str) -> bool {
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

impl Control {
    pub(super) async fn measure_usage(&mut self, now: Timestamp) {
        let desired = Arc::clone(&self.desired);
        let sampling = self.sampling();
        let is_read = judge::inputs(&desired).any(is_usage);
        if !is_read || !self.may_call_cluster() || !self.meter.take_turn(sampling, now) {
            return;
        }
        let usages = match self.deps.cluster.usage(&desired.scheduler.name).await {
            Ok(usages) => usages,
            Err(error) => {
                self.told.errors.push(Error::cluster("measure the rooms")(error));
                return;
            }
        };
        let totals = {
            let watch = self.watch(&desired);
            totals(&usages, &self.mirror.rooms, &watch, &desired.scheduler.template)
        };
        let Some(newest) = usages.iter().map(|usage| usage.at).max() else {
            return;
        };
        // The cluster's clock may be another one, and windows go by the registry's. What is measured is not older
        // than a period, whatever the clocks say.
        let at = self.mirror.now - now.since(newest).min(sampling.period);
        let Some(state) = &mut self.state else { return };
        for (name, value) in totals {
            if state.window.push_value(name, at, value, sampling) {
                self.told.values.push((name, at, value));
                self.is_saved = false;
            }
        }
    }

    pub(super) fn sample(&mut self, counts: Counts) {
        let sample = Sample {
            at: self.mirror.now,
            counts,
        };
        let sampling = self.sampling();
        if let Some(state) = &mut self.state
            && state.window.push(sample, sampling)
        {
            state.window.forget_before(sample.at, sampling);
            self.told.samples.push(sample);
            self.is_saved = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use maestro_core::deadlines::Clocks;
    use maestro_core::names::{SchedulerName, Version};
    use maestro_core::room::Intent;
    use maestro_core::scheduler::{Container, Deadlines, ImagePull};

    use super::*;

    fn container(cpu_milli: Option<u64>, memory_bytes: Option<u64>) -> Container {
        Container {
            name: "game".to_owned(),
            image: "pong".to_owned(),
            pull: ImagePull::Never,
            ports: Vec::new(),
            requests: Resources {
                cpu_milli,
                memory_bytes,
            },
            limits: Resources::default(),
            env: Vec::new(),
            cmd: Vec::new(),
        }
    }

    fn template(containers: Vec<Container>) -> RoomTemplate {
        RoomTemplate {
            containers,
            affinity: None,
            toleration: None,
            port_range: None,
            shutdown: Span::ZERO,
            network: maestro_core::scheduler::Network::default(),
            security: maestro_core::scheduler::Security::default(),
            pod_template: None,
        }
    }

    #[test]
    fn sums_are_over_measured_rooms_that_count_and_what_is_not_requested_is_absent() {
        let name = SchedulerName::parse("pong").unwrap();
        let id = |suffix| RoomId::new(&name, suffix);
        let mut rooms = BTreeMap::new();
        for suffix in 0..4 {
            let room = Room::reserved(id(suffix), Version::FIRST, Timestamp::default(), Span::ZERO);
            rooms.insert(room.id.clone(), room);
        }
        rooms.get_mut(&id(3)).unwrap().intent = Intent::Stopping {
            since: Timestamp::default(),
            reason: String::new(),
        };
        let used = |suffix, cpu_milli| Usage {
            room: id(suffix),
            at: Timestamp::default(),
            cpu_milli,
            memory_bytes: 7.0,
        };
        // Room 2 was not measured, room 3 is ending, room 9 is not ours.
        let usages = [used(0, 10.0), used(1, 30.0), used(3, 500.0), used(9, 500.0)];
        let deadlines = Deadlines::default();
        let clocks = Clocks {
            witnessed: Span::ZERO,
            now: Timestamp::default(),
        };
        let watch = Watch::of(&rooms, &deadlines, Span::ZERO, clocks);
        let cpu = template(vec![container(Some(100), None), container(Some(50), None)]);
        let expected = vec![(CPU_USED, 40.0), (CPU_REQUESTED, 300.0)];
        assert_eq!(totals(&usages, &rooms, &watch, &cpu), expected);
        let memory = template(vec![container(None, Some(10))]);
        let expected = vec![(MEMORY_USED, 14.0), (MEMORY_REQUESTED, 20.0)];
        assert_eq!(totals(&usages, &rooms, &watch, &memory), expected);
        assert_eq!(
            totals(&usages[3..], &rooms, &watch, &cpu),
            [],
            "no room of ours, no figures"
        );
    }
}
