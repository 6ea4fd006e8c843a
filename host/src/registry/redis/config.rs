//! What it takes to connect, and why it can fail at once.

use std::sync::Arc;
use std::time::Duration;

use redis::{Client, IntoConnectionInfo, RedisError, TlsCertificates};

use super::bells::Bells;
use super::cluster;
use super::link::Limits;
use super::route::Router;
use super::script::Prefix;
use crate::registry::Error;

/// Where the registry is, and how long is waited for it.
// Without `Debug`: addresses hold passwords.
#[derive(Clone)]
pub struct Config {
    /// The server's address, or those of some nodes of a cluster: `redis://user:password@host:port/database`,
    /// `rediss://…` for TLS. User, password and TLS of the first node that answers hold for all.
    pub urls: Vec<String>,
    /// Where the names of keys and channels begin; installations that share a server have different ones.
    pub prefix: String,
    /// Certificates (PEM) that a server's is checked against; the system's where there are none.
    pub authorities: Option<Vec<u8>>,
    /// How long is waited for a connection.
    pub connect_timeout: Duration,
    /// How long is waited for an answer; then the connection is given up.
    pub answer_timeout: Duration,
    /// How long a call may take with all that is tried anew. Must leave room for a second attempt.
    pub patience: Duration,
}

impl Config {
    /// The server or cluster at these addresses, and what suits most.
    pub fn new(urls: Vec<String>) -> Self {
        Self {
            urls,
            prefix: "maestro".to_owned(),
            authorities: None,
            // A server in the same network answers in a millisecond; what takes so much longer is lost.
            connect_timeout: Duration::from_secs(2),
            answer_timeout: Duration::from_secs(2),
            // Well below a lease of 15 s, and longer than a server takes to restart.
            patience: Duration::from_secs(5),
        }
    }

    pub(super) async fn open(self, bells: Arc<Bells>) -> Result<(Router, Prefix), ConnectError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
        // A brace would decide about the slot of everything.
        if self.prefix.is_empty() || self.prefix.len() > 64 || !self.prefix.chars().all(is_plain) {
            return Err(ConnectError::Prefix(self.prefix));
        }
        if rustls::crypto::CryptoProvider::get_default().is_none()
            && rustls::crypto::ring::default_provider()
                .install_default()
                .is_err()
        {
            tracing::debug!("somebody else chose the cryptography of TLS at the same time");
        }
        let seeds = self.urls.iter().map(|url| self.client(url));
        let seeds = seeds.collect::<Result<Vec<_>, _>>()?;
        let limits = Limits {
            connect: self.connect_timeout,
            answer: self.answer_timeout,
        };
        let router = Router::connect(seeds, limits, self.patience, bells).await;
        let router = router.map_err(|cause| ConnectError::Unreachable { cause: cause.into() })?;
        Ok((router, Prefix(self.prefix)))
    }

    fn client(&self, url: &str) -> Result<Client, ConnectError> {
        // The address may hold a password, so that the error names what is wrong and not where.
        let wrong = |cause: RedisError| ConnectError::Address { cause: cause.into() };
        let info = url.into_connection_info().map_err(wrong)?;
        let info = cluster::with_messages(info);
        let is_tls = matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. });
        let client = match &self.authorities {
            Some(pem) if is_tls => {
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem.clone()),
                };
                Client::build_with_tls(info, certificates)
            }
            Some(_) | None => Client::open(info),
        };
        client.map_err(wrong)
    }
}

/// Why a registry on Redis can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Keys can't begin like this.
    #[error("{0:?} can't begin the names of keys: expected 1 to 64 letters, digits, or -_:.")]
    Prefix(String),
    /// An address is malformed.
    #[error(
        "an address of Redis is malformed: expected redis:// or rediss://[USER:PASSWORD@]HOST[:PORT][/DATABASE]"
    )]
    Address {
        /// What about it.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No server answered, or not as one should.
    #[error("failed to connect to Redis")]
    Unreachable {
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It answered, and the first call failed.
    #[error("Redis can't be used as it is")]
    Unusable {
        /// Why.
        #[source]
        cause: Error,
    },
}
