//! What every registry promises, as checks that each adapter's tests run: in-process and Redis. A registry's time may
//! stand still between two calls or go on; no check takes a stretch of it for exact.
//!
//! An adapter's test implements [`Harness`] and makes a test from each of [`registry_checks`], inside a tokio runtime of
//! several threads, or calls [`all`]. A check that fails panics with what it saw; one that can't go on returns the
//! registry's error. Each check has schedulers of its own, but some empty the whole registry, so that no two may be at one
//! at the same time.
//!
//! [`registry_checks`]: crate::registry_checks

mod reports;
mod allocation;
mod stream;
mod leases;
mod commons;
mod recovery;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::report::{Report, Reported};
use maestro_core::room::{Address, OpenPort, Phase, Revision, Room};
use maestro_core::scheduler::Protocol;
use maestro_core::time::{Span, Timestamp};
use tokio::sync::Notify;

use super::{Act, Call, Changes, Cursor, Error, Fence, Receipt, Registry, Seen, Terms};

/// What a check comes to.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A registry under test.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The registry.
    fn registry(&self) -> Arc<dyn Registry>;
    /// Moves the registry's time on.
    fn pass(&self, span: Span);
    /// Makes the registry lose everything, as a server without its disk.
    async fn lose(&self);
    /// Whether a nudge is there, or comes within a moment.
    async fn is_woken(&self, nudges: &Notify) -> bool;
}

/// Calls the macro `$callback` with the names of all checks, each with its module. What is not in this list is not part
/// of the contract, and the compiler warns of it.
#[macro_export]
macro_rules! registry_checks {
    ($callback:ident) => {
        $callback! {
            the_rooms_own_times_order_its_reports in reports;
            a_report_is_taken_as_core_takes_it in reports;
            a_clock_that_moves_leaves_the_order_of_arrival in reports;
            a_malformed_call_is_a_sign_of_life in reports;
            whoever_is_heard_of_is_not_ended_for_silence in reports;
            a_repeated_ping_keeps_the_revision in reports;
            a_drained_room_is_told_so in reports;
            changes_at_once_are_made_one_after_the_other in reports;
            unknown_rooms_are_unknown in reports;
            only_heartbeats_make_witnessed_time in reports;
            the_index_is_what_core_derives in allocation;
            a_room_is_promised_once in allocation;
            a_silent_room_is_not_promised in allocation;
            a_room_on_a_node_that_is_left_is_not_promised in allocation;
            a_room_that_was_silent_comes_back in allocation;
            the_newest_version_goes_first_then_the_oldest_room in allocation;
            a_promise_runs_out_and_leaves_the_use_unknown in allocation;
            an_occupied_report_uses_the_promise_up in allocation;
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
            whoever_says_nothing_is_no_longer_there in commons;
            workers_hear_how_each_of_them_reaches_the_store in commons;
            the_newest_copy_is_kept in commons;
            a_loss_shows in recovery;
            a_valid_token_registers_a_room_anew in recovery;
            no_act_on_an_earlier_record_fits_a_later_one in recovery;
            adopted_rooms_are_not_promised_while_recovering in recovery;
            provisional_reports_wait_for_their_room in recovery;
            provisional_reports_are_bounded in recovery;
            nothing_is_left_of_a_removed_scheduler in recovery;
        }
    };
}

macro_rules! contract {
    ($($check:ident in $part:ident;)*) => {
        $(pub use $part::$check;)*

        /// Runs all checks on one registry, one after the other.
        pub async fn all(harness: &dyn Harness) -> Outcome {
            $($check(harness).await?;)*
            Ok(())
        }
    };
}

registry_checks!(contract);

/// Longer than any check takes by the registry's clock.
const LEASE: Span = Span::from_secs(100_000);

/// More rooms than any check has.
const MOST: u32 = 5_000;

const TERMS: Terms = Terms {
    ttl: Span::from_secs(300),
    ping: Span::from_secs(90),
};

/// One check with its scheduler, whose lease it holds.
struct Case<'a> {
    harness: &'a dyn Harness,
    scheduler: SchedulerName,
    fence: Fence,
    /// Where the last look at the time was, so that one costs little.
    looked: AtomicU64,
}

