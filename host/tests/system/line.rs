//! A connection that a room keeps open to one API.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a room waits for an answer before it asks the other API.
const ANSWER: Duration = Duration::from_secs(2);

/// Far more than any answer to a ping.
const LONGEST: usize = 64 * 1024;

/// A connection, when there is one.
#[derive(Default)]
pub(crate) struct Line {
    open: Option<(String, SendRequest<Body>)>,
}

impl Line {
    /// Sends a report to the API at `address` (host and port); its status and body.
    pub(crate) async fn put(
        &mut self,
        address: &str,
        path: &str,
        token: &str,
        body: String,
    ) -> Result<(u16, String), String> {
        match timeout(ANSWER, self.try_put(address, path, token, body)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => {
                self.open = None;
                Err(failure)
            }
            Err(_late) => {
                self.open = None;
                Err("no answer".to_owned())
            }
        }
    }

    async fn try_put(
        &mut self,
        address: &str,
        path: &str,
        token: &str,
        body: String,
    ) -> Result<(u16, String), String> {
        let told = |error: hyper::Error| error.to_string();
        let request = Request::put(path)
            .header("host", address)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let sender = self.sender(address).await?;
        sender.ready().await.map_err(told)?;
        let answer = sender.send_request(request).await.map_err(told)?;
        let status = answer.status().as_u16();
        let body = to_bytes(Body::new(answer.into_body()), LONGEST).await;
        let body = body.map_err(|error| error.to_string())?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn sender(&mut self, address: &str) -> Result<&mut SendRequest<Body>, String> {
        let is_open = |(to, sender): &(String, SendRequest<Body>)| to == address && !sender.is_closed();
        if !self.open.as_ref().is_some_and(is_open) {
            let stream = TcpStream::connect(address)
                .await
                .map_err(|error| error.to_string())?;
            let (sender, connection) = handshake(TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
            tokio::spawn(connection);
            self.open = Some((address.to_owned(), sender));
        }
        match &mut self.open {
            Some((_, sender)) => Ok(sender),
            None => Err("not connected".to_owned()),
        }
    }
}
