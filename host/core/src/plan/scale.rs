//! How the rooms left standing are brought to `wanted`, to the newest version, and away from nodes that are being left.
//!
//! While rooms of another major version or on such a node stand, new ones are made first, by a surge above `wanted`;
//! then old ones are asked to leave, idle ones first. Where the cap leaves no room for a surge, as many idle old rooms
//! go first, unless creation is held back. Never are more old rooms in a match asked at a time than the surge: the
//! figures that policies go by would show an empty fleet otherwise, because a room that was asked to leave counts no
//! more. Nodes are left in haste, so that all idle rooms there are replaced at once; but at the cap one by one, because
//! nobody knows whether there is place elsewhere.

use super::settle::{drain, forget, stop};
use super::{Action, Input};
use crate::deadlines::Place;
use crate::room::{CREATE_TRIES, Creation, Intent, Room, Stage};
use crate::victim;

/// Creates, reservations, and the rooms that have to go, when so many were asked to leave already.
pub(super) fn scale<'a>(input: &Input<'a>, standing: Vec<&'a Room>, asked: u32) -> Vec<Action> {
    if input.deletion.is_some() {
        return Vec::new();
    }
    let fleet = Fleet::of(input, standing);
    let mut leaving = Vec::new();
    if input.may_end_rooms() {
        leaving = fleet.leaving();
        leaving.truncate(many(input.budget.drain.saturating_sub(asked)));
    }
    let gone: Vec<&Room> = leaving.iter().map(|(room, _)| *room).collect();
    let mut actions: Vec<Action> = leaving
        .iter()
        .map(|(room, reason)| give_up(room, reason))
        .collect();
    if input.may_create() {
        actions.extend(fleet.creates(&gone));
        actions.extend(fleet.reservation(&gone));
    }
    actions
}

/// Ends the room in the mildest way that its stage allows: before its first report it can't hold a match.
fn give_up(room: &Room, reason: &str) -> Action {
    match room.stage() {
        Stage::Reserved => forget(room, reason),
        Stage::Starting => stop(room, reason),
        Stage::Running | Stage::Draining | Stage::Stopping | Stage::Gone => drain(room, reason),
    }
}

/// The rooms that count, and what there may be of them.
struct Fleet<'i, 'a> {
    input: &'i Input<'a>,
    /// All rooms in A, of both kinds.
    rooms: Vec<&'a Room>,
    /// Rooms to be replaced that have not yet reported: of no use, they go at once.
    stillborn: Vec<&'a Room>,
    /// Rooms that stay, starting ones included.
    current: u32,
    /// Rooms that stay which have not yet reported.
    starting: u32,
    /// Old rooms that were asked to leave and are still in a match.
    finishing: u32,
    /// Names that may be taken before the cap is reached.
    headroom: u32,
    /// Rooms that may count at last: places under the cap that are not held by silent rooms and by those that finish
    /// their match.
    attainable: u32,
}

impl<'i, 'a> Fleet<'i, 'a> {
    fn of(input: &'i Input<'a>, standing: Vec<&'a Room>) -> Self {
        let mut fleet = Self {
            input,
            rooms: Vec::new(),
            stillborn: Vec::new(),
            current: 0,
            starting: 0,
            finishing: 0,
            headroom: input
                .budget
                .cap
                .saturating_sub(number(input, |_, place| place != Place::Gone)),
            attainable: input
                .budget
                .cap
                .saturating_sub(number(input, |room, place| match place {
                    Place::Silent => true,
                    Place::Draining => room.is_protected(),
                    Place::Starting | Place::Ready | Place::Allocated | Place::Occupied => false,
                    Place::Stopping | Place::Gone => false,
                })),
        };
        for room in standing {
            match (input.watch.place(room), fleet.stays(room)) {
                (Place::Starting, true) => {
                    fleet.current += 1;
                    fleet.starting += 1;
                    fleet.rooms.push(room);
                }
                (Place::Starting, false) => fleet.stillborn.push(room),
                (Place::Ready | Place::Allocated | Place::Occupied, stays) => {
                    fleet.current += u32::from(stays);
                    fleet.rooms.push(room);
                }
                (Place::Draining, false) if room.is_protected() => fleet.finishing += 1,
                (Place::Draining | Place::Stopping | Place::Silent | Place::Gone, _) => {}
            }
        }
        fleet
    }

    /// Whether the room is of the version and on a node that stay.
    fn stays(&self, room: &Room) -> bool {
        self.input.share.keeps(room.version) && room.leaving.is_none()
    }

    fn count(&self) -> u32 {
        u32::try_from(self.rooms.len()).unwrap_or(u32::MAX)
    }

    fn replaces(&self) -> bool {
        self.current < self.count()
    }

    /// Rooms on nodes that are being left for which this holds, but for those that go anyway.
    fn stranded(&self, gone: &[&Room], holds: impl Fn(&Room) -> bool) -> u32 {
        let left = self.rooms.iter().filter(|room| {
            let stays = !gone.iter().any(|leaving| leaving.id == room.id);
            room.leaving.is_some() && stays && holds(room)
        });
        u32::try_from(left.count()).unwrap_or(u32::MAX)
    }

