//! What a role can't do without, and all that is missing of it or can't be read, at once.

use std::path::PathBuf;

use super::Role;
use crate::api::Operators;
use crate::cluster::kubernetes::Access;
use crate::config::settings::{Secret, Settings};
use crate::store::postgres;
use crate::supervisor::chain;

/// What a process is to open.
#[derive(Clone, Debug)]
pub(super) struct Needs {
    /// What should be.
    pub(super) store: StoreNeed,
    /// What rooms say.
    pub(super) registry: RegistryNeed,
    /// What rooms' tokens are made from; of the data folder where there is none.
    pub(super) key: Option<[u8; 32]>,
    /// The data folder, where something is kept in it.
    pub(super) data: Option<PathBuf>,
    /// Where Kubernetes is.
    pub(super) access: Access,
    /// Where rooms reach the API.
    pub(super) rooms_url: String,
    /// Who may operate.
    pub(super) operators: Operators,
}

/// Where definitions are kept.
#[derive(Clone, Debug)]
pub(super) enum StoreNeed {
    /// In a file of the data folder.
    Folder,
    /// On a server.
    Server(Box<postgres::Config>),
}

/// Where is kept what rooms say.
#[derive(Clone, Debug)]
pub(super) enum RegistryNeed {
    /// In this process.
    Memory,
    /// On Redis.
    Redis(Vec<Secret>),
}

impl Needs {
    /// What `settings` say, or all that they lack for this role.
    pub(super) fn of(role: Role, settings: &Settings) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut lacks = |what: &str| problems.push(format!("maestro {} needs {what}", role.verb()));
        let alone = role == Role::Serve;
        if !alone && settings.database.is_none() {
            lacks("--database postgres://…: APIs and workers share one");
        }
        if !alone && settings.redis.is_empty() {
            lacks("--redis redis://…: APIs and workers share one");
        }
        if !alone && settings.key.is_none() {
            lacks("--key: rooms' tokens are made from it, and all processes need the same");
        }
        let keeps = settings.database.is_none() || settings.key.is_none();
        if alone && keeps && settings.data.is_none() {
            lacks("--data DIR to keep its database and key in, or --database and --key");
        }
        if role.has_loops() && settings.rooms_url.is_none() {
            lacks("--rooms-url URL: where rooms reach this installation's API");
        }
        if alone && settings.redis.is_empty() && settings.database.is_some() {
            lacks(
                "--redis beside --database: with a registry in its own memory there may be no second process on that database",
            );
        }
        let store = match settings.database.as_ref() {
            None => StoreNeed::Folder,
            Some(url) => match postgres::Config::parse(url.reveal(), settings.database_connections) {
                Ok(config) => StoreNeed::Server(Box::new(config)),
                Err(error) => {
                    problems.push(format!("--database: {}", chain(&error)));
                    StoreNeed::Folder
                }
            },
        };
        let key = settings.key.as_ref().and_then(|key| {
            let read = key_of(key.reveal());
            if read.is_none() {
                problems.push(
                    "--key: expected 64 hexadecimal digits, as `openssl rand -hex 32` gives".to_owned(),
                );
            }
            read
        });
        let operators = match Operators::parse(&settings.operator_tokens) {
            Ok(operators) => operators,
            Err(error) => {
                problems.push(format!("--operator-tokens: {error}"));
                Operators::default()
            }
        };
        let access = match &settings.kubeconfig {
            Some(file) => Access::Kubeconfig {
                file: file.clone(),
                context: settings.kube_context.clone(),
            },
            None => Access::InCluster,
        };
        match problems.is_empty() {
            true => Ok(Self {
                store,
                registry: match settings.redis.is_empty() {
                    true => RegistryNeed::Memory,
                    false => RegistryNeed::Redis(settings.redis.clone()),
                },
                key,
                data: settings.data.clone().filter(|_| keeps),
                access,
                rooms_url: settings.rooms_url.clone().unwrap_or_default(),
                operators,
            }),
            false => Err(problems),
        }
    }
}

fn key_of(text: &str) -> Option<[u8; 32]> {
    hex::decode(text.trim()).ok()?.try_into().ok()
}
