//! `maestro dev`: everything in one process, rooms as local processes.
//!
//! It applies scheduler files, simulates matches in the example room, shows what happens, and ends every room it
//! started. What it runs is [`crate::app`]; nothing here decides about rooms.

pub mod init;
pub mod matches;
mod address;
mod files;
mod hint;
mod matchmaker;
mod screen;
mod table;

use std::collections::BTreeMap;
use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use maestro_core::names::SchedulerName;
use maestro_core::time::Span;
use maestro_wire::document;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::api::{Api, apply};
use crate::app::{App, Settings};
use crate::args::Dev;
use crate::cluster::local::{Ending, Program};
use crate::config;
use crate::store::schedulers::ManagedBy;
use crate::tasks::Kind;
use crate::telemetry;
use files::Files;
use hint::Hint;
use matches::Matches;
use matchmaker::Matchmaker;
use screen::Screen;

/// The quick scheduler that runs without a file.
const HELLO: &str = include_str!("dev/hello.yaml");

/// What the quick scheduler's document is called where a file's name would stand.
const HELLO_NAME: &str = "the quick scheduler";

/// Windows of seconds need looks of a second; a service has no need for more than one in ten.
const PERIOD: Span = Span::from_secs(1);

/// Runs until somebody ends it.
pub fn main(dev: Dev) -> ExitCode {
    let is_live = stdout().is_terminal() && !dev.plain;
    let (screen, lines) = Screen::new();
    match is_live {
        true => telemetry::log_to(config::log_filter().as_deref(), lines),
        false => telemetry::log_to_stderr(config::log_filter().as_deref()),
    }
    let run = async move {
        let mut signals = Signals::new()?;
        let session = Session::begin(dev).await?;
        if is_live {
            session.show(screen);
        }
        session.run(&mut signals).await
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime
        .context("can't start")
        .and_then(|runtime| runtime.block_on(run))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// SIGINT and SIGTERM, the first and any later one.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("can't listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// One run of `maestro dev`.
struct Session {
    app: App,
    url: String,
    schedulers: Vec<SchedulerName>,
    // Removed when dropped; `None` with `--data`.
    _temporary: Option<tempfile::TempDir>,
}

/// Time between two tries of a document whose policy is not deployed yet.
const RETRY: Duration = Duration::from_secs(1);

/// A scheduler document and where it comes from.
#[derive(Clone, Debug)]
struct Source {
    name: String,
    text: String,
}

impl Session {
    async fn begin(dev: Dev) -> Result<Self> {
        let sources = read(&dev.files)?;
        let schedulers = check(&sources)?;
        let listener = address::listen(dev.listen, dev.data.as_deref()).await?;
        let address = listener.local_addr().context("the API has no address")?;
        let url = format!("http://{address}");
        let (data, temporary) = data_folder(dev.data.as_deref())?;
        let app = App::build(settings(&dev, data.clone(), url.clone())?).await?;
        address::remember(address, &data)?;
        app.serve(listener);
        tracing::info!("API on {url}");
        let waiting = apply_all(&app.api, &sources).await;
        let session = Self {
            app,
            url,
            schedulers,
            _temporary: temporary,
        };
        session.hint();
        session.simulate(&dev)?;
        session.watch(&dev, &sources, waiting)?;
        Ok(session)
    }

    /// Runs until a signal or a failure; then ends rooms gracefully, or at once on a second signal.
    async fn run(self, signals: &mut Signals) -> Result<()> {
        let (acting, serving) = (self.app.acting.stop_token(), self.app.serving.stop_token());
        tokio::select! {
            () = signals.next() => tracing::info!("ending the rooms; once more to end them at once"),
            () = acting.cancelled() => {}
            () = serving.cancelled() => {}
        }
        tokio::select! {
            ended = self.app.shutdown(Ending::Graceful) => return ended,
            () = signals.next() => tracing::info!("ending the rooms at once"),
        }
        self.app.shutdown(Ending::Immediate).await
    }

    fn hint(&self) {
        let run = Hint::new(self.url.clone()).run(self.app.api.clone(), self.app.acting.stop_token());
        self.app.acting.spawn(Kind::Hint, run);
    }

    fn simulate(&self, dev: &Dev) -> Result<()> {
        if dev.room.is_some() || dev.matches == Matches::None {
            return Ok(());
        }
        let matchmaker = Matchmaker {
            registry: self.app.registry.clone(),
            schedulers: self.schedulers.clone(),
            matches: dev.matches,
            seed: 1,
        };
        self.app
            .acting
            .spawn(Kind::Matchmaker, matchmaker.run(self.app.acting.stop_token()));
        Ok(())
    }

    fn watch(&self, dev: &Dev, sources: &[Source], mut waiting: Vec<Waiting>) -> Result<()> {
        if dev.files.is_empty() {
            return Ok(());
        }
        let texts: BTreeMap<PathBuf, String> = dev
            .files
            .iter()
            .cloned()
            .zip(sources.iter().map(|source| source.text.clone()))
            .collect();
        let mut files = Files::watch(texts)?;
        let (api, stop) = (self.app.api.clone(), self.app.acting.stop_token());
        self.app.acting.spawn(Kind::Files, async move {
            let mut retries = tokio::time::interval(RETRY);
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok::<(), std::convert::Infallible>(()),
                    changed = files.changed() => {
                        for (path, text) in changed {
                            let source = Source { name: path.display().to_string(), text };
                            waiting.retain(|one| one.source.name != source.name);
                            if let Err(error) = apply_source(&api, &source).await {
                                tracing::error!("{error:#}\nthe rooms go on as they were; save the file again");
                            }
                        }
                    }
                    _ = retries.tick(), if !waiting.is_empty() => waiting = again(&api, waiting).await,
                }
            }
        });
        Ok(())
    }

    fn show(&self, screen: Screen) {
        let stop = self.app.serving.stop_token();
        let run = screen.run(self.url.clone(), self.app.api.clone(), stop);
        self.app.serving.spawn(Kind::Screen, run);
    }
}

