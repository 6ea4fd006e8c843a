//! A cluster whose slots move and whose masters change while calls are made.

use std::collections::BTreeMap;

use futures::future::join_all;
use maestro::registry::redis::Config;
use maestro::registry::{Cursor, Registry};
use maestro_core::names::SchedulerName;
use maestro_core::report::Reported;
use redis::aio::MultiplexedConnection;

use crate::bench::{Bench, PATIENCE, eventually, fleet, name, plain, report};
use crate::server::Server;

/// A server that is a node of a cluster.
const NODE: [&str; 8] = [
    "--cluster-enabled",
    "yes",
    "--cluster-config-file",
    "nodes.conf",
    "--cluster-node-timeout",
    "5000",
    // One whose last slot is moved away stays a master.
    "--cluster-allow-replica-migration",
    "no",
];

/// Two nodes that know each other; the first has all slots.
async fn two_nodes() -> (Server, Server) {
    let (first, second) = (Server::start(&NODE).await, Server::start(&NODE).await);
    let mut node = plain(&first.url()).await;
    ask(&mut node, "CLUSTER ADDSLOTSRANGE 0 16383").await;
    // Nodes that begin with the same epoch settle that later, and may undo a move meanwhile.
    ask(&mut node, "CLUSTER SET-CONFIG-EPOCH 1").await;
    let mut other = plain(&second.url()).await;
    ask(&mut other, "CLUSTER SET-CONFIG-EPOCH 2").await;
    ask(&mut node, &format!("CLUSTER MEET 127.0.0.1 {}", second.port)).await;
    let owner = text(&mut node, "CLUSTER MYID").await;
    for server in [&first, &second] {
        let mut node = plain(&server.url()).await;
        eventually("the nodes know each other, and who has the slots", async || {
            let info = text(&mut node, "CLUSTER INFO").await;
            let is_whole = info.contains("cluster_known_nodes:2") && info.contains("cluster_slots_ok:16384");
            (is_whole && info.contains("cluster_state:ok")).then_some(())
        })
        .await;
    }
    agree([&mut node, &mut other], &owner, 0).await;
    (first, second)
}

async fn bench(servers: [&Server; 2]) -> Bench {
    Bench::at(Config {
        patience: PATIENCE,
        ..Config::new(servers.map(Server::url).to_vec())
    })
    .await
}

fn command(words: &str) -> redis::Cmd {
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    command
}

async fn ask(node: &mut MultiplexedConnection, words: &str) {
    let () = command(words).query_async(node).await.unwrap();
}

async fn text(node: &mut MultiplexedConnection, words: &str) -> String {
    command(words).query_async(node).await.unwrap()
}

/// Moves the slot of a scheduler with all its keys, as resharding does.
async fn move_slot(scheduler: &SchedulerName, from: &Server, to: &Server) {
    let (mut source, mut target) = (plain(&from.url()).await, plain(&to.url()).await);
    let slot: u16 = command(&format!("CLUSTER KEYSLOT {scheduler}"))
        .query_async(&mut source)
        .await
        .unwrap();
    let source_id = text(&mut source, "CLUSTER MYID").await;
    let target_id = text(&mut target, "CLUSTER MYID").await;
    ask(
        &mut target,
        &format!("CLUSTER SETSLOT {slot} IMPORTING {source_id}"),
    )
    .await;
    ask(
        &mut source,
        &format!("CLUSTER SETSLOT {slot} MIGRATING {target_id}"),
    )
    .await;
    loop {
        let keys: Vec<String> = command(&format!("CLUSTER GETKEYSINSLOT {slot} 1"))
            .query_async(&mut source)
            .await
            .unwrap();
        let Some(key) = keys.first() else { break };
        ask(
            &mut source,
            &format!("MIGRATE 127.0.0.1 {} {key} 0 60000", to.port),
        )
        .await;
    }
    for node in [&mut target, &mut source] {
        ask(node, &format!("CLUSTER SETSLOT {slot} NODE {target_id}")).await;
    }
    agree([&mut target, &mut source], &target_id, slot).await;
}

