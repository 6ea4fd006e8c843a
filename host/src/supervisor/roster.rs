//! Who works, and which schedulers are therefore this worker's to keep.
//!
//! Each worker says three times a second that it is there, and is taken for gone after two thirds of a lease: its
//! schedulers are then begun by others before its leases end, so that they wait for those and for nothing else. A worker
//! that ends says so, and its schedulers move within a second. That somebody is gone counts once it was seen twice: from
//! an emptied registry whoever asks first would be told that it is alone.
//!
//! With it each says how it reaches the store (`looks`), so that one that alone lost it is passed over (`core/placement`),
//! and has its share back as soon as it is back.

mod looks;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maestro_core::names::SchedulerName;
use maestro_core::placement::{self, Reach};
use maestro_core::time::Span;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::chain;
use crate::registry::Registry;
use crate::store;
use looks::Looks;

/// Time between two words of a worker.
const EVERY: Duration = Duration::from_millis(300);

/// How long a worker that ends waits for the registry to take that.
const FAREWELL: Duration = Duration::from_millis(500);

/// Who works, as this worker knows.
pub(super) struct Roster {
    me: String,
    /// Empty until the registry answered once: nothing is begun before.
    keepers: BTreeSet<String>,
    seen: watch::Receiver<Seen>,
    looks: watch::Sender<Option<Looks>>,
}

/// Says again and again that this worker is there, and hears who else is. A task of its own, so that a look at a store
/// that takes its time makes no worker seem gone.
pub(super) struct Calls {
    registry: Arc<dyn Registry>,
    me: String,
    ttl: Span,
    /// `None` before the first one.
    looks: watch::Receiver<Option<Looks>>,
    seen: watch::Sender<Seen>,
    /// Whether somebody was not there last time who was before.
    is_doubted: bool,
    /// Whether the registry did not answer last time.
    is_away: bool,
}

/// Who is there, and who of them keeps schedulers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    members: BTreeSet<String>,
    keepers: BTreeSet<String>,
}

/// A worker called `me`, whose leases last for `lease`; the calls are to be run.
pub(super) fn roster(registry: Arc<dyn Registry>, me: String, lease: Span) -> (Roster, Calls) {
    let (seen_tx, seen_rx) = watch::channel(Seen::default());
    let (looks_tx, looks_rx) = watch::channel(None);
    let calls = Calls {
        registry,
        me: me.clone(),
        ttl: Span::from_ms(lease.ms() / 3 * 2),
        looks: looks_rx,
        seen: seen_tx,
        is_doubted: false,
        is_away: false,
    };
    let roster = Roster {
        me,
        keepers: BTreeSet::new(),
        seen: seen_rx,
        looks: looks_tx,
    };
    (roster, calls)
}

impl Calls {
    /// Calls until `stop`, and says then that this worker goes.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.leave().await;
                    return Ok(());
                }
                () = self.call(&mut ticks) => {}
            }
        }
    }

    async fn call(&mut self, ticks: &mut Interval) {
        ticks.tick().await;
        // Before its first look a worker knows no scheduler: what others left to it would be nobody's meanwhile.
        if self.looks.wait_for(Option::is_some).await.is_ok() {
            self.say(Instant::now()).await;
        }
    }

    /// Says that this worker is there. While the registry is away, those who were there last are.
    async fn say(&mut self, now: Instant) {
        let reach = self.looks.borrow().map_or(Reach::Lost, |looks| looks.reach(now));
        match self.registry.join(&self.me, reach, self.ttl).await {
            Ok(members) => {
                self.is_away = false;
                self.hear(Seen::of(&members));
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_away, true) {
                    tracing::warn!("the registry does not answer, nobody can act: {}", chain(&error));
                }
            }
        }
    }

    fn hear(&mut self, now: Seen) {
        let is_lacking = !self.seen.borrow().members.is_subset(&now.members);
        if is_lacking && !std::mem::replace(&mut self.is_doubted, true) {
            return;
        }
        self.is_doubted = false;
        self.seen.send_if_modified(|seen| {
            let is_news = *seen != now;
            if is_news {
                tell(&self.me, seen, &now);
                *seen = now;
            }
            is_news
        });
    }

    async fn leave(&self) {
        match timeout(FAREWELL, self.registry.leave(&self.me)).await {
            Ok(Ok(())) => {}
            // The others find out by its silence.
            Ok(Err(error)) => tracing::warn!("the other workers were not told of the end: {}", chain(&error)),
            Err(_late) => {
                tracing::warn!("the other workers were not told of the end: the registry does not answer")
            }
        }
    }
}

