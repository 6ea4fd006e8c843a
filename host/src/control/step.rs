//! One turn of the loop, in the order of its parts.
//!
//! Whatever a part does to the world, it does after what it goes by was stored: the wanted number before the rooms
//! that it calls for, the state before the epoch. An error of the registry ends the turn; one of the cluster does
//! not, because windows, votes and everything that needs no cluster go on.

use std::sync::Arc;

use maestro_core::decision::Counts;
use maestro_core::guard::{self, Bounds};
use maestro_core::room::{Phase, Stage};
use maestro_core::time::{Span, Timestamp};
use maestro_core::window::{Sample, Sampling};

use super::lease::Kept;
use super::places::Places;
use super::survey::Survey;
use super::{Control, Error, Stand, StepReport, Told, apply, judge, measure, wake};
use crate::cluster;
use crate::registry::{Fence, Standing, State};

/// Before the next step after one that changed something: its effects are to be seen soon.
const SOON: Span = Span::from_ms(100);

/// What is due so soon after the first thing is waited for.
const TOGETHER: Span = Span::from_ms(50);

/// Before the next step after one that failed.
const AFTER_ERROR: Span = Span::from_secs(1);

impl Control {
    /// Makes one turn. `now` is this process's own clock. The future may be dropped at any time.
    pub async fn step(&mut self, now: Timestamp) -> StepReport {
        if std::mem::replace(&mut self.is_midway, true) {
            self.mirror.distrust();
            self.survey = None;
            self.is_saved = false;
        }
        let errors_before = self.told.errors.len();
        let outcome = self.advance(now).await;
        self.is_midway = false;
        let (has_acted, held_on) = match outcome {
            Ok(has_acted) => (has_acted, self.told.errors.len() > errors_before),
            Err(error) => {
                if error.is_fenced() {
                    self.lease.lose(now);
                    self.forget();
                }
                self.told.errors.push(error);
                (false, true)
            }
        };
        let next_at = match (has_acted, held_on) {
            (_, true) => now + AFTER_ERROR,
            (true, false) => now + SOON,
            (false, false) => self.next_at(now),
        };
        self.report(now, next_at)
    }

    fn report(&mut self, now: Timestamp, next_at: Timestamp) -> StepReport {
        self.told.ends.append(&mut self.mirror.ends);
        let stand = self.stand();
        let told = std::mem::take(&mut self.told);
        let Told {
            records,
            samples,
            values,
            outcomes,
            ends,
            errors,
            removed,
        } = told;
        StepReport {
            holding: self.lease.fence(now).is_some(),
            records,
            samples,
            values,
            outcomes,
            ends,
            trouble: self.creation.trouble(self.mirror.now),
            stand,
            heard: self.mirror.heard.take(),
            next_at,
            removed,
            errors,
        }
    }

    /// What the last survey said and what is wanted now; nothing is looked at for it.
    fn stand(&self) -> Option<Stand> {
        let (survey, state) = (self.survey.as_ref()?, self.state.as_ref()?);
        Some(Stand {
            counts: survey.counts,
            wanted: state.wanted,
            recovering: self.recovery.is_on(),
            mass_silence: survey.mass_silence,
        })
    }

    /// Answers whether anything was done that the next step should look at soon.
    async fn advance(&mut self, now: Timestamp) -> Result<bool, Error> {
        let Some(fence) = self.hold(now).await? else {
            return Ok(false);
        };
        self.refresh().await?;
        self.look(&fence, now).await?;
        if !self.restore().await? {
            return Ok(false);
        }
        self.measure_usage(now).await;
        let (counts, mass_silence) = self.survey();
        self.sample(counts);
        let plan = self.decide(counts, mass_silence, now).await;
        self.save(&fence).await?;
        let recovered = self.end_recovery(&fence).await?;
        let acted = self.act(&fence, plan, now).await?;
        let removed = self.finish(&fence, now).await?;
        Ok((recovered || acted || !self.commands.is_empty()) && !removed)
    }

    /// What the rooms come to, worked out anew when that may have changed.
    fn survey(&mut self) -> (Counts, bool) {
        let now = self.mirror.now;
        if let Some(survey) = self.survey.as_ref().filter(|survey| survey.holds_at(now)) {
            return (survey.counts, survey.mass_silence);
        }
        let desired = Arc::clone(&self.desired);
        let watch = self.watch(&desired);
        let (counts, mass_silence) = (
            Counts::of(self.mirror.rooms.values(), &watch),
            watch.mass_silence(),
        );
        let clocks = wake::Clocks {
            deadlines: &desired.scheduler.deadlines,
            shutdown: desired.scheduler.template.shutdown,
            witness: self.mirror.witness,
            now,
        };
        self.survey = Some(Survey {
            counts,
            mass_silence,
            deadline: clocks.next_deadline(self.mirror.rooms.values()),
            is_plain: !mass_silence
                && self.view.plain.values().all(|object| object.exposed)
                && self
                    .mirror
                    .rooms
                    .values()
                    .all(|room| room.version.major == desired.version.major && room.leaving.is_none()),
            idle_on: None,
        });
        (counts, mass_silence)
    }

