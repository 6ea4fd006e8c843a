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
        if now < self.try_at {
            return Ok(match self.held {
                Some(_) => Kept::Held,
                None => Kept::Elsewhere,
            });
        }
        // A call that is dropped or fails leaves the old validity, which only ever errs on the short side.
        let answer = registry.acquire(scheduler, holder, self.length).await;
        let answer = answer.map_err(Error::registry("renew the lease"))?;
        self.try_at = now + third(self.length);
        let Some(fence) = answer else {
            self.held = None;
            return Ok(Kept::Elsewhere);
        };
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

fn third(length: Span) -> Span {
    Span::from_ms(length.ms() / 3)
}