/// Waits until two nodes say the same of who has the slot, and since when: a move that overtakes the news of the one
/// before would leave nodes that point at each other.
async fn agree([one, other]: [&mut MultiplexedConnection; 2], owner: &str, slot: u16) {
    eventually(
        "the nodes agree on who has the slot, and since when",
        async || {
            let mut views = Vec::new();
            for node in [&mut *one, &mut *other] {
                let nodes = text(node, "CLUSTER NODES").await;
                let is_owner = |line: &str| line.starts_with(owner) && owns(line, slot);
                nodes.lines().find(|line| is_owner(line))?;
                views.push(epochs(&nodes));
            }
            (views[0] == views[1]).then_some(())
        },
    )
    .await;
}

/// Each node's epoch in an answer to `CLUSTER NODES`.
fn epochs(nodes: &str) -> BTreeMap<String, String> {
    let epoch = |line: &str| {
        let mut fields = line.split(' ');
        Some((fields.next()?.to_owned(), fields.nth(5)?.to_owned()))
    };
    nodes.lines().filter_map(epoch).collect()
}

/// Whether the slot stands in a line of `CLUSTER NODES`.
fn owns(line: &str, slot: u16) -> bool {
    line.split(' ').skip(8).any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u16>();
        matches!((number(first), number(last)), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_a_slot_moves() {
    let (first, second) = two_nodes().await;
    let bench = bench([&first, &second]).await;
    let scheduler = name("pong");
    let (_, ids) = fleet(&bench.redis, &scheduler, 6).await;
    let bell = bench.redis.nudges(&scheduler);
    let now = bench.redis.changes(&scheduler, Cursor::START).await.unwrap().now;
    let calls = ids.iter().enumerate().map(|(number, id)| {
        let (redis, scheduler) = (&bench.redis, &scheduler);
        async move {
            for round in 0..100 {
                let status = [Reported::Ready, Reported::Occupied][(number + round) % 2];
                let receipt = redis.report(scheduler, id, report(status, now)).await.unwrap();
                assert_eq!(receipt.room.reports.status(), Some(status));
            }
        }
    });
    let moves = async {
        move_slot(&scheduler, &first, &second).await;
        move_slot(&scheduler, &second, &first).await;
        move_slot(&scheduler, &first, &second).await;
    };
    tokio::join!(join_all(calls), moves);
    let rooms = bench.redis.rooms(&scheduler).await.unwrap();
    assert_eq!(rooms.len(), ids.len(), "all of them are where the slot is now");
    let rung = tokio::time::timeout(PATIENCE, bell.notified()).await;
    assert!(rung.is_ok(), "nudges follow");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_is_found() {
    let (mut first, second) = two_nodes().await;
    let bench = bench([&first, &second]).await;
    let scheduler = name("pong");
    let (fence, ids) = fleet(&bench.redis, &scheduler, 3).await;
    let (mut master, mut replica) = (plain(&first.url()).await, plain(&second.url()).await);
    let id = text(&mut master, "CLUSTER MYID").await;
    ask(&mut replica, &format!("CLUSTER REPLICATE {id}")).await;
    eventually("the replica has everything", async || {
        let info = text(&mut replica, "INFO replication").await;
        let is_up = info.contains("master_link_status:up") && info.contains("master_sync_in_progress:0");
        let waited: i64 = command("WAIT 1 1000").query_async(&mut master).await.unwrap();
        (is_up && waited == 1).then_some(())
    })
    .await;
    first.kill();
    ask(&mut replica, "CLUSTER FAILOVER TAKEOVER").await;
    let changes = bench.redis.changes(&scheduler, Cursor::START).await.unwrap();
    assert_eq!((changes.rooms.len(), changes.epoch.is_some()), (ids.len(), true));
    bench.redis.save(&fence, &Default::default()).await.unwrap();
    let said = report(Reported::Occupied, changes.now);
    bench.redis.report(&scheduler, &ids[0], said).await.unwrap();
}
