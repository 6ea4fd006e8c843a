//! TLS, and users who may not do everything.

use maestro::registry::contract::{self, Outcome};
use maestro::registry::redis::{Config, Redis, user_rules};
use maestro::registry::{Cursor, Registry};

use crate::bench::{Bench, addresses, fleet, name, plain, prefix};
use crate::server::Server;

fn authorities() -> Vec<u8> {
    let path = addresses("MAESTRO_TESTBED_CA").remove(0);
    std::fs::read(path).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_over_tls() -> Outcome {
    let config = Config {
        authorities: Some(authorities()),
        ..Config::new(addresses("MAESTRO_TESTBED_REDIS_TLS"))
    };
    let redis = Redis::connect(Config {
        prefix: prefix(),
        ..config
    })
    .await?;
    let scheduler = name("pong");
    let (fence, ids) = fleet(&redis, &scheduler, 3).await;
    assert_eq!(
        redis.changes(&scheduler, Cursor::START).await?.rooms.len(),
        ids.len()
    );
    Ok(redis.remove(&fence).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_nobody_vouches_for_is_refused() {
    let answer = Redis::connect(Config::new(addresses("MAESTRO_TESTBED_REDIS_TLS"))).await;
    assert!(
        answer.is_err(),
        "the system's authorities don't know the testbed's"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_testbeds_user_can_do_what_is_needed() -> Outcome {
    let bench = Config::new(addresses("MAESTRO_TESTBED_REDIS_ACL"));
    let redis = Redis::connect(Config {
        prefix: prefix(),
        ..bench
    })
    .await?;
    let (fence, _) = fleet(&redis, &name("pong"), 2).await;
    Ok(redis.remove(&fence).await?)
}

/// All promises, as a user to whom the documented rules and nothing else apply.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rules_are_enough() -> Outcome {
    let server = Server::start(&[]).await;
    let mut node = plain(&server.url()).await;
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg("maestro").arg("on").arg(">secret");
    // Each test's names begin with this.
    for rule in user_rules("test-").split(' ') {
        command.arg(rule.replace("test-:", "test-"));
    }
    let () = command.query_async(&mut node).await?;
    let limited = server.url().replace("redis://", "redis://maestro:secret@");
    let mut bench = Bench::at(Config::new(vec![limited])).await;
    // Whatever empties the registry in these checks has other rights.
    bench.config.urls = vec![server.url()];
    contract::all(&bench).await
}

/// One that is missing is named at once, and not found out by the first room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_is_told_when_connecting() {
    let server = Server::start(&[]).await;
    let mut node = plain(&server.url()).await;
    let () = redis::cmd("ACL")
        .arg(&[
            "SETUSER", "maestro", "on", ">secret", "~test-*", "-@all", "+evalsha",
        ])
        .query_async(&mut node)
        .await
        .unwrap();
    let limited = server.url().replace("redis://", "redis://maestro:secret@");
    let answer = Redis::connect(Config::new(vec![limited])).await;
    let Err(error) = answer else {
        panic!("it may not load scripts");
    };
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert!(
        cause.is_some_and(|cause| cause.contains("no permissions")),
        "{error:?}"
    );
}
