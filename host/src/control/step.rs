//! One turn of the loop, in the order of its parts.
//!
//! Whatever a part does to the world, it does after what it goes by was stored: the wanted number before the rooms
//! that it calls for, the state before the epoch. An error of the registry ends the turn; one of the cluster does
//! not, because windows, votes and everything that needs no cluster go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use maestro_core::deadlines::{Clocks, Watch};
use maestro_core::decision::{Actor, Counts, Decision};
use maestro_core::names::RoomId;
use maestro_core::plan::{self, Action, Budget, Deletion, Footing, Plan};
use maestro_core::rollout::Share;
use maestro_core::room::Phase;
use maestro_core::time::{Span, Timestamp};
use maestro_core::window::{Sample, Sampling};
use rand::RngExt;

use super::apply::{self, Effect, Hands};
use super::decide::Grounds;
use super::judge::{self, Case};
use super::lease::Kept;
use super::{Command, Control, Desired, Error, Outcome, Record, Scale, Scaled, StepReport, Told};
use super::{decide, measure, wake};
use crate::registry::{Fence, State};

/// Before the next step after one that changed something: its effects are to be seen soon.
const SOON: Span = Span::from_ms(100);

/// Before the next step after one that failed.
const AFTER_ERROR: Span = Span::from_secs(1);

