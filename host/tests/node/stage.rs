//! A `maestro serve` that the rooms of the real node reach, and what a test does with it.

use std::cell::RefCell;
use std::env;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use super::running::{PATIENCE, eventually};
use super::running::{Running, sibling};

const MAESTRO: &str = env!("CARGO_BIN_EXE_maestro");

/// The testbed's room: it echoes UDP, and does by HTTP what it is asked to.
pub(crate) const ROOM: &str = "maestro.test/room:1";

/// Longer than a measurement or a lost node takes to show.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// The node, which one test at a time may take away.
static NODE: RwLock<()> = RwLock::new(());

/// A Maestro with schedulers whose rooms run on the real node.
pub(crate) struct Stage {
    running: Running,
    /// Where its API is.
    pub(crate) url: String,
    prefix: String,
    /// Each is a namespace too.
    schedulers: RefCell<Vec<String>>,
    folder: tempfile::TempDir,
    // Released last.
    _shared: Option<RwLockReadGuard<'static, ()>>,
    _alone: Option<RwLockWriteGuard<'static, ()>>,
}

impl Stage {
    /// One that shares the node with other tests.
    pub(crate) fn shared(test: &str) -> Self {
        let node = NODE.read().unwrap_or_else(PoisonError::into_inner);
        Self::on(test, Some(node), None)
    }

    /// One that may take the node away.
    pub(crate) fn alone(test: &str) -> Self {
        let node = NODE.write().unwrap_or_else(PoisonError::into_inner);
        Self::on(test, None, Some(node))
    }

    fn on(
        test: &str,
        shared: Option<RwLockReadGuard<'static, ()>>,
        alone: Option<RwLockWriteGuard<'static, ()>>,
    ) -> Self {
        let host = testbed("HOST_ADDRESS");
        // Rooms are told the address before anybody listens there: one that was free a moment ago.
        let free = TcpListener::bind((host.as_str(), 0))
            .unwrap()
            .local_addr()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(MAESTRO);
        command
            .args(["serve", "--insecure", "--listen", &free.to_string()])
            .args(["--rooms-url", &format!("http://{free}")])
            // With the rights that the chart gives it.
            .args(["--kubeconfig", &testbed("MAESTRO_KUBECONFIG"), "--data"])
            .arg(folder.path().join("data"));
        let running = Running::run(command);
        Self {
            url: running.url.clone(),
            running,
            prefix: format!("t{:06x}-{test}", rand::random::<u32>() >> 8),
            schedulers: RefCell::default(),
            folder,
            _shared: shared,
            _alone: alone,
        }
    }

    /// Creates a scheduler of this document but for its name, and tells the name that it gets.
    pub(crate) fn create(&self, name: &str, document: &str) -> String {
        let full = format!("{}-{name}", self.prefix);
        self.make_namespace(&full);
        let text = format!("name: {full}\n{document}");
        self.apply(&full, &text);
        full
    }

    /// Creates a scheduler of this document, or changes it.
    fn apply(&self, name: &str, text: &str) {
        let file = self.folder.path().join(format!("{name}.yaml"));
        fs::write(&file, text).unwrap();
        self.cli_ok(&["apply", "-f", file.to_str().unwrap()]);
    }

    /// A namespace whose pods run on the real node.
    fn make_namespace(&self, name: &str) {
        let metadata = json!({
            "name": name,
            "labels": {"maestro.dev/managed": "true"},
            "annotations": {"scheduler.alpha.kubernetes.io/node-selector": "type=real"},
        });
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        kubectl_with(&["create", "-f", "-"], &namespace.to_string()).unwrap();
        self.schedulers.borrow_mut().push(name.to_owned());
    }

