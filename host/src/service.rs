//! `maestro serve`, `maestro api` and `maestro worker`: the roles of an installation, and what each needs.
//!
//! Any number of APIs and workers share a database and a Redis, and none of them has anything of its own. `serve` is both in one
//! process, and needs neither: then a data folder and this process's memory stand in for them, and there is to be only one.

mod needs;
mod open;
mod files;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use crate::api::{self, Operators};
use crate::app::{App, STOP};
use crate::config::settings::{LogFormat, Settings};
use crate::listen;
use crate::metrics::Metrics;
use crate::signals::Signals;
use crate::supervisor::{Definitions, Follower, chain};
use crate::tasks::{Kind, Tasks};
use crate::telemetry;
use needs::Needs;

/// What a wrong setting ends with.
const USAGE: u8 = 2;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Serve,
    /// The API alone.
    Api,
    /// The loops alone.
    Worker,
}

impl Role {
    fn has_api(self) -> bool {
        matches!(self, Self::Serve | Self::Api)
    }

    fn has_loops(self) -> bool {
        matches!(self, Self::Serve | Self::Worker)
    }
}

/// Runs until somebody ends it.
pub fn main(role: Role, settings: Settings) -> ExitCode {
    let needs = match Needs::of(role, &settings) {
        Ok(needs) => needs,
        Err(missing) => {
            for problem in missing {
                eprintln!("error: {problem}");
            }
            eprintln!("\nFor more information, try 'maestro {} --help'.", role.verb());
            return ExitCode::from(USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime
        .context("can't start")
        .and_then(|runtime| runtime.block_on(traced(role, settings, needs)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

impl Role {
    /// What a user types for it.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }
}

/// Runs, and sends traces to the end.
async fn traced(role: Role, settings: Settings, needs: Needs) -> Result<()> {
    let metrics = Arc::<Metrics>::default();
    let told = telemetry::Settings {
        filter: settings.log.clone(),
        format: match settings.log_format {
            LogFormat::Text => telemetry::Format::Text,
            LogFormat::Json => telemetry::Format::Json,
        },
        otlp: settings.otlp.clone(),
    };
    let traces = Tasks::new();
    if let Some(exporter) = telemetry::start(&told, &metrics)? {
        traces.spawn(Kind::Traces, exporter.run(traces.stop_token()));
    }
    let done = run(role, settings, needs, metrics).await;
    if let Err(late) = traces.stop(STOP).await {
        tracing::warn!("the last traces were not sent: {late}");
    }
    done
}

async fn run(role: Role, settings: Settings, needs: Needs, metrics: Arc<Metrics>) -> Result<()> {
    let mut signals = Signals::new()?;
    // Before anything else, so that a port that is taken is told at once.
    let listeners = Listeners::open(role, &settings, &needs.operators).await?;
    let opened = tokio::select! {
        opened = open::open(&settings, needs, metrics) => opened?,
        () = signals.next() => return Ok(()),
    };
    let (watches, _holder) = (opened.watches, opened.holder);
    let app = App::new(opened.parts).await?;
    let stop = app.acting.stop_token();
    let (listening, changed) = (app.api.store.clone(), app.api.changed.clone());
    let stopped = stop.clone();
    app.acting.spawn(Kind::Listener, async move {
        listening.listen(&changed, stopped).await
    });
    if role.has_loops() {
        let stopped = stop.clone();
        app.acting.spawn(Kind::Watches, async move {
            watches.run(stopped).await;
            Ok::<(), std::convert::Infallible>(())
        });
        app.work()?;
        files::reconcile(&app, &settings)?;
    } else {
        let follower = Follower {
            definitions: Definitions::new(
                app.api.store.clone(),
                app.api.registry.clone(),
                app.api.known.clone(),
            ),
            changed: app.api.changed.clone(),
        };
        app.acting.spawn(Kind::Follower, follower.run(stop));
    }
    listeners.serve(role, &app);
    let (acting, serving) = (app.acting.stop_token(), app.serving.stop_token());
    tokio::select! {
        () = signals.next() => tracing::info!("ending; rooms go on"),
        () = acting.cancelled() => {}
        () = serving.cancelled() => {}
    }
    tokio::select! {
        ended = shut_down(&app) => ended,
        () = signals.next() => Ok(()),
    }
}

/// Hands the schedulers over, then ends the API.
async fn shut_down(app: &App) -> Result<()> {
    app.api.probe.end();
    let acted = app.acting.stop(STOP).await;
    app.stop_serving().await;
    if let Err(error) = app.api.store.clone().close().await {
        tracing::warn!("the store was not closed: {}", chain(&error));
    }
    acted.map_err(anyhow::Error::msg)
}

/// Where a process is called.
struct Listeners {
    operators: TcpListener,
    rooms: Option<TcpListener>,
}

impl Listeners {
    /// Fails where everybody could operate, unless that is wanted.
    async fn open(role: Role, settings: &Settings, operators: &Operators) -> Result<Self> {
        let listener = listen::listen(&settings.listen).await?;
        operators.check(listener.local_addr()?, settings.insecure)?;
        let rooms = match &settings.rooms_listen {
            Some(wanted) if role.has_api() => Some(listen::listen(wanted).await?),
            Some(_) | None => None,
        };
        Ok(Self {
            operators: listener,
            rooms,
        })
    }

    fn serve(self, role: Role, app: &App) {
        let told = |listener: &TcpListener| {
            let address = listener.local_addr();
            address.map_or_else(|error| error.to_string(), |address| format!("http://{address}"))
        };
        let api = || app.api.clone();
        if !role.has_api() {
            tracing::info!("worker; health and figures on {}", told(&self.operators));
            app.serve(self.operators, api::worker_router(api()));
            return;
        }
        app.beat();
        tracing::info!("API on {}", told(&self.operators));
        let Some(rooms) = self.rooms else {
            app.serve(self.operators, api::router(api()));
            return;
        };
        tracing::info!("rooms' routes on {}", told(&rooms));
        app.serve(rooms, api::rooms_router(api()));
        app.serve(self.operators, api::operators_router(api()));
    }
}
