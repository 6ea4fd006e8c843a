//! What the cluster shows becomes facts of the rooms.
//!
//! A list is compared with the mirror: unknown rooms of ours are adopted, phases and addresses written, and what is
//! missing is absent, but only if its create returned before the list began. Both times of that comparison are the
//! registry's. Nothing here decides what to do about it.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::plan;
use maestro_core::room::{Intent, Origin, Phase, Room, Seen};
use maestro_core::time::{Span, Timestamp};

use super::Error;
use super::backoff::stillborn;
use super::mirror::Mirror;
use super::places::Places;
use crate::cluster::{Cluster, Object};
use crate::registry::{Fence, Registry};

/// Writes to the registry under way at once: enough to hide a network's latency, too few to crowd out reports.
const WRITES: usize = 16;

/// Time between two lists that nothing but nudges ask for: a burst of starting rooms is one list, not one each.
const CALM: Span = Span::from_ms(200);

/// The cluster as the last list showed it.
#[derive(Debug)]
pub(super) struct View {
    /// What the list had.
    pub(super) objects: BTreeMap<RoomId, Object>,
    /// The same, as a plan is shown it.
    pub(super) plain: BTreeMap<RoomId, plan::Object>,
    /// The registry's time before the last list was begun; `None` before the first since take-over or loss.
    pub(super) begun: Option<Timestamp>,
    every: Span,
    /// What is known of nodes.
    places: Places,
    nudged: bool,
    listed_at: Option<Timestamp>,
}

/// What one list means for the registry.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Findings {
    /// Rooms of ours that the registry does not know.
    pub(super) unknown: Vec<(RoomId, Version)>,
    /// Facts that differ from the registry's.
    pub(super) seen: Vec<(RoomId, Seen)>,
    /// Rooms that ended before they ever reported, and why.
    pub(super) stillborn: Vec<String>,
    /// Rooms that can't start for an error of their specification, and which.
    pub(super) stuck: Vec<String>,
}

/// What a look at the cluster brought.
#[derive(Debug)]
pub(super) struct Looked {
    /// Whether anything was written to the registry.
    pub(super) has_changed: bool,
    /// Whether the list differs from the one before.
    pub(super) has_moved: bool,
    /// Rooms that ended before they ever reported, and why.
    pub(super) stillborn: Vec<String>,
    /// Rooms that can't start for an error of their specification, and which.
    pub(super) stuck: Vec<String>,
}

/// Reasons of a pending room that only a change of its specification mends; those that the older system knew.
const STUCK: [&str; 7] = [
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ErrImagePullBackOff",
    "ImagePullBackOff",
    "InvalidImageName",
];

impl View {
    /// A view that lists at least each `every`.
    pub(super) fn new(every: Span) -> Self {
        Self {
            objects: BTreeMap::new(),
            plain: BTreeMap::new(),
            begun: None,
            every,
            places: Places::default(),
            nudged: false,
            listed_at: None,
        }
    }

    /// Asks for a list soon.
    pub(super) fn nudge(&mut self) {
        self.nudged = true;
    }

    /// Takes over what is known of nodes; asks for a list soon when that is news of one with rooms.
    pub(super) fn note_places(&mut self, places: &Places) {
        let news = places.news(&self.places);
        let nodes = || self.objects.values().filter_map(|object| object.node.as_deref());
        self.nudged |= !news.is_empty() && nodes().any(|node| news.contains(node));
        self.places = places.clone();
    }

    /// Nodes that new rooms are to stay away from.
    pub(super) fn avoided(&self) -> Vec<String> {
        self.places.avoided()
    }

    /// Makes everything wait for a new list: a take-over, or a registry that lost its memory.
    pub(super) fn distrust(&mut self) {
        self.begun = None;
        self.listed_at = None;
    }