    fn surge(&self) -> u32 {
        match self.replaces() {
            true => self.input.share.surge,
            false => 0,
        }
    }

    /// The most rooms that may count at this step: all idle ones on nodes that are being left are replaced at once.
    fn ceiling(&self, gone: &[&Room]) -> u32 {
        let idle = self.stranded(gone, |room| self.input.watch.place(room) == Place::Ready);
        self.input.wanted.saturating_add(self.surge().max(idle))
    }

    /// More rooms than this are too many. A match that begins or ends on a node that is being left changes how many
    /// may be made, and must not end what was made.
    fn bearable(&self, gone: &[&Room]) -> u32 {
        let surge = self.surge().max(self.stranded(gone, |_| true));
        self.input.wanted.saturating_add(surge)
    }

    /// New rooms to make: up to `wanted` that stay, up to the ceiling of all.
    fn reservation(&self, gone: &[&Room]) -> Option<Action> {
        // What leaves counts no more, be it not yet up.
        let there = (self.rooms.len() + self.stillborn.len()).saturating_sub(gone.len());
        let there = u32::try_from(there).unwrap_or(u32::MAX);
        let lacking = self.input.wanted.saturating_sub(self.current);
        let count = lacking
            .min(self.ceiling(gone).saturating_sub(there))
            .min(self.headroom)
            .min(self.input.budget.reserve);
        (count > 0).then_some(Action::Reserve {
            count,
            version: self.input.share.version,
        })
    }

    fn creates(&self, gone: &[&Room]) -> Vec<Action> {
        let stays = |room: &&&Room| !gone.iter().any(|leaving| leaving.id == room.id);
        let reserved = self.rooms.iter().filter(stays);
        reserved
            .filter_map(|room| match (room.stage(), room.creation) {
                (Stage::Reserved, Creation::Unconfirmed { tries }) if tries < CREATE_TRIES => {
                    Some(Action::Create {
                        room: room.id.clone(),
                        revision: room.revision,
                    })
                }
                _ => None,
            })
            .collect()
    }

    /// The rooms that have to go, and why.
    fn leaving(&self) -> Vec<(&'a Room, String)> {
        let mut leaving = Vec::new();
        let mut left = self.count();
        let version = self.input.share.version;
        for room in self.stillborn.iter().copied().chain(self.replaced()) {
            left -= u32::from(room.stage() == Stage::Running);
            let of_version = || format!("{} is being replaced by {version}", room.version);
            leaving.push((room, room.leaving_node().unwrap_or_else(of_version)));
        }
        let wanted = self.input.wanted;
        let gone: Vec<&Room> = leaving.iter().map(|(room, _)| *room).collect();
        let excess = self
            .current
            .saturating_sub(wanted)
            .max(left.saturating_sub(self.bearable(&gone)));
        if excess == 0 {
            return leaving;
        }
        let of_current = self.rooms.iter().copied().filter(|room| self.stays(room));
        let victims = victim::order(of_current, self.input.watch);
        let reason = match wanted {
            0 => "no room is wanted".to_owned(),
            1 => "only 1 room is wanted".to_owned(),
            _ => format!("only {wanted} rooms are wanted"),
        };
        leaving.extend(
            victims
                .into_iter()
                .take(many(excess))
                .map(|room| (room, reason.clone())),
        );
        leaving
    }

    /// Old rooms that others stand in for by now.
    fn replaced(&self) -> Vec<&'a Room> {
        if !self.replaces() {
            return Vec::new();
        }
        let wanted = self.input.wanted;
        let surge = self.input.share.surge;
        let serving = self.count() - self.starting;
        let old: Vec<&Room> = self
            .rooms
            .iter()
            .copied()
            .filter(|room| !self.stays(room))
            .collect();
        let mut replaced = victim::order(old.iter().copied(), self.input.watch);
        replaced.truncate(many(serving.saturating_sub(self.floor(&old))));
        let idle = u32::try_from(replaced.len()).unwrap_or(u32::MAX);
        let spare = serving.saturating_sub(idle).saturating_sub(wanted);
        let asked = spare.min(surge.saturating_sub(self.finishing));
        let busy = old.into_iter().filter(|room| {
            room.is_protected() && room.intent == Intent::Keep && !self.input.watch.is_excused(room)
        });
        replaced.extend(busy.take(many(asked)));
        replaced
    }

    /// How many rooms that serve must be left when some of these are asked to leave.
    fn floor(&self, old: &[&Room]) -> u32 {
        let wanted = self.input.wanted;
        if !self.input.may_create() {
            return wanted;
        }
        let is_of_version = |room: &&Room| !self.input.share.keeps(room.version);
        let step = match old.iter().any(is_of_version) {
            true => self.input.share.surge,
            false => 1,
        };
        let highest = wanted.saturating_add(step).min(self.attainable);
        let least = wanted.saturating_sub(step);
        highest.saturating_sub(step).clamp(least, wanted)
    }
}

fn many(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// How many of all rooms, those that leave included, are in such a place.
fn number(input: &Input, counts: impl Fn(&Room, Place) -> bool) -> u32 {
    let rooms = input.rooms.values();
    let counted = rooms.filter(|room| counts(room, input.watch.place(room)));
    u32::try_from(counted.count()).unwrap_or(u32::MAX)
}
