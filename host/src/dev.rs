//! `maestro dev`: everything in one process, rooms as local processes.
//!
//! It applies scheduler files, simulates matches in the example room, shows what happens, and ends every room it
//! started. What it runs is [`crate::app`]; nothing here decides about rooms.

pub mod init;
pub mod matches;
pub mod address;
mod embedded;
mod data;
mod sources;
mod files;
mod hint;
mod matchmaker;
mod screen;
mod table;
mod keys;
mod desk;

use std::convert::Infallible;
use std::io::{self, IsTerminal, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use maestro_core::names::SchedulerName;
use maestro_core::time::Span;
use rustix::process::{Resource, getrlimit};
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval};

use crate::api;
use crate::args::Dev;
use crate::cluster::local::{Ending, Program};
use crate::config;
use crate::listen::Reach;
use crate::signals::Signals;
use crate::supervisor::chain;
use crate::tasks::{Kind, blocking};
use crate::telemetry;
use data::Folder;
use desk::Desk;
use embedded::{Embedded, Settings};
use files::Files;
use hint::{Hint, Played};
use matches::Matches;
use matchmaker::{Matchmaker, Rush};
use screen::Screen;
use sources::Sources;

/// Windows of seconds need looks of a second; a service has no need for more than one in ten.
const PERIOD: Span = Span::from_secs(1);

/// Twice what the service alone holds open.
const LEAST_FILES: u64 = 64;

/// Runs until somebody ends it.
pub fn main(dev: Dev) -> ExitCode {
    let is_live = stdout().is_terminal() && !dev.plain;
    let (mut screen, lines) = Screen::new();
    match is_live {
        true => telemetry::log_to(config::log_filter().as_deref(), lines),
        false => telemetry::log_to_stderr(config::log_filter().as_deref()),
    }
    let run = async move {
        let mut signals = Signals::new()?;
        let session = screen.until(Session::begin(dev)).await?;
        if is_live {
            session.show(screen);
        }
        session.run(&mut signals).await
    };
    let begun = check_files().and_then(|()| runtime().context("can't start"));
    match begun.and_then(|runtime| runtime.block_on(run)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Refuses to begin with so few files that something fails at any moment, in words of its own.
fn check_files() -> Result<()> {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < LEAST_FILES => bail!(
            "Maestro may not hold more than {limit} files open, and needs {LEAST_FILES}; raise the limit with `ulimit -n 1024`, and start again from the same shell"
        ),
        Some(_) | None => Ok(()),
    }
}

/// One run of `maestro dev`.
struct Session {
    embedded: Embedded,
    url: String,
    schedulers: Vec<SchedulerName>,
    /// The demand that is simulated, if any is.
    rush: Option<Rush>,
    // Ours until it is dropped, after what uses it.
    _data: Folder,
}

/// Time between two tries of a document that could not be applied.
const RETRY: Duration = Duration::from_secs(1);

impl Session {
    async fn begin(dev: Dev) -> Result<Self> {
        let mut sources = Sources::read(&dev.files)?;
        let schedulers = sources.check()?;
        let reach = if dev.insecure {
            Reach::Anybody
        } else {
            Reach::ThisMachine
        };
        dev.listen.check(reach)?;
        let wanted = dev.data.clone();
        let mut data = blocking(move || Folder::open(wanted.as_deref())).await?;
        let (listener, moved) = address::listen(&dev.listen, dev.data.as_deref()).await?;
        let address = listener.local_addr().context("the API has no address")?;
        data.tell(address)?;
        let url = address::url(address);
        let embedded = Embedded::begin(settings(&dev, data.path.clone(), url.clone())?).await?;
        address::remember(address, &data.path)?;
        let app = &embedded.app;
        app.beat();
        app.serve(listener, api::router(app.api.clone()));
        tracing::info!("API on {url}");
        if let Some(last) = moved {
            tracing::warn!(
                "rooms of the last run, if any survived, call {last} and are not heard here; start with --listen {last} to hear them"
            );
        }
        sources.claim(&app.api).await?;
        sources.apply(&app.api).await;
        let is_simulated = dev.room.is_none() && dev.matches != Matches::None;
        let session = Self {
            embedded,
            url,
            schedulers,
            rush: is_simulated.then(Rush::default),
            _data: data,
        };
        session.hint(if dev.room.is_none() {
            Played::Example
        } else {
            Played::Asked
        });
        session.simulate(&dev);
        session.watch(sources)?;
        Ok(session)
    }

    /// Runs until a signal or a failure; then ends rooms gracefully, or at once on a second signal.
    async fn run(self, signals: &mut Signals) -> Result<()> {
        let (acting, serving) = (
            self.embedded.app.acting.stop_token(),
            self.embedded.app.serving.stop_token(),
        );
        tokio::select! {
            () = signals.next() => tracing::info!("ending the rooms, each within its `shutdownTimeout`; Ctrl-C again ends them at once"),
            () = acting.cancelled() => {}
            () = serving.cancelled() => {}
        }
        tokio::select! {
            ended = self.embedded.shutdown(Ending::Graceful) => return ended,
            () = signals.next() => tracing::info!("ending the rooms at once"),
        }
        self.embedded.shutdown(Ending::Immediate).await
    }

    fn hint(&self, played: Played) {
        let run = Hint::new(self.url.clone(), played).run(
            self.embedded.app.api.clone(),
            self.embedded.app.acting.stop_token(),
        );
        self.embedded.app.acting.spawn(Kind::Hint, run);
    }

    fn simulate(&self, dev: &Dev) {
        let Some(rush) = self.rush.clone() else { return };
        let matchmaker = Matchmaker {
            registry: self.embedded.app.api.registry.clone(),
            schedulers: self.schedulers.clone(),
            matches: dev.matches,
            rush,
            seed: 1,
        };
        self.embedded.app.acting.spawn(
            Kind::Matchmaker,
            matchmaker.run(self.embedded.app.acting.stop_token()),
        );
    }

    /// Applies files that are saved, and documents that had to wait.
    fn watch(&self, mut sources: Sources) -> Result<()> {
        let mut files = Files::watch(sources.texts())?;
        let (api, stop) = (
            self.embedded.app.api.clone(),
            self.embedded.app.acting.stop_token(),
        );
        self.embedded.app.acting.spawn(Kind::Files, async move {
            let mut retries = interval(RETRY);
            retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok::<(), Infallible>(()),
                    changed = files.changed() => {
                        for (path, text) in changed {
                            sources.save(&api, &path, &text).await;
                        }
                    }
                    _ = retries.tick(), if sources.has_waiting() => sources.again(&api).await,
                }
            }
        });
        Ok(())
    }

    fn show(&self, screen: Screen) {
        let stop = self.embedded.app.serving.stop_token();
        let desk = Desk {
            api: self.embedded.app.api.clone(),
            cluster: self.embedded.cluster.clone(),
            rush: self.rush.clone(),
        };
        let run = screen.run(self.url.clone(), desk, stop);
        self.embedded.app.serving.spawn(Kind::Screen, run);
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
