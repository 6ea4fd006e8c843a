//! A room against a small HTTP server on loopback that answers as Maestro does.
#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

#[path = "../../../host/tests/shared/eventually.rs"]
mod eventually;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use maestro_client::{Identity, Options, Room, Status};
use serde_json::{Value, json};

use eventually::{PATIENCE, eventually};

/// One request as it arrived.
#[derive(Clone, Debug)]
struct Call {
    line: String,
    authorization: String,
    body: Value,
    at: Instant,
}

/// What the server saw, and what it answers.
struct Maestro {
    address: SocketAddr,
    calls: Mutex<Vec<Call>>,
    answer: Mutex<(u16, String)>,
    /// So many of the next requests are cut off without an answer.
    cut: AtomicU32,
}

impl Maestro {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let maestro = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            calls: Mutex::default(),
            answer: Mutex::new((200, json!({"success": true, "draining": false}).to_string())),
            cut: AtomicU32::new(0),
        });
        let served = maestro.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = served.clone();
                std::thread::spawn(move || served.serve(stream));
            }
        });
        maestro
    }

    /// Answers the requests of one connection until it ends.
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut writer = stream;
        loop {
            let call = read(&mut reader)?;
            if self
                .cut
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok()
            {
                return None;
            }
            self.calls.lock().unwrap().push(call);
            let (status, body) = self.answer.lock().unwrap().clone();
            let length = body.len();
            write!(
                writer,
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .ok()?;
        }
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    fn answer(&self, status: u16, body: Value) {
        *self.answer.lock().unwrap() = (status, body.to_string());
    }

    /// The words of all reports so far.
    fn words(&self) -> Vec<String> {
        self.calls()
            .iter()
            .map(|call| call.body["status"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits for a report that is as `is_so` says.
    fn hears(&self, what: &str, is_so: impl Fn(&Call) -> bool) -> Call {
        eventually(what, PATIENCE, || self.calls().into_iter().find(&is_so))
    }
}

fn read(reader: &mut impl BufRead) -> Option<Call> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => authorization = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Call {
        line: line.trim_end().to_owned(),
        authorization,
        body: serde_json::from_slice(&body).ok()?,
        at: Instant::now(),
    })
}

fn identity(address: SocketAddr) -> Identity {
    Identity {
        scheduler: "pong".to_owned(),
        room: "pong-0000002a".to_owned(),
        api_url: format!("http://{address}"),
        token: "secret".to_owned(),
        ports: [("GAME_BINARY".to_owned(), 20_001)].into(),
    }
}

/// A room that pings twenty times a second and leaves signals alone.
fn room(maestro: &Maestro) -> Room {
    let interval = Duration::from_millis(50);
    let options = Options {
        interval,
        catch_sigterm: false,
        ..Options::default()
    };
    Room::connect_as(identity(maestro.address), options).unwrap()
}

/// A room that never pings by itself within a test.
fn silent_room(maestro: &Maestro) -> Room {
    let interval = Duration::from_secs(3_600);
    let options = Options {
        interval,
        catch_sigterm: false,
        ..Options::default()
    };
    Room::connect_as(identity(maestro.address), options).unwrap()
}

#[test]
fn a_status_is_told_at_once_and_then_pinged() {
    let maestro = Maestro::start();
    let room = room(&maestro);
    assert_eq!(room.port("game-binary"), Some(20_001));
    room.ready();
    maestro.hears("three pings", |_| maestro.calls().len() >= 4);
    let calls = maestro.calls();
    assert_eq!(
        calls[0].line,
        "PUT /scheduler/pong/rooms/pong-0000002a/status HTTP/1.1"
    );
    assert_eq!(
        calls[1].line,
        "PUT /scheduler/pong/rooms/pong-0000002a/ping HTTP/1.1"
    );
    assert_eq!(calls[0].authorization, "Bearer secret");
    assert!(maestro.words().iter().all(|word| word == "ready"));
    let times: Vec<u64> = calls
        .iter()
        .map(|call| call.body["timestamp"].as_u64().unwrap())
        .collect();
    assert!(
        times.windows(2).all(|pair| pair[0] < pair[1]),
        "strictly increasing: {times:?}"
    );
    assert!(times[0] > 1_600_000_000_000, "milliseconds");
}

#[test]
fn nothing_is_said_before_the_first_status() {
    let maestro = Maestro::start();
    let room = room(&maestro);
    room.set_metadata(json!({"map": "ice"}).as_object().unwrap().clone());
    room.ready();
    let first = maestro.hears("a report", |_| true);
    assert_eq!(
        (&first.body["status"], &first.body["metadata"]),
        (&json!("ready"), &json!({"map": "ice"}))
    );
}

#[test]
fn a_change_does_not_wait_for_the_next_ping() {
    let maestro = Maestro::start();
    let room = silent_room(&maestro);
    for word in ["ready", "occupied", "ready", "terminating"] {
        match word {
            "ready" => room.ready(),
            "occupied" => room.occupied(),
            _ => room.terminating(),
        }
        assert!(room.flush(PATIENCE));
    }
    assert_eq!(maestro.words(), ["ready", "occupied", "ready", "terminating"]);
    room.occupied();
    assert_eq!(
        room.status(),
        Some(Status::Terminating),
        "an ending room takes nothing back"
    );
}

#[test]
fn metadata_and_matches_are_told_and_not_repeated() {
    let maestro = Maestro::start();
    let room = silent_room(&maestro);
    room.ready();
    room.set_metadata(json!({"mode": "ranked"}).as_object().unwrap().clone());
    room.set_matches(2, 8);
    assert!(room.flush(PATIENCE));
    room.occupied();
    assert!(room.flush(PATIENCE));
    let calls = maestro.calls();
    assert!(
        calls
            .iter()
            .any(|call| call.body["metadata"] == json!({"mode": "ranked"}))
    );
    let last = &calls.last().unwrap().body;
    assert_eq!(
        (&last["runningMatches"], &last["capacity"]),
        (&json!(2), &json!(8))
    );
    assert_eq!(last.get("metadata"), None, "Maestro keeps what it was told");
}

#[test]
fn a_drain_is_heard_and_left_in_order() {
    let maestro = Maestro::start();
    let room = room(&maestro);
    room.occupied();
    maestro.hears("the match", |call| call.body["status"] == "occupied");
    assert!(!room.should_leave());
    let (tx, rx) = std::sync::mpsc::channel();
    let handle = room.clone();
    room.on_drain(move || tx.send(handle.is_draining()).unwrap());
    maestro.answer(200, json!({"success": true, "draining": true}));
    assert!(rx.recv_timeout(PATIENCE).unwrap());
    assert!(room.wait_should_leave(PATIENCE) && !room.shutdown_requested());
    room.leave();
    let words = maestro.words();
    assert_eq!(words[words.len() - 2..], ["terminating", "terminated"]);
    assert!(
        words[..words.len() - 2].iter().all(|word| word == "occupied"),
        "its match was not given up: {words:?}"
    );
    let said = maestro.calls().len();
    let again = silent_room(&maestro);
    again.ready();
    assert!(again.flush(PATIENCE));
    assert_eq!(
        maestro.calls().len(),
        said + 1,
        "a room that left says nothing more"
    );
}

#[test]
fn a_report_is_tried_again_until_it_is_taken() {
    let maestro = Maestro::start();
    maestro.cut.store(2, Ordering::SeqCst);
    let room = silent_room(&maestro);
    room.ready();
    assert!(room.flush(PATIENCE));
    assert_eq!(maestro.words(), ["ready"]);
    assert_eq!(room.last_error(), None);
}

#[test]
fn retries_slow_down_to_the_interval() {
    let maestro = Maestro::start();
    maestro.answer(
        503,
        json!({"success": false, "description": "the registry is gone"}),
    );
    let interval = Duration::from_millis(600);
    let options = Options {
        interval,
        catch_sigterm: false,
        ..Options::default()
    };
    let room = Room::connect_as(identity(maestro.address), options).unwrap();
    room.ready();
    maestro.hears("six tries", |_| maestro.calls().len() >= 6);
    assert!(room.last_error().unwrap().contains("the registry is gone"));
    let calls = maestro.calls();
    let gaps: Vec<Duration> = calls.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(
        gaps[0] >= Duration::from_millis(120),
        "the first retry waits too: {gaps:?}"
    );
    // At least half of the capped pause: no storm.
    assert!(
        gaps[3..].iter().all(|gap| *gap >= Duration::from_millis(290)),
        "{gaps:?}"
    );
    assert!(
        calls.iter().all(|call| call.line.contains("/status ")),
        "not taken yet, so not a mere ping"
    );
}

#[test]
fn a_maestro_that_does_not_answer_holds_nobody_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options {
        timeout: Duration::from_millis(100),
        farewell: Duration::from_millis(200),
        catch_sigterm: false,
        ..Options::default()
    };
    let begun = Instant::now();
    let room = Room::connect_as(identity(listener.local_addr().unwrap()), options).unwrap();
    room.ready();
    room.leave();
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
}

#[test]
fn a_detached_room_reports_to_nobody() {
    let room = Room::detached().unwrap();
    room.ready();
    assert_eq!((room.identity(), room.port("game")), (None, None));
    assert!(room.flush(Duration::ZERO) && !room.is_draining());
    room.leave();
}
