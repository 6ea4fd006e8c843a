//! A server of a test's own, to be stopped, started, paused and emptied.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::bench::{PATIENCE, eventually};

/// A Redis server on a loopback port; killed when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    folder: TempDir,
    options: Vec<String>,
    child: Option<Child>,
}

impl Server {
    pub(crate) async fn start(options: &[&str]) -> Self {
        let mut server = Self {
            port: 0,
            folder: tempfile::tempdir().unwrap(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            child: None,
        };
        // Somebody else may take the port that was free: then with another one.
        for _ in 0..10 {
            server.port = free_port();
            if server.run().await {
                return server;
            }
        }
        panic!("redis-server does not start on any port");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it again, on the same port and without what it knew.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        eventually("the server's port is free again", async || {
            self.run().await.then_some(())
        })
        .await;
    }

    /// As a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Keeps its connections, and says nothing from now on.
    pub(crate) fn pause(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let child = self.child.as_ref().expect("it runs");
        let pid = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Starts it; says whether it came up.
    async fn run(&mut self) -> bool {
        let log = self.folder.path().join("log");
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .arg("--logfile")
            .arg(&log)
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn();
        let mut child = child.expect("redis-server is installed: run `deploy/testbed/up`");
        let is_up = eventually("the server is up, or ended", async || {
            if child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            answers(self.port, &log).await.then_some(true)
        })
        .await;
        if is_up {
            self.child = Some(child);
        }
        is_up
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that was paused can be killed as well.
        self.kill();
    }
}

/// Whether this server answers, and not another one that has the port.
async fn answers(port: u16, log: &Path) -> bool {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    if !text.contains("Ready to accept connections") {
        return false;
    }
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let config = redis::AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE));
    let connected = client.get_multiplexed_async_connection_with_config(&config).await;
    connected.is_ok()
}

fn free_port() -> u16 {
    // A node of a cluster takes the port 10,000 above as well.
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_000 {
            return port;
        }
    }
}
