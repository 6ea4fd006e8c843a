//! Completion: scripts for shells, and the names that exist at this moment.
//!
//! clap writes the scripts; the engine of its own that asks the program at each press of the key is still marked
//! unstable. So the scripts of the three shells that most people use get a few lines that ask `__names`, which answers
//! with nothing rather than with an error: whoever presses a key has no use for one.

use std::time::Duration;

use anyhow::Result;
use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;
use maestro_wire::http::{NodesBody, Policies, SchedulerNames};

use super::rooms;
use crate::args::{Cli, STATUSES};
use crate::client::{Client, segment};
use crate::context::{self, Contexts};
use crate::output;

/// The longest that a key press may wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// Schedulers whose rooms are asked for when any room may come next.
const MOST_SCHEDULERS: usize = 20;

const BASH: &str = r#"
_maestro_cli_live() {
    _maestro__cli "$@"
    local current="${COMP_WORDS[COMP_CWORD]}" line="${COMP_LINE:0:COMP_POINT}" words names count
    read -ra words <<< "$line"
    count=${#words[@]}
    [[ "$line" == *[[:space:]] ]] || count=$((count - 1))
    [[ "$current" == -* ]] && return
    names="$("$1" __names -- "${words[@]:1:count-1}" 2> /dev/null)"
    [[ -n "$names" ]] && COMPREPLY=($(compgen -W "$names" -- "$current"))
}
complete -F _maestro_cli_live -o bashdefault -o default maestro-cli
"#;

const ZSH: &str = r#"
_maestro_cli_live() {
    local -a names
    names=(${(f)"$(${words[1]} __names -- ${words[2,CURRENT-1]} 2> /dev/null)"})
    (( $#names )) && compadd -a names
    _maestro-cli "$@"
}
compdef _maestro_cli_live maestro-cli
"#;

const FISH: &str = r#"
complete -c maestro-cli -f -a '(set -l words (commandline -opc); maestro-cli __names -- $words[2..-1] 2> /dev/null)'
"#;

/// Prints the script for a shell.
pub(super) fn script(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(), "maestro-cli", &mut script);
    let live = match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
        _ => "",
    };
    // clap 4.6 writes a program's name with a hyphen in two ways in the script for bash, so that none of its verbs has
    // options there (clap-rs/clap#6421).
    let script = String::from_utf8_lossy(&script).replace("maestro__subcmd__cli__", "maestro__cli__");
    output::print(&format!("{script}{live}"))
}

/// The program without its hidden verbs, which the writer of scripts would offer like any other.
fn visible() -> Command {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|verb| !verb.is_hide_set());
    Command::new("maestro-cli")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(shown.cloned())
}

/// Prints the names that may follow these words.
pub(super) fn names(words: &[String]) -> Result<()> {
    let found = found(&Typed::read(words)).unwrap_or_default();
    match found.is_empty() {
        true => Ok(()),
        false => output::print(&found.join("\n")),
    }
}

/// Words of a line, as far as they matter here.
#[derive(Debug, Default, PartialEq)]
struct Typed<'a> {
    /// Verbs and what follows them, without options.
    words: Vec<&'a str>,
    /// The option that waits for its value.
    open: Option<String>,
    url: Option<&'a str>,
    context: Option<&'a str>,
    token: Option<&'a str>,
}

impl<'a> Typed<'a> {
    /// clap knows which options take a value; a line that is not complete can't be parsed by it.
    fn read(line: &'a [String]) -> Self {
        let mut root = Cli::command();
        root.build();
        let mut command: &Command = &root;
        let mut typed = Self::default();
        for word in line.iter().map(String::as_str) {
            if let Some(option) = typed.open.take() {
                match option.as_str() {
                    "url" => typed.url = Some(word),
                    "context" => typed.context = Some(word),
                    "token" => typed.token = Some(word),
                    _ => {}
                }
            } else if word.starts_with('-') {
                typed.open = option(command, word)
                    .filter(takes_value)
                    .map(|arg| arg.get_id().to_string());
            } else {
                typed.words.push(word);
                command = command.find_subcommand(word).unwrap_or(command);
            }
        }
        typed
    }
}

