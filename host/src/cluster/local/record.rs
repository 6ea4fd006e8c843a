//! What is on disk of a room: a small file with all that an adoption needs, and the note of its process.
//!
//! `rooms/<scheduler>/<room>/` holds `room.json` (written before the process starts, removed when the room is
//! deleted), `process` (written by the launcher), and the output. A folder without `room.json` is what a deleted
//! room leaves: its output, kept for a while so that one can read why it ended.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::room::OpenPort;
use maestro_core::scheduler::Protocol;
use maestro_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::handle::Process;
use crate::os;

/// Folders of deleted rooms that are kept per scheduler. Enough to look into the last failures, too few to fill
/// a disk at the default bound of output.
const KEPT: usize = 20;

/// All that is known of a room when its process starts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) scheduler: SchedulerName,
    pub(super) room: RoomId,
    pub(super) version: Version,
    pub(super) created_at: Timestamp,
    /// How long it may take to end when Maestro itself ends.
    pub(super) shutdown: Span,
    pub(super) ports: Vec<OpenPort>,
}

/// A room found on disk.
pub(super) struct Found {
    pub(super) record: Record,
    /// `None` when its process never began, or began before the machine's last start.
    pub(super) process: Option<Process>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    /// 1. Another number means another Maestro's file, and such a room is left alone.
    format: u32,
    scheduler: String,
    room: String,
    version: String,
    created_ms: i64,
    shutdown_ms: u64,
    ports: Vec<StoredPort>,
    boot: String,
}

#[derive(Serialize, Deserialize)]
struct StoredPort {
    name: String,
    protocol: StoredProtocol,
    port: u16,
}

#[derive(Serialize, Deserialize)]
enum StoredProtocol {
    #[serde(rename = "TCP")]
    Tcp,
    #[serde(rename = "UDP")]
    Udp,
}

/// The folder of one room.
pub(super) fn folder(root: &Path, scheduler: &SchedulerName, room: &RoomId) -> PathBuf {
    scheduler_folder(root, scheduler).join(room.as_str())
}

/// Writes a room down before its process starts.
pub(super) fn write(folder: &Path, record: &Record) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    remove_if_there(&folder.join("process"))?;
    let json = serde_json::to_string(&Stored::from(record)).map_err(io::Error::other)?;
    write_atomically(&folder.join("room.json"), &json)
}

/// Notes which process the room of this folder is.
pub(super) fn write_process(folder: &Path, process: &Process) -> io::Result<()> {
    write_atomically(&folder.join("process"), &process.to_string())
}

/// Makes a room one that was deleted, and removes the oldest of those.
pub(super) fn retire(root: &Path, scheduler: &SchedulerName, room: &RoomId) -> io::Result<()> {
    let folder = folder(root, scheduler, room);
    remove_if_there(&folder.join("room.json"))?;
    remove_if_there(&folder.join("process"))?;
    let mut left = Vec::new();
    for path in folders(&scheduler_folder(root, scheduler))? {
        if !path.join("room.json").exists() {
            left.push((fs::metadata(&path)?.modified()?, path));
        }
    }
    left.sort();
    let surplus = left.len().saturating_sub(KEPT);
    left.iter()
        .take(surplus)
        .try_for_each(|(_, path)| fs::remove_dir_all(path))
}

/// Removes all that a scheduler left.
pub(super) fn remove(root: &Path, scheduler: &SchedulerName) -> io::Result<()> {
    match fs::remove_dir_all(scheduler_folder(root, scheduler)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Everything that is written down below `root`. What can't be read is told in the log and left alone.
pub(super) fn read_all(root: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for scheduler in folders(&root.join("rooms"))? {
        for folder in folders(&scheduler)? {
            match read(&folder) {
                Ok(Some(room)) => found.push(room),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "a room's file can't be read; it is left alone");
                }
            }
        }
    }
    Ok(found)
}

