//! Contexts: names for the Maestros that a user talks to, kept in the user's config folder; and which one is meant.
//!
//! The only reader of the environment but for colours. What was said on the command line goes before the environment,
//! and the environment before the file: each of them is closer to the call at hand than the next.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use maestro_wire::document::nearest;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::args::Token;

/// Where Maestro listens when nobody says.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// All contexts, as the file holds them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// The one in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Each by its name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// One Maestro.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// Where it listens.
    pub url: String,
    /// The token that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
}

/// Which Maestro is meant, and what it is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// Where it listens.
    pub url: String,
    /// The token that it asks for.
    pub token: Option<Token>,
}

/// Why contexts can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Two places were named.
    #[error("--url and --context both say where Maestro is; give one of them")]
    Both,
    /// No context has this name.
    #[error("there is no context `{name}`{}", hint(.nearest))]
    Unknown {
        /// The name.
        name: String,
        /// The one that was most likely meant.
        nearest: Option<String>,
    },
    /// MAESTRO_TOKEN holds no token.
    #[error("MAESTRO_TOKEN holds no token: {0}")]
    Token(&'static str),
    /// Neither XDG_CONFIG_HOME nor HOME is set.
    #[error("there is no config folder: neither XDG_CONFIG_HOME nor HOME is set")]
    Folder,
    /// The file can't be read.
    #[error("can't read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The file holds something else.
    #[error("{} does not hold contexts; mend or remove it", path.display())]
    Broken {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// The file can't be written.
    #[error("can't write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

fn hint(nearest: &Option<String>) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => "; `maestro-cli context list` shows them".to_owned(),
    }
}

impl Error {
    /// Whether it lies in what the user typed, and not in a file.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Both | Self::Unknown { .. } | Self::Token(_) => true,
            Self::Folder | Self::Read { .. } | Self::Broken { .. } | Self::Write { .. } => false,
        }
    }
}

impl Contexts {
    /// Reads the user's contexts; a file that is not there holds none.
    pub(crate) fn load() -> Result<Self, Error> {
        Self::read(&file()?)
    }

    /// Writes the user's contexts.
    pub(crate) fn save(&self) -> Result<(), Error> {
        self.write(&file()?)
    }

    /// The context of this name.
    pub(crate) fn get(&self, name: &str) -> Result<&Context, Error> {
        self.contexts.get(name).ok_or_else(|| Error::Unknown {
            name: name.to_owned(),
            nearest: nearest(name, self.contexts.keys().map(String::as_str)).map(str::to_owned),
        })
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let text = match std::fs::read_to_string(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other.map_err(|cause| Error::Read {
                path: path.to_owned(),
                cause,
            })?,
        };
        serde_json::from_str(&text).map_err(|cause| Error::Broken {
            path: path.to_owned(),
            cause,
        })
    }