impl Seen {
    fn of(members: &BTreeMap<String, Reach>) -> Self {
        Self {
            members: members.keys().cloned().collect(),
            keepers: placement::keepers(members).map(str::to_owned).collect(),
        }
    }

    /// Whether a worker is there and keeps nothing, because it lost the store and others have it.
    fn is_passed_over(&self, member: &str) -> bool {
        self.members.contains(member) && !self.keepers.contains(member)
    }
}

fn tell(me: &str, before: &Seen, now: &Seen) {
    let came = now.members.difference(&before.members);
    for came in came.filter(|member| *member != me) {
        tracing::info!("worker {came} is there");
    }
    for gone in before.members.difference(&now.members) {
        tracing::info!("worker {gone} is gone");
    }
    for member in &now.members {
        match (before.is_passed_over(member), now.is_passed_over(member)) {
            (false, true) if member == me => tracing::warn!(
                "this worker lost the store and others have it: they keep its schedulers until it is back here"
            ),
            (false, true) => tracing::info!("worker {member} lost the store, others keep its schedulers"),
            (true, false) if member == me => {
                tracing::info!("this worker keeps its share of the schedulers again");
            }
            (true, false) => tracing::info!("worker {member} keeps its share of the schedulers again"),
            (true, true) | (false, false) => {}
        }
    }
}

impl Roster {
    /// Waits until others came or went, lost the store or have it again. A future that is dropped loses nothing.
    pub(super) async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            // The calls have ended, as everything is about to.
            pending::<()>().await;
        }
        self.keepers.clone_from(&self.seen.borrow_and_update().keepers);
    }

    /// Takes down what came of a look at the store that ended at `now`; the others are told with the next word.
    pub(super) fn looked(&self, look: &Result<(), store::Error>, now: Instant) {
        self.looks
            .send_modify(|looks| *looks = Some(Looks::after(*looks, look, now)));
    }

    /// Whether this worker is to keep the scheduler's loop.
    pub(super) fn is_ours(&self, scheduler: &SchedulerName) -> bool {
        placement::keeper(scheduler, self.keepers.iter().map(String::as_str)) == Some(self.me.as_str())
    }
}

#[cfg(test)]
mod tests {
    use maestro_core::time::Timestamp;

    use super::looks::{DOUBT, SETTLED};
    use super::*;
    use crate::registry::Memory;
    use crate::supervisor::{LONGEST, POLL};

    fn failed() -> Result<(), store::Error> {
        Err(store::Error::late("look"))
    }

    /// Workers of one installation.
    struct World {
        workers: Vec<(Roster, Calls)>,
        begun: Instant,
    }

    impl World {
        fn of(names: &[&str]) -> Self {
            let registry: Arc<dyn Registry> = Arc::new(Memory::new(Arc::new(Timestamp::default)));
            let worker = |name: &&str| {
                let name = (*name).to_owned();
                roster(Arc::clone(&registry), name, Span::from_secs(15))
            };
            Self {
                workers: names.iter().map(worker).collect(),
                begun: Instant::now(),
            }
        }

        /// The same, whose first looks succeed.
        fn settled(names: &[&str]) -> Self {
            let world = Self::of(names);
            for name in names {
                world.look(name, 0, &Ok(()));
            }
            world
        }

