//! What this machine lacks when a room's process can't be started, and what would help.

use std::io;
use std::path::Path;

use maestro_core::names::RoomId;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::{Error, unavailable};
use crate::os;

/// What stands in the way of more rooms everywhere.
const FEWER: &str = "or run fewer rooms with --max-rooms";

/// Names the shortage behind `cause`; `folder` is where rooms are written down.
pub(super) fn of(cause: io::Error, room: &RoomId, folder: &Path) -> Error {
    let exhausted = |what: String, remedy: String| Error::Exhausted { what, remedy };
    let shown = folder.display();
    match cause.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => exhausted(
            format!(
                "Maestro may not hold more than {} files open",
                limit(Resource::Nofile)
            ),
            format!("raise the limit with `ulimit -n` in the shell that starts Maestro, {FEWER}"),
        ),
        Some(Errno::NFILE) => exhausted(
            "this machine may not hold more files open".to_owned(),
            format!("raise its limit (sysctl {}), {FEWER}", os::FILES_SETTING),
        ),
        Some(Errno::AGAIN) => exhausted(
            format!(
                "no further process may be started ({} are allowed you)",
                limit(Resource::Nproc)
            ),
            format!("raise the limit with `ulimit -u` in the shell that starts Maestro, {FEWER}"),
        ),
        Some(Errno::NOMEM) => exhausted(
            "this machine has no memory left for a process".to_owned(),
            format!("end other programs, {FEWER}"),
        ),
        Some(Errno::NOSPC | Errno::DQUOT) => exhausted(
            format!("there is no space left for {shown}"),
            "remove some files, or name a folder on another disk with --data".to_owned(),
        ),
        Some(Errno::ROFS | Errno::ACCESS) => Error::Refused {
            room: room.clone(),
            reason: format!("{shown} can't be written: {cause}; name another folder with --data"),
        },
        Some(_) | None => unavailable(cause),
    }
}

fn limit(resource: Resource) -> String {
    let limit = getrlimit(resource).current;
    limit.map_or_else(|| "no limited number".to_owned(), |limit| limit.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shortage_is_told_with_a_way_out() {
        let room = RoomId::parse("pong-00000001").unwrap();
        for (errno, what, way_out) in [
            (Errno::MFILE, "files open", "ulimit -n"),
            (Errno::NFILE, "this machine", os::FILES_SETTING),
            (Errno::AGAIN, "process", "ulimit -u"),
            (Errno::NOMEM, "memory", "--max-rooms"),
            (Errno::NOSPC, "no space left for /data/rooms", "--data"),
            (Errno::ROFS, "/data/rooms can't be written", "--data"),
        ] {
            let cause = io::Error::from_raw_os_error(errno.raw_os_error());
            let error = of(cause, &room, Path::new("/data/rooms")).to_string();
            assert!(error.contains(what) && error.contains(way_out), "{error}");
        }
    }
}
