//! When the policies are asked, and what their votes, a number asked for by hand, or nothing but time call for.
//!
//! Ends with a plan. A plan that chooses rooms is always part of a decision that is written down.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use maestro_core::deadlines::{Clocks, Watch};
use maestro_core::decision::{Actor, Counts, Decision};
use maestro_core::explain::Leaving;
use maestro_core::names::RoomId;
use maestro_core::plan::{self, Action, Budget, Deletion, Footing, Plan};
use maestro_core::rollout::Share;
use maestro_core::room::{Phase, Room};
use maestro_core::time::Timestamp;

use super::apply::is_choice;
use super::grounds::Grounds;
use super::judge::{Case, Evidence, early};
use super::observe;
use super::survey::Ground;
use super::{Command, Control, Desired, Outcome, Record, Scale, Scaled};

impl Control {
    /// Asks the policies when they are due, and answers the plan. A plan that chooses rooms is always part of a
    /// decision that is written down; without one, only what was begun goes on.
    pub(super) async fn decide(&mut self, counts: Counts, mass_silence: bool, now: Timestamp) -> Plan {
        let grounds = self.grounds(counts, mass_silence);
        let mut plan = self.plan(now);
        if let Some(decision) = self.obey(&grounds) {
            return self.record(decision, Vec::new(), now);
        }
        let every = self.look_every();
        let is_due = self.judge.is_due(counts, every, now);
        let has_choices = plan.actions.iter().any(is_choice);
        if !is_due && (!has_choices || now < self.judge.earliest()) {
            if has_choices {
                self.judge.postpone();
            }
            plan.actions.retain(|action| !is_choice(action));
            return plan;
        }
        let sampling = self.sampling();
        let Some(state) = &self.state else {
            return plan;
        };
        self.judge.begin(counts, now);
        let case = Case {
            desired: &grounds.desired,
            state,
            counts,
            sampling,
            now: grounds.now,
        };
        let (ballots, evidence) = match grounds.desired.deleting {
            Some(_) => (Vec::new(), Vec::new()),
            None => self.judge.ask(&self.deps.evaluator, &case).await,
        };
        let ruling = grounds.rule(&ballots, state);
        let decision = grounds.decision(Actor::Loop, ballots, ruling, state);
        self.take_over(&decision, &evidence);
        self.record(decision, evidence, now)
    }

    /// Makes the scheduler's state what a decision and the policies behind it leave.
    fn take_over(&mut self, decision: &Decision, evidence: &[Evidence]) {
        let Some(state) = &mut self.state else { return };
        let before = (state.wanted, state.scaled_at, state.policies.clone());
        state.wanted = decision.wanted;
        if decision.scaled {
            state.scaled_at = Some(decision.at);
        }
        for shown in evidence {
            if let Some(blob) = &shown.state {
                state.policies.insert(shown.trigger.clone(), blob.clone());
            }
        }
        let triggers = &self.desired.scheduler.autoscaling.triggers;
        let is_asked = |id: &String| triggers.iter().any(|trigger| trigger.id == *id);
        state.policies.retain(|id, blob| !blob.is_empty() && is_asked(id));
        self.is_saved &= before == (state.wanted, state.scaled_at, state.policies.clone());
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
        let decision = grounds.decision(Actor::Manual, Vec::new(), ruling, state);
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
    fn record(&mut self, mut decision: Decision, evidence: Vec<Evidence>, now: Timestamp) -> Plan {
        let plan = self.plan(now);
        decision.plan = plan.actions.iter().map(ToString::to_string).collect();
        let period = self.sampling().period;
        let is_news = match &self.last_record {
            None => true,
            Some((at, last)) => now.since(*at) + early(period) >= period || !decision.repeats(last),
        };
        if is_news {
            self.last_record = Some((now, decision.clone()));
            self.told.records.push(Record { decision, evidence });
        }
        plan
    }

    fn grounds(&self, counts: Counts, mass_silence: bool) -> Grounds {
        let now = self.mirror.now;
        Grounds {
            desired: Arc::clone(&self.desired),
            counts,
            cap: self.deps.settings.cap,
            mass_silence,
            recovering: self.is_in_the_dark(),
            now,
            creation: self.creation.outlook(now),
            leaving: match self.survey.as_ref().is_some_and(|survey| survey.is_plain) {
                true => Vec::new(),
                false => Leaving::of(self.mirror.rooms.values()),
            },
        }
    }

    pub(super) fn watch<'a>(&self, desired: &'a Desired) -> Watch<'a> {
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

    /// What there is to do. Where nothing was on the same ground, and nothing happened since, nothing is.
    pub(super) fn plan(&mut self, now: Timestamp) -> Plan {
        let Some(wanted) = self.state.as_ref().map(|state| state.wanted) else {
            return Plan::default();
        };
        let at = self.mirror.now;
        let ground = Ground {
            wanted,
            recovering: self.recovery.is_on(),
            listed: self.view.begun.is_some(),
            creation_held: self.creation.held_until(at).is_some(),
        };
        let survey = self.survey.as_ref().filter(|survey| survey.holds_at(at));
        if let Some(survey) = survey.filter(|survey| survey.idle_on == Some(ground)) {
            return Plan {
                actions: Vec::new(),
                mass_silence: survey.mass_silence,
            };
        }
        let plan = self.make_plan(wanted, now);
        // A deletion is tried again after a time, and one of the scheduler is forced after another.
        let is_idle = plan.actions.is_empty() && self.deletions.is_empty() && self.desired.deleting.is_none();
        if let Some(survey) = self.survey.as_mut().filter(|survey| survey.holds_at(at)) {
            // Where there are too many rooms, the next match that ends is what a plan waits for.
            let is_enough = survey.counts.available() <= wanted;
            survey.idle_on = (is_idle && is_enough).then_some(ground);
        }
        plan
    }

    /// The cluster's objects as a plan is shown them: without those that are no rest of the room of their name, and
    /// with those that were asked to go as going.
    fn objects(&self, now: Timestamp) -> Cow<'_, BTreeMap<RoomId, plan::Object>> {
        let mut rooms = self.mirror.rooms.values();
        let has_ended = |room: &Room| matches!(room.phase, Phase::Exited { .. } | Phase::Absent { .. });
        if self.deletions.is_empty() && !rooms.any(has_ended) {
            return Cow::Borrowed(&self.view.plain);
        }
        let objects = self.view.objects.iter().filter(|(id, object)| {
            let room = self.mirror.rooms.get(id);
            room.is_none_or(|room| !observe::is_successor(room, object))
        });
        let planned = objects.map(|(id, object)| {
            let object = plan::Object {
                exposed: object.exposed,
                deleting: object.deleting || self.deletions.is_under_way(id, now),
            };
            (id.clone(), object)
        });
        Cow::Owned(planned.collect())
    }

    fn make_plan(&self, wanted: u32, now: Timestamp) -> Plan {
        let settings = &self.deps.settings;
        let objects = self.objects(now);
        let mut plan = plan::plan(&plan::Input {
            rooms: &self.mirror.rooms,
            watch: &self.watch(&self.desired),
            objects: &objects,
            wanted,
            share: Share::of(self.desired.version, wanted),
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
        });
        if self.view.begun.is_none() {
            // Before the first list nothing is known of objects, and what seems gone may have left one.
            plan.actions
                .retain(|action| !matches!(action, Action::Forget { .. }));
        }
        plan
    }
}
