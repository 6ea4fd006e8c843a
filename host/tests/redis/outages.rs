//! Connections that break, servers that stop, restart, hang and forget.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use maestro::registry::redis::{Config, Redis};
use maestro::registry::{Cursor, Error, Registry, Taken, Terms};
use maestro_core::report::Reported;
use maestro_core::time::Span;

use crate::bench::{Bench, LEASE, PATIENCE, eventually, fleet, name, plain, report};
use crate::server::Server;

const TERMS: Terms = Terms {
    ttl: Span::from_secs(300),
    ping: Span::from_secs(90),
};

/// Another process that gives up sooner, so that a test of that takes no minute.
async fn hasty(bench: &Bench) -> Redis {
    let config = Config {
        answer_timeout: Duration::from_secs(1),
        patience: Duration::from_secs(3),
        ..bench.config.clone()
    };
    Redis::connect_at(config, Arc::clone(&bench.offset))
        .await
        .unwrap()
}

/// Waits as long as a test does.
fn patient(server: &Server) -> Config {
    Config {
        patience: PATIENCE,
        ..Config::new(vec![server.url()])
    }
}

async fn break_connections(url: &str) {
    let mut node = plain(url).await;
    let () = redis::cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .arg("SKIPME")
        .arg("yes")
        .query_async(&mut node)
        .await
        .unwrap();
    // Those that listen to a channel are of another kind.
    let () = redis::cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("pubsub")
        .query_async(&mut node)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_connection_never_answers_a_call() {
    let server = Server::start(&[]).await;
    let bench = Bench::at(patient(&server)).await;
    let scheduler = name("pong");
    let (fence, ids) = fleet(&bench.redis, &scheduler, 8).await;
    let now = bench.redis.changes(&scheduler, Cursor::START).await.unwrap().now;
    for round in 0..40 {
        let status = [Reported::Ready, Reported::Occupied][round % 2];
        let calls = ids
            .iter()
            .map(|id| bench.redis.report(&scheduler, id, report(status, now)));
        let (answers, ()) = tokio::join!(join_all(calls), break_connections(&bench.config.urls[0]));
        for answer in answers {
            assert_eq!(answer.unwrap().room.reports.status(), Some(status));
        }
        // Breaks while nobody calls.
        break_connections(&bench.config.urls[0]).await;
        let rooms = bench.redis.rooms(&scheduler).await.unwrap();
        assert!(rooms.iter().all(|room| room.reports.status() == Some(status)));
        bench.redis.save(&fence, &Default::default()).await.unwrap();
    }
}

/// A hint that fell into the gap is made up for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_listened_is_woken_after_a_break() {
    let server = Server::start(&[]).await;
    let bench = Bench::at(patient(&server)).await;
    let scheduler = name("pong");
    let (_, ids) = fleet(&bench.redis, &scheduler, 1).await;
    let bell = bench.redis.nudges(&scheduler);
    bench.redis.rooms(&scheduler).await.unwrap();
    break_connections(&bench.config.urls[0]).await;
    bench.redis.rooms(&scheduler).await.unwrap();
    let rung = tokio::time::timeout(PATIENCE, bell.notified()).await;
    assert!(rung.is_ok(), "something may have been said while nobody listened");
    let now = bench.redis.changes(&scheduler, Cursor::START).await.unwrap().now;
    let two = bench.another().await;
    two.report(&scheduler, &ids[0], report(Reported::Occupied, now))
        .await
        .unwrap();
    let rung = tokio::time::timeout(PATIENCE, bell.notified()).await;
    assert!(rung.is_ok(), "it listens again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_empty_is_a_loss_that_shows() {
    let mut server = Server::start(&[]).await;
    let bench = Bench::at(patient(&server)).await;
    let scheduler = name("pong");
    let (fence, ids) = fleet(&bench.redis, &scheduler, 3).await;
    let before = bench.redis.changes(&scheduler, Cursor::START).await.unwrap();
    assert!(before.epoch.is_some() && before.rooms.len() == 3);
    server.restart().await;
    // The call finds a server that is up again, over a connection that is not.
    let after = bench.redis.changes(&scheduler, before.cursor).await.unwrap();
    assert!(after.complete && after.rooms.is_empty());
    assert_eq!((after.epoch, after.standing), (None, None));
    assert!(after.witness.total >= before.witness.total);
    let refused = bench.redis.set_epoch(&fence, None).await;
    assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
    let again = report(Reported::Occupied, after.now);
    let receipt = bench.redis.report(&scheduler, &ids[0], again).await.unwrap();
    assert_eq!(receipt.taken, Taken::Registered);
    let next = bench
        .redis
        .acquire(&scheduler, "test", LEASE)
        .await
        .unwrap()
        .unwrap();
    assert!(next.token > fence.token);
    assert_eq!(
        bench
            .redis
            .changes(&scheduler, before.cursor)
            .await
            .unwrap()
            .rooms
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgets_everything_is_a_loss_that_shows() {
    let server = Server::start(&[]).await;
    let bench = Bench::at(patient(&server)).await;
    let scheduler = name("pong");
    let (_, ids) = fleet(&bench.redis, &scheduler, 2).await;
    let before = bench.redis.changes(&scheduler, Cursor::START).await.unwrap();
    let mut node = plain(&server.url()).await;
    for command in ["FLUSHALL", "SCRIPT FLUSH"] {
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        let () = command.query_async(&mut node).await.unwrap();
    }
    let after = bench.redis.changes(&scheduler, before.cursor).await.unwrap();
    assert!(after.complete && after.rooms.is_empty() && after.epoch.is_none());
    let receipt = bench
        .redis
        .report(&scheduler, &ids[0], report(Reported::Ready, after.now))
        .await
        .unwrap();
    assert_eq!(receipt.taken, Taken::Registered);
    assert_eq!(bench.redis.allocate(&scheduler, TERMS).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_is_said_to_be_and_found_when_it_is_back() {
    let mut server = Server::start(&[]).await;
    let bench = Bench::at(patient(&server)).await;
    let hasty = hasty(&bench).await;
    let scheduler = name("pong");
    let (_, ids) = fleet(&bench.redis, &scheduler, 1).await;
    let now = hasty.changes(&scheduler, Cursor::START).await.unwrap().now;
    server.kill();
    let answer = hasty
        .report(&scheduler, &ids[0], report(Reported::Ready, now))
        .await;
    let error = answer.expect_err("nobody is there");
    assert!(
        matches!(error, Error::Unavailable { .. }) && error.is_retryable(),
        "{error:?}"
    );
    let answer = hasty.allocate(&scheduler, TERMS).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    server.restart().await;
    eventually("the server is found again", async || {
        hasty.rooms(&scheduler).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_given_up_and_found_when_it_goes_on() {
    let server = Server::start(&[]).await;
    let bench = Bench::at(patient(&server)).await;
    let hasty = hasty(&bench).await;
    let scheduler = name("pong");
    let (_, ids) = fleet(&bench.redis, &scheduler, 2).await;
    let now = hasty.changes(&scheduler, Cursor::START).await.unwrap().now;
    server.pause();
    let occupied = || report(Reported::Occupied, now);
    for answer in [
        hasty.report(&scheduler, &ids[0], occupied()).await.map(|_| ()),
        hasty.allocate(&scheduler, TERMS).await.map(|_| ()),
    ] {
        assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    }
    server.go_on();
    let receipt = eventually("the server goes on", async || {
        hasty.report(&scheduler, &ids[0], occupied()).await.ok()
    })
    .await;
    assert_eq!(receipt.room.reports.status(), Some(Reported::Occupied));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_memory_says_so() {
    let server = Server::start(&[]).await;
    let bench = Bench::at(patient(&server)).await;
    let hasty = hasty(&bench).await;
    let scheduler = name("pong");
    let (fence, _) = fleet(&bench.redis, &scheduler, 1).await;
    let mut node = plain(&server.url()).await;
    let () = redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg("1mb")
        .query_async(&mut node)
        .await
        .unwrap();
    let answer = hasty.save(&fence, &Default::default()).await;
    assert!(matches!(answer, Err(Error::Full { .. })), "{answer:?}");
    assert_eq!(
        hasty.rooms(&scheduler).await.unwrap().len(),
        1,
        "what is there can be read"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_says_what_is_wrong() {
    let server = Server::start(&[]).await;
    let url = server.url();
    let nobody = format!("redis://127.0.0.1:{}", server.port + 1);
    let stranger = url.replace("redis://", "redis://who:secret@");
    let config = |urls: &[&str], prefix: &str| Config {
        prefix: prefix.to_owned(),
        ..Config::new(urls.iter().map(|url| (*url).to_owned()).collect())
    };
    for (config, expected) in [
        (config(&[&url], "a{b}"), "can't begin the names"),
        (config(&[&url], ""), "can't begin the names"),
        (config(&["http://127.0.0.1"], "test"), "malformed"),
        (config(&[&nobody], "test"), "failed to connect"),
        (config(&[&stranger], "test"), "failed to connect"),
        (config(&[&url, &url], "test"), "several addresses"),
        (config(&[], "test"), "no address is given"),
    ] {
        let Err(error) = Redis::connect(config).await else {
            panic!("{expected}: it connected");
        };
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        assert!(text.contains(expected) && !text.contains("secret"), "{text}");
    }
}
