//! `maestro migrate`: brings a database's tables up to date before a release that needs them starts.
//!
//! Roles on a server never do so by themselves: an upgrade then changes tables at a moment that its operator chose,
//! with rights that the service itself need not have. Run by hand, or as a job before a new release. With `--from` and `--to` it
//! is also the way from a data folder to a server.

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
    #[arg(
        long,
        value_name = "URL",
        env = "MAESTRO_DATABASE",
        hide_env_values = true,
        required_unless_present = "to"
    )]
    // Read later: clap would show what it can't read, with the password in it.
    pub database: Option<String>,
    /// Change nothing; tell what is pending, and end with 2 when anything is.
    #[arg(long, conflicts_with = "from")]
    pub check: bool,
    /// Copy everything from this database, which nothing may use meanwhile, to the one of --to.
    #[arg(long, value_name = "URL", requires = "to")]
    pub from: Option<String>,
    /// Where to copy it: a database that is empty. Its tables are made first.
    #[arg(long, value_name = "URL", requires = "from")]
    pub to: Option<String>,
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

/// What was asked for.
enum Task {
    Check(Place),
    Migrate(Place),
    Copy { from: Place, to: Place },
}

/// Migrates, tells what is pending, or copies.
pub fn main(args: &Args) -> ExitCode {
    telemetry::log_to_stderr(config::log_filter().as_deref());
    let task = match task(args) {
        Ok(task) => task,
        Err(reason) => {
            eprintln!("error: {reason}");
            return ExitCode::from(USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime
        .context("can't start")
        .and_then(|runtime| runtime.block_on(run(task)));
    done.unwrap_or_else(|error| {
        eprintln!("error: {}", chain(error.as_ref()));
        ExitCode::FAILURE
    })
}

fn task(args: &Args) -> Result<Task, String> {
    let place = |option: &str, given: &Option<String>| -> Result<Place, String> {
        let given = given.as_deref().ok_or_else(|| format!("--{option} is missing"))?;
        given.parse().map_err(|reason| format!("--{option}: {reason}"))
    };
    if args.to.is_some() {
        return Ok(Task::Copy {
            from: place("from", &args.from)?,
            to: place("to", &args.to)?,
        });
    }
    let database = place("database", &args.database)?;
    Ok(match args.check {
        true => Task::Check(database),
        false => Task::Migrate(database),
    })
}

async fn open(place: Place) -> Result<Store> {
    let store = match place {
        Place::File(path) if !path.is_file() => anyhow::bail!("{} is not there", path.display()),
        Place::File(path) => Store::open_as_it_is(&path).await?,
        Place::Server(config) => Store::on_server(*config)?,
    };
    store.ping().await?;
    Ok(store)
}

async fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Check(place) => {
            let store = open(place).await?;
            let standing = store.standing().await?;
            println!("{}", told(&standing));
            store.close().await?;
            Ok(match standing.pending.is_empty() {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(PENDING),
            })
        }
        Task::Migrate(place) => {
            let store = open(place).await?;
            if migrate(&store).await?.is_empty() {
                println!("{}", told(&store.standing().await?));
            }
            store.close().await?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Copy { from, to } => copy(from, to).await,
    }
}

async fn migrate(store: &Store) -> Result<Vec<String>> {
    let applied = store.migrate().await?;
    for name in &applied {
        println!("applied {name}");
    }
    Ok(applied)
}

async fn copy(from: Place, to: Place) -> Result<ExitCode> {
    let key = match &from {
        Place::File(path) => path
            .parent()
            .map(|folder| folder.join("key"))
            .filter(|key| key.is_file()),
        Place::Server(_) => None,
    };
    let (from, to) = (open(from).await?, open(to).await?);
    migrate(&from).await?;
    migrate(&to).await?;
    eprintln!("copying");
    let copied = from.transfer(&to).await?;
    for (table, rows) in copied.tables {
        println!("copied {rows} {table}");
    }
    if let Some(key) = key {
        eprintln!(
            "rooms that run keep their tokens if each process gets the same key:\n  --key $(od -An -v -tx1 {} | tr -d ' \\n')",
            key.display()
        );
    }
    from.close().await?;
    to.close().await?;
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