fn read(folder: &Path) -> io::Result<Option<Found>> {
    let text = match fs::read_to_string(folder.join("room.json")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let stored: Stored = serde_json::from_str(&text).map_err(io::Error::other)?;
    let is_this_boot = stored.boot == os::boot();
    let record = Record::try_from(stored).map_err(io::Error::other)?;
    let note = match fs::read_to_string(folder.join("process")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    let process = Process::parse(&note).filter(|_| is_this_boot);
    Ok(Some(Found { record, process }))
}

/// The folders in a folder, in order; none when it does not exist.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    let mut folders: Vec<PathBuf> = paths.into_iter().filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}

fn scheduler_folder(root: &Path, scheduler: &SchedulerName) -> PathBuf {
    root.join("rooms").join(scheduler.as_str())
}

/// A reader sees the old text or the new one, never half of one. It need not outlive a crash of the machine: no
/// process does.
fn write_atomically(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    drop(file);
    fs::rename(fresh, path)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl From<&Record> for Stored {
    fn from(record: &Record) -> Self {
        Self {
            format: 1,
            scheduler: record.scheduler.to_string(),
            room: record.room.to_string(),
            version: record.version.to_string(),
            created_ms: record.created_at.ms(),
            shutdown_ms: record.shutdown.ms(),
            ports: record.ports.iter().map(StoredPort::from).collect(),
            boot: os::boot(),
        }
    }
}

impl From<&OpenPort> for StoredPort {
    fn from(port: &OpenPort) -> Self {
        let protocol = match port.protocol {
            Protocol::Tcp => StoredProtocol::Tcp,
            Protocol::Udp => StoredProtocol::Udp,
        };
        Self {
            name: port.name.clone(),
            protocol,
            port: port.port,
        }
    }
}

impl TryFrom<Stored> for Record {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        if stored.format != 1 {
            return Err(format!(
                "its format is {}, and only 1 is known here",
                stored.format
            ));
        }
        let port = |port: StoredPort| OpenPort {
            name: port.name,
            protocol: match port.protocol {
                StoredProtocol::Tcp => Protocol::Tcp,
                StoredProtocol::Udp => Protocol::Udp,
            },
            port: port.port,
        };
        Ok(Self {
            scheduler: SchedulerName::parse(&stored.scheduler).map_err(|e| format!("scheduler: {e}"))?,
            room: RoomId::parse(&stored.room).map_err(|e| format!("room: {e}"))?,
            version: Version::parse(&stored.version).map_err(|e| format!("version: {e}"))?,
            created_at: Timestamp::from_ms(stored.created_ms),
            shutdown: Span::from_ms(stored.shutdown_ms),
            ports: stored.ports.into_iter().map(port).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pong() -> SchedulerName {
        SchedulerName::parse("pong").unwrap()
    }

    fn record(suffix: u32) -> Record {
        Record {
            scheduler: pong(),
            room: RoomId::new(&pong(), suffix),
            version: Version { major: 2, minor: 1 },
            created_at: Timestamp::from_ms(1_700_000_000_123),
            shutdown: Span::from_secs(30),
            ports: vec![OpenPort {
                name: "game".to_owned(),
                protocol: Protocol::Udp,
                port: 20_001,
            }],
        }
    }

    fn written(root: &Path, suffix: u32) -> (Record, PathBuf) {
        let record = record(suffix);
        let folder = folder(root, &record.scheduler, &record.room);
        write(&folder, &record).unwrap();
        (record, folder)
    }

    #[test]
    fn what_is_written_is_found_again() {
        let root = tempfile::tempdir().unwrap();
        let (record, folder) = written(root.path(), 1);
        let found = read_all(root.path()).unwrap().pop().unwrap();
        assert_eq!(
            (found.record, found.process),
            (record.clone(), None),
            "its process has not begun"
        );
        let process = Process::current().unwrap();
        write_process(&folder, &process).unwrap();
        assert_eq!(read_all(root.path()).unwrap()[0].process, Some(process));
        // A new run under the same name is not taken for the process of the one before.
        write(&folder, &record).unwrap();
        assert_eq!(read_all(root.path()).unwrap()[0].process, None);
    }

    #[test]
    fn a_process_of_another_boot_is_not_believed() {
        let root = tempfile::tempdir().unwrap();
        let (_, folder) = written(root.path(), 1);
        write_process(&folder, &Process::current().unwrap()).unwrap();
        let file = folder.join("room.json");
        let text = fs::read_to_string(&file).unwrap().replace(&os::boot(), "another");
        fs::write(&file, text).unwrap();
        assert_eq!(read_all(root.path()).unwrap()[0].process, None);
    }

    #[test]
    fn what_cannot_be_read_is_left_alone_and_hides_nothing() {
        let root = tempfile::tempdir().unwrap();
        for (suffix, text) in [(1, "{"), (2, "{\"format\":2}"), (3, "")] {
            let (_, folder) = written(root.path(), suffix);
            fs::write(folder.join("room.json"), text).unwrap();
        }
        let (good, folder_of_good) = written(root.path(), 4);
        fs::write(root.path().join("rooms").join("notes.txt"), "somebody's").unwrap();
        fs::write(folder_of_good.with_extension("txt"), "somebody's").unwrap();
        let found: Vec<Record> = read_all(root.path())
            .unwrap()
            .into_iter()
            .map(|found| found.record)
            .collect();
        assert_eq!(found, [good]);
        assert!(
            folder(root.path(), &pong(), &record(1).room)
                .join("room.json")
                .exists()
        );
    }

    #[test]
    fn a_room_that_was_never_written_is_retired_without_fuss() {
        let root = tempfile::tempdir().unwrap();
        retire(root.path(), &pong(), &record(1).room).unwrap();
        assert_eq!(read_all(root.path()).unwrap().len(), 0);
    }

    #[test]
    fn deleted_rooms_leave_their_output_for_a_while() {
        let root = tempfile::tempdir().unwrap();
        let kept = u32::try_from(KEPT).unwrap();
        for suffix in 0..kept + 5 {
            written(root.path(), suffix);
        }
        for suffix in 0..kept + 4 {
            retire(root.path(), &pong(), &record(suffix).room).unwrap();
        }
        let left = fs::read_dir(scheduler_folder(root.path(), &pong()))
            .unwrap()
            .count();
        assert_eq!(
            left,
            KEPT + 1,
            "the deleted ones that are kept, and the one that is there"
        );
        assert_eq!(read_all(root.path()).unwrap().len(), 1);
        retire(root.path(), &pong(), &record(0).room).unwrap();
        remove(root.path(), &pong()).unwrap();
        remove(root.path(), &pong()).unwrap();
        assert_eq!(read_all(root.path()).unwrap().len(), 0);
    }
}
