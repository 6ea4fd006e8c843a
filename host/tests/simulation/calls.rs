//! What becomes of a call to a port: it is lost, comes late, succeeds without saying so, or is answered.
//!
//! A call that was sent happens whether or not its caller still waits: dropping a loop drops its ear, not its
//! requests.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use maestro_core::time::{Span, Timestamp};

use crate::world::{Event, Shared, World};

/// How often calls go wrong, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Odds {
    /// The request is lost.
    pub lost: u32,
    /// It happens, and the answer is lost.
    pub silent: u32,
    /// It happens after the caller has given up.
    pub late: u32,
    /// It takes a good part of the time that it may take.
    pub slow: u32,
    /// It takes some milliseconds, in which the world goes on and the caller can die; all others take none.
    pub latent: u32,
}

/// The answer never came.
#[derive(Clone, Copy, Debug)]
pub struct Lost;

/// What becomes of one call.
#[derive(Clone, Copy, Debug)]
struct Fate {
    happens_in: Option<u64>,
    answered_in: u64,
    is_heard: bool,
}

impl World {
    fn fate(&mut self, odds: Odds, limit_ms: u64) -> Fate {
        let roll = u32::try_from(self.between(0, 999)).unwrap_or(0);
        let mut edge = 0;
        let kind = [odds.lost, odds.silent, odds.late, odds.slow]
            .iter()
            .position(|share| {
                edge += share;
                roll < edge
            });
        match kind {
            Some(0) => Fate {
                happens_in: None,
                answered_in: self.between(0, limit_ms),
                is_heard: false,
            },
            Some(1) => {
                let happens_in = self.between(0, limit_ms);
                Fate {
                    happens_in: Some(happens_in),
                    answered_in: self.between(happens_in, limit_ms),
                    is_heard: false,
                }
            }
            Some(2) => Fate {
                happens_in: Some(self.between(limit_ms, limit_ms * 4)),
                answered_in: limit_ms,
                is_heard: false,
            },
            Some(3) => {
                let happens_in = self.between(0, limit_ms - 1);
                Fate {
                    happens_in: Some(happens_in),
                    answered_in: self.between(happens_in, limit_ms - 1),
                    is_heard: true,
                }
            }
            _ => {
                let happens_in = if self.chance(odds.latent) {
                    self.between(1, 25)
                } else {
                    0
                };
                Fate {
                    happens_in: Some(happens_in),
                    answered_in: happens_in,
                    is_heard: true,
                }
            }
        }
    }

    /// Sends a call. `meddle` is told in how much time it happens, before it does.
    pub(crate) fn send<T: Send + 'static>(
        &mut self,
        (odds, limit_ms): (Odds, u64),
        name: impl FnOnce() -> String,
        meddle: impl FnOnce(&mut World, u64),
        call: impl FnOnce(&mut World) -> T + Send + 'static,
    ) -> Sent<T> {
        self.calls += 1;
        let fate = match self.is_faulty {
            true => self.fate(odds, limit_ms),
            false => Fate {
                happens_in: Some(0),
                answered_in: 0,
                is_heard: true,
            },
        };
        self.note(|| match (fate.happens_in, fate.is_heard) {
            (Some(0), true) if fate.answered_in == 0 => name(),
            (Some(ms), true) => format!("{} (in {ms} ms)", name()),
            (Some(ms), false) => format!("{} (in {ms} ms, not answered)", name()),
            (None, _) => format!("{} (lost)", name()),
        });
        meddle(self, fate.happens_in.unwrap_or(0));
        let slot = Arc::new(Mutex::new(None));
        let filled = Arc::clone(&slot);
        let happen = move |world: &mut World| {
            let answer = call(world);
            *filled.lock().expect("one thread") = Some(answer);
        };
        match fate.happens_in {
            None => {}
            Some(0) => happen(self),
            Some(ms) => self.after(ms, happen),
        }
        Sent {
            slot,
            is_heard: fate.is_heard,
            until: self.now() + Span::from_ms(fate.answered_in),
        }
    }
}

/// A call under way.
pub(crate) struct Sent<T> {
    slot: Arc<Mutex<Option<T>>>,
    is_heard: bool,
    until: Timestamp,
}

impl<T> Sent<T> {
    /// Waits for the answer, or for the time at which there will be none.
    pub(crate) fn answer(self, world: Shared) -> Answer<T> {
        Answer { sent: self, world }
    }
}

pub(crate) struct Answer<T> {
    sent: Sent<T>,
    world: Shared,
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Lost>;

    fn poll(self: Pin<&mut Self>, context: &mut Context) -> Poll<Self::Output> {
        let mut world = self.world.lock().expect("one thread");
        if world.now() < self.sent.until {
            world.at(self.sent.until, Event::Wake(context.waker().clone()));
            return Poll::Pending;
        }
        drop(world);
        let answer = self.sent.slot.lock().expect("one thread").take();
        Poll::Ready(answer.filter(|_| self.sent.is_heard).ok_or(Lost))
    }
}
