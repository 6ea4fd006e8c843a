//! What a room's process is made of: program, arguments, environment. Decides and changes nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::room::{Address, OpenPort};
use maestro_core::scheduler::{Container, EnvValue, Port, RoomTemplate};

use super::handle;
use super::{Config, Program};

/// Names the room in its environment; the first thing of a room's process that can be recognised from outside.
const ROOM_ID: &str = "MAESTRO_ROOM_ID";

/// What to start.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Blueprint {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
}

/// Whom to start it as.
pub(super) struct Tenant<'a> {
    pub(super) scheduler: &'a SchedulerName,
    pub(super) room: &'a RoomId,
    pub(super) version: Version,
    pub(super) token: &'a str,
    pub(super) ports: &'a [OpenPort],
}

/// The ports that a room needs, over all its containers.
pub(super) fn ports(template: &RoomTemplate) -> Vec<&Port> {
    template
        .containers
        .iter()
        .flat_map(|container| &container.ports)
        .collect()
}

/// The variable by which processes of this room are recognised.
pub(super) fn mark(room: &RoomId) -> String {
    format!("{ROOM_ID}={room}")
}

/// The address under which players reach rooms.
pub(super) fn address(host: &str) -> Address {
    let (kind, family) = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => ("ExternalIP", "IPv4"),
        Ok(IpAddr::V6(_)) => ("ExternalIP", "IPv6"),
        Err(_) => ("ExternalDNS", "DNS"),
    };
    Address {
        kind: kind.to_owned(),
        family: family.to_owned(),
        host: host.to_owned(),
    }
}

/// Works out what to start, or why that can't be done and what would help.
pub(super) fn blueprint(
    config: &Config,
    template: &RoomTemplate,
    tenant: &Tenant,
) -> Result<Blueprint, String> {
    let env = environment(config, template, tenant)?;
    let mut words = command(config, template)?;
    let program = match words.remove(0).as_str() {
        // `maestro wrap -- …` has to work from a build folder too, and with the version that runs here.
        "maestro" => config.maestro.clone(),
        name => find(name, env.get("PATH").map_or("", String::as_str))?,
    };
    Ok(Blueprint {
        program,
        args: words,
        env,
    })
}

/// Program and arguments; never empty.
fn command(config: &Config, template: &RoomTemplate) -> Result<Vec<String>, String> {
    match &config.program {
        Program::Example { args } => {
            let maestro = config.maestro.display().to_string();
            Ok([maestro, "room".to_owned()]
                .into_iter()
                .chain(args.iter().cloned())
                .collect())
        }
        Program::Command(text) => match shlex::split(text) {
            Some(words) if !words.is_empty() => Ok(words),
            Some(_) => Err("the room's command is empty".to_owned()),
            None => Err(format!("the room's command has an open quote: {text}")),
        },
        Program::Document => match template.containers.as_slice() {
            [Container { cmd, .. }] if !cmd.is_empty() => Ok(cmd.clone()),
            [Container { .. }] => Err(
                "its document has no `cmd`, and an image's own command is not known here; \
                                       add `cmd`, or name a program with --room 'CMD …'"
                    .to_owned(),
            ),
            containers => Err(format!(
                "its document has {} containers, and a local room is one program; name it with --room 'CMD …'",
                containers.len()
            )),
        },
    }
}

/// What the room sees: a few of the host's variables, its document's, and ours, where later ones win.
fn environment(
    config: &Config,
    template: &RoomTemplate,
    tenant: &Tenant,
) -> Result<BTreeMap<String, String>, String> {
    let mut env = config.host_env.clone();
    for variable in template.containers.iter().flat_map(|container| &container.env) {
        let value = match &variable.value {
            EnvValue::Literal(text) => text.clone(),
            EnvValue::Field { path } => field(config, tenant, path).ok_or_else(|| {
                format!(
                    "its variable {} takes the pod's field {path}, which a local process does not have (those it \
                     has: metadata.name, metadata.namespace, metadata.labels['version'], spec.nodeName, \
                     status.hostIP, status.podIP)",
                    variable.name
                )
            })?,
            EnvValue::SecretKey { name, key } => {
                return Err(format!(
                    "its variable {} is key {key} of the Kubernetes secret {name}, and there are no secrets here; \
                     give it a `value` in the document that you run locally",
                    variable.name
                ));
            }
        };
        env.insert(variable.name.clone(), value);
    }
    for port in tenant.ports {
        env.insert(port_variable(&port.name), port.port.to_string());
    }
    for (name, value) in [
        ("MAESTRO_SCHEDULER_NAME", tenant.scheduler.as_str()),
        (ROOM_ID, tenant.room.as_str()),
        ("MAESTRO_API_URL", &config.api_url),
        ("MAESTRO_ROOM_TOKEN", tenant.token),
    ] {
        env.insert(name.to_owned(), value.to_owned());
    }
    Ok(env)
}

fn field(config: &Config, tenant: &Tenant, path: &str) -> Option<String> {
    match path {
        "metadata.name" => Some(tenant.room.to_string()),
        "metadata.namespace" => Some(tenant.scheduler.to_string()),
        "metadata.labels['version']" => Some(tenant.version.to_string()),
        "spec.nodeName" => Some(super::NODE.to_owned()),
        "status.hostIP" | "status.podIP" => Some(config.advertise_host.clone()),
        _ => None,
    }
}

fn port_variable(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("MAESTRO_PORT_{name}")
}

/// The file that `name` means: a path as it stands, anything else looked up along `path`.
fn find(name: &str, path: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        return check(Path::new(name)).map(|()| PathBuf::from(name));
    }
    path.split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join(name))
        .find(|file| check(file).is_ok())
        .ok_or_else(|| {
            format!("its program {name} is in none of the folders of PATH ({path}); write its full path")
        })
}

fn check(file: &Path) -> Result<(), String> {
    let shown = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let shown = shown.display();
    match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(format!(
            "its program {shown} does not exist; paths count from the folder that Maestro was started in"
        )),
        Err(error) => Err(format!("its program {shown} can't be read: {error}")),
        Ok(found) if found.is_dir() => Err(format!("its program {shown} is a folder")),
        Ok(_) if !handle::is_executable(file) => {
            Err(format!("its program {shown} is not executable; try chmod +x"))
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
