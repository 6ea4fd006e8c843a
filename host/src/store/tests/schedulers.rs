//! Schedulers, versions, operations.

use super::super::operations::{Input, State, Step};
use super::super::schedulers::{Change, ManagedBy, State as Should};
use super::*;

on_both! {
    a_scheduler_begins_as_its_first_version_with_an_operation;
    what_runs_in_a_room_makes_a_major_version_and_all_else_a_minor_one;
    a_policy_that_resolves_to_other_bytes_makes_a_minor_version;
    an_update_of_another_version_than_the_active_one_is_refused;
    only_a_hundred_versions_are_kept_and_no_number_comes_twice;
    a_scheduler_changes_only_from_where_it_is_managed;
    a_scheduler_that_is_being_deleted_takes_nothing_but_force_until_it_is_gone;
    only_a_scheduler_that_is_being_deleted_is_removed_and_once;
    an_operation_only_goes_forward_and_ends_once;
    a_scheduler_that_is_removed_during_a_look_is_there_or_not;
}

async fn update(
    store: &Store,
    before: &Scheduler,
    at_version: &str,
    after: &Scheduler,
) -> Result<Change, Error> {
    let digests = BTreeMap::new();
    store
        .update_scheduler((before, version(at_version)), &draft(after, &digests), at(2_000))
        .await
}

fn stored_version(change: Change) -> String {
    match change {
        Change::Unchanged(version) => format!("{version} unchanged"),
        Change::Stored { version, .. } => version.to_string(),
    }
}

async fn a_scheduler_begins_as_its_first_version_with_an_operation(store: Store) {
    let pong = scheduler("pong", "pong:1", 3);
    fill(&store, &pong).await;
    let stored = store.scheduler(&pong.name).await.unwrap().unwrap();
    assert_eq!(stored.active.version, Version::FIRST);
    assert_eq!(stored.active.document, "name: x");
    assert_eq!(stored.state, Should::Live);
    assert_eq!(stored.created_at, at(1_000));
    assert_eq!(store.schedulers().await.unwrap(), [stored]);
    let open = store.open_operations(&pong.name).await.unwrap();
    assert_eq!(
        open[0].input,
        Input::Create {
            version: Version::FIRST
        }
    );
    assert_eq!(open.len(), 1);
    let digests = BTreeMap::new();
    let again = store.create_scheduler(&draft(&pong, &digests), at(1)).await;
    assert!(matches!(again, Err(Error::SchedulerExists(_))), "{again:?}");
    assert_eq!(store.scheduler(&name("other")).await.unwrap(), None);
}

async fn what_runs_in_a_room_makes_a_major_version_and_all_else_a_minor_one(store: Store) {
    let one = scheduler("pong", "pong:1", 3);
    let more = scheduler("pong", "pong:1", 4);
    let two = scheduler("pong", "pong:2", 4);
    fill(&store, &one).await;
    let steps = [
        (&one, "v1.0", &one, "v1.0 unchanged"),
        (&one, "v1.0", &more, "v1.1"),
        (&more, "v1.1", &one, "v1.2"),
        (&one, "v1.2", &two, "v2.0"),
        (&two, "v2.0", &one, "v3.0"),
    ];
    for (before, at_version, after, expected) in steps {
        let change = update(&store, before, at_version, after).await.unwrap();
        assert_eq!(stored_version(change), expected);
    }
    let releases = store.releases(&one.name).await.unwrap();
    let releases: Vec<String> = releases
        .iter()
        .map(|release| release.version.to_string())
        .collect();
    assert_eq!(releases, ["v1.0", "v1.1", "v1.2", "v2.0", "v3.0"]);
    assert!(store.release(&one.name, version("v1.2")).await.unwrap().is_some());
    assert_eq!(store.release(&one.name, version("v1.3")).await.unwrap(), None);
}

