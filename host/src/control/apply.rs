//! A plan's actions made true, side by side but few at a time.
//!
//! Makes no choice of its own: which room, how many and why stand in the plan. What it adds is order within one
//! action (count the try, create, confirm; move to `stopping` under the fence, then delete by uid) and the check
//! that the lease outlives each call to the cluster. An act that was decided on an older revision is dropped; the
//! next plan sees the room as it is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, stream};
use maestro_core::names::{RoomId, Version};
use maestro_core::plan::{Action, Plan};
use maestro_core::room::{Creation, Revision, Room};
use maestro_core::time::{Span, Timestamp};
use rand::RngExt;

use super::lease::Lease;
use super::observe::View;
use super::{Control, Deps, Desired, Error};
use crate::cluster::{self, Order};
use crate::registry::{self, Act, Fence};

/// Actions under way at once. Starting processes or pods is what costs; eight keep an API server or a laptop busy
/// without queueing behind ourselves.
const AT_ONCE: usize = 8;

/// After a deletion's grace this much may pass before the object is expected to be gone, and deleted again.
const AFTER_GRACE: Span = Span::from_secs(5);

/// Before a deletion that was not answered is tried again.
const RETRY: Span = Span::from_secs(1);

/// One action, ready to be carried out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Task {
    Reserve(Vec<(RoomId, Version)>),
    Create(RoomId, Revision),
    Expose(RoomId),
    Act(RoomId, Revision, Act),
    Delete(RoomId),
}

/// What came of one action.
#[derive(Debug)]
pub(super) enum Effect {
    /// Done.
    Done,
    /// Not tried: the room had moved on, its object is not known yet, or the lease ends too soon.
    Skipped,
    /// A room could not be created.
    NotCreated(cluster::Error),
    /// A room was made reachable.
    Exposed(RoomId),
    /// A deletion was asked for.
    Deleted(RoomId, Result<(), cluster::Error>),
    /// The registry refused or did not answer.
    Failed(Error),
}

/// What actions are carried out with.
pub(super) struct Hands<'a> {
    pub(super) deps: &'a Deps,
    pub(super) desired: &'a Desired,
    pub(super) lease: &'a Lease,
    pub(super) fence: &'a Fence,
    pub(super) view: &'a View,
    /// Set by the first creation that fails, so that the rest of a plan does not fail the same way.
    pub(super) creation_failed: AtomicBool,
}

/// Until when the deletion of which room's object is given time.
#[derive(Debug, Default)]
pub(super) struct Deletions(BTreeMap<RoomId, Timestamp>);

impl Deletions {
    /// Whether a deletion of this room is under way.
    pub(super) fn is_under_way(&self, room: &RoomId, now: Timestamp) -> bool {
        self.0.get(room).is_some_and(|again_at| now < *again_at)
    }

    /// Takes down that a deletion was asked for.
    pub(super) fn note(&mut self, room: RoomId, was_answered: bool, grace: Span, now: Timestamp) {
        let again_at = now + if was_answered { grace + AFTER_GRACE } else { RETRY };
        self.0.insert(room, again_at);
    }

    /// Whether none was asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets rooms that are no longer there.
    pub(super) fn keep(&mut self, rooms: &BTreeMap<RoomId, Room>) {
        self.0.retain(|id, _| rooms.contains_key(id));
    }

    /// When the next deletion may have to be asked for again.
    pub(super) fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.values().copied().filter(|at| *at > now).min()
    }
}

/// Makes tasks of actions; `names` gives new rooms their names.
pub(super) fn tasks(actions: Vec<Action>, mut names: impl FnMut() -> RoomId) -> Vec<Task> {
    let task = |action| match action {
        Action::Reserve { count, version } => Task::Reserve((0..count).map(|_| (names(), version)).collect()),
        Action::Create { room, revision } => Task::Create(room, revision),
        Action::Expose { room } => Task::Expose(room),
        Action::Drain {
            room,
            revision,
            reason,
        } => Task::Act(room, revision, Act::Drain { reason }),
        Action::ExpireAllocation { room, revision } => Task::Act(room, revision, Act::ExpireAllocation),
        Action::Stop {
            room,
            revision,
            unheard_since,
            reason,
        } => Task::Act(
            room,
            revision,
            Act::Stop {
                unheard_since,
                reason,
            },
        ),
        Action::Delete { room } => Task::Delete(room),
        Action::Forget { room, revision, .. } => Task::Act(room, revision, Act::Forget),
    };
    actions.into_iter().map(task).collect()
}