    async fn hold(&mut self, now: Timestamp) -> Result<Option<Fence>, Error> {
        let (registry, name) = (&*self.deps.registry, &self.desired.scheduler.name);
        match self.lease.keep(registry, name, &self.deps.holder, now).await? {
            Kept::Held => {}
            // Nobody was heard of in between: it may be the registry that forgot us.
            Kept::Taken => self.forget(),
            Kept::Elsewhere => {
                self.forget();
                self.stood = None;
            }
        }
        Ok(self.lease.fence(now).cloned())
    }

    /// Forgets everything that only the holder of the lease can know; what was asked for by hand and not stored
    /// yet is asked again.
    pub(super) fn forget(&mut self) {
        self.told.ends.append(&mut self.mirror.ends);
        self.mirror = super::mirror::Mirror::new();
        self.survey = None;
        self.view.distrust();
        self.recovery = super::recovery::Recovery::default();
        if let Some(state) = self.state.take() {
            self.stood = Some(Standing {
                wanted: state.wanted,
                scaled_at: state.scaled_at,
            });
        }
        self.is_saved = false;
        self.has_saved = false;
        self.judge.hurry();
        self.last_record = None;
        self.deletions = apply::Deletions::default();
        for (command, _) in self.unsaved.drain(..).rev() {
            self.commands.push_front(command);
        }
    }

    pub(super) async fn refresh(&mut self) -> Result<(), Error> {
        let scheduler = &self.desired.scheduler;
        let refreshed = self
            .mirror
            .refresh(&*self.deps.registry, scheduler, self.survey.as_mut());
        refreshed.await?;
        if self.mirror.take_news() {
            self.survey = None;
        }
        let was_lost = self.has_saved && !self.mirror.has_state;
        if self.recovery.note(self.mirror.epoch, was_lost, self.mirror.now) {
            // What the last list showed may be older than the loss.
            self.view.distrust();
            self.has_saved = false;
            self.is_saved = false;
        }
        self.deletions.keep(&self.mirror.rooms);
        self.creation.mend(self.mirror.rooms.values(), self.mirror.now);
        Ok(())
    }

    async fn look(&mut self, fence: &Fence, now: Timestamp) -> Result<(), Error> {
        let places = Places {
            nodes: self.deps.cluster.nodes(),
            drained: self.deps.drained.get(),
        };
        self.view.note_places(&places);
        if now < self.view.next_at() || !self.may_call_cluster() {
            return Ok(());
        }
        let ports = (&*self.deps.registry, &*self.deps.cluster);
        match self.view.look(ports, fence, &self.mirror, now).await {
            Ok(looked) => {
                let holds = self.desired.scheduler.hold_creation_on_error;
                let stuck = looked.stuck.into_iter().filter(|_| holds);
                if looked.has_moved {
                    self.survey = None;
                }
                for reason in looked.stillborn.into_iter().chain(stuck) {
                    self.creation.fail(reason, self.mirror.now);
                }
                match looked.has_changed {
                    true => self.refresh().await,
                    false => Ok(()),
                }
            }
            Err(error @ Error::Registry { .. }) => Err(error),
            // Nothing of ours can be there: its deletion must not wait for a list.
            Err(Error::Cluster {
                cause: cluster::Error::Foreign(_),
                ..
            }) if self.desired.deleting.is_some() && self.knows_of_no_process() => {
                self.view.find_nothing(self.mirror.now, now);
                Ok(())
            }
            Err(error @ Error::Cluster { .. }) => {
                self.told.errors.push(error);
                Ok(())
            }
        }
    }

    /// Whether no room ever came further than its name.
    fn knows_of_no_process(&self) -> bool {
        let mut rooms = self.mirror.rooms.values();
        rooms.all(|room| room.stage() == Stage::Reserved)
    }

