//! A file of settings, and where each setting comes from in the end.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command};
use maestro_wire::document::{self, Problem, nearest, quoted};

/// What a setting came to, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its name.
    pub key: String,
    /// Its values; none when it is not set.
    pub values: Vec<String>,
    /// From where, as in `environment MAESTRO_LISTEN`.
    pub source: String,
    /// Whether its values are not to be shown.
    pub is_secret: bool,
}

/// The command with what the file says as defaults of its options, and the keys that it has. All problems of the file at
/// once, each at its place; none shows a value, which may be a password.
pub fn with_file(command: Command, path: &Path) -> Result<(Command, Vec<String>), String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("can't read {shown}: {error}"))?;
    let told = |problems: &[Problem]| {
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| format!("{shown}:{problem}"))
            .collect();
        lines.join("\n")
    };
    let settings = document::settings(&text).map_err(|problems| told(&problems.list))?;
    let (mut command, mut keys, mut problems) = (command, Vec::new(), Vec::new());
    for setting in settings {
        let Some(id) = id(&command, &setting.key) else {
            if setting.key == "config" {
                problems.push(setting.problem("a file of settings names no other"));
                continue;
            }
            let known: Vec<String> = keys_of(&command).map(|(name, _)| name).collect();
            let problem = setting.problem(format!("there is no setting {}", quoted(&setting.key)));
            problems.push(match nearest(&setting.key, known.iter().map(String::as_str)) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
            continue;
        };
        match check(&command, &id, &setting.values) {
            Ok(()) => {
                keys.push(setting.key.clone());
                let values = setting.values;
                command = command.mut_arg(id, |arg| match arg.get_action() {
                    // A list of no values is as good as none.
                    _ if values.is_empty() => arg,
                    _ => arg.default_values(values),
                });
            }
            Err(reason) => problems.push(setting.problem(reason)),
        }
    }
    match problems.is_empty() {
        true => Ok((command, keys)),
        false => Err(told(&problems)),
    }
}

/// Each setting with its values and where they come from, in the order of the help.
pub fn effective(
    command: &Command,
    matches: &ArgMatches,
    keys: &[String],
    file: Option<&Path>,
) -> Vec<Effective> {
    let all = options(command).map(|(key, arg)| {
        let id = arg.get_id().as_str();
        let raw = matches.get_raw(id).into_iter().flatten();
        let values = raw.map(|value| value.to_string_lossy().into_owned()).collect();
        let source = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => format!("option --{key}"),
            Some(ValueSource::EnvVariable) => {
                let variable = arg.get_env().map(OsStr::to_string_lossy).unwrap_or_default();
                format!("environment {variable}")
            }
            Some(_) if keys.contains(&key) => {
                format!("file {}", file.unwrap_or(Path::new("")).display())
            }
            Some(_) => "default".to_owned(),
            None => "not set".to_owned(),
        };
        Effective {
            key,
            values,
            source,
            is_secret: arg.is_hide_env_values_set(),
        }
    });
    all.collect()
}

/// The options of a command that are settings, by name.
fn options(command: &Command) -> impl Iterator<Item = (String, &clap::Arg)> {
    let own = command.get_arguments().filter(|arg| arg.get_env().is_some());
    own.filter_map(|arg| Some((arg.get_long()?.to_owned(), arg)))
}

/// Those that a file may have: one that names another file would begin a chain that nobody follows.
fn keys_of(command: &Command) -> impl Iterator<Item = (String, &clap::Arg)> {
    options(command).filter(|(name, _)| name != "config")
}

fn id(command: &Command, key: &str) -> Option<String> {
    let known = keys_of(command).find(|(name, _)| name == key);
    known.map(|(_, arg)| arg.get_id().to_string())
}

/// Whether an option takes these values.
fn check(command: &Command, id: &str, values: &[String]) -> Result<(), String> {
    let Some(arg) = command.get_arguments().find(|arg| arg.get_id() == id) else {
        return Ok(());
    };
    let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
    if values.len() > 1 && !matches!(arg.get_action(), ArgAction::Append) {
        return Err("expected one value".to_owned());
    }
    for value in values {
        if is_flag && !matches!(value.as_str(), "true" | "false") {
            return Err("expected true or false".to_owned());
        }
        // The same parser as the command line's, tried on a command that has nothing else.
        let alone = Command::new("maestro").arg(arg.clone().env(clap::builder::Resettable::Reset));
        let given = match is_flag {
            true => continue,
            false => format!("--{}={value}", arg.get_long().unwrap_or_default()),
        };
        if let Err(error) = alone.try_get_matches_from(["maestro", &given]) {
            return Err(reason(&error));
        }
    }
    Ok(())
}

/// Why clap refused a value, without the value.
fn reason(error: &clap::Error) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(cause) => cause.to_string(),
        None => {
            let known = error.get(clap::error::ContextKind::ValidValue);
            match known {
                Some(values) => format!("expected {values}"),
                None => "this can't be its value".to_owned(),
            }
        }
    }
}