async fn a_policy_that_resolves_to_other_bytes_makes_a_minor_version(store: Store) {
    let pong = scheduler("pong", "pong:1", 3);
    fill(&store, &pong).await;
    let digests = BTreeMap::from([("up[0]".to_owned(), Digest([7; 32]))]);
    let before = (&pong, Version::FIRST);
    let change = store
        .update_scheduler(before, &draft(&pong, &digests), at(2))
        .await;
    assert_eq!(stored_version(change.unwrap()), "v1.1");
    let stored = store.scheduler(&pong.name).await.unwrap().unwrap();
    assert_eq!(stored.active.digests, digests);
}

async fn an_update_of_another_version_than_the_active_one_is_refused(store: Store) {
    let one = scheduler("pong", "pong:1", 3);
    let two = scheduler("pong", "pong:2", 3);
    fill(&store, &one).await;
    update(&store, &one, "v1.0", &two).await.unwrap();
    let error = update(&store, &one, "v1.0", &two).await.unwrap_err();
    assert_eq!(error.to_string(), "scheduler pong is at v2.0 by now");
}

async fn only_a_hundred_versions_are_kept_and_no_number_comes_twice(store: Store) {
    let mut before = scheduler("pong", "pong:1", 0);
    fill(&store, &before).await;
    for minor in 0..120 {
        let after = scheduler("pong", "pong:1", minor + 1);
        update(&store, &before, &format!("v1.{minor}"), &after)
            .await
            .unwrap();
        before = after;
    }
    let releases = store.releases(&before.name).await.unwrap();
    assert_eq!(releases.len(), 100);
    assert_eq!(releases[0].version, version("v1.21"));
}

async fn a_scheduler_changes_only_from_where_it_is_managed(store: Store) {
    let pong = scheduler("pong", "pong:1", 3);
    let digests = BTreeMap::new();
    let mut by_file = draft(&pong, &digests);
    by_file.managed_by = ManagedBy::File("pong.yaml".to_owned());
    store.create_scheduler(&by_file, at(1)).await.unwrap();
    let other = scheduler("pong", "pong:1", 4);
    let error = update(&store, &pong, "v1.0", &other).await.unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with("scheduler pong is managed by file pong.yaml; change and save that"),
        "{told}"
    );
    let error = store
        .delete_scheduler(&pong.name, &ManagedBy::Api, false, at(2))
        .await;
    assert!(matches!(error, Err(Error::ManagedElsewhere { .. })), "{error:?}");
}

async fn a_scheduler_that_is_being_deleted_takes_nothing_but_force_until_it_is_gone(store: Store) {
    let pong = scheduler("pong", "pong:1", 3);
    fill(&store, &pong).await;
    let first = store
        .delete_scheduler(&pong.name, &ManagedBy::Api, false, at(2))
        .await
        .unwrap();
    let second = store
        .delete_scheduler(&pong.name, &ManagedBy::Api, true, at(3))
        .await
        .unwrap();
    let third = store
        .delete_scheduler(&pong.name, &ManagedBy::Api, false, at(4))
        .await
        .unwrap();
    assert_eq!((first.id, first.id), (second.id, third.id));
    let stored = store.scheduler(&pong.name).await.unwrap().unwrap();
    assert_eq!(stored.state, Should::Deleting { force: true });
    assert_eq!(
        stored.updated_at,
        at(2),
        "its deadline counts from the first time"
    );

    let digests = BTreeMap::new();
    let refused = [
        update(&store, &pong, "v1.0", &pong).await.err(),
        store.request_scale(&pong.name, 1, at(5)).await.err(),
        store.create_scheduler(&draft(&pong, &digests), at(5)).await.err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(Error::Deleting(_))), "{error:?}");
    }

    assert!(store.remove_scheduler(&pong.name, at(6)).await.unwrap());
    assert_eq!(store.scheduler(&pong.name).await.unwrap(), None);
    assert_eq!(store.releases(&pong.name).await.unwrap(), []);
    assert_eq!(store.open_operations(&pong.name).await.unwrap(), []);
    let deletion = store.operation(first.id).await.unwrap().unwrap();
    assert_eq!((deletion.state, deletion.progress), (State::Finished, 10_000));
    store
        .create_scheduler(&draft(&pong, &digests), at(7))
        .await
        .unwrap();
}

