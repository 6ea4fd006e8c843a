//! What several processes see of each other, and what lies in the server.

use std::collections::BTreeSet;

use futures::FutureExt;
use futures::future::join_all;
use maestro::registry::contract::Harness;
use maestro::registry::{Act, Call, Cursor, Fence, Registry, Seen, Taken, Terms};
use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::placement::{self, Reach};
use maestro_core::report::Reported;
use maestro_core::room::{Intent, Phase, Use};
use maestro_core::time::{Span, Timestamp};

use crate::bench::{Bench, LEASE, PATIENCE, fleet, name, plain, report, running};

const TERMS: Terms = Terms {
    ttl: Span::from_secs(300),
    ping: Span::from_secs(90),
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_see_what_the_other_did() {
    for bench in [Bench::single().await, Bench::cluster().await] {
        let (one, two) = (&bench.redis, bench.another().await);
        let scheduler = name("pong");
        let (fence, ids) = fleet(one, &scheduler, 3).await;
        let before = two.changes(&scheduler, Cursor::START).await.unwrap();
        assert_eq!(before.rooms.len(), 3);
        assert_eq!(two.acquire(&scheduler, "other", LEASE).await.unwrap(), None);
        let bell = one.nudges(&scheduler);
        // Subscribes; nothing rang before.
        one.rooms(&scheduler).await.unwrap();
        assert!(bell.notified().now_or_never().is_none());
        let said = report(Reported::Occupied, before.now);
        two.report(&scheduler, &ids[0], said).await.unwrap();
        let rung = tokio::time::timeout(PATIENCE, bell.notified()).await;
        assert!(
            rung.is_ok(),
            "what a room told one process wakes the holder in the other"
        );
        let room = one.room(&scheduler, &ids[0]).await.unwrap().unwrap();
        assert_eq!(room.usage(), Use::Occupied);
        let drain = Act::Drain {
            reason: "asked to".to_owned(),
        };
        one.act(&fence, &ids[1], before.rooms[1].revision, drain)
            .await
            .unwrap();
        let changes = two.changes(&scheduler, before.cursor).await.unwrap();
        assert_eq!((changes.complete, changes.rooms.len()), (false, 2));
        let receipt = two
            .report(&scheduler, &ids[1], report(Reported::Ready, before.now))
            .await
            .unwrap();
        assert!(receipt.draining);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_two_processes_at_once_get_each_room_once() {
    let bench = Bench::cluster().await;
    let (one, two) = (&bench.redis, bench.another().await);
    let scheduler = name("pong");
    let (_, ids) = fleet(one, &scheduler, 40).await;
    let asks = (0..60).map(|number| match number % 2 {
        0 => one.allocate(&scheduler, TERMS).boxed(),
        _ => two.allocate(&scheduler, TERMS).boxed(),
    });
    let given = join_all(asks).await.into_iter().map(Result::unwrap);
    let given: Vec<RoomId> = given.flatten().map(|room| room.id).collect();
    assert_eq!(given.len(), 40);
    assert_eq!(
        given.into_iter().collect::<BTreeSet<_>>(),
        ids.into_iter().collect::<BTreeSet<_>>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_removed_scheduler_stays_in_the_server() {
    for bench in [Bench::single().await, Bench::cluster().await] {
        let fence = everything(&bench, &name("pong")).await;
        let tag = format!("{}:{{pong}}:", bench.config.prefix);
        let keys = bench.keys().await;
        let kinds: Vec<&str> = keys.iter().filter_map(|key| key.strip_prefix(&tag)).collect();
        assert_eq!(
            kinds,
            [
                "allocatable",
                "gone",
                "heard",
                "held",
                "log",
                "meta",
                "provisional",
                "removed",
                "rooms",
                "state",
            ],
        );
        bench.redis.remove(&fence).await.unwrap();
        assert_eq!(bench.keys().await, [format!("{}:witness", bench.config.prefix)]);
    }
}

/// A scheduler with something of every kind: rooms that are silent and passed over, gone, removed, heard of again,
/// and one that only reports.
async fn everything(bench: &Bench, scheduler: &SchedulerName) -> Fence {
    let redis = &bench.redis;
    let (fence, ids) = fleet(redis, scheduler, 5).await;
    redis.save(&fence, &Default::default()).await.unwrap();
    redis.set_epoch(&fence, None).await.unwrap();
    for _ in 0..100 {
        redis.beat().await.unwrap();
        bench.pass(Span::from_secs(1));
    }
    assert_eq!(redis.allocate(scheduler, TERMS).await.unwrap(), None);
    let now = redis.changes(scheduler, Cursor::START).await.unwrap().now;
    let gone = Seen {
        phase: Phase::Exited {
            at: now,
            code: None,
            reason: String::new(),
        },
        ..running()
    };
    for id in &ids[..2] {
        redis.observe(&fence, id, gone.clone()).await.unwrap();
    }
    let room = redis.room(scheduler, &ids[0]).await.unwrap().unwrap();
    redis
        .act(&fence, &ids[0], room.revision, Act::Forget)
        .await
        .unwrap();
    redis
        .report(scheduler, &ids[4], report(Reported::Ready, now))
        .await
        .unwrap();
    let Call::Report {
        report: said,
        version,
        ..
    } = report(Reported::Ready, now)
    else {
        panic!("it is a report");
    };
    let call = Call::Report {
        report: said,
        authentic: false,
        version,
    };
    let stranger = RoomId::new(scheduler, 77);
    let receipt = redis.report(scheduler, &stranger, call).await.unwrap();
    assert_eq!(receipt.taken, Taken::Provisional);
    fence
}

/// Late calls of the rooms of a scheduler that is deleted can begin it anew; that goes by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rooms_alone_began_expires() {
    let bench = Bench::single().await;
    let scheduler = name("pong");
    let room = RoomId::new(&scheduler, 1);
    for status in [Reported::Ready, Reported::Occupied] {
        let said = report(status, Timestamp::from_ms(1_700_000_000_000));
        bench.redis.report(&scheduler, &room, said).await.unwrap();
    }
    let lives = async || {
        let mut node = plain(&bench.config.urls[0]).await;
        let mut lives = Vec::new();
        for key in bench.keys().await {
            if key.contains("{pong}") {
                let ms: i64 = redis::cmd("PTTL").arg(key).query_async(&mut node).await.unwrap();
                lives.push(ms);
            }
        }
        lives
    };
    let expiring = lives().await;
    assert!(
        expiring.len() >= 3 && expiring.iter().all(|ms| *ms > 0),
        "{expiring:?}"
    );
    bench
        .redis
        .acquire(&scheduler, "test", LEASE)
        .await
        .unwrap()
        .unwrap();
    assert!(
        lives().await.iter().all(|ms| *ms == -1),
        "whoever holds it keeps it"
    );
    let known = bench.redis.room(&scheduler, &room).await.unwrap().unwrap();
    assert_eq!((known.usage(), known.intent), (Use::Occupied, Intent::Keep));
}

/// Earlier releases say nothing of the store, and must find their own format in the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_of_an_earlier_release_are_there_and_keep_their_share() {
    let bench = Bench::single().await;
    let mut node = plain(&bench.config.urls[0]).await;
    let key = format!("{}:members", bench.config.prefix);
    let () = redis::cmd("ZADD")
        .arg(&key)
        .arg(9_000_000_000_000_i64)
        .arg("earlier")
        .query_async(&mut node)
        .await
        .unwrap();
    let ttl = Span::from_secs(1_000);
    bench.redis.join("lost", Reach::Lost, ttl).await.unwrap();
    let all = bench.redis.join("steady", Reach::Steady, ttl).await.unwrap();
    assert_eq!(all.get("earlier"), Some(&Reach::Unsure));
    let keepers: Vec<&str> = placement::keepers(&all).collect();
    assert_eq!(keepers, ["earlier", "steady"]);
    let mut members: Vec<String> = redis::cmd("ZRANGE")
        .arg(&key)
        .arg(0)
        .arg(-1)
        .query_async(&mut node)
        .await
        .unwrap();
    members.sort_unstable();
    assert_eq!(
        members,
        ["earlier", "lost", "steady"],
        "by name, whatever they said"
    );
}

/// One whose copy of the witness clock is of before a loss harms nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_clock_that_begins_anew_makes_nobody_silent() {
    let bench = Bench::single().await;
    let scheduler = name("pong");
    let (_, ids) = fleet(&bench.redis, &scheduler, 1).await;
    for _ in 0..100 {
        bench.redis.beat().await.unwrap();
        bench.pass(Span::from_secs(1));
    }
    let mut node = plain(&bench.config.urls[0]).await;
    let key = format!("{}:witness", bench.config.prefix);
    let () = redis::cmd("DEL").arg(key).query_async(&mut node).await.unwrap();
    bench.pass(Span::from_secs(1));
    let two = bench.another().await;
    let changes = two.changes(&scheduler, Cursor::START).await.unwrap();
    let silence = changes.rooms[0].reports.silence(changes.witness.total);
    assert_eq!(silence, Span::ZERO, "nobody knows how long it was silent before");
    // The first one's copy is still that of before.
    let now = changes.now;
    bench
        .redis
        .report(&scheduler, &ids[0], report(Reported::Ready, now))
        .await
        .unwrap();
    for _ in 0..10 {
        two.beat().await.unwrap();
        bench.pass(Span::from_secs(1));
    }
    two.beat().await.unwrap();
    let changes = two.changes(&scheduler, Cursor::START).await.unwrap();
    let silence = changes.rooms[0].reports.silence(changes.witness.total);
    let expected = Span::from_secs(5)..=Span::from_secs(10) + Span::from_secs(PATIENCE.as_secs());
    assert!(expected.contains(&silence), "{silence}");
    assert!(two.allocate(&scheduler, TERMS).await.unwrap().is_some());
}