fn read(files: &[PathBuf]) -> Result<Vec<Source>> {
    if files.is_empty() {
        return Ok(vec![Source {
            name: HELLO_NAME.to_owned(),
            text: HELLO.to_owned(),
        }]);
    }
    let read_one = |file: &PathBuf| {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).with_context(|| format!("can't read {name}"))?;
        Ok(Source { name, text })
    };
    files.iter().map(read_one).collect()
}

/// Reads every document before anything is started, so that a typing error costs no waiting.
fn check(sources: &[Source]) -> Result<Vec<SchedulerName>> {
    let mut names = Vec::new();
    let mut problems = Vec::new();
    for source in sources {
        match document::read(&source.text) {
            Ok(documents) => names.extend(documents.into_iter().map(|document| document.scheduler.name)),
            Err(found) => problems.push(found.show(&source.name, &source.text)),
        }
    }
    match problems.is_empty() {
        true => Ok(names),
        false => bail!(
            "nothing was started, the documents have problems\n{}",
            problems.join("\n")
        ),
    }
}

/// A document that is well formed and was refused, as one is whose policy is not deployed yet.
struct Waiting {
    source: Source,
    error: String,
}

/// Applies what can be applied. What is refused waits: a policy can be deployed only once the API is up.
async fn apply_all(api: &Api, sources: &[Source]) -> Vec<Waiting> {
    let mut waiting = Vec::new();
    for source in sources {
        if let Err(error) = apply_source(api, source).await {
            let error = format!("{error:#}");
            tracing::error!("{error}\nit is tried again until it can be applied, or save another text");
            waiting.push(Waiting {
                source: source.clone(),
                error,
            });
        }
    }
    waiting
}

/// Tries again what waits, and tells what is new about it.
async fn again(api: &Api, waiting: Vec<Waiting>) -> Vec<Waiting> {
    let mut still = Vec::new();
    for Waiting { source, error: known } in waiting {
        if let Err(error) = apply_source(api, &source).await {
            let error = format!("{error:#}");
            if error != known {
                tracing::error!("{error}");
            }
            still.push(Waiting { source, error });
        }
    }
    still
}

async fn apply_source(api: &Api, source: &Source) -> Result<()> {
    let applied = apply::apply(api, &source.text, &ManagedBy::File(source.name.clone())).await;
    let applied = applied.map_err(|refused| anyhow::anyhow!(refused.show(&source.name, &source.text)))?;
    for one in applied {
        tracing::info!(scheduler.name = %one.name, "{}: {}", one.name, one.message);
        for warning in &one.warnings {
            tracing::warn!("{}", warning.show(&source.name, &source.text));
        }
    }
    Ok(())
}

/// The data folder, and what removes it at the end when it is a temporary one.
fn data_folder(data: Option<&Path>) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    match data {
        Some(folder) => {
            let absolute = std::path::absolute(folder);
            Ok((
                absolute.with_context(|| format!("can't use {} for data", folder.display()))?,
                None,
            ))
        }
        None => {
            let folder = tempfile::Builder::new().prefix("maestro-").tempdir();
            let folder = folder.context("can't make a temporary folder; name one with --data")?;
            Ok((folder.path().to_owned(), Some(folder)))
        }
    }
}

fn settings(dev: &Dev, data: PathBuf, url: String) -> Result<Settings> {
    let program = match dev.room.as_deref() {
        None => Program::Example { args: Vec::new() },
        Some("cmd") => Program::Document,
        Some(command) => Program::Command(command.to_owned()),
    };
    Ok(Settings {
        data,
        survive: dev.data.is_some(),
        program,
        url,
        cap: dev.max_rooms,
        min_period: PERIOD,
        maestro: std::env::current_exe().context("can't find this program's own file")?,
        policy_cache: config::policy_cache(),
        room_environment: config::room_environment(),
    })
}
