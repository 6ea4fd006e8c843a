//! Every promise of a registry, on a single server and on a cluster.

use maestro::registry::contract::{self, Outcome};

use crate::bench::Bench;

macro_rules! promises {
    ($($check:ident in $part:ident;)*) => {
        mod single {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() -> Outcome {
                    contract::$part::$check(&Bench::single().await).await
                }
            )*
        }

        mod cluster {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() -> Outcome {
                    contract::$part::$check(&Bench::cluster().await).await
                }
            )*
        }
    };
}

/// Those below are all there are: the suite as a whole says the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_them_one_after_the_other() -> Outcome {
    contract::all(&Bench::single().await).await
}

promises! {
    the_rooms_own_times_order_its_reports in reports;
    a_report_is_taken_as_core_takes_it in reports;
    a_clock_that_moves_leaves_the_order_of_arrival in reports;
    a_malformed_call_is_a_sign_of_life in reports;
    a_repeated_ping_keeps_the_revision in reports;
    a_drained_room_is_told_so in reports;
    whoever_is_heard_of_is_not_ended_for_silence in reports;
    changes_at_once_are_made_one_after_the_other in reports;
    unknown_rooms_are_unknown in reports;
    only_heartbeats_make_witnessed_time in reports;
    the_index_is_what_core_derives in allocation;
    a_room_is_promised_once in allocation;
    a_silent_room_is_not_promised in allocation;
    a_room_that_was_silent_comes_back in allocation;
    the_newest_version_goes_first_then_the_oldest_room in allocation;
    a_promise_runs_out_and_leaves_the_use_unknown in allocation;
    an_occupied_report_uses_the_promise_up in allocation;
    whoever_says_nothing_is_no_longer_there in commons;
    the_newest_copy_is_kept in commons;
    only_what_is_new_is_told in stream;
    whoever_missed_too_much_reads_everything in stream;
    a_mirror_fed_by_changes_is_the_registry in stream;
    a_mirror_misses_nothing_of_what_many_do_at_once in stream;
    one_holder_at_a_time in leases;
    a_lease_that_ran_out_comes_back_under_a_new_token in leases;
    nothing_is_taken_under_an_old_token in leases;
    a_token_never_comes_back in leases;
    an_act_on_another_revision_is_refused in leases;
    a_senseless_act_is_refused in leases;
    what_exists_is_left_as_it_is in leases;
    names_are_taken_up_to_the_bound in leases;
    the_state_comes_back_whole in leases;
    nudges_are_few_and_say_what_others_did in leases;
    a_loss_shows in recovery;
    a_valid_token_registers_a_room_anew in recovery;
    adopted_rooms_are_not_promised_while_recovering in recovery;
    provisional_reports_wait_for_their_room in recovery;
    provisional_reports_are_bounded in recovery;
    nothing_is_left_of_a_removed_scheduler in recovery;
}
