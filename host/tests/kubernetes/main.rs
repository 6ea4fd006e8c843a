//! Rooms on a real API server: the contract of every cluster, and what is promised only here.
//!
//! Needs the testbed: `deploy/testbed/up --tier kwok`, whose nodes are simulated. With `--tier node` the contract is
//! checked with processes of a real node. Each test has namespaces of its own and removes them.
#![cfg(feature = "testbed")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it can't go on, its helpers too"
)]

mod bench;
mod confined;
mod installations;
mod kept;
mod nodes;
mod reached;
mod rights;
mod templated;
mod told;

use maestro::cluster::contract::{self, Outcome};

use crate::bench::{Bench, Nodes};

/// All of the suite but that a second deletion shortens the grace, which a kubelet does not do; `kept.rs` checks the server's
/// part. And simulated nodes keep no output.
#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_keeps_the_contract_of_every_cluster() -> Outcome {
    let bench = Bench::on(Nodes::best(), "contract").await;
    contract::a_created_room_is_listed_and_runs(&bench).await?;
    contract::creating_twice_makes_one_room(&bench).await?;
    contract::deleting_an_unknown_room_succeeds(&bench).await?;
    contract::a_deleted_room_disappears(&bench).await?;
    contract::an_old_uid_touches_nothing(&bench).await?;
    contract::a_stubborn_room_is_killed_after_its_grace(&bench).await?;
    contract::an_exit_is_noticed_and_kept_until_deleted(&bench).await?;
    contract::addresses_are_complete_or_empty_and_ports_never_clash(&bench).await?;
    contract::schedulers_do_not_see_each_other(&bench).await?;
    contract::changes_wake_whoever_waits(&bench).await?;
    if Nodes::best() == Nodes::Real {
        contract::logs_tell_the_newest_lines(&bench).await?;
    }
    bench.remove_namespaces().await;
    Ok(())
}

/// Apart from the others, because a measurement takes half a minute to appear.
#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_measures_what_rooms_use() -> Outcome {
    let bench = Bench::on(Nodes::best(), "usage").await;
    contract::usage_is_measured(&bench).await?;
    bench.remove_namespaces().await;
    Ok(())
}
