//! Where `maestro dev` listens. Rooms that survived an earlier run go on calling the address that they were told, so a
//! data folder remembers it.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;

/// The file in the data folder that holds the last address.
const FILE: &str = "address";

/// Where to listen, as the user names it, and the addresses that this means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    text: String,
    /// Never empty. IPv4 stands first: it is where `maestro-cli` looks, whatever else `localhost` means.
    addresses: Vec<SocketAddr>,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "expected a host and a port, as in 127.0.0.1:8080 or localhost:0";
        let (host, port) = text.rsplit_once(':').ok_or(form)?;
        if host.is_empty() {
            return Err(format!(
                "{form}; 0.0.0.0{text} means every address of this machine"
            ));
        }
        if port.parse::<u16>().is_err() {
            return Err(format!("`{port}` is no port; {form}"));
        }
        let found = text.to_socket_addrs();
        let mut addresses: Vec<SocketAddr> = found
            .map_err(|error| format!("`{host}` has no address: {error}"))?
            .collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        match addresses.is_empty() {
            true => Err(format!("`{host}` has no address")),
            false => Ok(Self {
                text: text.to_owned(),
                addresses,
            }),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Who may call the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Programs of this machine.
    ThisMachine,
    /// Whoever reaches this machine.
    Anybody,
}

impl Listen {
    /// Refuses an address that others reach unless that is wanted: nobody who calls the API is asked for a password.
    pub(super) fn check(&self, reach: Reach) -> Result<()> {
        match (
            reach,
            self.addresses.iter().all(|address| address.ip().is_loopback()),
        ) {
            (Reach::Anybody, _) | (Reach::ThisMachine, true) => Ok(()),
            (Reach::ThisMachine, false) => bail!(
                "{self} can be reached from other machines, and the API asks nobody who they are: whoever calls it \
                 can change schedulers and end rooms; add --insecure if that is what you want, or take an address of \
                 this machine alone with --listen 127.0.0.1:8080"
            ),
        }
    }

    fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|address| address.ip() == ip)
    }

    fn takes_any_port(&self) -> bool {
        self.addresses.iter().all(|address| address.port() == 0)
    }
}

/// Listens on `wanted`. Where any free port will do, the last run's is taken if it is free; the last run's address
/// comes back when it is another one.
pub(super) async fn listen(
    wanted: &Listen,
    data: Option<&Path>,
) -> Result<(TcpListener, Option<SocketAddr>)> {
    let last = data.and_then(remembered).filter(|last| wanted.has(last.ip()));
    if let Some(last) = last.filter(|last| wanted.takes_any_port() && last.port() != 0)
        && let Ok(listener) = TcpListener::bind(last).await
    {
        return Ok((listener, None));
    }
    let listener = bind(wanted).await.map_err(|error| refused(wanted, error))?;
    let address = listener.local_addr().context("the API has no address")?;
    Ok((listener, last.filter(|last| *last != address)))
}

/// Takes the first address that this machine has. One that it has and that is busy is not passed over: whoever calls
/// the name would reach the other program.
async fn bind(wanted: &Listen) -> io::Result<TcpListener> {
    let mut missing = io::ErrorKind::AddrNotAvailable.into();
    for address in &wanted.addresses {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => missing = error,
            bound => return bound,
        }
    }
    Err(missing)
}

fn refused(wanted: &Listen, error: io::Error) -> anyhow::Error {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "can't listen on {wanted}: another program does, perhaps another Maestro; end it, or take any free port with --listen 127.0.0.1:0"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "can't listen on {wanted}: ports below 1024 need rights that you don't have; take another with --listen 127.0.0.1:8080"
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "can't listen on {wanted}: that is no address of this machine; take one that is with --listen 127.0.0.1:8080"
        ),
        _ => return anyhow::Error::new(error).context(format!("can't listen on {wanted}")),
    };
    // The system's own words for these say less.
    anyhow::Error::msg(why)
}

/// Where rooms and tools of this machine reach the API that listens on `address`.
pub(super) fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        named => named,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Writes down the address for the next run.
pub(super) fn remember(address: SocketAddr, data: &Path) -> Result<()> {
    let path = data.join(FILE);
    fs::write(&path, address.to_string()).with_context(|| format!("can't write {}", path.display()))
}

fn remembered(data: &Path) -> Option<SocketAddr> {
    fs::read_to_string(data.join(FILE)).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_free_port_means_the_last_one_while_that_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let any: Listen = "127.0.0.1:0".parse().unwrap();
        let (first, moved) = listen(&any, Some(folder.path())).await.unwrap();
        let address = first.local_addr().unwrap();
        assert_eq!(moved, None, "there was no run before");
        remember(address, folder.path()).unwrap();

        let (beside, moved) = listen(&any, Some(folder.path())).await.unwrap();
        assert_ne!(
            beside.local_addr().unwrap(),
            address,
            "the first one still listens"
        );
        assert_eq!(moved, Some(address));
        drop(first);
        let (again, moved) = listen(&any, Some(folder.path())).await.unwrap();
        assert_eq!((again.local_addr().unwrap(), moved), (address, None));
    }

    #[tokio::test]
    async fn a_name_that_resolves_is_listened_on() {
        let name: Listen = "localhost:0".parse().unwrap();
        let (listener, _) = listen(&name, None).await.unwrap();
        assert!(listener.local_addr().unwrap().ip().is_loopback());
    }

    #[test]
    fn what_is_no_place_to_listen_is_refused_with_the_reason() {
        // A label this long is in no name, so that nobody has to be asked.
        let long = "x".repeat(64);
        for (text, expected) in [
            ("8080", "127.0.0.1:8080"),
            (":8080", "0.0.0.0:8080"),
            ("localhost:http", "`http` is no port"),
            ("localhost:70000", "`70000` is no port"),
            (&format!("{long}:0"), "has no address"),
        ] {
            let error = text.parse::<Listen>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn an_address_that_others_reach_has_to_be_wanted() {
        for (address, is_refused) in [
            ("127.0.0.1:0", false),
            ("127.3.2.1:0", false),
            ("[::1]:0", false),
            ("0.0.0.0:0", true),
            ("[::]:0", true),
            ("192.0.2.1:0", true),
        ] {
            let listen: Listen = address.parse().unwrap();
            assert_eq!(listen.check(Reach::ThisMachine).is_err(), is_refused, "{address}");
            assert!(listen.check(Reach::Anybody).is_ok());
        }
    }

    #[tokio::test]
    async fn a_busy_port_is_told_with_a_way_out() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = taken.local_addr().unwrap().to_string();
        let error = listen(&wanted.parse().unwrap(), None).await.unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains(&wanted) && text.contains("--listen 127.0.0.1:0"),
            "{text}"
        );
    }

    #[test]
    fn every_address_is_called_by_one_that_can_be_called() {
        let url = |address: &str| url(address.parse().unwrap());
        assert_eq!(url("0.0.0.0:80"), "http://127.0.0.1:80");
        assert_eq!(url("[::]:80"), "http://[::1]:80");
        assert_eq!(url("10.0.0.1:80"), "http://10.0.0.1:80");
    }
}
