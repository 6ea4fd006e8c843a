//! A way to a Maestro that can be shut, and led to another one: what a client sees of one that goes away and comes back.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Listens for as long as the test runs.
pub(crate) struct Door {
    /// Where.
    pub url: String,
    behind: Arc<Mutex<Behind>>,
}

#[derive(Default)]
struct Behind {
    /// Where it leads; nowhere while it is shut.
    target: Option<SocketAddr>,
    open: Vec<TcpStream>,
}

impl Door {
    /// Opens one to the Maestro at `url`.
    pub(crate) fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            behind: Arc::default(),
        };
        door.lead(url);
        let behind = door.behind.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if let Some(server) = pass(&behind, &client) {
                    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    thread::spawn(move || carry(from, to));
                    thread::spawn(move || carry(server, client));
                }
            }
        });
        door
    }

    /// Leads to the Maestro at `url` from now on.
    pub(crate) fn lead(&self, url: &str) {
        let address = url.strip_prefix("http://").unwrap();
        self.behind.lock().unwrap().target = Some(address.parse().unwrap());
    }

    /// Shuts it, and ends what went through it.
    pub(crate) fn shut(&self) {
        let mut behind = self.behind.lock().unwrap();
        behind.target = None;
        for stream in behind.open.drain(..) {
            end(&stream);
        }
    }
}

/// A way through for a client, if there is one; without, it is hung up on.
fn pass(behind: &Mutex<Behind>, client: &TcpStream) -> Option<TcpStream> {
    let mut behind = behind.lock().unwrap();
    let server = TcpStream::connect(behind.target?).ok()?;
    behind
        .open
        .extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
    Some(server)
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    if io::copy(&mut from, &mut to).is_err() {
        // One side hung up, or the door was shut.
    }
    end(&from);
    end(&to);
}

fn end(stream: &TcpStream) {
    if stream.shutdown(Shutdown::Both).is_err() {
        // It has ended already.
    }
}
