//! Who this room is, as Maestro tells it in the environment.

use std::collections::BTreeMap;

/// Who this room is, and where Maestro listens.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// `MAESTRO_SCHEDULER_NAME`.
    pub scheduler: String,
    /// `MAESTRO_ROOM_ID`.
    pub room: String,
    /// `MAESTRO_API_URL`, such as `http://10.0.0.1:8080`.
    pub api_url: String,
    /// `MAESTRO_ROOM_TOKEN`, which proves that a report is this room's own. Keep it out of logs.
    pub token: String,
    /// The ports to listen on where they differ from those of the scheduler's document, by upper-case name:
    /// `MAESTRO_PORT_GAME` is `GAME`.
    pub ports: BTreeMap<String, u16>,
}

/// Why the environment names no room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not started by Maestro at all.
    #[error(
        "not started by Maestro: MAESTRO_SCHEDULER_NAME, MAESTRO_ROOM_ID, MAESTRO_API_URL and MAESTRO_ROOM_TOKEN are \
         not set; use Room::connect_or_detached() to run without Maestro too"
    )]
    Absent,
    /// Some variables are there and others are not.
    #[error("the environment is incomplete: {} not set", missing.join(", "))]
    Incomplete {
        /// The variables that are missing.
        missing: Vec<&'static str>,
    },
    /// A variable has a value that can't be used.
    #[error("{variable} is {value:?}; expected {expected}")]
    Invalid {
        /// The variable.
        variable: String,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

const VARIABLES: [&str; 4] = [
    "MAESTRO_SCHEDULER_NAME",
    "MAESTRO_ROOM_ID",
    "MAESTRO_API_URL",
    "MAESTRO_ROOM_TOKEN",
];

const PORT: &str = "MAESTRO_PORT_";

impl Identity {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, IdentityError> {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::from_vars(std::env::vars_os().filter_map(text))
    }

    /// Reads these variables instead of the environment.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, IdentityError> {
        let vars: BTreeMap<String, String> = vars
            .into_iter()
            .filter(|(name, value)| name.starts_with("MAESTRO_") && !value.is_empty())
            .collect();
        let missing: Vec<_> = VARIABLES
            .into_iter()
            .filter(|name| !vars.contains_key(*name))
            .collect();
        match missing.len() {
            0 => {}
            n if n == VARIABLES.len() => return Err(IdentityError::Absent),
            _ => return Err(IdentityError::Incomplete { missing }),
        }
        let value = |name: &str| vars.get(name).cloned().unwrap_or_default();
        let [scheduler, room, api_url, token] = VARIABLES.map(value);
        if !api_url.starts_with("http://") {
            // TLS would multiply this library's dependencies for a connection that stays inside a cluster.
            let variable = VARIABLES[2].to_owned();
            return Err(IdentityError::Invalid {
                variable,
                value: api_url,
                expected: "a URL that begins with http://",
            });
        }
        let ports = vars
            .iter()
            .filter_map(|(name, value)| Some((name, name.strip_prefix(PORT)?, value)))
            .map(|(variable, name, value)| match value.parse::<u16>() {
                Ok(port) if port > 0 => Ok((name.to_owned(), port)),
                _ => Err(IdentityError::Invalid {
                    variable: variable.clone(),
                    value: value.clone(),
                    expected: "a port, 1 to 65535",
                }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            scheduler,
            room,
            api_url: api_url.trim_end_matches('/').to_owned(),
            token,
            ports,
        })
    }
}

/// Without the token, so that it does not end up in a log.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("scheduler", &self.scheduler)
            .field("room", &self.room)
            .field("api_url", &self.api_url)
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<Identity, IdentityError> {
        Identity::from_vars(
            vars.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    const WHOLE: [(&str, &str); 6] = [
        ("MAESTRO_SCHEDULER_NAME", "pong"),
        ("MAESTRO_ROOM_ID", "pong-0000002a"),
        ("MAESTRO_API_URL", "http://127.0.0.1:8080/"),
        ("MAESTRO_ROOM_TOKEN", "secret"),
        ("MAESTRO_PORT_GAME", "20001"),
        ("HOME", "/root"),
    ];

    #[test]
    fn a_room_reads_who_it_is() {
        let identity = read(&WHOLE).unwrap();
        assert_eq!(identity.room, "pong-0000002a");
        assert_eq!(identity.api_url, "http://127.0.0.1:8080");
        assert_eq!(identity.ports, BTreeMap::from([("GAME".to_owned(), 20_001)]));
        assert!(
            !format!("{identity:?}").contains("secret"),
            "the token stays out of logs"
        );
    }

    #[test]
    fn all_that_is_missing_is_named() {
        assert_eq!(read(&[]), Err(IdentityError::Absent));
        let error = read(&WHOLE[..2]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment is incomplete: MAESTRO_API_URL, MAESTRO_ROOM_TOKEN not set"
        );
        let mut empty = WHOLE;
        empty[3].1 = "";
        assert_eq!(
            read(&empty),
            Err(IdentityError::Incomplete {
                missing: vec!["MAESTRO_ROOM_TOKEN"]
            })
        );
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let with = |index: usize, value: &'static str| {
            let mut vars = WHOLE;
            vars[index].1 = value;
            read(&vars).unwrap_err().to_string()
        };
        assert_eq!(
            with(2, "maestro:8080"),
            "MAESTRO_API_URL is \"maestro:8080\"; expected a URL that begins with http://"
        );
        assert_eq!(
            with(4, "0"),
            "MAESTRO_PORT_GAME is \"0\"; expected a port, 1 to 65535"
        );
    }
}
