//! Verbs about contexts. None of them calls a Maestro: one that is down can be named all the same.

use anyhow::Result;
use serde::Serialize;

use super::Usage;
use crate::args::{ContextVerb, Format, Token};
use crate::client::Client;
use crate::context::{Context, Contexts, Place};
use crate::output;

/// A context, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: String,
    url: String,
    in_use: bool,
}

pub(super) fn run(
    format: Format,
    verb: &ContextVerb,
    url: Option<&str>,
    token: Option<&Token>,
) -> Result<()> {
    let mut all = Contexts::load()?;
    match verb {
        ContextVerb::Add(add) => {
            let said = insert(&mut all, &add.name, url, token)?;
            all.save()?;
            told(format, &all, &said)
        }
        ContextVerb::Use(one) => {
            let said = format!("{} is in use: {}", one.name, all.get(&one.name)?.url);
            all.current = Some(one.name.clone());
            all.save()?;
            told(format, &all, &said)
        }
        ContextVerb::Remove(one) => {
            all.get(&one.name)?;
            all.contexts.remove(&one.name);
            let mut said = format!("{} is forgotten", one.name);
            if all.current.as_ref() == Some(&one.name) {
                all.current = None;
                said.push_str("; none is in use now");
            }
            all.save()?;
            told(format, &all, &said)
        }
        ContextVerb::List => list(format, &all),
    }
}

/// Adds or replaces one; gives what to say.
fn insert(all: &mut Contexts, name: &str, url: Option<&str>, token: Option<&Token>) -> Result<String> {
    let Some(url) = url else {
        return Err(Usage(format!(
            "name the place: maestro-cli context add {name} --url http://…"
        ))
        .into());
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.chars().all(is_plain) {
        let what = format!("`{name}` is no name of a context; expected letters, digits, `-`, `_` and `.`");
        return Err(Usage(what).into());
    }
    // A URL that can't be used is better told now than at the next call.
    let place = Place {
        url: url.to_owned(),
        token: token.cloned(),
    };
    Client::new(&place)?;
    let Place { url, token } = place;
    let context = Context {
        url: url.clone(),
        token,
    };
    let is_replaced = all.contexts.insert(name.to_owned(), context).is_some();
    let mut said = match is_replaced {
        true => format!("{name} is {url} now"),
        false => format!("added {name}: {url}"),
    };
    if all.current.is_none() {
        all.current = Some(name.to_owned());
        said.push_str("; it is in use");
    }
    Ok(said)
}

/// People get a sentence, programs all contexts.
fn told(format: Format, all: &Contexts, said: &str) -> Result<()> {
    output::show(format, &entries(all), |_| said.to_owned())
}

fn list(format: Format, all: &Contexts) -> Result<()> {
    if all.contexts.is_empty() && format == Format::Table {
        output::say("no contexts yet; name a Maestro: maestro-cli context add NAME --url http://…");
        return Ok(());
    }
    output::show(format, &entries(all), |entries| {
        let mark = |is_in_use: bool| if is_in_use { "*" } else { "" };
        let rows = entries.iter().map(|entry| {
            vec![
                entry.name.clone(),
                entry.url.clone(),
                mark(entry.in_use).to_owned(),
            ]
        });
        output::table(&["name", "url", "in use"], rows)
    })
}

fn entries(all: &Contexts) -> Vec<Entry> {
    let entry = |(name, context): (&String, &Context)| Entry {
        name: name.clone(),
        url: context.url.clone(),
        in_use: all.current.as_ref() == Some(name),
    };
    all.contexts.iter().map(entry).collect()
}
