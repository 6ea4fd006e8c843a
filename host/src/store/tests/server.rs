//! What only a server can get wrong: several processes at once, statements that hang, rights, a lost connection.

use std::sync::Arc;
use std::time::Duration;

use maestro_core::names::Digest;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor, PgPool};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::migration::Standing;
use super::super::schedulers::Change;
use super::*;

/// How long anything may take here; two cores may be shared with a compiler.
const PATIENCE: Duration = Duration::from_secs(60);

/// After so long without a wake-up, none is on its way.
const QUIET: Duration = Duration::from_millis(200);

/// A database of its own on the testbed's server.
pub(in crate::store) struct Database {
    admin: PgPool,
    name: String,
    url: String,
}

impl Database {
    /// An empty one.
    async fn empty() -> Self {
        let server = std::env::var("MAESTRO_TESTBED_POSTGRES")
            .expect("the feature `testbed` needs the servers of deploy/testbed; run deploy/testbed/test");
        let name = format!("test_{:016x}", rand::random::<u64>());
        let admin = PgPoolOptions::new()
            .max_connections(1)
            .connect(&server)
            .await
            .unwrap();
        admin
            .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .await
            .unwrap();
        let (path, query) = server.split_once('?').unwrap_or((&server, ""));
        let (start, _) = path.rsplit_once('/').unwrap();
        let url = format!("{start}/{name}?{query}");
        Self { admin, name, url }
    }

    /// One whose tables are there.
    pub(in crate::store) async fn migrated() -> Self {
        let database = Self::empty().await;
        database.store().migrate().await.unwrap();
        database
    }

    /// A store on it, as another process has one.
    pub(in crate::store) fn store(&self) -> Store {
        Store::on_server(postgres::Config::parse(&self.url, 4).unwrap()).unwrap()
    }

    async fn run(&self, statement: &str) {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect(&self.url)
            .await
            .unwrap();
        pool.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
        pool.close().await;
    }

    /// Ends every connection to it, as a server does that is restarted.
    async fn disconnect_all(&self) {
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
            .bind(&self.name)
            .execute(&self.admin)
            .await
            .unwrap();
    }

    pub(in crate::store) async fn remove(self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        self.admin.execute(AssertSqlSafe(statement)).await.unwrap();
    }
}

