//! A client that can also send what a proper one would not.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    promised: usize,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub text: String,
}

/// A request such as `GET /scheduler`.
pub fn request(line: &str) -> Request {
    Request {
        line: line.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        promised: 0,
    }
}

impl Request {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    /// Says that the body has so many bytes more than are ever sent.
    pub fn promise(mut self, bytes: usize) -> Self {
        self.promised = bytes;
        self
    }

    /// What is sent, for a golden file.
    pub fn show(&self) -> String {
        const SHOWN: usize = 200;
        let mut out = format!("{}\n", self.line);
        for (name, value) in &self.headers {
            // Writing to a String can't fail.
            let _ok = writeln!(out, "{name}: {value}");
        }
        match std::str::from_utf8(&self.body) {
            Ok("") => {}
            Ok(text) if text.len() <= SHOWN => out.push_str(&format!("{}\n", text.trim_end())),
            Ok(_) | Err(_) => out.push_str(&format!("({} bytes)\n", self.body.len())),
        }
        out
    }

    /// Sends its head, does `meanwhile` once the server wants the body, and sends that.
    pub async fn send_slowly(&self, address: SocketAddr, meanwhile: impl Future<Output = ()>) -> Answer {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = self.clone().header("expect", "100-continue").head();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut wanted = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut wanted).await.unwrap();
        assert!(wanted.starts_with(b"HTTP/1.1 100 "), "{wanted:?}");
        meanwhile.await;
        stream.write_all(&self.body).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        parse(&answer)
    }

    /// Sends it and leaves the connection open, for an answer that does not end.
    pub async fn open(&self, address: SocketAddr) -> Open {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(self.head().as_bytes()).await.unwrap();
        let mut open = Open {
            lines: BufReader::new(stream).lines(),
            status: 0,
        };
        let line = open.line().await.unwrap();
        open.status = line.split(' ').nth(1).unwrap().parse().unwrap();
        open
    }

    fn head(&self) -> String {
        let mut head = format!("{} HTTP/1.1\r\nhost: maestro\r\nconnection: close\r\n", self.line);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!(
            "content-length: {}\r\n\r\n",
            self.body.len() + self.promised
        ));
        head
    }

    /// Sends it and reads the answer to its end.
    pub async fn send(&self, address: SocketAddr) -> Answer {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut bytes = self.head().into_bytes();
        bytes.extend_from_slice(&self.body);
        // A server that refuses a large body may close before it has read all of it; its answer counts.
        let sent = stream.write_all(&bytes).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
        let read = read.unwrap_or_else(|_| panic!("no answer to {}", self.line));
        assert!(!answer.is_empty(), "{}: sent {sent:?}, read {read:?}", self.line);
        parse(&String::from_utf8(answer).unwrap())
    }
}

/// An answer that goes on.
#[derive(Debug)]
pub struct Open {
    lines: Lines<BufReader<TcpStream>>,
    pub status: u16,
}

/// A server-sent event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sent {
    pub event: String,
    pub id: Option<String>,
    pub data: Value,
}

impl Open {
    /// The next line; none at the end.
    pub async fn line(&mut self) -> Option<String> {
        let line = tokio::time::timeout(Duration::from_secs(60), self.lines.next_line()).await;
        line.expect("nothing came for a minute").unwrap()
    }

    /// The next event; none at the end. Heads, comments and the sizes of chunks are passed over.
    pub async fn event(&mut self) -> Option<Sent> {
        let mut sent = Sent::default();
        loop {
            let line = self.line().await?;
            match line.split_once(": ") {
                Some(("event", event)) => sent.event = event.to_owned(),
                Some(("id", id)) => sent.id = Some(id.to_owned()),
                Some(("data", data)) => sent.data = serde_json::from_str(data).unwrap(),
                _ if line.is_empty() && !sent.event.is_empty() => return Some(sent),
                _ => {}
            }
        }
    }

    /// The next event, which is of this sort.
    pub async fn expect(&mut self, event: &str) -> Sent {
        let sent = self.event().await.expect("the stream ended");
        assert_eq!(sent.event, event, "{sent:?}");
        sent
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of a success.
    pub fn ok(&self) -> Value {
        assert!(matches!(self.status, 200 | 201), "{self:?}");
        self.json()
    }
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(':').unwrap());
    Answer {
        status,
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect(),
        text: body.to_owned(),
    }
}