fn option<'c>(command: &'c Command, word: &str) -> Option<&'c Arg> {
    let is_meant = |arg: &&Arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => word.len() == 2 && arg.get_short().is_some_and(|short| word.ends_with(short)),
    };
    command.get_arguments().find(is_meant)
}

fn takes_value(arg: &&Arg) -> bool {
    arg.get_action().takes_values()
}

fn found(typed: &Typed<'_>) -> Result<Vec<String>> {
    let client = || -> Result<Client> {
        let token = typed.token.and_then(|token| token.parse().ok());
        let place = context::place(typed.url, typed.context, token.as_ref())?;
        Ok(Client::with_timeout(&place, PATIENCE)?)
    };
    if typed.open.as_deref() == Some("context") {
        return contexts();
    }
    if typed.open.as_deref() == Some("room") {
        let client = client()?;
        return match typed.words.as_slice() {
            ["events", scheduler] => rooms_of(&client, scheduler),
            _ => every_room(&client),
        };
    }
    if typed.open.is_some() {
        return Ok(Vec::new());
    }
    match typed.words.as_slice() {
        ["status" | "watch" | "wait" | "rooms" | "scale" | "explain" | "events" | "export" | "get"] => {
            schedulers(&client()?)
        }
        ["scale-in", "pause" | "resume"] => schedulers(&client()?),
        ["delete", given @ ..] => {
            let mut all = schedulers(&client()?)?;
            all.retain(|name| !given.contains(&name.as_str()));
            Ok(all)
        }
        ["room" | "logs"] => every_room(&client()?),
        ["room" | "logs", scheduler] => rooms_of(&client()?, scheduler),
        ["policy", "get"] => policies(&client()?),
        ["drain-node"] => nodes(&client()?),
        ["context", "use" | "remove"] => contexts(),
        _ => Ok(Vec::new()),
    }
}

fn schedulers(client: &Client) -> Result<Vec<String>> {
    Ok(client.get::<SchedulerNames>("/scheduler")?.schedulers)
}

fn every_room(client: &Client) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for scheduler in schedulers(client)?.iter().take(MOST_SCHEDULERS) {
        found.extend(rooms_of(client, scheduler)?);
    }
    Ok(found)
}

fn rooms_of(client: &Client, scheduler: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for status in STATUSES {
        let rooms = rooms::pages(client, &segment(scheduler), status)?;
        found.extend(rooms.into_iter().map(|room| room.room_id));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn nodes(client: &Client) -> Result<Vec<String>> {
    let all = client.get::<NodesBody>("/nodes")?.nodes;
    Ok(all.into_iter().map(|node| node.name).collect())
}

fn policies(client: &Client) -> Result<Vec<String>> {
    let all = client.get::<Policies>("/policies")?.policies;
    let mut names: Vec<String> = all.into_iter().map(|policy| policy.name).collect();
    names.dedup();
    Ok(names)
}

fn contexts() -> Result<Vec<String>> {
    Ok(Contexts::load()?.contexts.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_their_values_are_no_names() {
        let check = |line: &str, words: &[&str], open: Option<&str>| {
            let line: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let typed = Typed::read(&line);
            assert_eq!(
                (typed.words.as_slice(), typed.open.as_deref()),
                (words, open),
                "{line:?}"
            );
        };
        check("", &[], None);
        check("--url http://x:1 status", &["status"], None);
        check("status -o json", &["status"], None);
        check("explain --plot -n 5 arena", &["explain", "arena"], None);
        check("logs -f", &["logs"], None);
        check("apply -f", &["apply"], Some("file"));
        check("events arena --room", &["events", "arena"], Some("room"));
        check("status --context", &["status"], Some("context"));
        check("policy get", &["policy", "get"], None);
        check("nonsense --what", &["nonsense"], None);
    }

    #[test]
    fn the_url_of_the_line_is_asked() {
        let line = ["status", "--context", "prod", "--url", "http://x"].map(str::to_owned);
        let typed = Typed::read(&line);
        assert_eq!((typed.context, typed.url), (Some("prod"), Some("http://x")));
    }
}