fn ours() -> Vec<String> {
    use maestro_migrations::{Migrator, MigratorTrait};
    Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_migrate_at_once_apply_each_migration_once() {
    let database = Database::empty().await;
    let stores: Vec<Store> = (0..4).map(|_| database.store()).collect();
    let pending = Standing {
        pending: ours(),
        newer: Vec::new(),
    };
    assert_eq!(stores[0].standing().await.unwrap(), pending);
    let applied = futures::future::join_all(stores.iter().map(Store::migrate)).await;
    let applied: Vec<String> = applied.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(applied, ours());
    assert_eq!(stores[3].standing().await.unwrap(), Standing::default());
    database.remove().await;
}

#[tokio::test]
async fn tables_of_a_later_release_serve_this_one() {
    let database = Database::migrated().await;
    database
        .run("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)")
        .await;
    let store = database.store();
    let ahead = Standing {
        pending: Vec::new(),
        newer: vec!["m9999_later".to_owned()],
    };
    assert_eq!(store.standing().await.unwrap(), ahead);
    assert_eq!(store.migrate().await.unwrap(), Vec::<String>::new());
    fill(&store, &scheduler("pong", "pong:1", 3)).await;
    database
        .run("DELETE FROM seaql_migrations WHERE version = 'm0002_events'")
        .await;
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error:?}");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_update_at_once_one_wins_and_no_version_is_lost() {
    let database = Database::migrated().await;
    let before = scheduler("pong", "pong:1", 0);
    fill(&database.store(), &before).await;
    let digests = BTreeMap::<String, Digest>::new();
    let updates = (1..=8).map(|min| {
        let (store, before, digests) = (database.store(), &before, &digests);
        async move {
            let after = scheduler("pong", "pong:1", min);
            let expected = (before, Version::FIRST);
            store
                .update_scheduler(expected, &draft(&after, digests), at(2))
                .await
        }
    });
    let results = futures::future::join_all(updates).await;
    let stored = |result: &Result<Change, Error>| matches!(result, Ok(Change::Stored { .. }));
    let moved = |result: &Result<Change, Error>| matches!(result, Err(Error::Moved { .. }));
    assert_eq!(results.iter().filter(|result| stored(result)).count(), 1);
    assert_eq!(
        results.iter().filter(|result| moved(result)).count(),
        7,
        "{results:?}"
    );
    assert_eq!(database.store().releases(&before.name).await.unwrap().len(), 2);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_and_the_version_that_asks_it_never_miss_each_other() {
    let database = Database::migrated().await;
    let pong = scheduler("pong", "pong:1", 3);
    fill(&database.store(), &pong).await;
    for round in 0..10_u8 {
        let deployed = policy(&format!("1.0.{round}"), round + 1);
        let (ours, theirs) = (database.store(), database.store());
        ours.deploy_policy(&deployed, &[round]).await.unwrap();
        let active = ours.scheduler(&pong.name).await.unwrap().unwrap().active.version;
        let digests = BTreeMap::from([("up[0]".to_owned(), deployed.digest)]);
        let asked = [deployed.digest];
        let draft = schedulers_module::Draft {
            deployed: &asked,
            ..draft(&pong, &digests)
        };
        let policies = [deployed];
        let (updated, removed) = tokio::join!(
            ours.update_scheduler((&pong, active), &draft, at(2)),
            theirs.remove_policies(&policies)
        );
        assert_ne!(updated.is_ok(), removed.is_ok(), "{updated:?} {removed:?}");
    }
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_one_process_wakes_another_and_a_lost_connection_is_made_up_for() {
    let database = Database::migrated().await;
    let (changed, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let ears = Arc::clone(&changed);
    let listening = tokio::spawn({
        let (store, stop) = (database.store(), stop.clone());
        async move { store.listen(&ears, stop).await }
    });
    // One wake-up is kept for whoever looks next: what was said before is taken away first.
    let heard = async || while timeout(QUIET, changed.notified()).await.is_ok() {};
    let woken = || timeout(PATIENCE, changed.notified());
    woken().await.expect("one look as listening begins");
    heard().await;
    fill(&database.store(), &scheduler("pong", "pong:1", 3)).await;
    woken().await.expect("a scheduler was created elsewhere");
    heard().await;
    database.disconnect_all().await;
    woken().await.expect("one look for what was missed");
    heard().await;
    let name = name("pong");
    database.store().request_scale(&name, 4, at(3)).await.unwrap();
    woken().await.expect("heard again after the connection was lost");
    stop.cancel();
    listening.await.unwrap().unwrap();
    database.remove().await;
}

#[tokio::test]
async fn a_lost_connection_is_a_passing_failure_at_most_and_the_next_call_works() {
    let database = Database::migrated().await;
    let store = database.store();
    fill(&store, &scheduler("pong", "pong:1", 3)).await;
    database.disconnect_all().await;
    if let Err(error) = store.schedulers().await {
        assert!(error.is_retryable(), "{error:?}");
    }
    assert_eq!(store.schedulers().await.unwrap().len(), 1);
    let nobody = postgres::Config::parse("postgres://nobody@127.0.0.1:1/none", 1).unwrap();
    let error = Store::on_server(nobody).unwrap().ping().await.unwrap_err();
    assert!(error.is_retryable() && error.is_outage(), "{error:?}");
    database.remove().await;
}

#[tokio::test]
async fn a_statement_that_hangs_gives_its_connection_back() {
    let database = Database::migrated().await;
    let store = database.store();
    let holder = database.store();
    let lock = holder.begin(Subject::Definitions, "hold the lock").await.unwrap();
    let pong = scheduler("pong", "pong:1", 3);
    let digests = BTreeMap::new();
    let error = store
        .create_scheduler(&draft(&pong, &digests), at(1))
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    lock.rollback().await.unwrap();
    store
        .create_scheduler(&draft(&pong, &digests), at(1))
        .await
        .unwrap();
    database.remove().await;
}

#[tokio::test]
async fn the_server_is_reached_by_tls_with_its_certificate_checked() {
    let url = std::env::var("MAESTRO_TESTBED_POSTGRES_TLS").expect("the testbed says where");
    let config = postgres::Config::parse(&url, 1).unwrap();
    Store::on_server(config).unwrap().ping().await.unwrap();
    let (address, _) = url.split_once('?').unwrap();
    let stranger = format!("{address}?sslmode=verify-full");
    let config = postgres::Config::parse(&stranger, 1).unwrap();
    let error = Store::on_server(config).unwrap().ping().await.unwrap_err();
    assert!(
        error.is_outage(),
        "a certificate of nobody's known authority: {error:?}"
    );
}
