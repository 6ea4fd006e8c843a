//! `maestro migrate`: brings a database's tables up to date before a release that needs them starts.
//!
//! Roles on a server never do so by themselves: an upgrade then changes tables at a moment that its operator chose,
//! with rights that the service itself need not have. Run by hand, or as a job before a new release.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result};

use crate::config;
use crate::store::migration::Standing;
use crate::store::{Store, postgres};
use crate::supervisor::chain;
use crate::telemetry;

/// What `--check` ends with while something is pending, so that a script can tell it from a failure.
const PENDING: u8 = 2;

/// What a wrong option ends with.
const USAGE: u8 = 2;

/// Connections that migrating takes: one that looks. The one that changes is beside it.
const CONNECTIONS: u32 = 1;

/// What `maestro migrate` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The database: postgres://USER:PASSWORD@HOST:PORT/DATABASE, with ?sslmode= and ?sslrootcert= where wanted, or the
    /// file of a data folder, as in sqlite:DIR/maestro.db.
    #[arg(long, value_name = "URL", env = "MAESTRO_DATABASE", hide_env_values = true)]
    // Read later: clap would show what it can't read, with the password in it.
    pub database: String,
    /// Change nothing; tell what is pending, and end with 2 when anything is.
    #[arg(long)]
    pub check: bool,
}

/// Where a database is.
#[derive(Clone, Debug)]
enum Place {
    /// In a file.
    File(PathBuf),
    /// On a server.
    Server(Box<postgres::Config>),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("sqlite:") {
            Some("") => Err("expected the path of a file after sqlite:".to_owned()),
            Some(path) => Ok(Self::File(path.into())),
            None => match postgres::Config::parse(text, CONNECTIONS) {
                Ok(config) => Ok(Self::Server(Box::new(config))),
                Err(error) => Err(chain(&error)),
            },
        }
    }
}

/// Migrates, or tells what is pending.
pub fn main(args: &Args) -> ExitCode {
    telemetry::log_to_stderr(config::log_filter().as_deref());
    let place: Place = match args.database.parse() {
        Ok(place) => place,
        Err(reason) => {
            eprintln!("error: --database: {reason}");
            return ExitCode::from(USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime
        .context("can't start")
        .and_then(|runtime| runtime.block_on(run(place, args.check)));
    done.unwrap_or_else(|error| {
        eprintln!("error: {}", chain(error.as_ref()));
        ExitCode::FAILURE
    })
}

async fn run(place: Place, is_check: bool) -> Result<ExitCode> {
    let store = match place {
        Place::File(path) if !path.is_file() => anyhow::bail!("{} is not there", path.display()),
        Place::File(path) => Store::open_as_it_is(&path).await?,
        Place::Server(config) => Store::on_server(*config)?,
    };
    store.ping().await?;
    if is_check {
        let standing = store.standing().await?;
        println!("{}", told(&standing));
        return Ok(match standing.pending.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(PENDING),
        });
    }
    let applied = store.migrate().await?;
    for name in &applied {
        println!("applied {name}");
    }
    if applied.is_empty() {
        println!("{}", told(&store.standing().await?));
    }
    store.close().await?;
    Ok(ExitCode::SUCCESS)
}

fn told(standing: &Standing) -> String {
    let Standing { pending, newer } = standing;
    match (pending.is_empty(), newer.is_empty()) {
        (true, true) => "up to date".to_owned(),
        (true, false) => format!("up to date, and ahead by {}", newer.join(", ")),
        (false, _) => format!("pending: {}", pending.join(", ")),
    }
}