    /// Takes down that a room was made reachable, and asks for a list that shows where.
    pub(super) fn note_exposed(&mut self, room: &RoomId) {
        if let Some(object) = self.objects.get_mut(room) {
            object.exposed = true;
        }
        if let Some(object) = self.plain.get_mut(room) {
            object.exposed = true;
        }
        self.nudge();
    }

    /// When the next list is due.
    pub(super) fn next_at(&self) -> Timestamp {
        match (self.listed_at, self.nudged) {
            (None, _) => Timestamp::default(),
            (Some(at), true) => at + CALM,
            (Some(at), false) => at + self.every,
        }
    }

    /// Takes the cluster to have nothing of this scheduler.
    pub(super) fn find_nothing(&mut self, begun: Timestamp, now: Timestamp) {
        self.take(BTreeMap::new(), begun, now);
    }

    /// Takes over what a list begun at `begun` had; answers whether it differs from the one before.
    fn take(&mut self, objects: BTreeMap<RoomId, Object>, begun: Timestamp, now: Timestamp) -> bool {
        let has_moved = objects != self.objects;
        if has_moved {
            self.plain = objects
                .iter()
                .map(|(id, object)| (id.clone(), plain(object)))
                .collect();
            self.objects = objects;
        }
        self.begun = Some(begun);
        self.listed_at = Some(now);
        self.nudged = false;
        has_moved
    }

    /// Lists the cluster and writes what is new.
    pub(super) async fn look(
        &mut self,
        ports: (&dyn Registry, &dyn Cluster),
        fence: &Fence,
        mirror: &Mirror,
        now: Timestamp,
    ) -> Result<Looked, Error> {
        let (registry, cluster) = ports;
        let begun = mirror.now;
        let objects = cluster.list(&fence.scheduler).await;
        let objects = objects.map_err(Error::cluster("list the rooms"))?;
        let findings = compare(&fence.scheduler, &objects, mirror, (&self.places, begun));
        let objects: BTreeMap<_, _> = objects.into_iter().map(|o| (o.room.clone(), o)).collect();
        let Findings {
            unknown,
            seen,
            stillborn,
            stuck,
        } = findings;
        let has_changed = !(unknown.is_empty() && seen.is_empty());
        record(registry, fence, &unknown, seen).await?;
        Ok(Looked {
            has_changed,
            has_moved: self.take(objects, begun, now),
            stillborn,
            stuck,
        })
    }
}

fn plain(object: &Object) -> plan::Object {
    plan::Object {
        exposed: object.exposed,
        deleting: object.deleting,
    }
}

/// Writes rooms that the registry does not know, and facts that differ from its own.
async fn record(
    registry: &dyn Registry,
    fence: &Fence,
    unknown: &[(RoomId, Version)],
    seen: Vec<(RoomId, Seen)>,
) -> Result<(), Error> {
    if !unknown.is_empty() {
        let adopted = registry.adopt(fence, unknown).await;
        adopted.map_err(Error::registry("adopt rooms"))?;
    }
    stream::iter(seen)
        .map(|(room, seen)| async move {
            match registry.observe(fence, &room, seen).await {
                // Removed meanwhile by its own last report: nothing to write it to.
                Ok(()) | Err(crate::registry::Error::UnknownRoom(_)) => Ok(()),
                Err(error) => Err(Error::registry("write what the cluster shows")(error)),
            }
        })
        .buffer_unordered(WRITES)
        .try_collect()
        .await
}

