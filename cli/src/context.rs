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
            Self::Both | Self::Unknown { .. } => true,
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
    /// (0600), as temporary files are: a URL can hold a password.
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

/// The URL that is meant: `url` or `context` of the command line, else MAESTRO_URL, else MAESTRO_CONTEXT, else the
/// context in use, else this machine.
pub(crate) fn url(url: Option<&str>, context: Option<&str>) -> Result<String, Error> {
    let said = [url.map(str::to_owned), context.map(str::to_owned)];
    let around = [variable("MAESTRO_URL"), variable("MAESTRO_CONTEXT")];
    choose(said, around, Contexts::load)
}

fn choose(
    said: [Option<String>; 2],
    around: [Option<String>; 2],
    load: impl FnOnce() -> Result<Contexts, Error>,
) -> Result<String, Error> {
    let (url, name) = match (said, around) {
        ([Some(_), Some(_)], _) => return Err(Error::Both),
        ([Some(url), None], _) => (Some(url), None),
        ([None, Some(name)], _) => (None, Some(name)),
        ([None, None], [Some(url), _]) => (Some(url), None),
        ([None, None], [None, name]) => (None, name),
    };
    match (url, name) {
        (Some(url), _) => Ok(url),
        (None, Some(name)) => Ok(load()?.get(&name)?.url.clone()),
        (None, None) => match load() {
            Ok(contexts) => match &contexts.current {
                Some(name) => Ok(contexts.get(name)?.url.clone()),
                None => Ok(DEFAULT_URL.to_owned()),
            },
            // Nobody asked for a context, and a service account has no home.
            Err(Error::Folder) => Ok(DEFAULT_URL.to_owned()),
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
        let at = |url: &str| Context { url: url.to_owned() };
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
                url.unwrap_or_else(|error| error.to_string()),
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
            choose(none(), none(), || Ok(Contexts::default())).unwrap(),
            DEFAULT_URL
        );
        assert_eq!(
            choose(none(), none(), || Err(Error::Folder)).unwrap(),
            DEFAULT_URL
        );
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
