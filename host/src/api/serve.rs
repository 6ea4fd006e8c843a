//! Serves routes over HTTP/1.1 until the tasks stop: each connection is a task, each request's head has a limit.
//!
//! What `axum::serve` does, and one thing that it can't be told: how long a client may take for a request's head.
//! Without that limit, whoever opens connections and sends nothing holds each of them for ever.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::tasks::{Kind, Tasks};

/// How long to wait when no connection can be taken, as when too many files are open.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the head of a request may take, counted from the end of the answer before it: a connection that says
/// nothing for so long is closed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads(pub Duration);

impl Default for Heads {
    /// Longer than any sensible interval of pings, so that rooms keep their connections.
    fn default() -> Self {
        Self(Duration::from_secs(75))
    }
}

/// Takes connections until `tasks` stop, and then lets each finish the request that it is at.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    heads: Heads,
    tasks: Tasks,
) -> Result<(), Infallible> {
    let stop = tasks.stop_token();
    // Routes are made ready once and not for each request.
    let service = TowerToHyperService::new(router.with_state(()));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(heads.0);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (http, service) = (http.clone(), service.clone());
                // A token of its own: all connections ask theirs whenever they wake.
                let stop = stop.child_token();
                tasks.spawn(Kind::Connection, connection(stream, http, service, stop));
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::error!("no connection can be taken: {error}");
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    http: http1::Builder,
    service: TowerToHyperService<Router>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        biased;
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        ended = connection.as_mut() => ended,
    };
    if let Err(error) = ended {
        // Its client went away, sent no HTTP, or was too slow: nothing of ours.
        tracing::debug!("a connection ended: {error}");
    }
    Ok(())
}

/// Whether the client gave up before its connection was taken.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
