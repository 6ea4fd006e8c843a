//! The lease of one scheduler: who may act, and until when.
//!
//! Validity is counted on this process's own clock from *before* the renewal was sent, and ends two seconds early,
//! so that a holder stops acting before anybody else can begin, whatever the registry's clock says.

use maestro_core::names::SchedulerName;
use maestro_core::time::{Span, Timestamp};

use super::Error;
use crate::registry::{Fence, Registry};

/// What is taken off a lease's end: covers a pause of this process between its last look at the clock and the act.
const MARGIN: Span = Span::from_secs(2);

/// A lease held, or wanted.
#[derive(Debug)]
pub(super) struct Lease {
    length: Span,
    held: Option<Held>,
    try_at: Timestamp,
}

#[derive(Clone, Debug)]
struct Held {
    fence: Fence,
    valid_until: Timestamp,
}

/// What came of keeping a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It goes on under the same token.
    Held,
    /// It is ours anew: nothing remembered from before may be trusted.
    Taken,
    /// Somebody else has it.
    Elsewhere,
}

impl Lease {
    pub(super) fn new(length: Span) -> Self {
        Self {
            length,
            held: None,
            try_at: Timestamp::default(),
        }
    }

    /// Takes or renews the lease when that is due.
    pub(super) async fn keep(
        &mut self,
        registry: &dyn Registry,
        scheduler: &SchedulerName,
        holder: &str,
        now: Timestamp,
    ) -> Result<Kept, Error> {
        if self.held.as_ref().is_some_and(|held| now >= held.valid_until) {
            self.held = None;
            self.try_at = now;
        }
        // A step that is taken anyway takes a renewal along that would call for another one in a moment.
        let early = match self.held {
            Some(_) => part(self.length, 30),
            None => Span::ZERO,
        };
        if now + early < self.try_at {
            return Ok(match self.held {
                Some(_) => Kept::Held,
                None => Kept::Elsewhere,
            });
        }
        // A call that is dropped or fails leaves the old validity, which only ever errs on the short side.
        let answer = registry.acquire(scheduler, holder, self.length).await;
        let answer = answer.map_err(Error::registry("renew the lease"))?;
        let Some(fence) = answer else {
            self.held = None;
            // Only who is to keep the scheduler asks: its predecessor is going, or is gone without a word.
            self.try_at = now + part(self.length, 15);
            return Ok(Kept::Elsewhere);
        };
        self.try_at = (now + early).beat_after(part(self.length, 3));
        let kept = match &self.held {
            Some(held) if held.fence == fence => Kept::Held,
            Some(_) | None => Kept::Taken,
        };
        self.held = Some(Held {
            fence,
            valid_until: now + (self.length - MARGIN),
        });
        Ok(kept)
    }

    /// The proof of holding, while it is valid.
    pub(super) fn fence(&self, now: Timestamp) -> Option<&Fence> {
        let held = self.held.as_ref()?;
        (now < held.valid_until).then_some(&held.fence)
    }

    /// Whether a call to the cluster that may take `timeout` ends before the lease does.
    pub(super) fn covers(&self, timeout: Span, now: Timestamp) -> bool {
        self.held
            .as_ref()
            .is_some_and(|held| now + timeout < held.valid_until)
    }

    /// When this has to be looked at again.
    pub(super) fn next_at(&self) -> Timestamp {
        self.try_at
    }

    /// Forgets the lease, as after a call that was refused under its token.
    pub(super) fn lose(&mut self, now: Timestamp) {
        self.held = None;
        self.try_at = now;
    }

    /// Takes out the token, valid or not, to give it back.
    pub(super) fn take(&mut self) -> Option<Fence> {
        self.held.take().map(|held| held.fence)
    }
}

fn part(length: Span, of: u64) -> Span {
    Span::from_ms(length.ms() / of)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use futures::FutureExt;

    use super::*;
    use crate::registry::Memory;

    const LENGTH: Span = Span::from_secs(15);

    struct World {
        time: Arc<AtomicI64>,
        registry: Memory,
        name: SchedulerName,
    }

    impl World {
        fn new() -> Self {
            let time = Arc::new(AtomicI64::new(0));
            let clock = Arc::clone(&time);
            Self {
                registry: Memory::new(Arc::new(move || {
                    Timestamp::from_ms(clock.load(Ordering::Relaxed))
                })),
                time,
                name: SchedulerName::parse("pong").unwrap(),
            }
        }

        fn keep(&self, lease: &mut Lease, holder: &str, secs: i64) -> Kept {
            self.time.store(secs * 1_000, Ordering::Relaxed);
            let kept = lease.keep(&self.registry, &self.name, holder, at(secs));
            kept.now_or_never().expect("the registry never waits").unwrap()
        }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_ms(secs * 1_000)
    }

    #[test]
    fn validity_ends_two_seconds_before_the_lease() {
        let (world, mut lease) = (World::new(), Lease::new(LENGTH));
        assert_eq!(world.keep(&mut lease, "one", 100), Kept::Taken);
        assert!(lease.fence(Timestamp::from_ms(112_999)).is_some());
        assert_eq!(lease.fence(at(113)), None);
        assert!(lease.covers(Span::from_secs(5), Timestamp::from_ms(107_999)));
        assert!(!lease.covers(Span::from_secs(5), at(108)));
    }

    #[test]
    fn it_is_renewed_at_a_third_and_not_before() {
        let (world, mut lease) = (World::new(), Lease::new(LENGTH));
        world.keep(&mut lease, "one", 100);
        assert_eq!(lease.next_at(), at(105));
        assert_eq!(world.keep(&mut lease, "one", 104), Kept::Held);
        assert_eq!(lease.fence(at(113)), None, "nothing was renewed");
        assert_eq!(world.keep(&mut lease, "one", 105), Kept::Held);
        assert!(lease.fence(at(117)).is_some());
    }

    #[test]
    fn what_is_due_in_a_moment_is_renewed_with_what_is_due_now() {
        let (world, mut lease) = (World::new(), Lease::new(LENGTH));
        world.keep(&mut lease, "one", 103);
        assert_eq!(lease.next_at(), at(105), "on the beat, however it began");
        let early = Timestamp::from_ms(104_500);
        world.time.store(early.ms(), Ordering::Relaxed);
        let kept = lease.keep(&world.registry, &world.name, "one", early);
        assert_eq!(kept.now_or_never().unwrap().unwrap(), Kept::Held);
        assert_eq!(lease.next_at(), at(110), "and not once more at once");
        assert!(lease.fence(at(117)).is_some());
    }

    #[test]
    fn one_that_ran_out_is_somebody_elses_or_a_new_one() {
        let (world, mut lease) = (World::new(), Lease::new(LENGTH));
        world.keep(&mut lease, "one", 100);
        let old = lease.fence(at(100)).cloned().unwrap();
        assert_eq!(world.keep(&mut lease, "one", 120), Kept::Taken);
        assert!(lease.fence(at(120)).unwrap().token > old.token);
        let mut rival = Lease::new(LENGTH);
        assert_eq!(world.keep(&mut rival, "two", 121), Kept::Elsewhere);
        assert_eq!(world.keep(&mut rival, "two", 140), Kept::Taken);
        assert_eq!(world.keep(&mut lease, "one", 141), Kept::Elsewhere);
    }
}
