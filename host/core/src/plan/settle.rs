//! What each room needs by itself, whatever the others do: its deadlines, its end, its reachability.
//!
//! What is left standing goes on to [`super::scale`].

use super::{Action, Deletion, Input};
use crate::deadlines::Overdue;
use crate::room::{CREATE_TRIES, Creation, Intent, Phase, Room, Stage};

/// Actions on single rooms, and the rooms that none of them takes away.
pub(super) fn settle<'a>(input: &Input<'a>) -> (Vec<Action>, Vec<&'a Room>) {
    let mut actions = Vec::new();
    let mut standing = Vec::new();
    let mut asked = 0;
    for room in input.rooms.values() {
        let action = match input.deletion {
            Some(deletion) => ended(input, room).or_else(|| removed(input, room, deletion)),
            None => ended(input, room).or_else(|| overdue(input, room)),
        };
        let action = action.filter(|action| match action {
            Action::Drain { .. } => {
                asked += 1;
                asked <= input.budget.drain
            }
            _ => true,
        });
        match action {
            None | Some(Action::ExpireAllocation { .. }) => {
                standing.push(room);
                actions.extend(exposure(input, room));
            }
            // It may have a match yet.
            Some(Action::Drain { .. }) => actions.extend(exposure(input, room)),
            Some(_) => {}
        }
        actions.extend(action);
    }
    (actions, standing)
}

/// What follows for a room that is gone, or being ended.
fn ended(input: &Input, room: &Room) -> Option<Action> {
    let object = input.objects.get(&room.id);
    let reason = match (&room.intent, &room.phase) {
        (Intent::Stopping { reason, .. }, _) => reason.clone(),
        (_, Phase::Exited { code, reason, .. }) => exit_reason(*code, reason),
        (_, Phase::Absent { .. }) => "it is gone from the cluster".to_owned(),
        (_, Phase::Unseen | Phase::Pending { .. } | Phase::Running { .. }) => return None,
    };
    match object {
        Some(object) if !object.deleting => Some(Action::Delete {
            room: room.id.clone(),
        }),
        Some(_) => input.watch.overdue(room).map(|_| Action::Delete {
            room: room.id.clone(),
        }),
        None if room.may_forget().is_ok() => Some(forget(room, &reason)),
        None => None,
    }
}

/// What follows from a deadline that is over, or from an answer to a drain.
fn overdue(input: &Input, room: &Room) -> Option<Action> {
    // What has ended, or is being ended, has had its last word.
    if room.stage() == Stage::Gone || matches!(room.intent, Intent::Stopping { .. }) {
        return None;
    }
    if let (Stage::Reserved, Creation::Unconfirmed { tries }) = (room.stage(), room.creation)
        && tries >= CREATE_TRIES
    {
        return Some(forget(room, &format!("it could not be created in {tries} tries")));
    }
    let deadline = match input.may_end_rooms() {
        true => input.watch.overdue(room),
        false => None,
    };
    match deadline {
        Some(Overdue::Ping(span)) => Some(drain(room, &Overdue::Ping(span).to_string())),
        // The room may be heard of again before the registry takes this.
        Some(overdue @ (Overdue::Lost(_) | Overdue::Draining(_))) => Some(Action::Stop {
            room: room.id.clone(),
            revision: room.revision,
            unheard_since: Some(room.reports.life_witnessed),
            reason: overdue.to_string(),
        }),
        Some(overdue) => Some(match (&overdue, &room.intent) {
            // It left because it was asked to: that is why.
            (Overdue::Left, Intent::Draining { reason, .. }) => stop(room, reason),
            _ => stop(room, &overdue.to_string()),
        }),
        None if input.watch.is_allocation_over(room) => Some(Action::ExpireAllocation {
            room: room.id.clone(),
            revision: room.revision,
        }),
        None if input.may_end_rooms() => answered(room),
        None => None,
    }
}

fn answered(room: &Room) -> Option<Action> {
    match &room.intent {
        Intent::Draining { reason, .. } if room.has_answered_drain() => Some(stop(room, reason)),
        Intent::Keep | Intent::Allocated { .. } | Intent::Draining { .. } | Intent::Stopping { .. } => None,
    }
}

/// What becomes of a room whose scheduler is being deleted.
fn removed(input: &Input, room: &Room, deletion: Deletion) -> Option<Action> {
    const REASON: &str = "the scheduler is being deleted";
    match (deletion, room.stage()) {
        (_, Stage::Reserved) => Some(forget(room, REASON)),
        (Deletion::Forced, Stage::Starting | Stage::Running | Stage::Draining | Stage::Stopping) => matches!(
            room.intent,
            Intent::Keep | Intent::Allocated { .. } | Intent::Draining { .. }
        )
        .then(|| stop(room, REASON)),
        (Deletion::Graceful, Stage::Starting) if input.may_end_rooms() => Some(stop(room, REASON)),
        (Deletion::Graceful, Stage::Running) if input.may_end_rooms() && room.intent == Intent::Keep => {
            Some(overdue(input, room).unwrap_or_else(|| drain(room, REASON)))
        }
        (Deletion::Graceful, Stage::Starting | Stage::Running | Stage::Draining | Stage::Stopping) => {
            overdue(input, room)
        }
        (_, Stage::Gone) => None,
    }
}

fn exposure(input: &Input, room: &Room) -> Option<Action> {
    let object = input.objects.get(&room.id)?;
    let runs = matches!(room.phase, Phase::Running { .. });
    (runs && !object.exposed && !object.deleting).then(|| Action::Expose {
        room: room.id.clone(),
    })
}

fn exit_reason(code: Option<i32>, reason: &str) -> String {
    let ended = match code {
        Some(code) => format!("its process ended with code {code}"),
        None => "its process ended".to_owned(),
    };
    match reason {
        "" => ended,
        reason => format!("{ended}: {reason}"),
    }
}

/// Forget the room.
pub(super) fn forget(room: &Room, reason: &str) -> Action {
    Action::Forget {
        room: room.id.clone(),
        revision: room.revision,
        reason: reason.to_owned(),
    }
}

/// Stop the room.
pub(super) fn stop(room: &Room, reason: &str) -> Action {
    Action::Stop {
        room: room.id.clone(),
        revision: room.revision,
        unheard_since: None,
        reason: reason.to_owned(),
    }
}

/// Ask the room to leave.
pub(super) fn drain(room: &Room, reason: &str) -> Action {
    Action::Drain {
        room: room.id.clone(),
        revision: room.revision,
        reason: reason.to_owned(),
    }
}