async fn only_a_scheduler_that_is_being_deleted_is_removed_and_once(store: Store) {
    let pong = scheduler("pong", "pong:1", 3);
    fill(&store, &pong).await;
    let before = store.scheduler(&pong.name).await.unwrap();
    let open = store.open_operations(&pong.name).await.unwrap();
    assert!(!store.remove_scheduler(&pong.name, at(2)).await.unwrap());
    assert_eq!(store.scheduler(&pong.name).await.unwrap(), before);
    assert_eq!(store.open_operations(&pong.name).await.unwrap(), open);
    for force in [false, true] {
        store
            .delete_scheduler(&pong.name, &ManagedBy::Api, force, at(3))
            .await
            .unwrap();
        assert!(store.remove_scheduler(&pong.name, at(4)).await.unwrap());
        assert!(!store.remove_scheduler(&pong.name, at(5)).await.unwrap());
        assert_eq!(store.scheduler(&pong.name).await.unwrap(), None);
        // Whoever comes late with the end of the one before leaves it alone.
        fill(&store, &pong).await;
        assert!(!store.remove_scheduler(&pong.name, at(6)).await.unwrap());
        assert!(store.scheduler(&pong.name).await.unwrap().is_some());
    }
}

async fn an_operation_only_goes_forward_and_ends_once(store: Store) {
    let pong = scheduler("pong", "pong:1", 3);
    fill(&store, &pong).await;
    let operation = store.request_scale(&pong.name, 7, at(2_000)).await.unwrap();
    assert_eq!(operation.input, Input::Scale { wanted: 7 });
    let mut step = Step {
        state: State::Running,
        progress: 5_000,
        description: "creating rooms".to_owned(),
        error: None,
    };
    store.advance(operation.id, &step, at(3_000)).await.unwrap();
    step.progress = 2_500;
    store.advance(operation.id, &step, at(4_000)).await.unwrap();
    let read = store.operation(operation.id).await.unwrap().unwrap();
    assert_eq!((read.progress, read.updated_at), (5_000, at(4_000)));

    step.state = State::Canceled;
    store.advance(operation.id, &step, at(5_000)).await.unwrap();
    let error = store.advance(operation.id, &step, at(6_000)).await;
    assert!(matches!(error, Err(Error::OperationOver(_))), "{error:?}");
    let newest_first = store.operations(&pong.name, None, 10).await.unwrap();
    assert_eq!(newest_first.len(), 2);
    assert_eq!(newest_first[0].id, operation.id);
    let rest = store
        .operations(&pong.name, Some(operation.id), 10)
        .await
        .unwrap();
    assert_eq!(rest, newest_first[1..]);
}

async fn a_scheduler_that_is_removed_during_a_look_is_there_or_not(store: Store) {
    let pong = scheduler("pong", "pong:1", 3);
    let is_over = std::cell::Cell::new(false);
    let changes = async {
        let digests = BTreeMap::new();
        for ms in 0..200 {
            store
                .create_scheduler(&draft(&pong, &digests), at(ms))
                .await
                .unwrap();
            store
                .delete_scheduler(&pong.name, &ManagedBy::Api, false, at(ms))
                .await
                .unwrap();
            assert!(store.remove_scheduler(&pong.name, at(ms)).await.unwrap());
        }
        is_over.set(true);
    };
    let looks = async {
        while !is_over.get() {
            assert!(store.schedulers().await.unwrap().len() <= 1);
            store.scheduler(&pong.name).await.unwrap();
        }
    };
    tokio::join!(changes, looks);
}

#[tokio::test]
async fn a_look_at_a_file_is_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("maestro.db")).await.unwrap();
    a_scheduler_that_is_removed_during_a_look_is_there_or_not(store).await;
}
