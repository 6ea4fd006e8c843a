//! Whether a room's ports are open.
//!
//! The kernel's tables are read rather than connections made: a connection is a player to many a server, and UDP has
//! none. Where there are no such tables, connections have to do, and UDP can't be told.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::os;

/// Tables of sockets, and the state in which a socket of the table takes players; any will do for UDP.
const TABLES: [(&str, Option<&str>); 4] = [
    ("tcp", Some(LISTEN)),
    ("tcp6", Some(LISTEN)),
    ("udp", None),
    ("udp6", None),
];

/// The kernel's number of the state.
const LISTEN: &str = "0A";

/// How long a connection to this very machine may take.
const CONNECT: Duration = Duration::from_millis(200);

/// The ports of a room, by the upper-case names of their variables.
pub(super) struct Ports {
    ports: BTreeMap<String, u16>,
    /// The folder of the tables, where there is one.
    tables: Option<PathBuf>,
}

/// A look at all ports.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Those where nobody listens, for people; empty when all are open.
    pub(super) closed: Vec<String>,
    /// Whether a closed one is closed for certain: without tables it may be open over UDP.
    pub(super) is_certain: bool,
}

impl Ports {
    /// These ports on this machine.
    pub(super) fn new(ports: BTreeMap<String, u16>) -> Self {
        Self {
            ports,
            tables: os::SOCKET_TABLES.map(PathBuf::from),
        }
    }

    /// Whether the room has none.
    pub(super) fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// Looks at all of them.
    pub(super) fn look(&self) -> Look {
        let open = self.tables.as_deref().and_then(open);
        let is_open = |port: u16| match &open {
            Some(open) => open.contains(&port),
            None => connects(port),
        };
        let closed = self.ports.iter().filter(|(_, port)| !is_open(**port));
        Look {
            closed: closed.map(|(name, port)| format!("{port} ({name})")).collect(),
            is_certain: open.is_some(),
        }
    }
}

/// Every port that somebody listens on; `None` where that can't be known.
fn open(tables: &Path) -> Option<Vec<u16>> {
    // Tables of IPv6 are missing where there is none.
    let texts = TABLES.iter().filter_map(|(table, state)| {
        let text = std::fs::read_to_string(tables.join(table)).ok()?;
        Some((text, *state))
    });
    let texts: Vec<_> = texts.collect();
    if texts.is_empty() {
        return None;
    }
    let rows = texts
        .iter()
        .flat_map(|(text, state)| text.lines().filter_map(|row| port(row, *state)));
    Some(rows.collect())
}

/// The local port of a row, if its socket is in that state: `sl local_address rem_address st …`, the local address
/// being `0100007F:4E20`, all hexadecimal.
fn port(row: &str, state: Option<&str>) -> Option<u16> {
    let mut fields = row.split_ascii_whitespace().skip(1);
    let (_, port) = fields.next()?.rsplit_once(':')?;
    let is_wanted = state.is_none_or(|state| fields.nth(1) == Some(state));
    is_wanted.then(|| u16::from_str_radix(port, 16).ok())?
}

fn connects(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), CONNECT).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn ports(port: u16, tables: Option<&str>) -> Ports {
        Ports {
            ports: BTreeMap::from([("GAME".to_owned(), port)]),
            tables: tables.map(PathBuf::from),
        }
    }

    fn look(port: u16, tables: Option<&str>) -> (bool, bool) {
        let look = ports(port, tables).look();
        (look.closed.is_empty(), look.is_certain)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn listeners_of_both_protocols_are_seen() {
        use std::net::UdpSocket;

        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let v6 = UdpSocket::bind("[::1]:0").ok();
        let mut open = vec![tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port()];
        open.extend(v6.map(|socket| {
            let port = socket.local_addr().unwrap().port();
            assert_eq!(
                look(port, os::SOCKET_TABLES),
                (true, true),
                "IPv6, while it is open"
            );
            port
        }));
        assert_eq!(look(open[0], os::SOCKET_TABLES), (true, true), "TCP");
        assert_eq!(look(open[1], os::SOCKET_TABLES), (true, true), "UDP");
        // One below the ports that systems give away, and reserved.
        assert_eq!(ports(1, os::SOCKET_TABLES).look().closed, ["1 (GAME)"]);
    }

    #[test]
    fn a_connection_that_somebody_made_is_no_listener() {
        let listening = "   1: 00000000:4E20 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1";
        let connected = "   2: 0100007F:4E21 0100007F:0050 01 00000000:00000000 00:00000000 00000000 0 0 1";
        assert_eq!(port(listening, Some(LISTEN)), Some(20_000));
        assert_eq!(port(connected, Some(LISTEN)), None);
        assert_eq!(port(connected, None), Some(20_001));
        assert_eq!(port("  sl  local_address rem_address   st", None), None);
    }

    #[test]
    fn without_tables_connections_have_to_do() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        for tables in [None, Some("/nowhere")] {
            assert_eq!(look(port, tables), (true, false));
        }
        drop(tcp);
        for tables in [None, Some("/nowhere")] {
            assert_eq!(look(port, tables), (false, false));
        }
    }
}
