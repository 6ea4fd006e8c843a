//! What the store promises, on SQLite in memory and in files, and with the testbed on PostgreSQL.

/// Runs each check, an `async fn(Store)`, on an empty store of either kind.
macro_rules! on_both {
    ($($check:ident;)*) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $check() {
                    super::$check(crate::store::Store::in_memory().await.unwrap()).await;
                }
            )*
        }

        #[cfg(feature = "testbed")]
        mod on_postgres {
            use crate::store::tests::server::Database;
            $(
                #[tokio::test]
                async fn $check() {
                    let database = Database::migrated().await;
                    super::$check(database.store()).await;
                    database.remove().await;
                }
            )*
        }
    };
}

mod journal;
mod schedulers;
mod ends;
mod nodes;
#[cfg(feature = "testbed")]
mod server;

use std::collections::BTreeMap;

use maestro_core::names::{Digest, PolicyName, SchedulerName, Version};
use maestro_core::scheduler::{
    Autoscaling, Container, Deadlines, ImagePull, Network, Resources, RoomTemplate, Scheduler, Security,
};
use maestro_core::time::{Span, Timestamp};
use sea_orm::ConnectionTrait;

use super::policies::{Component, Deployed};
use super::*;

pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

pub(super) fn name(text: &str) -> SchedulerName {
    SchedulerName::parse(text).unwrap()
}

pub(super) fn scheduler(text: &str, image: &str, min: u32) -> Scheduler {
    Scheduler {
        name: name(text),
        game: "pong".to_owned(),
        template: RoomTemplate {
            containers: vec![Container {
                name: text.to_owned(),
                image: image.to_owned(),
                pull: ImagePull::Always,
                ports: Vec::new(),
                requests: Resources::default(),
                limits: Resources::default(),
                env: Vec::new(),
                cmd: Vec::new(),
            }],
            affinity: None,
            toleration: None,
            port_range: None,
            shutdown: Span::from_secs(30),
            network: Network::default(),
            security: Security::default(),
            pod_template: None,
        },
        deadlines: Deadlines::default(),
        autoscaling: Autoscaling {
            min,
            max: None,
            up_cooldown: Span::from_secs(60),
            down_cooldown: Span::from_secs(60),
            triggers: Vec::new(),
        },
        forwarders: Vec::new(),
        authorized_users: Vec::new(),
        hold_creation_on_error: true,
    }
}

/// Puts this scheduler into the store, as `v1.0`.
pub(super) async fn fill(store: &Store, scheduler: &Scheduler) {
    let digests = BTreeMap::new();
    store
        .create_scheduler(&draft(scheduler, &digests), at(1_000))
        .await
        .unwrap();
}

pub(super) fn draft<'a>(
    scheduler: &'a Scheduler,
    digests: &'a BTreeMap<String, Digest>,
) -> schedulers_module::Draft<'a> {
    schedulers_module::Draft {
        scheduler,
        document: "name: x",
        digests,
        deployed: &[],
        managed_by: schedulers_module::ManagedBy::Api,
    }
}

use super::schedulers as schedulers_module;

pub(super) fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

on_both! {
    a_policy_version_never_changes_its_bytes;
}

#[tokio::test]
async fn a_file_is_created_opened_again_and_its_log_folded_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd name?#%41.db");
    for _ in 0..2 {
        let store = Store::open(&path).await.unwrap();
        store.ping().await.unwrap();
        store.close().await.unwrap();
    }
    assert!(path.exists());
    assert!(!folder.path().join("odd name?#%41.db-wal").exists());
}

#[tokio::test]
async fn a_folder_is_no_store_and_the_error_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open(folder.path()).await.unwrap_err();
    assert!(
        error.to_string().contains(&folder.path().display().to_string()),
        "{error}"
    );
    assert!(error.is_outage());
}

#[tokio::test]
async fn a_lock_held_by_another_process_is_a_passing_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("maestro.db");
    let ours = Store::open(&path).await.unwrap();
    let theirs = Store::open(&path).await.unwrap();
    let lock = theirs.begin(Subject::Definitions, "lock").await.unwrap();
    ours.writer
        .execute_unprepared("PRAGMA busy_timeout = 1")
        .await
        .unwrap();
    let error = ours.begin(Subject::Definitions, "store it").await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    lock.rollback().await.unwrap();
    ours.begin(Subject::Definitions, "store it").await.unwrap();
}

#[tokio::test]
async fn readers_go_on_while_a_writer_holds_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("maestro.db")).await.unwrap();
    let lock = store.begin(Subject::Definitions, "lock").await.unwrap();
    assert_eq!(store.schedulers().await.unwrap(), []);
    lock.rollback().await.unwrap();
}

fn policy(version: &str, digest: u8) -> Deployed {
    Deployed {
        name: PolicyName::parse("queue-depth").unwrap(),
        version: version.to_owned(),
        digest: Digest([digest; 32]),
        class: "native".to_owned(),
        manifest: "{}".to_owned(),
        deployed_at: at(i64::from(digest)),
        size: 3,
    }
}

async fn a_policy_version_never_changes_its_bytes(store: Store) {
    store.deploy_policy(&policy("1.0.0", 1), b"one").await.unwrap();
    store.deploy_policy(&policy("1.0.0", 1), b"one").await.unwrap();
    let error = store
        .deploy_policy(&policy("1.0.0", 2), b"two")
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "policy queue-depth@1.0.0 is deployed already, with other contents (010101010101)"
    );
    store.deploy_policy(&policy("1.1.0", 2), b"two").await.unwrap();
    assert_eq!(
        store.policies().await.unwrap(),
        [policy("1.0.0", 1), policy("1.1.0", 2)]
    );
    let component = store.policy_component(Digest([2; 32])).await.unwrap();
    let expected = Component {
        class: "native".to_owned(),
        bytes: b"two".to_vec(),
    };
    assert_eq!(component, Some(expected));
    assert_eq!(store.policy_component(Digest([3; 32])).await.unwrap(), None);
}