/// What a list begun at `begun` means.
fn compare(
    scheduler: &SchedulerName,
    objects: &[Object],
    mirror: &Mirror,
    (places, begun): (&Places, Timestamp),
) -> Findings {
    let mut findings = Findings::default();
    let mut missing: BTreeMap<&RoomId, &Room> = mirror.rooms.iter().collect();
    for object in objects.iter().filter(|o| o.room.belongs_to(scheduler)) {
        let known = missing.remove(&object.room);
        // A room that registered itself knows its token, not its version.
        let is_unknown =
            known.is_none_or(|room| room.origin == Origin::Adopted && room.version != object.version);
        if is_unknown {
            findings.unknown.push((object.room.clone(), object.version));
        }
        if let Some(room) = known {
            findings.stillborn.extend(stillborn(room, &object.phase, begun));
        }
        findings.stuck.extend(stuck(object));
        let seen = Seen {
            phase: object.phase.clone(),
            node: object.node.clone(),
            leaving: places.leaving(
                object.node.as_deref(),
                known.and_then(|room| room.leaving.as_deref()),
            ),
            node_lost: places.is_lost(object.node.as_deref(), known.is_some_and(|room| room.node_lost)),
            addresses: object.addresses.clone(),
            ports: object.ports.clone(),
        };
        if known.is_none_or(|room| is_news(room, &seen)) {
            findings.seen.push((object.room.clone(), seen));
        }
    }
    for room in missing
        .into_values()
        .filter(|room| is_news_that_absent(room, begun))
    {
        let seen = Seen {
            phase: Phase::Absent { at: begun },
            node: None,
            leaving: None,
            node_lost: false,
            addresses: Vec::new(),
            ports: Vec::new(),
        };
        findings.stillborn.extend(stillborn(room, &seen.phase, begun));
        findings.seen.push((room.id.clone(), seen));
    }
    findings
}

fn is_news_that_absent(room: &Room, begun: Timestamp) -> bool {
    room.is_absence_proven_by(begun) && !matches!(room.phase, Phase::Absent { .. })
}

/// Whether the registry would learn something. An end is an end: a second look at it says nothing new.
fn is_news(room: &Room, seen: &Seen) -> bool {
    if matches!(room.phase, Phase::Exited { .. }) {
        return false;
    }
    room.phase != seen.phase
        || room.node != seen.node
        || room.leaving != seen.leaving
        || room.node_lost != seen.node_lost
        || room.addresses != seen.addresses
        || room.ports != seen.ports
}

/// Whether this object is no rest of the room, which ended: a create that comes late makes another one under a name
/// that was in use before, and a list may show what another one lacked. It is not to be cleared away; once the room
/// is forgotten, it is adopted.
pub(super) fn is_successor(room: &Room, object: &Object) -> bool {
    let is_stopping = matches!(room.intent, Intent::Stopping { .. });
    let has_ended = matches!(room.phase, Phase::Exited { .. } | Phase::Absent { .. });
    has_ended && !is_stopping && !matches!(object.phase, Phase::Exited { .. } | Phase::Absent { .. })
}

