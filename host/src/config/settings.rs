//! The settings of a service: each is an option, a variable of the environment and a key of the file, under one name.
//!
//! The options of the command line are the schema. `file` hands what a file says to the same parser as defaults, so that
//! an option beats a variable, a variable beats the file, and the file beats what is written here.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use maestro_core::scheduler::PortRange;

use crate::cluster::kubernetes::Installation;
use crate::listen::Listen;

/// How a service runs.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// A file of settings: YAML with the names of these options as keys, as in `max-rooms: 500`.
    #[arg(long, value_name = "FILE", env = "MAESTRO_CONFIG")]
    pub config: Option<PathBuf>,

    /// Where the API listens; a worker serves its health and figures there.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "MAESTRO_LISTEN",
        default_value = "127.0.0.1:8080",
        help_heading = "API"
    )]
    pub listen: Listen,
    /// An address of their own for rooms' routes, so that rooms can reach nothing else.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "MAESTRO_ROOMS_LISTEN",
        help_heading = "API"
    )]
    pub rooms_listen: Option<Listen>,
    /// Where rooms reach those routes; they get it as MAESTRO_API_URL.
    #[arg(long, value_name = "URL", env = "MAESTRO_ROOMS_URL", value_parser = url, help_heading = "API")]
    pub rooms_url: Option<String>,
    /// The sha256 of a token that lets its bearer operate, as `maestro token` tells it; may be given several times.
    #[arg(
        long = "operator-tokens",
        value_name = "sha256:HEX",
        env = "MAESTRO_OPERATOR_TOKENS",
        value_delimiter = ',',
        help_heading = "API"
    )]
    pub operator_tokens: Vec<String>,
    /// Let whoever reaches the API operate, without a token, on any address.
    #[arg(long, env = "MAESTRO_INSECURE", help_heading = "API")]
    pub insecure: bool,

    /// Where `maestro serve` keeps its database and its key when it is given no others.
    #[arg(
        long,
        value_name = "DIR",
        env = "MAESTRO_DATA",
        help_heading = "Where things are kept"
    )]
    pub data: Option<PathBuf>,
    /// PostgreSQL: postgres://USER:PASSWORD@HOST:PORT/DATABASE, with ?sslmode= and ?sslrootcert= where wanted.
    #[arg(
        long,
        value_name = "URL",
        env = "MAESTRO_DATABASE",
        hide_env_values = true,
        help_heading = "Where things are kept"
    )]
    pub database: Option<Secret>,
    /// Most connections of this process to the database.
    #[arg(
        long,
        value_name = "N",
        env = "MAESTRO_DATABASE_CONNECTIONS",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(4..=1000),
        help_heading = "Where things are kept"
    )]
    pub database_connections: u32,
    /// Redis: redis://USER:PASSWORD@HOST:PORT, or rediss:// with TLS; some nodes of a cluster, separated by commas.
    #[arg(
        long,
        value_name = "URL,…",
        env = "MAESTRO_REDIS",
        hide_env_values = true,
        value_delimiter = ',',
        help_heading = "Where things are kept"
    )]
    pub redis: Vec<Secret>,
    /// Where the names of its keys begin; installations that share a Redis have different ones.
    #[arg(
        long,
        value_name = "TEXT",
        env = "MAESTRO_REDIS_PREFIX",
        default_value = "maestro",
        help_heading = "Where things are kept"
    )]
    pub redis_prefix: String,
    /// Certificates (PEM) that Redis' own is checked against, instead of the system's.
    #[arg(
        long,
        value_name = "FILE",
        env = "MAESTRO_REDIS_CA",
        help_heading = "Where things are kept"
    )]
    pub redis_ca: Option<PathBuf>,
    /// What rooms' tokens are made from, the same in all processes: 64 hexadecimal digits, as `openssl rand -hex 32` gives.
    #[arg(
        long,
        value_name = "HEX",
        env = "MAESTRO_KEY",
        hide_env_values = true,
        help_heading = "Where things are kept"
    )]
    pub key: Option<Secret>,
    /// Where compiled policies are kept; the user's cache folder unless it is named.
    #[arg(
        long,
        value_name = "DIR",
        env = "MAESTRO_POLICY_CACHE",
        help_heading = "Where things are kept"
    )]
    pub policy_cache: Option<PathBuf>,

    /// How Kubernetes is reached, when not as each pod is told.
    #[arg(
        long,
        value_name = "FILE",
        env = "MAESTRO_KUBECONFIG",
        help_heading = "Kubernetes"
    )]
    pub kubeconfig: Option<PathBuf>,
    /// A context of that file, when not its own choice.
    #[arg(
        long,
        value_name = "NAME",
        env = "MAESTRO_KUBE_CONTEXT",
        help_heading = "Kubernetes"
    )]
    pub kube_context: Option<String>,
    /// The name of this installation, the same in all its processes; of those that share a cluster each has its own, and none
    /// uses a namespace that is labelled `maestro.dev/installation` with another's.
    #[arg(
        long,
        value_name = "NAME",
        env = "MAESTRO_INSTALLATION",
        default_value = "maestro",
        help_heading = "Kubernetes"
    )]
    pub installation: Installation,
    /// Most calls a second to the API server, for all schedulers together.
    #[arg(
        long,
        value_name = "N",
        env = "MAESTRO_KUBE_CALLS",
        default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=10_000),
        help_heading = "Kubernetes"
    )]
    pub kube_calls: u32,
    /// Calls that may be made at once after a pause.
    #[arg(
        long,
        value_name = "N",
        env = "MAESTRO_KUBE_BURST",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=10_000),
        help_heading = "Kubernetes"
    )]
    pub kube_burst: u32,

    /// The cluster's range of node ports: what rooms with `network: nodePort` share. Only used to warn beforehand.
    #[arg(
        long,
        value_name = "FROM-TO",
        env = "MAESTRO_NODE_PORTS",
        default_value = "30000-32767",
        value_parser = ports,
        help_heading = "Kubernetes"
    )]
    pub node_ports: PortRange,

    /// Scheduler documents, or folders of them, that are reconciled: created and updated, and not to be changed through the API.
    #[arg(
        long,
        value_name = "FILE",
        env = "MAESTRO_FILES",
        value_delimiter = ',',
        help_heading = "Schedulers"
    )]
    pub files: Vec<PathBuf>,
    /// Delete schedulers whose file, or whose document in it, is gone.
    #[arg(long, env = "MAESTRO_PRUNE", help_heading = "Schedulers")]
    pub prune: bool,
    /// Most rooms of one scheduler, whatever its document says.
    #[arg(
        long,
        value_name = "N",
        env = "MAESTRO_MAX_ROOMS",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(1..=5_000),
        help_heading = "Schedulers"
    )]
    pub max_rooms: u32,
    /// How long a worker may act without being heard of; another one takes over after that. At least 9s.
    #[arg(
        long,
        value_name = "TIME",
        env = "MAESTRO_LEASE",
        default_value = "15s",
        value_parser = lease,
        help_heading = "Schedulers"
    )]
    pub lease: Duration,

    /// What is logged, in the syntax of tracing's filters, as in `info,maestro=debug`.
    #[arg(long, value_name = "FILTER", env = super::LOG, help_heading = "What it tells")]
    pub log: Option<String>,
    /// Lines for people, or JSON for programs.
    #[arg(
        long,
        value_name = "FORMAT",
        env = "MAESTRO_LOG_FORMAT",
        default_value = "text",
        help_heading = "What it tells"
    )]
    pub log_format: LogFormat,
    /// Where traces are sent, by OTLP over HTTP, as in http://collector:4318; nowhere unless it is named.
    #[arg(long, value_name = "URL", env = "MAESTRO_OTLP", value_parser = url, help_heading = "What it tells")]
    pub otlp: Option<String>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// A text that is never shown: what can be read in it is up to whoever uses it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// What nobody else is to see.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

fn url(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let host = rest
        .and_then(|rest| rest.split(['/', ':']).next())
        .unwrap_or_default();
    match host.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        true => Err("expected a URL, as in http://maestro.games.svc:8080".to_owned()),
        false => Ok(text.trim_end_matches('/').to_owned()),
    }
}

fn ports(text: &str) -> Result<PortRange, String> {
    let range = text.split_once('-').and_then(|(start, end)| {
        let (start, end) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
        (0 < start && start <= end).then_some(PortRange { start, end })
    });
    range.ok_or_else(|| "expected two ports, as in 30000-32767".to_owned())
}

/// A lease leaves a call to the cluster (5 s) and a margin (2 s) after it was renewed at a third.
fn lease(text: &str) -> Result<Duration, String> {
    let length = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            humantime::parse_duration(text).map_err(|error| format!("{error}; expected a time, as in 15s"))?
        }
    };
    match (Duration::from_secs(9)..=Duration::from_secs(300)).contains(&length) {
        true => Ok(length),
        false => Err("expected 9s to 5m: shorter ones end before a call to Kubernetes does".to_owned()),
    }
}
