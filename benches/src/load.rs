//! A client that keeps connections open and sends one request after the other on each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Requests made of a counter's number.
pub(crate) type Make = Arc<dyn Fn(u64) -> Request<Full<Bytes>> + Send + Sync>;

/// An open connection.
pub(crate) async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends a request and reads the answer to its end.
pub(crate) async fn send(
    connection: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Bytes> {
    connection.ready().await?;
    let answer = connection.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        bail!("{status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(body)
}

/// An open connection to an API, and what one asks of it.
pub(crate) struct Client {
    address: SocketAddr,
    connection: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let connection = connect(address).await?;
        Ok(Self { address, connection })
    }

    /// Sends a request; answers its body.
    pub(crate) async fn send(&mut self, method: &str, path: &str, body: &str) -> Result<String> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost");
        let body = Full::new(Bytes::from(body.to_owned()));
        // The API closes a connection on which nothing was said for a while.
        if self.connection.is_closed() {
            self.connection = connect(self.address).await?;
        }
        let answer = send(&mut self.connection, request.body(body)?).await?;
        Ok(String::from_utf8(answer.to_vec())?)
    }

    /// Waits until a key of the scheduler's status has at least this value.
    pub(crate) async fn wait(&mut self, name: &str, key: &str, least: u64, time: Duration) -> Result<()> {
        let began = Instant::now();
        let mut value = None;
        while began.elapsed() < time {
            let status = self.send("GET", &format!("/scheduler/{name}"), "").await;
            // Before its document is stored, nobody knows the scheduler.
            value = number(&status.unwrap_or_default(), key);
            if value.is_some_and(|value| value >= least) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        bail!("{key} of {name} never was {least}, it is {value:?}")
    }
}

/// A whole number after a key of a JSON text.
pub(crate) fn number(json: &str, key: &str) -> Option<u64> {
    let after = json.split_once(&format!("\"{key}\":"))?.1;
    let digits: String = after
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

/// Requests answered a second, over so many connections, for this long.
pub(crate) async fn rate(address: SocketAddr, connections: u64, time: Duration, make: &Make) -> Result<f64> {
    let began = Instant::now();
    let mut clients = Vec::new();
    for client in 0..connections {
        let make = Arc::clone(make);
        clients.push(tokio::spawn(async move {
            let mut connection = connect(address).await?;
            let mut sent = 0;
            while began.elapsed() < time {
                send(&mut connection, make(client + sent * connections)).await?;
                sent += 1;
            }
            Ok::<u64, anyhow::Error>(sent)
        }));
    }
    let mut answered = 0;
    for client in clients {
        answered += client.await??;
    }
    Ok(answered as f64 / began.elapsed().as_secs_f64())
}
