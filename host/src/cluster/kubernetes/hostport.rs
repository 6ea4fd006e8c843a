//! The ports of nodes that rooms hold without a service, and which of them the next room gets.
//!
//! Which node a room comes to is not known when its ports are chosen, so a port that any known room holds is taken again
//! only when the range is used up; then the one that fewest hold, because those may be on other nodes. Rooms of other
//! workers are not known here: the scheduler of Kubernetes places no room on a node where its port is taken, and beginning
//! anywhere in the range keeps that rare.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::scheduler::PortRange;

use crate::cluster::Error;

/// Where ports are taken from when neither a document nor the installation says it: below those of services, and below
/// those that systems give to outgoing connections.
pub const HOST_PORTS: PortRange = PortRange {
    start: 10_000,
    end: 19_999,
};

/// The ports that rooms hold.
pub(super) struct HostPorts {
    range: PortRange,
    held: Mutex<BTreeMap<SchedulerName, BTreeMap<RoomId, Held>>>,
}

struct Held {
    ports: Vec<u16>,
    /// When they were given out, or seen to be held.
    at: Instant,
}

impl HostPorts {
    pub(super) fn new(range: PortRange) -> Self {
        Self {
            range,
            held: Mutex::default(),
        }
    }

    /// So many ports for a room, of its scheduler's range if it has one. `start` is where to look first.
    pub(super) fn take(
        &self,
        room: (&SchedulerName, &RoomId),
        range: Option<PortRange>,
        wanted: usize,
        start: u16,
    ) -> Result<Vec<u16>, Error> {
        let PortRange {
            start: low,
            end: high,
        } = range.unwrap_or(self.range);
        let size = usize::from(high - low) + 1;
        if size < wanted {
            return Err(Error::Exhausted {
                what: format!("a room needs {wanted} ports, and {low}-{high} are {size}"),
                remedy: "widen the range of host ports".to_owned(),
            });
        }
        let (scheduler, room) = room;
        let mut held = self.held();
        let mut holders: BTreeMap<u16, usize> = BTreeMap::new();
        for port in held
            .values()
            .flat_map(BTreeMap::values)
            .flat_map(|room| &room.ports)
        {
            *holders.entry(*port).or_default() += 1;
        }
        let first = low + u16::try_from(usize::from(start) % size).unwrap_or_default();
        let round = || (first..=high).chain(low..first);
        let holders_of = |port: &u16| holders.get(port).copied().unwrap_or_default();
        let mut ports: Vec<u16> = round()
            .filter(|port| holders_of(port) == 0)
            .take(wanted)
            .collect();
        if ports.len() < wanted {
            ports = round().collect();
            // Stable: among equals the order of the round stays.
            ports.sort_by_key(holders_of);
            ports.truncate(wanted);
        }
        let given = Held {
            ports: ports.clone(),
            at: Instant::now(),
        };
        held.entry(scheduler.clone())
            .or_default()
            .insert(room.clone(), given);
        Ok(ports)
    }

    /// Takes down what a list showed that began at `begun`. Rooms that it lacks hold nothing, unless they are younger.
    pub(super) fn saw(
        &self,
        scheduler: &SchedulerName,
        seen: impl Iterator<Item = (RoomId, Vec<u16>)>,
        begun: Instant,
    ) {
        let mut held = self.held();
        let of_scheduler = held.entry(scheduler.clone()).or_default();
        let mut listed = BTreeSet::new();
        for (room, ports) in seen.filter(|(_, ports)| !ports.is_empty()) {
            listed.insert(room.clone());
            of_scheduler.insert(room, Held { ports, at: begun });
        }
        of_scheduler.retain(|room, held| listed.contains(room) || held.at > begun);
        if of_scheduler.is_empty() {
            held.remove(scheduler);
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<SchedulerName, BTreeMap<RoomId, Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: PortRange = PortRange {
        start: 7_000,
        end: 7_003,
    };

    fn take(ports: &HostPorts, scheduler: &str, suffix: u32, wanted: usize, start: u16) -> Vec<u16> {
        let name = SchedulerName::parse(scheduler).unwrap();
        let room = RoomId::new(&name, suffix);
        ports.take((&name, &room), None, wanted, start).unwrap()
    }

    #[test]
    fn rooms_of_all_schedulers_have_ports_of_their_own_while_there_are_enough() {
        let ports = HostPorts::new(RANGE);
        assert_eq!(take(&ports, "ping", 1, 2, 3), [7_003, 7_000]);
        assert_eq!(take(&ports, "pong", 1, 1, 0), [7_001]);
        assert_eq!(take(&ports, "pong", 2, 2, 0), [7_002, 7_000], "one is held twice");
        assert_eq!(
            take(&ports, "pong", 3, 1, 0),
            [7_001],
            "those that fewest hold come first"
        );
    }

    #[test]
    fn what_a_room_held_is_free_once_a_later_list_lacks_it() {
        let (ports, name) = (HostPorts::new(RANGE), SchedulerName::parse("pong").unwrap());
        let before = Instant::now();
        assert_eq!(take(&ports, "pong", 1, 3, 0), [7_000, 7_001, 7_002]);
        ports.saw(&name, std::iter::empty(), before);
        assert_eq!(
            take(&ports, "pong", 2, 1, 0),
            [7_003],
            "the list is older than the room"
        );
        let seen = [(RoomId::new(&name, 2), vec![7_003])];
        ports.saw(&name, seen.into_iter(), Instant::now());
        assert_eq!(take(&ports, "pong", 3, 3, 3), [7_000, 7_001, 7_002]);
    }

    #[test]
    fn a_range_that_is_too_small_for_one_room_is_said() {
        let (ports, name) = (HostPorts::new(RANGE), SchedulerName::parse("pong").unwrap());
        let room = RoomId::new(&name, 1);
        let error = ports.take((&name, &room), None, 5, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a room needs 5 ports, and 7000-7003 are 4; widen the range of host ports"
        );
        let wider = PortRange {
            start: 1,
            end: 65_535,
        };
        assert_eq!(
            ports.take((&name, &room), Some(wider), 1, u16::MAX - 1).unwrap(),
            [65_535]
        );
    }
}
