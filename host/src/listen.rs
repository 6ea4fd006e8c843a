//! Where to listen, as a user names it, and why that can't be.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use anyhow::{Result, bail};
use tokio::net::TcpListener;

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
pub(crate) enum Reach {
    /// Programs of this machine.
    ThisMachine,
    /// Whoever reaches this machine.
    Anybody,
}

impl Listen {
    /// Refuses an address that others reach unless that is wanted: nobody who calls the API is asked for a password.
    pub(crate) fn check(&self, reach: Reach) -> Result<()> {
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

    /// Whether this address is among those meant.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|address| address.ip() == ip)
    }

    /// Whether any free port will do.
    pub(crate) fn takes_any_port(&self) -> bool {
        self.addresses.iter().all(|address| address.port() == 0)
    }
}

/// Listens there; an error says what to do about it.
pub(crate) async fn listen(wanted: &Listen) -> Result<TcpListener> {
    bind(wanted).await.map_err(|error| refused(wanted, error))
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