    /// Makes sure that there is a state; without one in the registry it takes a list of the cluster.
    async fn restore(&mut self) -> Result<bool, Error> {
        if self.state.is_some() {
            return Ok(true);
        }
        if self.mirror.has_state {
            let state = self.deps.registry.state(&self.desired.scheduler.name).await;
            self.state = state.map_err(Error::registry("read the scheduler's state"))?;
            // Lost between the two readings: the next step notices.
            (self.is_saved, self.has_saved) = (true, true);
            return Ok(self.state.is_some());
        }
        if self.view.begun.is_none() {
            return Ok(false);
        }
        let is_running = |phase: &Phase| matches!(phase, Phase::Running { .. });
        let running = self.mirror.rooms.values().filter(|room| is_running(&room.phase));
        let running = u32::try_from(running.count()).unwrap_or(u32::MAX);
        let (wanted, scaled_at) = match self.stood.or(self.desired.last) {
            // The time of another process: one that lies ahead of ours must not hold up scaling until it comes.
            Some(last) => (last.wanted, last.scaled_at.map(|at| at.min(self.mirror.now))),
            None => (running, None),
        };
        let autoscaling = &self.desired.scheduler.autoscaling;
        let least = guard::first_wanted(Bounds {
            min: autoscaling.min,
            max: autoscaling.max,
            cap: self.deps.settings.cap,
        });
        self.state = Some(State {
            wanted: wanted.max(least),
            scaled_at,
            ..State::default()
        });
        Ok(true)
    }

    async fn save(&mut self, fence: &Fence) -> Result<(), Error> {
        if let (false, Some(state)) = (self.is_saved, &self.state) {
            let saved = self.deps.registry.save(fence, state).await;
            saved.map_err(Error::registry("store the scheduler's state"))?;
            (self.is_saved, self.has_saved) = (true, true);
        }
        let outcomes = self.unsaved.drain(..).map(|(_, outcome)| outcome);
        self.told.outcomes.extend(outcomes);
        Ok(())
    }

    async fn end_recovery(&mut self, fence: &Fence) -> Result<bool, Error> {
        if !self.may_end_recovery() {
            return Ok(false);
        }
        let written = self.deps.registry.set_epoch(fence, Some(self.mirror.now)).await;
        written.map_err(Error::registry("end the recovery"))?;
        Ok(true)
    }

    fn may_end_recovery(&self) -> bool {
        let deadlines = &self.desired.scheduler.deadlines;
        let rooms = self.mirror.rooms.values();
        self.recovery
            .may_end(self.view.begun, rooms, deadlines, self.mirror.now)
    }

    /// Whether what rooms do is not known yet. It is in the very step that ends the recovery, and always was of a
    /// scheduler that never had a room.
    pub(super) fn is_in_the_dark(&self) -> bool {
        self.recovery.is_on() && !self.may_end_recovery()
    }

    pub(super) fn sampling(&self) -> Sampling {
        measure::sampling(&self.desired, self.deps.settings.min_period)
    }

    pub(super) fn look_every(&self) -> Span {
        judge::look_every(&self.desired, self.sampling())
    }

    pub(super) fn may_call_cluster(&self) -> bool {
        let timeout = self.deps.settings.cluster_timeout;
        self.lease.covers(timeout, (self.deps.clock)())
    }

    /// When something is due while nothing changes.
    fn next_at(&mut self, now: Timestamp) -> Timestamp {
        if self.state.is_none() {
            return self.lease.next_at().max(now + SOON);
        }
        let (counts, _) = self.survey();
        let deadline = self.survey.as_ref().and_then(|survey| survey.deadline);
        let Some(state) = &self.state else {
            return now + SOON;
        };
        let desired = &self.desired;
        let sampling = self.sampling();
        let at = self.mirror.now;
        let sample = Sample { at, counts };
        let mine = [
            Some(self.lease.next_at()),
            Some(self.view.next_at()),
            Some(self.judge.next_at(counts, self.look_every())),
            judge::inputs(desired)
                .any(measure::is_usage)
                .then(|| self.meter.usage_at()),
            self.deletions.next_at(now),
            self.doubt_until
                .filter(|until| desired.deleting.is_some() && *until > now),
        ];
        let registrys = [
            Some(measure::sample_at(&state.window, &sample, sampling)),
            self.creation.held_until(at),
            self.recovery.ends_at(&desired.scheduler.deadlines),
            deadline,
        ];
        let registrys = registrys.into_iter().flatten().map(|then| now + then.since(at));
        let all: Vec<Timestamp> = mine.into_iter().flatten().chain(registrys).collect();
        let first = all.iter().copied().min();
        // One step for all that is due about then; the two clocks are not quite the same either.
        let first = first.and_then(|first| all.into_iter().filter(|at| *at <= first + TOGETHER).max());
        first.unwrap_or(now).max(now + SOON)
    }
}