impl Control {
    /// Makes one turn. `now` is this process's own clock. The future may be dropped at any time.
    pub async fn step(&mut self, now: Timestamp) -> StepReport {
        if std::mem::replace(&mut self.is_midway, true) {
            self.mirror.distrust();
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
        let told = std::mem::take(&mut self.told);
        let Told {
            records,
            samples,
            values,
            outcomes,
            errors,
            removed,
        } = told;
        StepReport {
            holding: self.lease.fence(now).is_some(),
            records,
            samples,
            values,
            outcomes,
            next_at,
            removed,
            errors,
        }
    }

    /// Answers whether anything was done that the next step should look at soon.
    async fn advance(&mut self, now: Timestamp) -> Result<bool, Error> {
        let Some(fence) = self.hold(now).await? else {
            return Ok(false);
        };
        self.refresh().await?;
        self.look(&fence, now).await?;
        if !self.restore() {
            return Ok(false);
        }
        self.measure_usage(now).await;
        let desired = Arc::clone(&self.desired);
        let (counts, mass_silence) = {
            let watch = self.watch(&desired);
            (
                Counts::of(self.mirror.rooms.values(), &watch),
                watch.mass_silence(),
            )
        };
        self.sample(counts);
        let plan = self.decide(counts, mass_silence, now).await;
        self.save(&fence).await?;
        let recovered = self.end_recovery(&fence).await?;
        let acted = self.act(&fence, plan, now).await?;
        let removed = self.finish(&fence, now).await?;
        Ok((recovered || acted || !self.commands.is_empty()) && !removed)
    }

    async fn hold(&mut self, now: Timestamp) -> Result<Option<Fence>, Error> {
        let (registry, name) = (&*self.deps.registry, &self.desired.scheduler.name);
        match self.lease.keep(registry, name, &self.deps.holder, now).await? {
            Kept::Held => {}
            Kept::Taken | Kept::Elsewhere => self.forget(),
        }
        Ok(self.lease.fence(now).cloned())
    }

    /// Forgets everything that only the holder of the lease can know; what was asked for by hand and not stored
    /// yet is asked again.
    fn forget(&mut self) {
        self.mirror = super::mirror::Mirror::new();
        self.view.distrust();
        self.recovery = super::recovery::Recovery::default();
        self.state = None;
        self.is_saved = false;
        self.has_saved = false;
        self.judge.hurry();
        self.last_record = None;
        self.deletions = apply::Deletions::default();
        for (command, _) in self.unsaved.drain(..).rev() {
            self.commands.push_front(command);
        }
    }

    async fn refresh(&mut self) -> Result<(), Error> {
        let name = &self.desired.scheduler.name;
        self.mirror.refresh(&*self.deps.registry, name).await?;
        let was_lost = self.has_saved && self.mirror.state.is_none();
        if self.recovery.note(self.mirror.epoch, was_lost, self.mirror.now) {
            // What the last list showed may be older than the loss.
            self.view.distrust();
            self.has_saved = false;
            self.is_saved = false;
        }
        self.deletions.keep(&self.mirror.rooms);
        self.creation.mend(self.mirror.rooms.values());
        Ok(())
    }

    async fn look(&mut self, fence: &Fence, now: Timestamp) -> Result<(), Error> {
        if now < self.view.next_at() || !self.may_call_cluster() {
            return Ok(());
        }
        let ports = (&*self.deps.registry, &*self.deps.cluster);
        match self.view.look(ports, fence, &self.mirror, now).await {
            Ok(looked) => {
                let holds = self.desired.scheduler.hold_creation_on_error;
                let stuck = looked.stuck.into_iter().filter(|_| holds);
                for reason in looked.stillborn.into_iter().chain(stuck) {
                    self.creation.fail(reason, self.mirror.now);
                }
                match looked.has_changed {
                    true => self.refresh().await,
                    false => Ok(()),
                }
            }
            Err(error @ Error::Registry { .. }) => Err(error),
            Err(error @ Error::Cluster { .. }) => {
                self.told.errors.push(error);
                Ok(())
            }
        }
    }

    /// Makes sure that there is a state; without one in the registry it takes a list of the cluster.
    fn restore(&mut self) -> bool {
        if self.state.is_some() {
            return true;
        }
        if let Some(state) = self.mirror.state.clone() {
            self.state = Some(state);
            (self.is_saved, self.has_saved) = (true, true);
            return true;
        }
        if self.view.begun.is_none() {
            return false;
        }
        let is_running = |phase: &Phase| matches!(phase, Phase::Running { .. });
        let running = self.mirror.rooms.values().filter(|room| is_running(&room.phase));
        let running = u32::try_from(running.count()).unwrap_or(u32::MAX);
        let wanted = self.desired.last_wanted.unwrap_or(running);
        let least = self.desired.scheduler.autoscaling.min;
        self.state = Some(State {
            wanted: wanted.max(least),
            ..State::default()
        });
        true
    }

    async fn measure_usage(&mut self, now: Timestamp) {
        let desired = Arc::clone(&self.desired);
        let sampling = self.sampling();
        let is_read = judge::inputs(&desired).any(measure::is_usage);
        if !is_read || !self.may_call_cluster() || !self.meter.take_turn(sampling, now) {
            return;
        }
        let usages = match self.deps.cluster.usage(&desired.scheduler.name).await {
            Ok(usages) => usages,
            Err(error) => {
                self.told.errors.push(Error::cluster("measure the rooms")(error));
                return;
            }
        };
        let totals = {
            let watch = self.watch(&desired);
            measure::totals(&usages, &self.mirror.rooms, &watch, &desired.scheduler.template)
        };
        let Some(newest) = usages.iter().map(|usage| usage.at).max() else {
            return;
        };
        // The cluster's times are of this process's clock; windows go by the registry's.
        let at = self.mirror.now - now.since(newest);
        let Some(state) = &mut self.state else { return };
        for (name, value) in totals {
            if state.window.push_value(name, at, value, sampling) {
                self.told.values.push((name, at, value));
                self.is_saved = false;
            }
        }
    }

    fn sample(&mut self, counts: Counts) {
        let sample = Sample {
            at: self.mirror.now,
            counts,
        };
        let sampling = self.sampling();
        if let Some(state) = &mut self.state
            && state.window.push(sample, sampling)
        {
            state.window.forget_before(sample.at, sampling);
            self.told.samples.push(sample);
            self.is_saved = false;
        }
    }

    /// Asks the policies when they are due, and answers the plan. A plan that chooses rooms is always part of a
    /// decision that is written down; without one, only what was begun goes on.
    async fn decide(&mut self, counts: Counts, mass_silence: bool, now: Timestamp) -> Plan {
        let grounds = self.grounds(counts, mass_silence);
        let mut plan = self.plan(now);
        if let Some(decision) = self.obey(&grounds) {
            return self.record(decision, Vec::new(), now);
        }
        let every = self.look_every();
        let is_due = now >= self.judge.next_at(counts, every);
        let has_choices = plan.actions.iter().any(is_choice);
        if !is_due && (!has_choices || now < self.judge.earliest()) {
            plan.actions.retain(|action| !is_choice(action));
            return plan;
        }
        let Some(state) = self.state.take() else {
            return plan;
        };
        // The state is put back before the first await, so that a dropped step loses nothing.
        self.state = Some(state.clone());
        self.judge.begin(counts, now);
        let case = Case {
            desired: &grounds.desired,
            state: &state,
            counts,
            sampling: self.sampling(),
            now: grounds.now,
        };
        let (ballots, evidence) = match grounds.desired.deleting {
            Some(_) => (Vec::new(), Vec::new()),
            None => self.judge.ask(&self.deps.evaluator, &case).await,
        };
        let ruling = grounds.rule(&ballots, &state);
        let mut after = state.clone();
        for shown in &evidence {
            if let Some(blob) = &shown.state {
                after.policies.insert(shown.trigger.clone(), blob.clone());
            }
        }
        let triggers = &grounds.desired.scheduler.autoscaling.triggers;
        after
            .policies
            .retain(|id, blob| !blob.is_empty() && triggers.iter().any(|t| t.id == *id));
        let decision = grounds.decision(Actor::Loop, ballots, ruling, state.wanted);
        after.wanted = decision.wanted;
        if decision.scaled {
            after.scaled_at = Some(decision.at);
        }
        self.is_saved &= after == state;
        self.state = Some(after);
        self.record(decision, evidence, now)
    }

    /// Carries out the first thing that was asked for by hand.
    fn obey(&mut self, grounds: &Grounds) -> Option<Decision> {
        let state = self.state.as_mut()?;
        let Command { operation, scale } = self.commands.pop_front()?;
        if grounds.desired.deleting.is_some() {
            let result = Err("the scheduler is being deleted".to_owned());
            self.told.outcomes.push(Outcome { operation, result });
            return None;
        }
        let asked = match scale {
            Scale::To(number) => number,
            Scale::Up(more) => state.wanted.saturating_add(more),
            Scale::Down(fewer) => state.wanted.saturating_sub(fewer),
        };
        let ruling = grounds.rule_manual(asked, state);
        let decision = grounds.decision(Actor::Manual, Vec::new(), ruling, state.wanted);
        state.wanted = decision.wanted;
        if decision.scaled {
            state.scaled_at = Some(decision.at);
        }
        self.is_saved = false;
        let wanted = decision.wanted;
        // Asked again after a loss of the lease, it is the same number that is asked for.
        let command = Command {
            operation: operation.clone(),
            scale: Scale::To(asked),
        };
        let result = Ok(Scaled { asked, wanted });
        self.unsaved.push((command, Outcome { operation, result }));
        Some(decision)
    }

    /// Adds the plan to a decision, writes it down unless it says again what was said last, and answers the plan.
    fn record(&mut self, mut decision: Decision, evidence: Vec<judge::Evidence>, now: Timestamp) -> Plan {
        let plan = self.plan(now);
        decision.plan = plan.actions.iter().map(ToString::to_string).collect();
        let period = self.sampling().period;
        let is_news = match &self.last_record {
            None => true,
            Some((at, last)) => now.since(*at) >= period || !decide::says_the_same(last, &decision),
        };
        if is_news {
            self.last_record = Some((now, decision.clone()));
            self.told.records.push(Record { decision, evidence });
        }
        plan
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
        let deadlines = &self.desired.scheduler.deadlines;
        let now = self.mirror.now;
        let rooms = self.mirror.rooms.values();
        if !self.recovery.may_end(self.view.begun, rooms, deadlines, now) {
            return Ok(false);
        }
        let written = self.deps.registry.set_epoch(fence, Some(now)).await;
        written.map_err(Error::registry("end the recovery"))?;
        Ok(true)
    }

    async fn act(&mut self, fence: &Fence, plan: Plan, now: Timestamp) -> Result<bool, Error> {
        let reserves = plan.actions.iter().any(|a| matches!(a, Action::Reserve { .. }));
        let mut acted = self.apply(fence, plan, now).await?;
        if reserves {
            // New names are created in the same step: players wait for them.
            self.refresh().await?;
            let mut plan = self.plan(now);
            plan.actions.retain(|action| !is_choice(action));
            acted |= self.apply(fence, plan, now).await?;
        }
        Ok(acted)
    }

    async fn apply(&mut self, fence: &Fence, plan: Plan, now: Timestamp) -> Result<bool, Error> {
        let name = &self.desired.scheduler.name;
        let names = &mut self.names;
        let tasks = apply::tasks(plan.actions, || RoomId::new(name, names.random()));
        let needs_list = |task: &apply::Task| match task {
            apply::Task::Stop(room, ..) | apply::Task::Delete(room) => !self.view.objects.contains_key(room),
            apply::Task::Reserve(_)
            | apply::Task::Create(..)
            | apply::Task::Expose(_)
            | apply::Task::Act(..) => false,
        };
        if tasks.iter().any(needs_list) {
            self.view.nudge();
        }
        let hands = Hands {
            deps: &self.deps,
            desired: &self.desired,
            lease: &self.lease,
            fence,
            view: &self.view,
            creation_failed: Default::default(),
        };
        let effects = hands.apply(tasks).await;
        let grace = self.desired.scheduler.template.shutdown;
        let mut acted = false;
        for effect in effects {
            match effect {
                Effect::Done => acted = true,
                Effect::Skipped => {}
                Effect::NotCreated(error) => {
                    if error.is_retryable() {
                        self.doubt_until = Some(now + self.deps.settings.cluster_timeout.times(2));
                    }
                    self.creation.fail(error.to_string(), self.mirror.now);
                    self.told.errors.push(Error::cluster("create a room")(error));
                }
                Effect::Deleted(room, answer) => {
                    acted = true;
                    self.deletions.note(room, answer.is_ok(), grace, now);
                    let failed = answer.map_err(Error::cluster("delete a room"));
                    self.told.errors.extend(failed.err());
                }
                Effect::Failed(error) if error.is_fenced() => return Err(error),
                Effect::Failed(error) => self.told.errors.push(error),
            }
        }
        Ok(acted)
    }

    /// Removes what is left of a scheduler that is being deleted, once neither the registry nor the cluster has a
    /// room of it and no create can still be under way.
    async fn finish(&mut self, fence: &Fence, now: Timestamp) -> Result<bool, Error> {
        let is_empty = self.mirror.rooms.is_empty() && self.view.objects.is_empty();
        let is_doubtful = self.doubt_until.is_some_and(|until| now < until);
        if self.desired.deleting.is_none() || !is_empty || self.view.begun.is_none() || is_doubtful {
            return Ok(false);
        }
        let cleared = self.deps.cluster.remove(&fence.scheduler).await;
        cleared.map_err(Error::cluster("remove what the scheduler leaves"))?;
        let removed = self.deps.registry.remove(fence).await;
        removed.map_err(Error::registry("remove the scheduler"))?;
        self.lease.take();
        self.forget();
        self.told.removed = true;
        Ok(true)
    }

    fn grounds(&self, counts: Counts, mass_silence: bool) -> Grounds {
        let now = self.mirror.now;
        let held = self.creation.held_until(now);
        Grounds {
            desired: Arc::clone(&self.desired),
            counts,
            cap: self.deps.settings.cap,
            mass_silence,
            recovering: self.recovery.is_on(),
            now,
            creation: held.zip(self.creation.reason().map(str::to_owned)),
        }
    }

    fn watch<'a>(&self, desired: &'a Desired) -> Watch<'a> {
        let scheduler = &desired.scheduler;
        let clocks = Clocks {
            witnessed: self.mirror.witness.total,
            now: self.mirror.now,
        };
        Watch::of(
            &self.mirror.rooms,
            &scheduler.deadlines,
            scheduler.template.shutdown,
            clocks,
        )
    }

    fn plan(&self, now: Timestamp) -> Plan {
        let Some(state) = &self.state else {
            return Plan::default();
        };
        let settings = &self.deps.settings;
        let objects: BTreeMap<RoomId, plan::Object> = self
            .view
            .objects
            .iter()
            .map(|(id, object)| {
                let object = plan::Object {
                    exposed: object.exposed,
                    deleting: object.deleting || self.deletions.is_under_way(id, now),
                };
                (id.clone(), object)
            })
            .collect();
        plan::plan(&plan::Input {
            rooms: &self.mirror.rooms,
            watch: &self.watch(&self.desired),
            objects: &objects,
            wanted: state.wanted,
            share: Share::of(self.desired.version, state.wanted),
            budget: Budget {
                reserve: settings.budget,
                drain: settings.budget,
                cap: settings.cap,
            },
            footing: match self.recovery.is_on() {
                true => Footing::Recovering {
                    listed: self.view.begun.is_some(),
                },
                false => Footing::Sound,
            },
            creation_held_until: self.creation.held_until(self.mirror.now),
            deletion: self.desired.deleting.map(|deleting| {
                let is_late = self.mirror.now.since(deleting.since) > settings.deletion;
                match deleting.force || is_late {
                    true => Deletion::Forced,
                    false => Deletion::Graceful,
                }
            }),
        })
    }

    fn sampling(&self) -> Sampling {
        measure::sampling(&self.desired, self.deps.settings.min_period)
    }

    fn look_every(&self) -> Span {
        judge::look_every(&self.desired, self.sampling())
    }

    fn may_call_cluster(&self) -> bool {
        let timeout = self.deps.settings.cluster_timeout;
        self.lease.covers(timeout, (self.deps.clock)())
    }

    /// When something is due while nothing changes.
    fn next_at(&self, now: Timestamp) -> Timestamp {
        let Some(state) = &self.state else {
            return self.lease.next_at().max(now + SOON);
        };
        let desired = &self.desired;
        let sampling = self.sampling();
        let watch = self.watch(desired);
        let counts = Counts::of(self.mirror.rooms.values(), &watch);
        let at = self.mirror.now;
        let sample = Sample { at, counts };
        let clocks = wake::Clocks {
            deadlines: &desired.scheduler.deadlines,
            shutdown: desired.scheduler.template.shutdown,
            witnessed: self.mirror.witness.total,
            now: at,
        };
        let mine = [
            Some(self.lease.next_at()),
            Some(self.view.next_at()),
            Some(self.judge.next_at(counts, self.look_every())),
            judge::inputs(desired)
                .any(measure::is_usage)
                .then(|| self.meter.usage_at()),
            self.deletions.next_at(now),
            self.doubt_until.filter(|_| desired.deleting.is_some()),
        ];
        let registrys = [
            Some(measure::sample_at(&state.window, &sample, sampling)),
            self.creation.held_until(at),
            self.recovery.ends_at(&desired.scheduler.deadlines),
            clocks.next_deadline(self.mirror.rooms.values()),
        ];
        let registrys = registrys.into_iter().flatten().map(|then| now + then.since(at));
        let first = mine.into_iter().flatten().chain(registrys).min();
        first.unwrap_or(now).max(now + SOON)
    }
}

/// Whether an action chooses: which room, or how many. The others go on with what was chosen.
fn is_choice(action: &Action) -> bool {
    match action {
        Action::Reserve { .. }
        | Action::Drain { .. }
        | Action::Stop { .. }
        | Action::ExpireAllocation { .. } => true,
        Action::Create { .. } | Action::Expose { .. } | Action::Delete { .. } | Action::Forget { .. } => {
            false
        }
    }
}
