//! Whom HTTPS trusts, and what it means to a person when that fails. Only `client.rs` asks.
//!
//! The authorities are the system's; SSL_CERT_FILE and SSL_CERT_DIR name others in their place, as for most programs.

use std::sync::Arc;

use rustls::CertificateError::{NotValidForName, NotValidForNameContext, UnknownIssuer};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// What makes TLS of ureq's connections.
pub(crate) fn config() -> Result<TlsConfig, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(why.join("; "));
    }
    let roots: Vec<_> = found
        .certs
        .iter()
        .map(|one| Certificate::from_der(one).to_owned())
        .collect();
    Ok(config_of(roots))
}

/// The same without any authority: whatever leads to HTTPS all the same is refused.
pub(crate) fn nobody() -> TlsConfig {
    config_of(Vec::new())
}

fn config_of(roots: Vec<Certificate<'static>>) -> TlsConfig {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .build()
}

/// Why there is no TLS with what answers, and the way out, if that is what went wrong.
pub(crate) fn fault(error: &ureq::Error) -> Option<(String, &'static str)> {
    let error = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref::<rustls::Error>()?,
        _ => return None,
    };
    Some(match error {
        rustls::Error::InvalidMessage(_) => (
            "what answers there does not speak HTTPS".to_owned(),
            "if it speaks plain HTTP, name it with http:// in place of https://",
        ),
        rustls::Error::InvalidCertificate(UnknownIssuer) => (
            "nobody that is trusted here vouches for its certificate".to_owned(),
            "to trust a private authority, name the file of its certificate: SSL_CERT_FILE=authority.pem maestro-cli …",
        ),
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => (
            error.to_string(),
            "name it as its certificate does, with --url or MAESTRO_URL",
        ),
        error => (
            error.to_string(),
            "its certificate, or what stands before it, needs a look",
        ),
    })
}