    /// A body from the API.
    pub(crate) fn get(&self, path: &str) -> Value {
        let text = get(&format!("{}{path}", self.url)).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// A room, also one that is gone.
    pub(crate) fn room(&self, room: &str) -> Value {
        self.get(&format!("/scheduler/{}/rooms/{room}", scheduler_of(room)))
    }

    /// What people are told of a room.
    pub(crate) fn told(&self, room: &str) -> String {
        self.cli_ok(&["room", room])
    }

    /// Names of a scheduler's rooms in this exact state.
    pub(crate) fn in_state(&self, scheduler: &str, state: &str) -> Vec<String> {
        let listed = self.cli_ok(&["rooms", scheduler, "-o", "json"]);
        let rooms: Vec<Value> = serde_json::from_str(&listed).unwrap();
        let matching = rooms.iter().filter(|room| room["state"] == state);
        matching
            .map(|room| room["roomId"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The scheduler's rooms, once so many are ready.
    pub(crate) fn ready(&self, scheduler: &str, count: usize) -> Vec<String> {
        eventually(
            &format!("{count} rooms of {scheduler} are ready"),
            PATIENCE,
            || Some(self.in_state(scheduler, "ready")).filter(|rooms| rooms.len() == count),
        )
    }

    /// How many rooms of it are wanted.
    pub(crate) fn wanted(&self, scheduler: &str) -> u64 {
        let status = self.get(&format!("/scheduler/{scheduler}"));
        status["wanted"].as_u64().unwrap_or_default()
    }

    /// Where players reach the room by this protocol, once its node is known: a room can be ready before the watch tells.
    pub(crate) fn address(&self, room: &str, protocol: &str) -> SocketAddr {
        let path = format!("/scheduler/{}/rooms/{room}/address", scheduler_of(room));
        eventually("the room has an address", PATIENCE, || {
            let address = self.get(&path);
            let ports = address["ports"].as_array().unwrap();
            let port = ports.iter().find(|port| port["protocol"] == protocol)?;
            let host = address["host"].as_str()?;
            Some(format!("{host}:{}", port["port"]).parse().unwrap())
        })
    }

    /// What the testbed's room answers, once its node lets players through.
    pub(crate) fn ask(&self, room: &str, path: &str) -> String {
        let url = format!("http://{}", self.address(room, "TCP"));
        eventually("the room answers", PATIENCE, || get(&url).ok());
        get(&format!("{url}{path}")).unwrap()
    }

    /// Asks the testbed's room for what it does not live to answer.
    pub(crate) fn end_by(&self, room: &str, path: &str) {
        let url = format!("http://{}", self.address(room, "TCP"));
        eventually("the room answers", PATIENCE, || get(&url).ok());
        get(&format!("{url}{path}")).unwrap_err();
    }

    /// Runs `maestro-cli` against it.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        Command::new(sibling(MAESTRO, "maestro-cli"))
            .args(["--url", &self.url])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What `maestro-cli` prints; it must succeed.
    pub(crate) fn cli_ok(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "maestro-cli {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.running.log());
            for name in self.schedulers.borrow().iter() {
                let pods = kubectl(&["get", "pods", "-n", name, "-o", "wide"]);
                eprintln!("{}", pods.unwrap_or_else(|error| error));
                for verb in ["explain", "rooms", "events"] {
                    eprintln!("{}", String::from_utf8_lossy(&self.cli(&[verb, name]).stdout));
                }
            }
        }
        for name in self.schedulers.get_mut() {
            // Nobody waits for it: names are never used twice.
            if let Err(error) = kubectl(&["delete", "namespace", name, "--wait=false"]) {
                eprintln!("{error}");
            }
        }
    }
}

/// A room's name holds its scheduler's.
fn scheduler_of(room: &str) -> &str {
    room.rsplit_once('-').unwrap().0
}

/// A setting of the testbed.
pub(crate) fn testbed(name: &str) -> String {
    env::var(format!("MAESTRO_TESTBED_{name}")).expect(
        "the feature `testbed-node` needs the real node of deploy/testbed: run deploy/testbed/test as root",
    )
}

/// Takes a server of the testbed away, or brings it back.
pub(crate) fn server(name: &str, action: &str) {
    let done = Command::new(testbed("SERVER"))
        .args([name, action])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Gives the node an image of Maestro's own program, and names it.
pub(crate) fn example_image() -> &'static str {
    const NAME: &str = "maestro.test/example:1";
    let script = Path::new(&testbed("SERVER")).with_file_name("image");
    let done = Command::new(script).args([NAME, MAESTRO]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    NAME
}

/// What an administrator is answered; what goes wrong is an answer too.
pub(crate) fn kubectl(arguments: &[&str]) -> Result<String, String> {
    kubectl_with(arguments, "")
}

fn kubectl_with(arguments: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(testbed("KUBECTL"))
        .args(["--kubeconfig", &testbed("KUBECONFIG")])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    match done.status.success() {
        true => Ok(text(done.stdout)),
        false => Err(format!("{}{}", text(done.stdout), text(done.stderr))),
    }
}

/// A page, from whatever answers so soon.
fn get(url: &str) -> Result<String, ureq::Error> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None);
    let agent: ureq::Agent = config
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into();
    agent.get(url).call()?.body_mut().read_to_string()
}
