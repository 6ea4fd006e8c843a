//! The ports of the example room: UDP echoes, TCP begins matches.
//!
//! Over TCP each line is a request. `match MILLISECONDS` begins a match and is answered `ok`, or `no: ` and why not.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use maestro_client::Identity;

use super::{Event, LONGEST_MATCH, say};

/// Longer lines are not ours.
const LINE: u64 = 64;

/// A connection that says nothing for so long is closed.
const QUIET: Duration = Duration::from_secs(10);

/// The pause after a failure that may come again at once.
const BREATH: Duration = Duration::from_millis(100);

/// Opens every port that the environment names. Which protocol a port is for is not said there, so both are tried,
/// and one of them has to work. In a container, two ports can have one number and two protocols.
pub(super) fn open(identity: &Identity, listen: IpAddr, events: &Sender<Event>) -> io::Result<()> {
    let mut open = BTreeSet::new();
    for (name, port) in &identity.ports {
        if !open.insert(*port) {
            continue;
        }
        let (tcp, udp) = (
            TcpListener::bind((listen, *port)),
            UdpSocket::bind((listen, *port)),
        );
        if let (Err(tcp), Err(udp)) = (&tcp, &udp) {
            return Err(io::Error::other(format!(
                "port {port} ({name}) can't be opened: TCP {tcp}, UDP {udp}"
            )));
        }
        if let Ok(listener) = tcp {
            let events = events.clone();
            start("tcp", move || accept(&listener, &events))?;
        }
        if let Ok(socket) = udp {
            start("udp", move || echo(&socket))?;
        }
        say(&format!("listening on port {port} ({name})"));
    }
    Ok(())
}

fn accept(listener: &TcpListener, events: &Sender<Event>) {
    for stream in listener.incoming() {
        let events = events.clone();
        let served = stream.and_then(|stream| start("player", move || serve(&stream, &events)));
        if let Err(error) = served {
            // Too many open files or threads: the next player may have more luck.
            say(&format!("a player could not be served: {error}"));
            thread::sleep(BREATH);
        }
    }
}

/// Answers one connection until it ends, in whichever way.
fn serve(stream: &TcpStream, events: &Sender<Event>) -> Option<()> {
    stream.set_read_timeout(Some(QUIET)).ok()?;
    let mut writer = stream;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader
            .by_ref()
            .take(LINE)
            .read_line(&mut line)
            .ok()
            .filter(|length| *length > 0)?;
        let answer = match ask(line.trim_end(), events) {
            None => "ok\n".to_owned(),
            Some(why) => format!("no: {why}\n"),
        };
        writer.write_all(answer.as_bytes()).ok()?;
    }
}

/// `None` when the match began, else why not.
fn ask(line: &str, events: &Sender<Event>) -> Option<&'static str> {
    const EXPECTED: Option<&str> = Some("expected `match MILLISECONDS`");
    let Some(ms) = line.strip_prefix("match ").and_then(|ms| ms.trim().parse().ok()) else {
        return EXPECTED;
    };
    let length = Duration::from_millis(ms);
    if length > LONGEST_MATCH {
        return Some("a match is no longer than a day");
    }
    let (answer, answered) = channel();
    let has_left = Some("the room has left");
    match events.send(Event::Match { length, answer }) {
        Ok(()) => answered.recv().unwrap_or(has_left),
        Err(_) => has_left,
    }
}

fn echo(socket: &UdpSocket) {
    // The largest datagram there is.
    let mut buffer = vec![0; 65_536];
    loop {
        // An error is about one sender, as when its port is closed; the others go on.
        match socket
            .recv_from(&mut buffer)
            .and_then(|(length, from)| socket.send_to(&buffer[..length], from))
        {
            Ok(_) => {}
            Err(_) => thread::sleep(BREATH),
        }
    }
}

fn start<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(body)?;
    Ok(())
}