impl Hands<'_> {
    /// Carries out `tasks` and answers what came of each, in the order in which they ended. Stops early under a
    /// lease that is lost.
    pub(super) async fn apply(&self, tasks: Vec<Task>) -> Vec<Effect> {
        let mut effects = Vec::with_capacity(tasks.len());
        let mut under_way = stream::iter(tasks)
            .map(|task| self.carry_out(task))
            .buffer_unordered(AT_ONCE);
        while let Some(effect) = under_way.next().await {
            let is_fenced = matches!(&effect, Effect::Failed(error) if error.is_fenced());
            effects.push(effect);
            if is_fenced {
                break;
            }
        }
        effects
    }

    async fn carry_out(&self, task: Task) -> Effect {
        let registry = &self.deps.registry;
        match task {
            Task::Reserve(rooms) => {
                match registry.reserve(self.fence, &rooms, self.deps.settings.cap).await {
                    Ok(()) => Effect::Done,
                    Err(error) => Effect::Failed(Error::registry("reserve rooms")(error)),
                }
            }
            Task::Create(room, revision) => self.create(room, revision).await,
            Task::Expose(room) => self.expose(room).await,
            Task::Act(room, revision, act) => {
                let is_stop = matches!(act, Act::Stop { .. });
                match self.act(&room, revision, act).await {
                    Ok(_) if is_stop => self.delete(room).await,
                    Ok(_) => Effect::Done,
                    Err(effect) => effect,
                }
            }
            Task::Delete(room) => self.delete(room).await,
        }
    }

    async fn act(&self, room: &RoomId, revision: Revision, act: Act) -> Result<Room, Effect> {
        let answer = self.deps.registry.act(self.fence, room, revision, act).await;
        answer.map_err(|error| match error {
            registry::Error::Moved { .. }
            | registry::Error::Refused { .. }
            | registry::Error::UnknownRoom(_) => Effect::Skipped,
            error => Effect::Failed(Error::registry("change a room")(error)),
        })
    }

    /// Counts the try, creates, confirms. Dropped or failing anywhere, the room stays reserved and is created again
    /// under its name.
    async fn create(&self, id: RoomId, revision: Revision) -> Effect {
        if self.creation_failed.load(Ordering::Relaxed) || !self.may_call_cluster() {
            return Effect::Skipped;
        }
        // A try is one that the cluster hears of.
        if !self.deps.cluster.has_turn() {
            self.creation_failed.store(true, Ordering::Relaxed);
            return Effect::NotCreated(cluster::Error::Crowded);
        }
        let room = match self.act(&id, revision, Act::BeginCreate).await {
            Ok(room) => room,
            Err(effect) => return effect,
        };
        // The lease may have run out while the registry answered.
        if !self.may_call_cluster() {
            return Effect::Skipped;
        }
        let order = Order {
            version: room.version,
            token: (self.deps.token)(&self.desired.scheduler.name, &id),
            avoid: self.view.avoided(),
            room: id,
        };
        if let Err(error) = self.deps.cluster.create(&self.desired.scheduler, &order).await {
            self.creation_failed.store(true, Ordering::Relaxed);
            return Effect::NotCreated(error);
        }
        self.confirm(room).await
    }

    async fn confirm(&self, room: Room) -> Effect {
        let id = room.id;
        match self.act(&id, room.revision, Act::ConfirmCreate).await {
            Ok(_) => return Effect::Done,
            Err(Effect::Skipped) => {}
            Err(effect) => return effect,
        }
        // A quick room reported before its create was confirmed, which moved its revision.
        match self.deps.registry.room(&self.fence.scheduler, &id).await {
            Ok(Some(room)) if matches!(room.creation, Creation::Unconfirmed { .. }) => {
                match self.act(&id, room.revision, Act::ConfirmCreate).await {
                    Ok(_) => Effect::Done,
                    Err(effect) => effect,
                }
            }
            Ok(Some(_)) => Effect::Done,
            Ok(None) => Effect::Skipped,
            Err(error) => Effect::Failed(Error::registry("read a room")(error)),
        }
    }

    async fn expose(&self, room: RoomId) -> Effect {
        if !self.may_call_cluster() {
            return Effect::Skipped;
        }
        match self.deps.cluster.expose(&self.desired.scheduler, &room).await {
            Ok(()) => Effect::Exposed(room),
            Err(error) => Effect::Failed(Error::cluster("expose a room")(error)),
        }
    }

    async fn delete(&self, room: RoomId) -> Effect {
        // Without the uid of what the list showed this could end another object of the same name.
        let Some(object) = self.view.objects.get(&room) else {
            return Effect::Skipped;
        };
        if !self.may_call_cluster() {
            return Effect::Skipped;
        }
        let (name, grace) = (&self.fence.scheduler, self.desired.scheduler.template.shutdown);
        let answer = self.deps.cluster.delete(name, &room, &object.uid, grace).await;
        Effect::Deleted(room, answer)
    }

    fn may_call_cluster(&self) -> bool {
        self.lease
            .covers(self.deps.settings.cluster_timeout, (self.deps.clock)())
    }
}

