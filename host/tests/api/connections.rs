//! Connections that are kept over many requests, and those that never get as far as one.

use std::time::Duration;

use maestro::api::Heads;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::client::request;
use super::harness::{Host, START};

/// For what should happen at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is kept.
struct Kept(BufReader<TcpStream>);

impl Kept {
    async fn open(host: &Host) -> Self {
        let stream = TcpStream::connect(host.address).await.unwrap();
        // Each write is a packet of its own, as with clients that send head and body by themselves.
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a request, its head first, and reads the status and the body of the answer.
    async fn ask(&mut self, line: &str, header: &str, body: &[u8]) -> (u16, String) {
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nhost: maestro\r\n{header}content-length: {length}\r\n\r\n");
        self.0.write_all(head.as_bytes()).await.unwrap();
        self.0.write_all(body).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, self.answer()).await;
        answer.unwrap_or_else(|_| panic!("no answer to {line}"))
    }

    async fn answer(&mut self) -> (u16, String) {
        let first = self.line().await;
        let status = first.split(' ').nth(1).unwrap_or_else(|| panic!("{first:?}"));
        let (status, mut length) = (status.parse().unwrap(), 0);
        loop {
            let line = self.line().await.to_lowercase();
            match line.split_once(": ") {
                Some(("content-length", text)) => length = text.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        assert!(line.ends_with("\r\n"), "the connection was closed: {line:?}");
        line.trim_end().to_owned()
    }
}

fn report() -> Vec<u8> {
    let filling = "x".repeat(8 * 1024);
    format!(r#"{{"status":"ready","timestamp":{START},"metadata":{{"filling":"{filling}"}}}}"#).into_bytes()
}

#[tokio::test]
async fn half_a_head_is_waited_for_so_long_and_others_are_served_meanwhile() {
    let host = Host::start_with(Heads(Duration::from_secs(3))).await;
    let mut halves = Vec::new();
    for begun in ["", "GET /healthcheck HTTP/1.1\r\nhost: mae"] {
        let mut stream = TcpStream::connect(host.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        halves.push(stream);
    }
    assert_eq!(host.send(request("GET /healthcheck")).await.status, 200);
    for mut half in halves {
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, half.read_to_end(&mut answer)).await;
        ended.expect("it is held for ever").ok();
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
    assert_eq!(host.send(request("GET /healthcheck")).await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn a_connection_is_good_after_a_wrong_token() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    let ping = format!("PUT /scheduler/pong/rooms/{room}/ping");
    let event = format!("POST /scheduler/pong/rooms/{room}/roomevent");
    let mut kept = Kept::open(&host).await;
    for line in [&ping, &event, &ping, &event] {
        let (status, text) = kept.ask(line, "authorization: Bearer 00\r\n", &report()).await;
        assert_eq!(status, 401, "{text}");
    }
    let (status, text) = kept.ask(&ping, "", &report()).await;
    assert_eq!(status, 200, "{text}");
    host.stop().await;
}

#[tokio::test]
async fn a_connection_is_good_after_too_many_calls_and_unknown_names() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    let ping = format!("PUT /scheduler/pong/rooms/{room}/ping");
    let mut kept = Kept::open(&host).await;
    let mut refused = 0;
    // A burst is thirty; far more, because a slow machine gets some back meanwhile.
    for _ in 0..10_000 {
        match kept.ask(&ping, "", &report()).await {
            (200, _) => {}
            (429, _) => refused += 1,
            (status, text) => panic!("{status}: {text}"),
        }
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3);
    for line in [
        "PUT /scheduler/zzz",
        "POST /scheduler/zzz",
        "PUT /scheduler/zzz/rooms/zzz-0000000a/ping",
    ] {
        let (status, text) = kept.ask(line, "", &report()).await;
        assert_eq!(status, 404, "{text}");
    }
    assert_eq!(kept.ask("GET /healthcheck", "", b"").await.0, 200);
    host.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_and_the_connection_is_good() {
    let host = Host::with_pong().await;
    let room = host.room(0xa).await;
    let ping = format!("PUT /scheduler/pong/rooms/{room}/ping");
    let mut kept = Kept::open(&host).await;
    for length in [16 * 1024 + 1, 1024 * 1024] {
        let (status, text) = kept.ask(&ping, "", &vec![b' '; length]).await;
        assert_eq!(status, 413, "{text}");
    }
    let (status, text) = kept.ask(&ping, "", &report()).await;
    assert_eq!(status, 200, "{text}");
    host.stop().await;
}