        fn at(&self, secs: u64) -> Instant {
            self.begun + Duration::from_secs(secs)
        }

        /// What came of a worker's look, so many seconds after the beginning.
        fn look(&self, who: &str, secs: u64, look: &Result<(), store::Error>) {
            let mut rosters = self.workers.iter().map(|(roster, _)| roster);
            let roster = rosters.find(|roster| roster.me == who);
            roster.expect("it works").looked(look, self.at(secs));
        }

        /// Who keeps schedulers, which all say alike once each of them heard the others.
        async fn keepers(&mut self, secs: u64) -> String {
            let now = self.at(secs);
            for _ in 0..2 {
                for (_, calls) in &mut self.workers {
                    calls.say(now).await;
                }
            }
            let seen = self.workers.iter().map(|(_, calls)| {
                let keepers: Vec<String> = calls.seen.borrow().keepers.iter().cloned().collect();
                keepers.join(" ")
            });
            let mut seen: Vec<String> = seen.collect();
            seen.dedup();
            assert_eq!(seen.len(), 1, "at {secs} s: {seen:?}");
            seen.remove(0)
        }
    }

    #[tokio::test]
    async fn what_a_worker_alone_lost_is_kept_by_those_who_have_the_store() {
        let mut world = World::settled(&["a", "b", "c"]);
        world.look("b", 100, &failed());
        let lost = 100 + SETTLED.as_secs();
        assert_eq!(
            world.keepers(lost - 1).await,
            "a b c",
            "it may be back in a moment"
        );
        assert_eq!(world.keepers(lost).await, "a c");
        world.look("b", 300, &failed());
        assert_eq!(world.keepers(300).await, "a c");
        world.look("b", 301, &Ok(()));
        assert_eq!(world.keepers(301).await, "a b c", "at once");
        world.look("b", 305, &failed());
        assert_eq!(world.keepers(310).await, "a b c", "as patiently as before");
        assert_eq!(world.keepers(305 + SETTLED.as_secs()).await, "a c");
    }

    #[tokio::test]
    async fn a_store_that_goes_away_for_all_and_comes_back_moves_nothing() {
        let mut world = World::settled(&["first", "last"]);
        // As far apart as they may notice the same.
        let apart = (POLL + 2 * LONGEST).as_secs();
        world.look("first", 100, &failed());
        for secs in 100..600 {
            if secs == 100 + apart {
                world.look("last", secs, &failed());
            }
            if secs == 300 {
                world.look("first", secs, &Ok(()));
            }
            if secs == 300 + apart {
                world.look("last", secs, &Ok(()));
            }
            assert_eq!(world.keepers(secs).await, "first last", "at {secs} s");
        }
    }

    #[tokio::test]
    async fn one_look_that_fails_moves_nothing() {
        let mut world = World::settled(&["a", "b"]);
        world.look("b", 100, &failed());
        for secs in 170..250 {
            // Each second one of the only worker that has the store fails.
            match secs % 10 {
                0 => world.look("a", secs, &failed()),
                5 => world.look("a", secs, &Ok(())),
                _ => {}
            }
            assert_eq!(world.keepers(secs).await, "a", "at {secs} s");
        }
        world.look("a", 250, &failed());
        assert_eq!(
            world.keepers(250 + DOUBT.as_secs()).await,
            "a b",
            "nobody is sure of it"
        );
    }

    #[tokio::test]
    async fn a_worker_that_begins_without_the_store_takes_nothing_from_those_who_have_it() {
        let mut world = World::of(&["a", "b"]);
        world.look("a", 0, &Ok(()));
        assert_eq!(world.keepers(70).await, "a", "the other one has not looked yet");
        world.look("b", 70, &failed());
        assert_eq!(world.keepers(70).await, "a");
        world.look("b", 75, &Ok(()));
        assert_eq!(world.keepers(75).await, "a b");
    }
}
