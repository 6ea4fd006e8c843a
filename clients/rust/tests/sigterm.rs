//! SIGTERM, in a process of its own: the signal reaches all of it.
#![cfg(unix)]

use std::time::Duration;

use maestro_client::{Room, Status};

#[test]
fn sigterm_asks_the_room_to_leave() {
    let room = Room::detached().unwrap();
    room.occupied();
    assert!(!room.should_leave());
    signal_hook::low_level::raise(signal_hook::consts::SIGTERM).unwrap();
    assert!(room.wait_should_leave(Duration::from_secs(20)));
    assert!(room.shutdown_requested() && !room.is_draining());
    assert_eq!(
        room.status(),
        Some(Status::Terminating),
        "said without being told to"
    );
    room.leave();
}
