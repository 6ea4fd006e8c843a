//! Where `maestro dev` listens. Rooms that survived an earlier run go on calling the address that they were told, so a
//! data folder remembers it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use crate::listen::Listen;

/// The file in the data folder that holds the last address.
const FILE: &str = "address";

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
    let listener = crate::listen::listen(wanted).await?;
    let address = listener.local_addr().context("the API has no address")?;
    Ok((listener, last.filter(|last| *last != address)))
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
