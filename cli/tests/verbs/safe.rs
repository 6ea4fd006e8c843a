//! HTTPS: whom it trusts, and what is told when there is none. The service speaks plain HTTP; a front of the kind that
//! stands before it in earnest speaks TLS for it.
//!
//! `safe/` holds a server's certificate for 127.0.0.1 and the authority that signed it, both good until 2126, and
//! another authority; their keys were thrown away, except for the server's, which is worth nothing elsewhere.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::beside::{Dev, Ran, command, ended, stranger};

/// Speaks TLS for the Maestro at `url`: a request without a body on each connection. Gives its own URL.
fn front(url: &str) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_slice(include_bytes!("safe/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("safe/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let behind = url.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(config.clone()).unwrap();
            if pass(StreamOwned::new(connection, client), &behind).is_err() {
                // Whoever trusts it not hangs up.
            }
        }
    });
    format!("https://{place}")
}

fn pass(mut client: StreamOwned<ServerConnection, TcpStream>, behind: &str) -> io::Result<()> {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        asked.extend(byte);
    }
    let head = asked.strip_suffix(b"\r\n").unwrap();
    let mut server = TcpStream::connect(behind)?;
    server.write_all(&[head, b"connection: close\r\n\r\n"].concat())?;
    io::copy(&mut server, &mut client)?;
    client.conn.send_close_notify();
    client.flush()
}

/// Runs `status idle` with the authority of a file beside this one in place of the system's.
fn trusting(authority: &str, url: &str) -> Ran {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verbs/safe");
    let mut command = command(url, &["status", "idle"]);
    ended(
        command
            .env("SSL_CERT_FILE", folder.join(authority))
            .env_remove("SSL_CERT_DIR"),
    )
}

#[test]
fn https_is_spoken_with_whom_a_trusted_authority_vouches_for() {
    let dev = Dev::start(&[]);
    let safe = front(dev.url());
    let told = trusting("authority.pem", &safe);
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(told.out.starts_with("idle v1.0 "), "{}", told.out);

    let other_name = safe.replace("127.0.0.1", "localhost");
    let plain = dev.url().replace("http://", "https://");
    for (authority, url, words, way) in [
        ("other.pem", &safe, "vouches for its certificate", "SSL_CERT_FILE"),
        ("nowhere.pem", &safe, "no authority to trust", "SSL_CERT_FILE"),
        ("authority.pem", &other_name, "not valid for name", "--url"),
        ("authority.pem", &plain, "does not speak HTTPS", "http://"),
    ] {
        let ran = trusting(authority, url);
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (4, ""),
            "{authority} {url}: {}",
            ran.err
        );
        assert!(ran.err.contains(words) && ran.err.contains(way), "{}", ran.err);
    }
}

#[test]
fn nobody_is_led_elsewhere() {
    let url = stranger(
        "HTTP/1.1 301 Moved\r\nLocation: https://safe.example/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    let ran = trusting("authority.pem", &url);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert!(
        ran.err
            .contains("status 301, which leads to `https://safe.example/`"),
        "{}",
        ran.err
    );
}
