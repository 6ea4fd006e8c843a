//! Where `maestro dev` listens. Rooms that survived an earlier run go on calling the address that they were told, so a
//! data folder remembers it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

/// The file in the data folder that holds the last address.
const FILE: &str = "address";

/// Listens on `wanted`. Where any free port will do, the last run's is taken if it is free.
pub(super) async fn listen(wanted: SocketAddr, data: Option<&Path>) -> Result<TcpListener> {
    let last = data.and_then(remembered).filter(|last| last.ip() == wanted.ip());
    if let Some(last) = last.filter(|last| wanted.port() == 0 && last.port() != 0)
        && let Ok(listener) = TcpListener::bind(last).await
    {
        return Ok(listener);
    }
    let listener = TcpListener::bind(wanted).await.with_context(|| {
        format!(
            "can't listen on {wanted}; another Maestro may, so take a free port with --listen 127.0.0.1:0"
        )
    })?;
    let address = listener.local_addr().context("the API has no address")?;
    if let Some(last) = last.filter(|last| *last != address) {
        tracing::warn!(
            "rooms of the last run, if any survived, call {last} and are not heard at {address}; start with --listen {last} to hear them"
        );
    }
    Ok(listener)
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
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let first = listen(any, Some(folder.path())).await.unwrap();
        let address = first.local_addr().unwrap();
        remember(address, folder.path()).unwrap();

        let beside = listen(any, Some(folder.path())).await.unwrap();
        assert_ne!(
            beside.local_addr().unwrap(),
            address,
            "the first one still listens"
        );
        drop(first);
        let again = listen(any, Some(folder.path())).await.unwrap();
        assert_eq!(again.local_addr().unwrap(), address);
    }
}
