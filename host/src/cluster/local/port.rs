//! The ports that local rooms listen on: a tracked range, checked free before each use.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use maestro_core::names::RoomId;
use maestro_core::room::OpenPort;
use maestro_core::scheduler::{Port, PortRange};

use super::Error;

/// Which room has which port.
#[derive(Debug, Default)]
pub(super) struct Ports {
    taken: BTreeMap<u16, RoomId>,
    /// Where to look next. Going round the range keeps a port that was just given back away from the next room,
    /// whose players' clients might still send to it.
    next: u16,
}

impl Ports {
    /// Takes one free port of `range` for each of `wanted`, or none.
    pub(super) fn take(
        &mut self,
        room: &RoomId,
        wanted: &[&Port],
        range: PortRange,
    ) -> Result<Vec<OpenPort>, Error> {
        let mut open = Vec::with_capacity(wanted.len());
        for port in wanted {
            match self.free(range) {
                Some(number) => {
                    self.taken.insert(number, room.clone());
                    open.push(OpenPort {
                        name: port.name.clone(),
                        protocol: port.protocol,
                        port: number,
                    });
                }
                None => {
                    self.release(room);
                    return Err(self.exhausted(range));
                }
            }
        }
        Ok(open)
    }

    /// Keeps the ports of a room that is there already.
    pub(super) fn keep(&mut self, room: &RoomId, ports: &[OpenPort]) {
        for port in ports {
            self.taken.insert(port.port, room.clone());
        }
    }

    /// Gives a room's ports back.
    pub(super) fn release(&mut self, room: &RoomId) {
        self.taken.retain(|_, holder| holder != room);
    }

    fn exhausted(&self, range: PortRange) -> Error {
        let PortRange { start, end } = range;
        let held = self.taken.range(start..=end).count();
        Error::Exhausted {
            what: format!(
                "no port of {start}-{end} is left ({held} of its {} are held by rooms, others by other programs)",
                usize::from(end - start) + 1
            ),
            remedy: "give a wider `portRange` in the document, or ask for fewer rooms".to_owned(),
        }
    }

    fn free(&mut self, range: PortRange) -> Option<u16> {
        let from = if (range.start..=range.end).contains(&self.next) {
            self.next
        } else {
            // Somewhere: two Maestros on one machine would give the same ports to rooms that have not taken theirs yet.
            range.start + rand::random_range(0..=range.end - range.start)
        };
        let found = (from..=range.end)
            .chain(range.start..from)
            .find(|port| !self.taken.contains_key(port) && is_free(*port))?;
        self.next = found.checked_add(1).unwrap_or(range.start);
        Some(found)
    }
}

/// Whether a program could listen there now, over either protocol: a room is only told the number, and may use it
/// for both.
fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::UNSPECIFIED, port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_core::names::SchedulerName;
    use maestro_core::scheduler::Protocol;

    fn room(suffix: u32) -> RoomId {
        RoomId::new(&SchedulerName::parse("pong").unwrap(), suffix)
    }

    fn port(name: &str) -> Port {
        Port {
            name: name.to_owned(),
            container_port: 5050,
            protocol: Protocol::Udp,
        }
    }

    /// Three ports in a row that nobody uses, far from those that the system gives to others. Each test looks from
    /// somewhere else, because a look takes a port for a moment.
    fn range(from: u16) -> PortRange {
        let start = (from..from + 300).find(|start| (0..3).all(|i| is_free(start + i)));
        let start = start.unwrap();
        PortRange {
            start,
            end: start + 2,
        }
    }

    #[test]
    fn rooms_never_share_a_port_and_give_theirs_back() {
        let range = range(23_000);
        let mut ports = Ports::default();
        let (a, b) = (port("a"), port("b"));
        let first = ports.take(&room(1), &[&a, &b], range).unwrap();
        let second = ports.take(&room(2), &[&a], range).unwrap();
        assert!(first.iter().all(|open| open.port != second[0].port));
        let error = ports.take(&room(3), &[&a], range).unwrap_err();
        assert!(error.to_string().contains("give a wider `portRange`"), "{error}");
        ports.release(&room(1));
        assert_eq!(ports.take(&room(3), &[&a, &b], range).unwrap().len(), 2);
    }

    #[test]
    fn a_room_gets_all_its_ports_or_none() {
        let range = range(23_300);
        let mut ports = Ports::default();
        let wanted = port("a");
        ports.take(&room(1), &[&wanted, &wanted], range).unwrap();
        ports.take(&room(2), &[&wanted, &wanted], range).unwrap_err();
        assert_eq!(ports.take(&room(3), &[&wanted], range).unwrap().len(), 1);
    }

    #[test]
    fn a_port_in_use_by_somebody_else_is_passed_over() {
        let range = range(23_600);
        let _held = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, range.start)).unwrap();
        let mut ports = Ports::default();
        let wanted = port("a");
        assert_ne!(
            ports.take(&room(1), &[&wanted], range).unwrap()[0].port,
            range.start
        );
    }
}