impl Control {
    pub(super) async fn act(&mut self, fence: &Fence, plan: Plan, now: Timestamp) -> Result<bool, Error> {
        let reserves = plan.actions.iter().any(|a| matches!(a, Action::Reserve { .. }));
        let mut acted = self.apply(fence, plan, now).await?;
        if reserves {
            // New names are created in the same step: players wait for them.
            self.refresh().await?;
            let mut plan = self.plan(now);
            plan.actions.retain(|action| !is_choice(action));
            acted |= self.apply(fence, plan, now).await?;
        }
        if acted {
            self.survey = None;
        }
        Ok(acted)
    }

    pub(super) async fn apply(&mut self, fence: &Fence, plan: Plan, now: Timestamp) -> Result<bool, Error> {
        let name = &self.desired.scheduler.name;
        let names = &mut self.names;
        let tasks = tasks(plan.actions, || RoomId::new(name, names.random()));
        let needs_list = |task: &Task| match task {
            // What was created is to be seen running soon, even when the cluster's hint is lost.
            Task::Create(..) => true,
            Task::Act(room, _, Act::Stop { .. }) | Task::Delete(room) => {
                !self.view.objects.contains_key(room)
            }
            Task::Reserve(_) | Task::Expose(_) | Task::Act(..) => false,
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
                Effect::Exposed(room) => {
                    acted = true;
                    self.view.note_exposed(&room);
                }
                Effect::NotCreated(error) => {
                    if error.is_retryable() {
                        self.doubt_until = Some(now + self.deps.settings.cluster_timeout.times(2));
                    }
                    self.creation.note(&error, self.mirror.now);
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
    pub(super) async fn finish(&mut self, fence: &Fence, now: Timestamp) -> Result<bool, Error> {
        let is_empty = self.mirror.rooms.is_empty() && self.view.objects.is_empty();
        let is_doubtful = self.doubt_until.is_some_and(|until| now < until);
        if self.desired.deleting.is_none() || !is_empty || self.view.begun.is_none() || is_doubtful {
            return Ok(false);
        }
        let Some(state) = &self.state else {
            return Ok(false);
        };
        // Whoever has the lease by now may have finished this, and somebody begun anew under the same name. Only the registry
        // knows: it refuses what comes under a token that is not the newest. It has this state already, so that nothing changes.
        let saved = self.deps.registry.save(fence, state).await;
        saved.map_err(Error::registry("make sure of the lease"))?;
        // Nobody else gets the lease before it runs out, and the call ends before that. What remains is a process that stands
        // still between this look at the clock and the call, until its lease is over and somebody began anew: the cluster
        // knows no token, and what it removes then is theirs.
        if !self.may_call_cluster() {
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
}

/// Whether an action chooses: which room, or how many. The others go on with what was chosen.
pub(super) fn is_choice(action: &Action) -> bool {
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
