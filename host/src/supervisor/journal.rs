//! Writes what loops decided and measured, and which rooms ended, to the store, behind them and in batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use maestro_core::names::SchedulerName;
use maestro_core::room::End;
use maestro_core::time::{Span, Timestamp};
use maestro_core::window::{Cut, Sample};
use maestro_wire::record;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::chain;
use super::ends::Ends;
use crate::control::{Clock, Record};
use crate::metrics::Metrics;
use crate::store::journal::{Budget, Entry, Outbox};
use crate::store::samples::Segment;
use crate::store::{self, Store};

/// Time between two writes; what a reader of `explain` may have to wait.
const WRITE: Duration = Duration::from_millis(200);

/// Samples that make a segment, and the longest that one stays open.
const SEGMENT: usize = 500;
const SEGMENT_AGE: Span = Span::from_secs(300);

/// Samples of one scheduler that wait while the store is away: over half a day at the longest period of ten seconds.
const SAMPLES_WAIT: usize = 10 * SEGMENT;

/// Time between two looks at the journal's age and size.
const TRIM: Duration = Duration::from_secs(600);

/// Something for the journal.
#[derive(Debug)]
pub enum Item {
    /// A decision.
    Record {
        /// Whose.
        scheduler: SchedulerName,
        /// With what it was made from.
        record: Box<Record>,
    },
    /// What was measured.
    Samples {
        /// Of which scheduler.
        scheduler: SchedulerName,
        /// Room counts, oldest first.
        samples: Vec<Sample>,
        /// Other metrics.
        values: Vec<(&'static str, Timestamp, f64)>,
    },
    /// Rooms that have ended.
    Ends {
        /// Of which scheduler.
        scheduler: SchedulerName,
        /// Oldest first.
        ends: Vec<End>,
    },
}

/// Writes items to the store.
pub struct Journal {
    store: Store,
    wall: Clock,
    items: mpsc::Receiver<Item>,
    outbox: Outbox,
    ends: Ends,
    open: BTreeMap<SchedulerName, Cut>,
    is_away: bool,
    last_trim: Option<Instant>,
    metrics: Arc<Metrics>,
}

impl Journal {
    /// A journal and where to send items. As many items wait in the channel as in the outbox behind it.
    pub fn new(store: Store, wall: Clock) -> (Self, mpsc::Sender<Item>) {
        let (tx, items) = mpsc::channel(Outbox::CAPACITY);
        let journal = Self {
            store,
            wall,
            items,
            outbox: Outbox::default(),
            ends: Ends::default(),
            open: BTreeMap::new(),
            is_away: false,
            last_trim: None,
            metrics: Arc::default(),
        };
        (journal, tx)
    }

    /// The same, counting what waits and what is dropped.
    pub fn metered(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Writes until `stop`. Loops end by the same token and have their last say after it: what they send until the
    /// last of them has ended is written too, if that takes no longer than `patience`.
    pub async fn run(mut self, stop: CancellationToken, patience: Duration) -> Result<(), store::Error> {
        let mut ticks = interval(WRITE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.write(false).await,
            }
        }
        if timeout(patience, self.take_last()).await.is_err() {
            tracing::warn!("a loop takes too long to end, the journal ends before it");
        }
        self.write(true).await;
        Ok(())
    }

    /// Takes what comes until nobody is left to send.
    async fn take_last(&mut self) {
        while let Some(item) = self.items.recv().await {
            self.take(item);
        }
    }

