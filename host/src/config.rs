//! Settings from outside: the only file that reads the environment, but for what clap reads of it for options.

pub mod settings;
pub mod file;
pub mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The variable that says what is logged, in the syntax of tracing's filters.
pub const LOG: &str = "MAESTRO_LOG";

/// What to log, when the user says so.
pub fn log_filter() -> Option<String> {
    std::env::var(LOG).ok().filter(|text| !text.is_empty())
}

/// Whether the user wants no colours (<https://no-color.org>), or has a terminal without any.
pub fn is_colourless() -> bool {
    let is_set = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    is_set || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The user's cache folder for compiled policies: `$XDG_CACHE_HOME/maestro`, else `~/.cache/maestro`; a folder of this
/// process's own below the temporary one when there is no home.
pub fn policy_cache() -> PathBuf {
    let folder = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    match cache {
        Some(cache) => cache.join("maestro").join("policies"),
        None => std::env::temp_dir().join(format!("maestro-policies-{}", std::process::id())),
    }
}

/// What a local room inherits of our own environment: enough to find programs and a home, and nothing else.
pub fn room_environment() -> BTreeMap<String, String> {
    ["PATH", "HOME", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok().map(|value| (name.to_owned(), value)))
        .collect()
}