    /// A new file takes the old one's place in one step, so that nobody reads half of it. It is its owner's alone
    /// (0600), as temporary files are: a token is a secret, and a URL can hold one.
    fn write(&self, path: &Path) -> Result<(), Error> {
        let write = || -> io::Result<()> {
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            let mut file = NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(|cause| Error::Write {
            path: path.to_owned(),
            cause,
        })
    }
}

/// The Maestro that is meant: `url` or `context` of the command line, else MAESTRO_URL, else MAESTRO_CONTEXT, else the
/// context in use, else this machine. Its token is `token`, else MAESTRO_TOKEN, else the context's.
pub(crate) fn place(url: Option<&str>, context: Option<&str>, token: Option<&Token>) -> Result<Place, Error> {
    let said = [url.map(str::to_owned), context.map(str::to_owned)];
    let around = [variable("MAESTRO_URL"), variable("MAESTRO_CONTEXT")];
    let chosen = choose(said, around, Contexts::load)?;
    let given = match token {
        Some(token) => Some(token.clone()),
        None => variable("MAESTRO_TOKEN")
            .map(|text| text.parse().map_err(Error::Token))
            .transpose()?,
    };
    Ok(Place {
        token: given.or(chosen.token),
        url: chosen.url,
    })
}

fn choose(
    said: [Option<String>; 2],
    around: [Option<String>; 2],
    load: impl FnOnce() -> Result<Contexts, Error>,
) -> Result<Place, Error> {
    let (url, name) = match (said, around) {
        ([Some(_), Some(_)], _) => return Err(Error::Both),
        ([Some(url), None], _) => (Some(url), None),
        ([None, Some(name)], _) => (None, Some(name)),
        ([None, None], [Some(url), _]) => (Some(url), None),
        ([None, None], [None, name]) => (None, name),
    };
    // A context's token goes nowhere but to its own Maestro.
    let at = |url: String| Place { url, token: None };
    let of = |context: &Context| Place {
        url: context.url.clone(),
        token: context.token.clone(),
    };
    match (url, name) {
        (Some(url), _) => Ok(at(url)),
        (None, Some(name)) => Ok(of(load()?.get(&name)?)),
        (None, None) => match load() {
            Ok(contexts) => match &contexts.current {
                Some(name) => Ok(of(contexts.get(name)?)),
                None => Ok(at(DEFAULT_URL.to_owned())),
            },
            // Nobody asked for a context, and a service account has no home.
            Err(Error::Folder) => Ok(at(DEFAULT_URL.to_owned())),
            Err(error) => Err(error),
        },
    }
}

fn file() -> Result<PathBuf, Error> {
    let absolute = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let folder = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("APPDATA"))
        .or_else(|| Some(absolute("HOME")?.join(".config")));
    Ok(folder.ok_or(Error::Folder)?.join("maestro").join("contexts.json"))
}

/// An environment variable; an empty one says nothing.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Contexts {
        let at = |url: &str| Context {
            url: url.to_owned(),
            token: "secret".parse().ok().filter(|_| url == "http://prod"),
        };
        Contexts {
            current: Some("home".to_owned()),
            contexts: BTreeMap::from([
                ("home".to_owned(), at("http://home")),
                ("prod".to_owned(), at("http://prod")),
            ]),
        }
    }

    #[test]
    fn what_is_closer_to_the_call_goes_first() {
        let check = |said: [&str; 2], around: [&str; 2], expected: &str| {
            let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let url = choose(said.map(given), around.map(given), || Ok(two()));
            assert_eq!(
                url.map_or_else(|error| error.to_string(), |place| place.url),
                expected,
                "{said:?} {around:?}"
            );
        };
        check(["http://x", ""], ["http://y", "prod"], "http://x");
        check(["", "prod"], ["http://y", "home"], "http://prod");
        check(["", ""], ["http://y", "prod"], "http://y");
        check(["", ""], ["", "prod"], "http://prod");
        check(["", ""], ["", ""], "http://home");
        check(
            ["", "prd"],
            ["", ""],
            "there is no context `prd`; did you mean `prod`?",
        );
        check(
            ["http://x", "prod"],
            ["", ""],
            "--url and --context both say where Maestro is; give one of them",
        );
        let none = || [None, None];
        assert_eq!(
            choose(none(), none(), || Ok(Contexts::default())).unwrap().url,
            DEFAULT_URL
        );
        assert_eq!(
            choose(none(), none(), || Err(Error::Folder)).unwrap().url,
            DEFAULT_URL
        );
        let prod = choose([None, Some("prod".to_owned())], none(), || Ok(two())).unwrap();
        assert_eq!(prod.token, "secret".parse().ok());
        let elsewhere = choose([Some("http://x".to_owned()), None], none(), || Ok(two())).unwrap();
        assert_eq!(elsewhere.token, None, "another place is told no context's token");
        assert!(!format!("{prod:?}").contains("secret"));
    }

    #[test]
    fn what_is_written_is_read_again_and_a_broken_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("maestro").join("contexts.json");
        assert_eq!(Contexts::read(&path).unwrap(), Contexts::default());
        two().write(&path).unwrap();
        assert_eq!(Contexts::read(&path).unwrap(), two());
        std::fs::write(&path, "{\"contxts\": {}}").unwrap();
        assert!(matches!(Contexts::read(&path), Err(Error::Broken { .. })));
    }
}
