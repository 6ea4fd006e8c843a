//! A scheduler: the validated specification of a set of rooms.
//!
//! Built by the reader of scheduler documents after all its checks; every value in here is legal. Knows nothing
//! of YAML, of Kubernetes, or of what is running.

use crate::names::{PolicyName, SchedulerName};
use crate::time::Span;

/// The specification of a set of rooms.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduler {
    /// Its name, also of its namespace; the first part of each room's name.
    pub name: SchedulerName,
    /// The game it belongs to; several schedulers can serve one game.
    pub game: String,
    /// What runs in a room. A change of it is a major version.
    pub template: RoomTemplate,
    /// How long each thing may take.
    pub deadlines: Deadlines,
    /// How many rooms, and who decides.
    pub autoscaling: Autoscaling,
    /// Where events go.
    pub forwarders: Vec<Forwarder>,
    /// E-mail addresses that may change this scheduler.
    pub authorized_users: Vec<String>,
    /// Whether creation pauses while rooms can't start for an error of the specification.
    pub hold_creation_on_error: bool,
}

/// What runs in a room; compared whole to tell major from minor versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomTemplate {
    /// At least one; the single-container form of a document makes exactly one.
    pub containers: Vec<Container>,
    /// Key of a node label; nodes that carry it as "true" are preferred.
    pub affinity: Option<String>,
    /// Value of the taint `dedicated` that rooms tolerate.
    pub toleration: Option<String>,
    /// Ports for rooms are taken from here instead of the installation's range.
    pub port_range: Option<PortRange>,
    /// How long a room may take to end after SIGTERM.
    pub shutdown: Span,
    /// How players reach a room.
    pub network: Network,
    /// What a room's programs may do on their node.
    pub security: Security,
    /// JSON text of an object: fields of a Kubernetes pod template that stand beneath what Maestro sets, keys sorted.
    pub pod_template: Option<String>,
}

/// How players reach a room on Kubernetes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// By ports of its node that its own service holds.
    #[default]
    NodePort,
    /// By ports of its node that its containers hold.
    HostPort,
    /// By its own address; for players within the network of pods.
    Pod,
}

/// What a room's programs may do on their node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Gain no privileges; breaks no image.
    #[default]
    Legacy,
    /// And neither be root nor have a capability: the standard `restricted` of Kubernetes.
    Restricted,
}

/// One program of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Unique in its room.
    pub name: String,
    /// The image to run.
    pub image: String,
    /// When to pull the image.
    pub pull: ImagePull,
    /// The ports that its program listens on.
    pub ports: Vec<Port>,
    /// What is set aside for it.
    pub requests: Resources,
    /// What it may not exceed.
    pub limits: Resources,
    /// Environment, by name.
    pub env: Vec<EnvVar>,
    /// Replaces the image's command when not empty.
    pub cmd: Vec<String>,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImagePull {
    /// At each start.
    Always,
    /// When the node lacks it.
    IfNotPresent,
    /// Never.
    Never,
}

/// A port inside a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Unique in its room.
    pub name: String,
    /// 1–65535.
    pub container_port: u16,
    /// How it is spoken to.
    pub protocol: Protocol,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Ports `start..=end`, `start <= end`, both at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// First port.
    pub start: u16,
    /// Last port, included.
    pub end: u16,
}

/// Amounts of computing resources; what is not given is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu_milli: Option<u64>,
    /// Bytes.
    pub memory_bytes: Option<u64>,
}

/// One environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Where its value comes from.
    pub value: EnvValue,
}

/// Where an environment variable's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// Written in the document.
    Literal(String),
    /// From a key of a Kubernetes secret.
    SecretKey {
        /// The secret's name.
        name: String,
        /// The key in it.
        key: String,
    },
    /// From a field of the pod.
    Field {
        /// The field's path, as in `status.podIP`.
        path: String,
    },
}

/// How long each thing may take before Maestro acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From creation to the first `ready`.
    pub initialization: Span,
    /// Of witnessed silence before a room counts as silent.
    pub ping: Span,
    /// Of one match; `None` lets a match take as long as it likes.
    pub occupied: Option<Span>,
    /// Of an allocation without an `occupied` report.
    pub allocation: Span,
    /// Of draining, before an unresponsive idle room is stopped all the same.
    pub draining: Span,
    /// Of witnessed silence after which even a protected room is given up.
    pub lost: Span,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            // The first three follow the older system's successor, whose users found shorter ones to kill rooms
            // that merely pulled a large image or whose client pinged every 30 s.
            initialization: Span::from_secs(120),
            ping: Span::from_secs(90),
            occupied: None,
            allocation: Span::from_secs(300),
            draining: Span::from_secs(120),
            lost: Span::from_secs(3_600),
        }
    }
}

/// How many rooms there shall be, and who decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Autoscaling {
    /// Never fewer rooms than this.
    pub min: u32,
    /// Never more rooms than this; `None` leaves only the installation's cap.
    pub max: Option<u32>,
    /// Time after a scaling before the next one up.
    pub up_cooldown: Span,
    /// Time after a scaling before the next one down.
    pub down_cooldown: Span,
    /// In the order of the document: up, down, two-way.
    pub triggers: Vec<Trigger>,
}

/// One policy, asked with its parameters about a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Unique in its scheduler and stable while the document keeps its order: `up[0]`, `down[1]`, `policies[0]`.
    pub id: String,
    /// Which way it may move `wanted`.
    pub direction: Direction,
    /// The policy asked.
    pub policy: PolicyRef,
    /// JSON text of an object, handed to the policy as it stands.
    pub parameters: String,
    /// How much of the past the policy is shown.
    pub window: Span,
    /// Whether its vote counts.
    pub mode: Mode,
}

/// Which way a trigger may move `wanted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Only up.
    Up,
    /// Only down.
    Down,
    /// Either way.
    Both,
}

/// A policy as a document names it: `queue-depth` or `queue-depth@1.2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRef {
    /// Its name.
    pub name: PolicyName,
    /// Its version; `None` is the newest one at the time the scheduler's version is stored.
    pub version: Option<String>,
}

/// Whether a trigger's vote counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// It counts.
    Active,
    /// It is computed and recorded, and never acted on.
    Shadow,
    /// It counts in this share (0–1) of decisions' periods.
    Canary(f64),
}

/// A place that events are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarder {
    /// The kind of forwarder, such as `grpc`.
    pub plugin: String,
    /// Its name, such as `matchmaking`.
    pub name: String,
    /// Whether it is used.
    pub enabled: bool,
    /// Whether the older system's answer to the room was to contain the forwarder's.
    pub forward_response: bool,
    /// JSON text of an object.
    pub metadata: String,
}

impl Scheduler {
    /// Whether a change from `before` to `self` replaces rooms.
    pub fn is_major_change_from(&self, before: &Scheduler) -> bool {
        self.template != before.template
    }
}
