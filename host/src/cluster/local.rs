//! Rooms as processes of this machine: no cluster needed, same port, same promises.
//!
//! Each room is a process in a session of its own, with ports from a tracked range, a clean environment, and its
//! output in files. Two threads belong to it: the keeper starts, reaps and ends processes (one thread, because
//! the kernel kills rooms that shall die with Maestro when the *thread* that started them ends), the meter
//! measures and reads files. Rooms are written down in a folder, where the next Maestro finds those that survived.

mod handle;
mod output;
mod port;
mod process;
mod record;
mod entry;
mod guard;
mod shortage;
mod failure;
mod keeper;
mod meter;
pub mod launch;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use maestro_core::names::{RoomId, SchedulerName};
use maestro_core::scheduler::{PortRange, Scheduler};
use maestro_core::time::{Span, Timestamp};
use tokio::sync::{Notify, oneshot};

use self::entry::{Entry, Life};
pub use self::failure::Failure;
use self::failure::Failures;
use self::guard::Guard;
use super::{Cluster, Error, Nodes, Object, Order, Standing, Usage};

/// Where rooms' ports are taken from unless somebody says otherwise: below the range that Linux gives to outgoing
/// connections (32768 and up), so that nothing takes them by chance.
pub const PORTS: PortRange = PortRange {
    start: 20_000,
    end: 29_999,
};

/// The folder of a data folder that belongs to this cluster.
pub const FOLDER: &str = "rooms";

/// The name of the only node.
const NODE: &str = "local";

/// How long one call may take: a thousand times what starting a process takes, and less than the 5 s after which the
/// control loop no longer counts on its lease (`control::Settings::cluster_timeout`).
const CALL: Duration = Duration::from_secs(4);

/// How the local cluster works.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where rooms are written down: below the data folder, or a temporary one. One cluster at a time uses it.
    pub folder: PathBuf,
    /// Ports for rooms whose scheduler names no range of its own; see [`PORTS`].
    pub ports: PortRange,
    /// Under which address or name players reach this machine.
    pub advertise_host: String,
    /// Where rooms reach the API.
    pub api_url: String,
    /// What runs in a room.
    pub program: Program,
    /// Whether rooms outlive a Maestro that is killed, to be adopted by the next one.
    pub survive: bool,
    /// Bound of a room's output file, and of the one before it.
    pub log_bytes: u64,
    /// How often usage is measured.
    pub measure_every: Duration,
    /// The binary of Maestro, for its hidden verb [`launch::VERB`] and the example room.
    pub maestro: PathBuf,
    /// What rooms see of the host's own variables; see [`crate::config::room_environment`].
    pub host_env: BTreeMap<String, String>,
}

/// What runs in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The bundled example room: `maestro room` with these arguments.
    Example {
        /// The arguments.
        args: Vec<String>,
    },
    /// This command, its words split as a shell splits them; no shell runs it.
    Command(String),
    /// The document's `cmd`.
    Document,
}

/// How all rooms are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Each is asked, and killed once its `shutdownTimeout` is over.
    Graceful,
    /// Each is killed.
    Immediate,
}

/// The local cluster. Dropping it without [`Local::shutdown`] leaves surviving rooms alone and kills others.
pub struct Local {
    shared: Arc<Shared>,
    keeper: mpsc::Sender<keeper::Task>,
    meter: mpsc::Sender<meter::Task>,
    threads: Vec<JoinHandle<()>>,
    /// Where rooms die with Maestro. Dropped after the threads have ended, so that it finds nothing to do.
    _guard: Option<Guard>,
    /// Held for as long as this cluster uses its folder.
    _lock: File,
}

/// Why the local cluster can't begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder is in use.
    #[error("{} is used by another Maestro; end that one, or give this one another folder", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder or a thread could not be had.
    #[error("failed to set up the rooms' folder {}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// What the threads and the callers share.
struct Shared {
    config: Config,
    rooms: Mutex<BTreeMap<RoomId, Entry>>,
    nudges: Mutex<BTreeMap<SchedulerName, Arc<Notify>>>,
    failures: Failures,
}

impl Local {
    /// Begins on a folder, adopting the rooms in it that still run. To be called off the async threads; it reads
    /// a few small files.
    pub fn new(config: Config) -> Result<Self, OpenError> {
        let folder = config.folder.clone();
        let io = |cause| OpenError::Io {
            folder: folder.clone(),
            cause,
        };
        std::fs::create_dir_all(&folder).map_err(io)?;
        let lock = lock(&folder)?;
        let guard = match config.survive {
            true => None,
            false => Some(Guard::post(&config.maestro, &folder).map_err(io)?),
        };
        let shared = Arc::new(Shared {
            config,
            rooms: Mutex::default(),
            nudges: Mutex::default(),
            failures: Failures::default(),
        });
        let (keeper, keeper_tasks) = mpsc::channel();
        let (meter, meter_tasks) = mpsc::channel();
        let keeping = keeper::Keeper::adopt(shared.clone(), keeper_tasks).map_err(io)?;
        let measuring = meter::Meter::new(shared.clone(), meter_tasks).map_err(io)?;
        let mut local = Self {
            shared,
            keeper,
            meter,
            threads: Vec::new(),
            _guard: guard,
            _lock: lock,
        };
        local
            .threads
            .push(thread("rooms-keeper", move || keeping.run()).map_err(io)?);
        local
            .threads
            .push(thread("rooms-meter", move || measuring.run()).map_err(io)?);
        Ok(local)
    }