fn stuck(object: &Object) -> Option<String> {
    match &object.phase {
        Phase::Pending { reason } if STUCK.contains(&reason.as_str()) => {
            Some(format!("{} can't start: {reason}", object.room))
        }
        Phase::Pending { .. }
        | Phase::Unseen
        | Phase::Running { .. }
        | Phase::Exited { .. }
        | Phase::Absent { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use maestro_core::room::Creation;

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_ms(secs * 1_000)
    }

    fn scheduler() -> SchedulerName {
        SchedulerName::parse("pong").unwrap()
    }

    fn object(suffix: u32, phase: Phase) -> Object {
        Object {
            room: RoomId::new(&scheduler(), suffix),
            uid: suffix.to_string(),
            version: Version::FIRST,
            phase,
            deleting: false,
            node: None,
            addresses: Vec::new(),
            ports: Vec::new(),
            exposed: true,
        }
    }

    fn mirror(creation: Creation, phase: Phase) -> Mirror {
        let id = RoomId::new(&scheduler(), 1);
        let mut room = Room::reserved(id.clone(), Version::FIRST, at(0), Span::ZERO);
        (room.creation, room.phase) = (creation, phase);
        let mut mirror = Mirror::new();
        mirror.rooms.insert(id, room);
        mirror
    }

    fn running() -> Phase {
        Phase::Running { since: at(1) }
    }

    #[test]
    fn what_runs_under_the_name_of_a_room_that_ended_is_another_one() {
        let ended = Phase::Exited {
            at: at(5),
            code: Some(139),
            reason: String::new(),
        };
        let created = Creation::Confirmed { at: at(1) };
        for (before, now, expected) in [
            (running(), running(), false),
            (running(), ended.clone(), false),
            (ended.clone(), ended.clone(), false),
            (ended.clone(), running(), true),
            (Phase::Absent { at: at(5) }, running(), true),
        ] {
            let mirror = mirror(created, before);
            let object = object(1, now);
            assert_eq!(is_successor(&mirror.rooms[&object.room], &object), expected);
        }
    }

    #[test]
    fn only_a_list_begun_after_the_create_returned_proves_absence() {
        let created = Creation::Confirmed { at: at(10) };
        let tried = Creation::Unconfirmed { tries: 1 };
        for (creation, begun, expected) in [
            (created, 9, 0),
            (created, 10, 0),
            (created, 11, 1),
            (tried, 99, 0),
        ] {
            let findings = compare(
                &scheduler(),
                &[],
                &mirror(creation, running()),
                (&Places::default(), at(begun)),
            );
            assert_eq!(
                findings.seen.len(),
                expected,
                "{creation:?}, list begun at {begun} s"
            );
        }
    }

    #[test]
    fn what_is_known_already_is_not_written_again() {
        let created = Creation::Confirmed { at: at(1) };
        let known = mirror(created, running());
        let same = compare(
            &scheduler(),
            &[object(1, running())],
            &known,
            (&Places::default(), at(5)),
        );
        assert_eq!(same, Findings::default());
        let gone = mirror(created, Phase::Absent { at: at(2) });
        assert_eq!(
            compare(&scheduler(), &[], &gone, (&Places::default(), at(5))),
            Findings::default()
        );
    }

    #[test]
    fn unknown_rooms_of_ours_are_adopted_and_those_of_others_are_not_ours() {
        let other = Object {
            room: RoomId::parse("pong-two-00000001").unwrap(),
            ..object(1, running())
        };
        let findings = compare(
            &scheduler(),
            &[object(7, running()), other],
            &Mirror::new(),
            (&Places::default(), at(5)),
        );
        assert_eq!(findings.unknown, [(RoomId::new(&scheduler(), 7), Version::FIRST)]);
        assert_eq!(findings.seen.len(), 1, "with what the cluster shows of it");
    }

    #[test]
    fn a_room_that_ended_before_it_reported_counts_as_a_failed_creation_once() {
        let exited = Phase::Exited {
            at: at(3),
            code: Some(1),
            reason: "no such file".to_owned(),
        };
        let created = Creation::Confirmed { at: at(1) };
        let objects = [object(1, exited.clone())];
        let findings = compare(
            &scheduler(),
            &objects,
            &mirror(created, running()),
            (&Places::default(), at(5)),
        );
        let expected = ["pong-00000001 ended with code 1 before it was ready: no such file"];
        assert_eq!(findings.stillborn, expected);
        let again = compare(
            &scheduler(),
            &objects,
            &mirror(created, exited),
            (&Places::default(), at(6)),
        );
        assert_eq!(again, Findings::default());
    }

    #[test]
    fn rooms_stuck_by_their_specification_are_told() {
        let pending = |reason: &str| {
            object(
                1,
                Phase::Pending {
                    reason: reason.to_owned(),
                },
            )
        };
        let objects = [pending("ImagePullBackOff")];
        let findings = compare(
            &scheduler(),
            &objects,
            &Mirror::new(),
            (&Places::default(), at(5)),
        );
        assert_eq!(findings.stuck, ["pong-00000001 can't start: ImagePullBackOff"]);
        let findings = compare(
            &scheduler(),
            &[pending("Unschedulable")],
            &Mirror::new(),
            (&Places::default(), at(5)),
        );
        assert_eq!(findings.stuck, [] as [&str; 0], "that may pass");
    }
}
