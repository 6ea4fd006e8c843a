//! Server-sent events, read one by one as they arrive.

use std::io::{BufRead, BufReader, Read};

/// The greatest event that is read; a room or a decision stays far below it.
const EVENT_LIMIT: usize = 4 * 1024 * 1024;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// What it is called.
    pub event: String,
    /// Where to go on after a break, if it says so.
    pub id: Option<String>,
    /// Its body.
    pub data: String,
}

/// A stream of them.
pub(crate) struct Stream {
    lines: BufReader<Box<dyn Read + Send>>,
}

impl Stream {
    /// Reads what `body` brings.
    pub(crate) fn new(body: impl Read + Send + 'static) -> Self {
        Self {
            lines: BufReader::new(Box::new(body)),
        }
    }
}

impl Iterator for Stream {
    type Item = Sent;

    /// The next event; none when the stream ended, however it did. A comment, which keeps it alive, is an event
    /// without anything in it: whoever passes events on learns from it that the stream lives.
    fn next(&mut self) -> Option<Sent> {
        let mut sent = Sent::default();
        let mut line = String::new();
        loop {
            line.clear();
            match self.lines.read_line(&mut line) {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
            let text = line.trim_end_matches(['\n', '\r']);
            let (field, value) = text.split_once(':').unwrap_or((text, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut sent.event),
                "id" => sent.id = Some(value.to_owned()),
                "data" => {
                    if !sent.data.is_empty() {
                        sent.data.push('\n');
                    }
                    sent.data.push_str(value);
                }
                _ => {}
            }
            if sent.data.len() > EVENT_LIMIT {
                return None;
            }
            if text.is_empty() {
                return Some(match sent.data.is_empty() {
                    true => Sent::default(),
                    false => sent,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_they_are_written() {
        let text = ": quiet\n\nevent: room\ndata: {\"a\": 1}\n\nevent:decision\r\nid: d1\r\ndata: one\r\ndata: two\r\n\r\ndata: cut off";
        let sent: Vec<Sent> = Stream::new(text.as_bytes()).collect();
        let expected = [
            ("", None, ""),
            ("room", None, "{\"a\": 1}"),
            ("decision", Some("d1"), "one\ntwo"),
        ];
        let expected = expected.map(|(event, id, data)| Sent {
            event: event.to_owned(),
            id: id.map(str::to_owned),
            data: data.to_owned(),
        });
        assert_eq!(sent, expected);
    }
}