    async fn write(&mut self, is_last: bool) {
        while let Ok(item) = self.items.try_recv() {
            self.take(item);
        }
        if let Err(error) = self.try_write(is_last).await {
            if !self.is_away {
                tracing::warn!("the journal can't be written, decisions wait: {}", chain(&error));
            }
            self.is_away = true;
        } else {
            self.is_away = false;
        }
        self.metrics.journal_waiting(self.outbox.len());
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Record { scheduler, record } => {
                let bytes = super::evidence::encode(&record);
                let lost = self.outbox.lost();
                self.outbox.push(Entry::new(&scheduler, &record.decision, bytes));
                let lost = self.outbox.lost().saturating_sub(lost);
                self.metrics.journal_dropped("decisions", lost);
            }
            Item::Ends { scheduler, ends } => {
                let lost = self.ends.push(&scheduler, ends);
                self.metrics.journal_dropped("ends", lost as u64);
            }
            Item::Samples {
                scheduler,
                samples,
                values,
            } => {
                let open = self.open.entry(scheduler).or_default();
                if open.samples.len() >= SAMPLES_WAIT {
                    tracing::warn!(
                        "the store is away for too long: {SAMPLES_WAIT} recorded samples are dropped"
                    );
                    self.metrics.journal_dropped("samples", open.samples.len() as u64);
                    *open = Cut::default();
                }
                open.samples.extend(samples);
                for (name, at, value) in values {
                    open.series.entry(name.to_owned()).or_default().push((at, value));
                }
            }
        }
    }

    async fn try_write(&mut self, is_last: bool) -> Result<(), store::Error> {
        let now = (self.wall)();
        self.outbox.flush(&self.store, now).await?;
        self.ends.flush(&self.store).await?;
        let is_due = |cut: &Cut| {
            let age = cut
                .samples
                .first()
                .map_or(Span::ZERO, |first| now.since(first.at));
            is_last || cut.samples.len() >= SEGMENT || age >= SEGMENT_AGE
        };
        let due: Vec<SchedulerName> = self
            .open
            .iter()
            .filter(|(_, cut)| is_due(cut))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            if let Some(cut) = self.open.get(&name)
                && let Some((first, last)) = cut.samples.first().zip(cut.samples.last())
            {
                let segment = Segment {
                    since: first.at,
                    at: last.at,
                    bytes: record::encode_samples(cut),
                };
                self.store.append_segment(&name, &segment).await?;
            }
            self.open.remove(&name);
        }
        if self.store.is_much_told() || self.last_trim.is_none_or(|last| last.elapsed() >= TRIM) {
            self.last_trim = Some(Instant::now());
            self.store.trim(Budget::default(), now).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use maestro_core::decision::{Actor, Counts, Decision};
    use maestro_core::names::Version;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_ms(1_000)
    }

    fn pong() -> SchedulerName {
        SchedulerName::parse("pong").unwrap()
    }

    fn record(wanted: u32) -> Item {
        let decision = Decision {
            at: now(),
            actor: Actor::Loop,
            cluster: "local".to_owned(),
            version: Version::FIRST,
            counts: Counts::default(),
            ballots: Vec::new(),
            winner: None,
            clamps: Vec::new(),
            before: 0,
            wanted,
            scaled: true,
            mass_silence: false,
            recovering: false,
            plan: Vec::new(),
            waits: Vec::new(),
        };
        Item::Record {
            scheduler: pong(),
            record: Box::new(Record {
                decision,
                evidence: Vec::new(),
            }),
        }
    }

    async fn written(store: &Store) -> Vec<u32> {
        let newest_first = store.decisions(&pong(), None, 10).await.unwrap();
        newest_first.iter().rev().map(|record| record.wanted).collect()
    }

    #[tokio::test]
    async fn what_a_loop_says_last_is_written_although_the_journal_was_stopped_before() {
        let store = Store::in_memory().await.unwrap();
        let (journal, records) = Journal::new(store.clone(), Arc::new(now));
        let stop = CancellationToken::new();
        stop.cancel();
        let last_words = async {
            for wanted in [1, 2, 3] {
                tokio::task::yield_now().await;
                records.send(record(wanted)).await.unwrap();
            }
            drop(records);
        };
        let (ended, ()) = tokio::join!(journal.run(stop, Duration::from_secs(60)), last_words);
        ended.unwrap();
        assert_eq!(written(&store).await, [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_loop_that_never_ends_holds_up_nothing_that_was_said() {
        let store = Store::in_memory().await.unwrap();
        let (journal, records) = Journal::new(store.clone(), Arc::new(now));
        records.send(record(7)).await.unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        journal.run(stop, Duration::from_millis(1)).await.unwrap();
        assert_eq!(written(&store).await, [7]);
        drop(records);
    }
}
