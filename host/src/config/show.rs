//! `maestro config`: the settings that a service would run by, and where each comes from.

use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

use super::file::Effective;
use super::settings::Settings;

/// What is shown of a secret.
const HIDDEN: &str = "(hidden)";

/// What `maestro config` is told: the settings, as a role would be.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    /// A table for people, JSON for programs, or YAML to keep as a file of settings.
    #[arg(long, short, value_name = "FORM", default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Table,
    Json,
    Yaml,
}

/// Shows the settings.
pub fn main(args: &Args, all: &[Effective]) -> ExitCode {
    let text = match args.output {
        Output::Table => table(all),
        Output::Json => json(all),
        Output::Yaml => yaml(all),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read it has read enough.
        Err(_closed) => ExitCode::FAILURE,
    }
}

fn values(setting: &Effective) -> Vec<String> {
    let shown = setting.values.iter();
    shown
        .map(|value| match setting.is_secret {
            true => HIDDEN.to_owned(),
            false => value.clone(),
        })
        .collect()
}

fn table(all: &[Effective]) -> String {
    let rows: Vec<[String; 3]> = all
        .iter()
        .map(|setting| {
            let value = match setting.values.is_empty() {
                true => "-".to_owned(),
                false => values(setting).join(","),
            };
            [setting.key.clone(), value, setting.source.clone()]
        })
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (first, second) = (width(0).max(7), width(1).clamp(5, 60));
    let mut text = format!("{:first$}  {:second$}  SOURCE\n", "SETTING", "VALUE");
    for [key, value, source] in rows {
        text.push_str(&format!("{key:first$}  {value:second$}  {source}\n"));
    }
    text
}

fn json(all: &[Effective]) -> String {
    let setting = |setting: &Effective| {
        let value = json!({"values": values(setting), "source": setting.source, "secret": setting.is_secret});
        (setting.key.clone(), value)
    };
    let all: serde_json::Map<_, _> = all.iter().map(setting).collect();
    format!("{:#}\n", serde_json::Value::Object(all))
}

/// JSON's texts are YAML's. What is not set, and what no file may hold, stands as a remark.
fn yaml(all: &[Effective]) -> String {
    let mut text = String::new();
    for setting in all.iter().filter(|setting| setting.key != "config") {
        let shown: Vec<String> = values(setting)
            .iter()
            .map(|value| json!(value).to_string())
            .collect();
        let value = match shown.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let remark = match setting.is_secret || setting.values.is_empty() {
            true => "# ",
            false => "",
        };
        text.push_str(&format!(
            "{remark}{}: {value}  # {}\n",
            setting.key, setting.source
        ));
    }
    text
}