impl<'a> Case<'a> {
    /// A scheduler that is not recovering.
    async fn begin(harness: &'a dyn Harness, name: &str) -> Result<Case<'a>, Error> {
        let case = Self::recovering(harness, name).await?;
        let now = case.now().await?;
        case.registry().set_epoch(&case.fence, Some(now)).await?;
        Ok(case)
    }

    /// A scheduler that is recovering, as each one that the registry never heard of.
    async fn recovering(harness: &'a dyn Harness, name: &str) -> Result<Case<'a>, Error> {
        let registry = harness.registry();
        #[expect(clippy::expect_used, reason = "the names are written in this module")]
        let scheduler = SchedulerName::parse(name).expect("checks have valid names");
        let fence = registry.acquire(&scheduler, "check", LEASE).await?;
        #[expect(clippy::expect_used, reason = "no other check uses this scheduler")]
        let fence = fence.expect("nobody else holds it");
        Ok(Self {
            harness,
            scheduler,
            fence,
            looked: AtomicU64::new(Cursor::START.0),
        })
    }

    fn registry(&self) -> Arc<dyn Registry> {
        self.harness.registry()
    }

    fn id(&self, suffix: u32) -> RoomId {
        RoomId::new(&self.scheduler, suffix)
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        let changes = self.changes(Cursor(self.looked.load(Ordering::Relaxed))).await?;
        self.looked.store(changes.cursor.0, Ordering::Relaxed);
        Ok(changes.now)
    }

    async fn changes(&self, since: Cursor) -> Result<Changes, Error> {
        self.registry().changes(&self.scheduler, since).await
    }

    async fn reserve(&self, suffix: u32) -> Result<RoomId, Error> {
        let id = self.id(suffix);
        let rooms = [(id.clone(), Version::FIRST)];
        self.registry().reserve(&self.fence, &rooms, MOST).await?;
        Ok(id)
    }

    /// A room that runs, is reachable and reported ready.
    async fn ready(&self, suffix: u32) -> Result<RoomId, Error> {
        let id = self.reserve(suffix).await?;
        self.registry().observe(&self.fence, &id, running()).await?;
        self.report(&id, Reported::Ready).await?;
        Ok(id)
    }

    async fn room(&self, id: &RoomId) -> Result<Room, Error> {
        let room = self.registry().room(&self.scheduler, id).await?;
        room.ok_or_else(|| Error::UnknownRoom(id.clone()))
    }

    /// A report whose time is the registry's.
    async fn report(&self, id: &RoomId, status: Reported) -> Result<Receipt, Error> {
        let now = self.now().await?;
        self.report_at(id, status, now).await
    }

    async fn report_at(&self, id: &RoomId, status: Reported, at: Timestamp) -> Result<Receipt, Error> {
        self.call(id, report(status, at), true).await
    }

    async fn call(&self, id: &RoomId, report: Report, authentic: bool) -> Result<Receipt, Error> {
        let version = Version::FIRST;
        let call = Call::Report {
            report,
            authentic,
            version,
        };
        self.registry().report(&self.scheduler, id, call).await
    }

    async fn act(&self, id: &RoomId, revision: Revision, act: Act) -> Result<Room, Error> {
        self.registry().act(&self.fence, id, revision, act).await
    }

    /// Does `act` on the room as it is now.
    async fn act_now(&self, id: &RoomId, act: Act) -> Result<Room, Error> {
        let revision = self.room(id).await?.revision;
        self.act(id, revision, act).await
    }

    /// Makes a room be gone from the cluster, and forgets it.
    async fn gone(&self, id: &RoomId) -> Result<(), Error> {
        self.harness.pass(Span::from_ms(2));
        let at = self.now().await?;
        let absent = seen(Phase::Absent { at }, false);
        self.registry().observe(&self.fence, id, absent).await?;
        self.act_now(id, Act::Forget).await.map(|_| ())
    }

    async fn allocate(&self) -> Result<Option<Room>, Error> {
        self.registry().allocate(&self.scheduler, TERMS).await
    }

    /// Lets so many seconds pass that are witnessed.
    async fn witness(&self, secs: u64) -> Result<(), Error> {
        for _ in 0..secs {
            self.registry().beat().await?;
            self.harness.pass(Span::from_secs(1));
        }
        self.registry().beat().await
    }

    async fn end(self) -> Outcome {
        Ok(self.registry().remove(&self.fence).await?)
    }
}

fn report(status: Reported, sent_at: Timestamp) -> Report {
    Report {
        status,
        sent_at,
        metadata: None,
        running_matches: None,
        capacity: None,
    }
}

/// A room that runs and can be reached.
fn running() -> Seen {
    seen(
        Phase::Running {
            since: Timestamp::from_ms(1),
        },
        true,
    )
}

fn seen(phase: Phase, is_reachable: bool) -> Seen {
    let address = Address {
        kind: "InternalIP".to_owned(),
        family: "IPv4".to_owned(),
        host: "127.0.0.1".to_owned(),
    };
    let port = OpenPort {
        name: "game".to_owned(),
        protocol: Protocol::Udp,
        port: 5_000,
    };
    Seen {
        phase,
        node: Some("node-1".to_owned()),
        leaving: None,
        node_lost: false,
        addresses: is_reachable.then_some(address).into_iter().collect(),
        ports: is_reachable.then_some(port).into_iter().collect(),
    }
}

fn drain() -> Act {
    Act::Drain {
        reason: "only 1 room is wanted".to_owned(),
    }
}

fn stop() -> Act {
    Act::Stop {
        unheard_since: None,
        reason: "only 1 room is wanted".to_owned(),
    }
}