    /// Ends all rooms, takes no new ones, and returns when the last one is gone. A second call, with
    /// [`Ending::Immediate`], cuts a graceful one short.
    pub async fn shutdown(&self, ending: Ending) {
        let (reply, done) = oneshot::channel();
        let sent = self.keeper.send(keeper::Task::End { ending, reply });
        if sent.is_err() || done.await.is_err() {
            tracing::warn!("the thread that keeps rooms ended early");
        }
    }

    async fn keep<T>(
        &self,
        task: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> keeper::Task,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.keeper
            .send(task(reply))
            .map_err(|_| unavailable("the thread that keeps rooms has ended"))?;
        answered(answer).await
    }
}

/// Ends what still runs of the rooms of a Maestro that was killed; `folder` is its cluster's, which must not be in use.
pub fn wipe(folder: &Path) -> io::Result<()> {
    guard::wipe(folder)
}

#[async_trait]
impl Cluster for Local {
    async fn list(&self, scheduler: &SchedulerName) -> Result<Vec<Object>, Error> {
        let config = &self.shared.config;
        Ok(self
            .shared
            .rooms()
            .values()
            .filter(|e| e.record.scheduler == *scheduler)
            .map(|e| e.object(config))
            .collect())
    }

    async fn create(&self, scheduler: &Scheduler, order: &Order) -> Result<(), Error> {
        if order.avoid.iter().any(|node| node == NODE) {
            return Err(Error::Exhausted {
                what: "this machine is being drained, and there is no other".to_owned(),
                remedy: format!("take that back with `maestro-cli drain-node {NODE} --undo`"),
            });
        }
        let (scheduler, order) = (Box::new(scheduler.clone()), order.clone());
        self.keep(|reply| keeper::Task::Create {
            scheduler,
            order,
            reply,
        })
        .await
    }

    async fn expose(&self, _: &Scheduler, _: &RoomId) -> Result<(), Error> {
        // A process that listens is reachable.
        Ok(())
    }

    async fn delete(
        &self,
        scheduler: &SchedulerName,
        room: &RoomId,
        uid: &str,
        grace: Span,
    ) -> Result<(), Error> {
        let (scheduler, room, uid) = (scheduler.clone(), room.clone(), uid.to_owned());
        self.keep(|reply| keeper::Task::Delete {
            scheduler,
            room,
            uid,
            grace,
            reply,
        })
        .await
    }

    async fn usage(&self, scheduler: &SchedulerName) -> Result<Vec<Usage>, Error> {
        let rooms = self.shared.rooms();
        Ok(rooms
            .values()
            .filter(|e| e.record.scheduler == *scheduler)
            .filter_map(|e| e.usage.clone())
            .collect())
    }

    async fn logs(
        &self,
        scheduler: &SchedulerName,
        room: &RoomId,
        lines: usize,
        previous: bool,
    ) -> Result<String, Error> {
        let folder = record::folder(&self.shared.config.folder, scheduler, room);
        let (reply, answer) = oneshot::channel();
        let task = meter::Task::Tail {
            room: room.clone(),
            folder,
            lines,
            previous,
            reply,
        };
        self.meter
            .send(task)
            .map_err(|_| unavailable("the thread that reads files has ended"))?;
        answered(answer).await
    }

    async fn remove(&self, scheduler: &SchedulerName) -> Result<(), Error> {
        let scheduler = scheduler.clone();
        self.keep(|reply| keeper::Task::Remove { scheduler, reply }).await
    }

    fn nudges(&self, scheduler: &SchedulerName) -> Arc<Notify> {
        self.shared.nudges(scheduler)
    }

    fn nodes(&self) -> Arc<Nodes> {
        let only = (NODE.to_owned(), Standing::Open);
        Arc::new(Nodes::from_iter([only]))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // A thread that has ended already has nothing left to stop.
        drop(self.keeper.send(keeper::Task::Stop));
        drop(self.meter.send(meter::Task::Stop));
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the local cluster panicked");
            }
        }
    }
}

impl Shared {
    fn rooms(&self) -> MutexGuard<'_, BTreeMap<RoomId, Entry>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nudges(&self, scheduler: &SchedulerName) -> Arc<Notify> {
        let mut nudges = self.nudges.lock().unwrap_or_else(PoisonError::into_inner);
        nudges.entry(scheduler.clone()).or_default().clone()
    }
}

/// Takes the folder for us alone. The lock of a Maestro that was killed may be held for a moment more by a child
/// that had not become its room's launcher yet, so a second is given.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let io = |cause| OpenError::Io {
        folder: folder.to_owned(),
        cause,
    };
    let file = File::create(folder.join("lock")).map_err(io)?;
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(cause)) => return Err(io(cause)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    folder: folder.to_owned(),
                });
            }
        }
    }
}

async fn answered<T>(answer: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(CALL, answer).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(unavailable("the local cluster is ending")),
        Err(_) => Err(unavailable(
            "this machine is too busy to start or end a process in time",
        )),
    }
}

fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unavailable { cause: cause.into() }
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
